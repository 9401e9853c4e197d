"""Continuing token sequences by a network: drawn, or the most probable ones."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn._generate import Beams, Decoder, Ends, Sampler
from fastrnn.layers.steps import cells_after
from fastrnn.network import Network

# A piece of a stream has so many tokens, beside whose time that of Python's loop does not count,
# or fewer if they take more than so many multiply-adds: some 20 ms where weights come from memory.
_PIECE = 32
_PIECE_WORK = 1e8


def generate_ids(network: Network, prompt_ids: Any, length: int, **options: Any) -> np.ndarray:
    """Continue a sequence of tokens by feeding back what is drawn.

    Each token is drawn from softmax(logits / temperature), of which first the ``top_k`` most
    likely are kept, of those (renormalised) the fewest that together reach ``top_p``, and of those
    the ones that are at least ``min_p`` times as likely as the most likely one. Before all of
    that, the repetition penalty makes the logits of recent tokens smaller.

    Parameters
    ----------
    network : Network
        Takes token ids and puts out as many logits as there are ids.
    prompt_ids : array_like of int
        At least one token, shape (prompt_len,).
    length : int
        How many tokens to draw at most.
    temperature : float
        At 0 the most likely token is taken (the lowest id among equals).
    top_k : int, optional
        At least 1; no limit unless given.
    top_p : float, optional
        In (0, 1]; no limit unless given.
    min_p : float, optional
        In [0, 1]; no limit unless given (Nguyen et al., arXiv:2407.01082).
    repetition_penalty : float
        Above 0: divides the positive and multiplies the other logits of the tokens of the prompt
        and of those drawn (Keskar et al., arXiv:1909.05858). 1 changes nothing.
    repetition_window : int, optional
        Of these tokens, only so many of the last ones count; all unless given.
    stop : sequence of array_like of int
        A sample ends with the token that completes one of these sequences among those drawn.
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
        int64, shape (num_samples, length), or fewer columns if all samples ended before; -1 stands
        after the end of a sample.

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type or out of its range.
    NonFiniteLossError
        If a logit is NaN or the largest is infinite.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn.sampling import generate_ids
    >>> net = fastrnn.Network(fastrnn.RNN(4, 8, seed=0), fastrnn.Linear(8, 4, seed=1))
    >>> generate_ids(net, [0], 5, num_samples=2).shape
    (2, 5)
    """
    length = _check.integer("length", length)
    sampler, num_samples = _sampler(network, prompt_ids, length, length, **options)
    tokens = np.empty((length, num_samples), np.int64)
    made = sampler.draw(tokens)
    return np.ascontiguousarray(tokens[:made].T)


def stream_ids(
    network: Network, prompt_ids: Any, length: int, **options: Any
) -> Generator[np.ndarray, None, None]:
    """Return an iterator of the columns of what :func:`generate_ids` returns, some at a time.

    Takes and raises what :func:`generate_ids` does, when called. The weights are those of then.
    """
    length = _check.integer("length", length)
    sampler, num_samples = _sampler(network, prompt_ids, length, _PIECE, **options)
    return _pieces(sampler, num_samples, length)


def _pieces(sampler: Sampler, num_samples: int, length: int) -> Generator[np.ndarray, None, None]:
    left = length
    while left and sampler.step_work:
        steps = max(1, min(_PIECE, left, int(_PIECE_WORK // sampler.step_work)))
        tokens = np.empty((steps, num_samples), np.int64)
        made = sampler.draw(tokens)
        yield np.ascontiguousarray(tokens[:made].T)
        left -= steps


def _sampler(
    network: Network,
    prompt_ids: Any,
    length: int,
    kept: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    repetition_window: int | None = None,
    stop: Sequence[Any] = (),
    seed: Any = 0,
    num_samples: int = 1,
    weights: str | None = None,
) -> tuple[Sampler, int]:
    """Return what draws, and the number of samples, of which ``kept`` tokens exist at a time."""
    prompt, classes = _checked_prompt(network, prompt_ids)
    num_samples = _check.integer("num_samples", num_samples)
    temperature = _check.number("temperature", temperature, minimum=0)
    top_k = classes if top_k is None else min(_check.integer("top_k", top_k), classes)
    top_p = 1.0 if top_p is None else _check.number("top_p", top_p, above=0, maximum=1)
    min_p = 0.0 if min_p is None else _check.number("min_p", min_p, minimum=0, maximum=1)
    penalty = _check.number("repetition_penalty", repetition_penalty, above=0)
    window = 0
    if repetition_window is not None:
        window = _check.integer("repetition_window", repetition_window)
        window = min(window, len(prompt) + length)
    ends = Ends(_checked_sequences(stop, classes))
    # A sample takes its tokens, those of the window, how often each was seen (half a number) and
    # about a kilobyte of generator.
    numbers = kept + window + classes + ends.count
    _check.memory("the generated samples", num_samples, 8 * (numbers + _row(network)) + 1024)
    seeds = np.random.SeedSequence(_check.seed("seed", seed)).spawn(num_samples)
    sampler = Sampler(
        decoder(network, prompt, num_samples, weights),
        prompt,
        ends,
        [np.random.Generator(np.random.PCG64(child)) for child in seeds],
        temperature,
        top_k,
        top_p,
        min_p,
        penalty,
        window,
    )
    return sampler, num_samples


def beam_ids(
    network: Network,
    prompt_ids: Any,
    length: int,
    beam_width: int,
    *,
    stop: Sequence[Any] = (),
    weights: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Search for the most probable continuations of a sequence of tokens.

    At each step, of the ``beam_width`` continuations so far, each followed by each token, the
    ``beam_width`` most probable ones are kept. One that has ended is kept as it is while it is
    among them.

    Parameters
    ----------
    network, prompt_ids, stop, weights
        As :func:`generate_ids` takes them.
    length : int
        How many tokens a continuation has at most.
    beam_width : int
        How many continuations to keep; 1 takes the most likely token at each step.

    Returns
    -------
    tokens : ndarray
        int64, shape (continuations, steps), the most probable one first; -1 stands after an end.
        There are fewer than ``beam_width`` if that many do not exist.
    log_probs : ndarray
        float64, shape (continuations,): the natural logarithms of their probabilities.

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type or out of its range.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn.sampling import beam_ids
    >>> net = fastrnn.Network(fastrnn.RNN(4, 8, seed=0), fastrnn.Linear(8, 4, seed=1))
    >>> tokens, log_probs = beam_ids(net, [0], 5, beam_width=3)
    >>> tokens.shape, log_probs.shape
    ((3, 5), (3,))
    """
    prompt, classes = _checked_prompt(network, prompt_ids)
    length = _check.integer("length", length)
    beam_width = _check.integer("beam_width", beam_width)
    ends = Ends(_checked_sequences(stop, classes))
    numbers = 3 * length + 2 * ends.count + 8  # tokens and parents of all steps, and the result
    _check.memory("the beams", beam_width, 8 * (numbers + _row(network)))
    rows = decoder(network, prompt, beam_width, weights)
    return Beams(rows, int(prompt[-1]), ends, length).search()


