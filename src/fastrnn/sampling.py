"""Drawing token sequences from a network, one compiled loop for all steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.network import Network


def generate_ids(
    network: Network,
    prompt_ids: Any,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: Any = 0,
    num_samples: int = 1,
    weights: str | None = None,
) -> np.ndarray:
    """Continue a sequence of tokens by feeding back what is drawn.

    Each token is drawn from softmax(logits / temperature), of which first the ``top_k`` most
    likely are kept, and of those (renormalised) the fewest that together reach ``top_p``.

    Parameters
    ----------
    network : Network
        Takes token ids and puts out as many logits as there are ids.
    prompt_ids : array_like of int
        At least one token, shape (prompt_len,).
    length : int
        How many tokens to draw.
    temperature : float
        At 0 the most likely token is taken (the lowest id among equals).
    top_k : int, optional
        At least 1; no limit unless given.
    top_p : float, optional
        In (0, 1]; no limit unless given.
    seed : int, optional
        Of the random numbers; sample i is the same for any ``num_samples``. None draws a new
        one.
    num_samples : int
        How many independent continuations to draw together.
    weights : {"float32", "bfloat16", "int8"}, optional
        What W_hh and the read-out's weight are stored as, as in :meth:`fastrnn.RNN.stream`; the
        rows of W_ih that tokens select stay float32.

    Returns
    -------
    ndarray
        int64, shape (num_samples, length).

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type or out of its range.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn.sampling import generate_ids
    >>> net = fastrnn.Network(fastrnn.RNN(4, 8, seed=0), fastrnn.Linear(8, 4, seed=1))
    >>> generate_ids(net, [0], 5, num_samples=2).shape
    (2, 5)
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {_check.describe(network)}")
    layer, readout = network.layer, network.readout
    classes = readout.out_features
    if layer.input_size != classes:
        raise ValueError(
            f"network must put out one logit per input token, "
            f"got {classes} outputs for {layer.input_size} tokens"
        )
    length = _check.integer("length", length)
    num_samples = _check.integer("num_samples", num_samples)
    temperature = _check.number("temperature", temperature, minimum=0)
    top_k = classes if top_k is None else min(_check.integer("top_k", top_k), classes)
    top_p = 1.0 if top_p is None else _check.number("top_p", top_p, above=0, maximum=1)
    stored = _check.weights("weights", weights, layer.dtype)
    # A sample takes its tokens, up to three states, its logits and about a kilobyte of generator.
    numbers = length + 3 * layer.hidden_size + classes
    _check.memory("the generated samples", num_samples, 8 * numbers + 1024)
    prompt = _check.as_array("prompt_ids", prompt_ids)
    if prompt.dtype.kind not in "iu" or prompt.ndim != 1 or prompt.size == 0:
        raise ValueError(
            f"prompt_ids must be at least one integer id in one dimension, "
            f"got {_check.describe(prompt)}"
        )
    prompt = _check.token_ids("prompt_ids", prompt, classes)

    tokens = np.empty((length, num_samples), np.int64)
    seeds = np.random.SeedSequence(_check.seed("seed", seed)).spawn(num_samples)
    layer._generate(
        prompt,
        readout._packed_stored(stored),
        readout._views["bias"],
        tokens,
        [np.random.Generator(np.random.PCG64(child)) for child in seeds],
        temperature,
        top_k,
        top_p,
        stored,
    )
    return np.ascontiguousarray(tokens.T)
