"""How a network reads a token sequence: how probable it finds it, and what it holds on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastrnn import _ops
from fastrnn.layers.steps import require_one_direction
from fastrnn.network import Network
from fastrnn.sampling import decoder

# A sequence is read in chunks of this many tokens, or of fewer if their logits were more numbers
# than this: what comes out does not depend on it, the memory that it takes does.
_CHUNK = 1024
_CHUNK_LOGITS = 1 << 22


def log_probs(
    network: Network,
    ids: Any,
    *,
    num_threads: int | None = None,
    weights: str | None = None,
) -> Iterator[np.ndarray]:
    """Yield log p(ids[t] | ids[:t]) for t from 1 on, chunk by chunk, in nats and float64.

    Parameters
    ----------
    network : Network
        Takes token ids and puts out as many logits as there are ids.
    ids : ndarray of int64, or what can be sliced as one
        At least two tokens, shape (T,).
    num_threads : int, optional
        Threads to use, at most.
    weights : {"float32", "bfloat16", "int8"}, optional
        Go token by token with these weights, as :func:`fastrnn.sampling.generate_ids` does.
    """
    require_one_direction(network.layer)
    size = _chunk(network)
    state, stepper = None, None
    if weights is not None:
        stepper = decoder(network, ids[:1], 1, weights)
    for start in range(0, len(ids) - 1, size):
        read, targets = ids[start : start + size], ids[start + 1 : start + size + 1]
        read = read[: len(targets)]
        if stepper is not None:
            yield stepper.log_probs(read, targets)
            continue
        logits, state = network(read, state, num_threads=num_threads)
        yield _ops.log_probs(logits, targets)


def states(network: Network, ids: Any, *, num_threads: int | None = None) -> Iterator[np.ndarray]:
    """Yield what the read-out reads after each token, chunk by chunk, (steps, output_size).

    Takes what :func:`log_probs` does, and one token is enough.
    """
    yield from _outputs(network.states, network, ids, num_threads)


def next_probs(
    network: Network, ids: Any, *, num_threads: int | None = None
) -> Iterator[np.ndarray]:
    """Yield the probabilities of every token to come next, chunk by chunk, (steps, out_features).

    Takes what :func:`log_probs` does, and one token is enough.
    """
    sure = Network(network.layer, network.readout, embedding=network.embedding, output="softmax")
    yield from _outputs(sure, network, ids, num_threads)


def _outputs(
    call: Callable[..., tuple[Any, Any]], network: Network, ids: Any, num_threads: int | None
) -> Iterator[np.ndarray]:
    require_one_direction(network.layer)
    size, state = _chunk(network), None
    for start in range(0, len(ids), size):
        output, state = call(ids[start : start + size], state, num_threads=num_threads)
        yield output


def _chunk(network: Network) -> int:
    return max(1, min(_CHUNK, _CHUNK_LOGITS // network.out_features))