def _row(network: Network) -> int:
    """How many numbers a decoder's row takes at most: four states and the logits."""
    return 4 * network.layer.hidden_size * network.layer.num_layers + network.out_features


def decoder(network: Network, prompt: np.ndarray, rows: int, weights: str | None) -> Decoder:
    """Return a decoder whose rows all follow a prompt, checked, that lacks its last token."""
    stored = _check.weights("weights", weights, network.layer.dtype)
    cells = cells_after(network.layer, prompt[:-1], rows, stored, network._table)
    network._add_readout(cells, stored)
    return Decoder(cells)


def _checked_prompt(network: Network, prompt_ids: Any) -> tuple[np.ndarray, int]:
    """Return the prompt's ids and the number of tokens that the network knows."""
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {_check.describe(network)}")
    classes = network.out_features
    if network.num_tokens != classes:
        raise ValueError(
            f"network must put out one logit per input token, "
            f"got {classes} outputs for {network.num_tokens} tokens"
        )
    return _checked_ids("prompt_ids", prompt_ids, classes), classes


def _checked_sequences(stop: Any, classes: int) -> list[np.ndarray]:
    if not isinstance(stop, (list, tuple)):
        raise TypeError(f"stop must be a list of sequences of ids, got {_check.describe(stop)}")
    return [_checked_ids("a sequence of stop", ids, classes) for ids in stop]


def _checked_ids(name: str, value: Any, classes: int) -> np.ndarray:
    ids = _check.as_array(name, value)
    if ids.dtype.kind not in "iu" or ids.ndim != 1 or ids.size == 0:
        raise ValueError(
            f"{name} must be at least one integer id in one dimension, got {_check.describe(ids)}"
        )
    return _check.token_ids(name, ids, classes)
