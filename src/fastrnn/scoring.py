"""How probable a network finds a token sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastrnn import _ops
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
    network.layer._require_one_direction()
    size = max(1, min(_CHUNK, _CHUNK_LOGITS // network.out_features))
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
