"""The loss on text that is held out, and the weights that had the lowest."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.corpus.corpus import Corpus, as_corpus
from fastrnn.corpus.streams import Streams, check_window
from fastrnn.corpus.vocabulary import check_length
from fastrnn.network import Network

# Steps evaluated at a time: the loss does not depend on it, the memory of the logits does.
_CHUNK = 64


def split(text: Corpus, validation: Any) -> tuple[Corpus, Corpus | None]:
    """Return what to learn from and what is held out, by fit's argument ``validation``.

    Raises
    ------
    TypeError, ValueError
        If ``validation`` is neither a text nor a share in (0, 1) nor None.

    Examples
    --------
    >>> learned, held_out = split(Corpus.from_text("to be or not to be"), 0.3)
    >>> learned.text(), held_out.text()
    ('to be or not ', 'to be')
    """
    if validation is None:
        return text, None
    if is_text(validation):
        return text, as_corpus("validation", validation)
    cut = len(text) - int(checked(validation) * len(text))
    return text[:cut], text[cut:]


def checked(validation: Any) -> Any:
    """Return fit's argument ``validation``, a share as a float.

    Raises
    ------
    TypeError, ValueError
        As :func:`split` does.
    """
    if validation is None or is_text(validation):
        return validation
    try:
        return _check.number("validation", validation, above=0, below=1)
    except TypeError:
        raise TypeError(
            f"validation must be a share of the text, a str or a Corpus, "
            f"got {_check.describe(validation)}"
        ) from None


def is_text(validation: Any) -> bool:
    """Return whether fit's argument ``validation`` is a text of its own."""
    return isinstance(validation, (str, Corpus))


def check_lengths(
    learned: int, held_out: int | None, validation: Any, unit: str, seq_len: int
) -> None:
    """Require a window to learn from, and two symbols to evaluate.

    Parameters
    ----------
    learned, held_out : int
        Numbers of symbols of what :func:`split` returned, None for None.
    validation : str, Corpus, float or None
        What it was given.
    unit : str
        What to call a symbol.
    seq_len : int

    Raises
    ------
    ValueError
        If there are too few.
    """
    if held_out is None or is_text(validation):
        check_window(learned, unit, seq_len)
        if held_out is not None:
            check_length("validation", held_out, 2, unit)
        return
    if held_out < 2:
        raise ValueError(
            f"validation={validation:g} of {learned + held_out:,} {unit}s are {held_out}, at least "
            f"2 are expected; use a larger share"
        )
    if learned <= seq_len:
        raise ValueError(
            f"validation={validation:g} leaves {learned:,} {unit}s to learn from, fewer than one "
            f"window of seq_len + 1 = {seq_len + 1:,}; use a smaller share or a longer text"
        )


class Validation:
    """Evaluates a network on held-out ids and keeps the best of its weights.

    Parameters
    ----------
    network : Network
    streams : Streams
        The held-out text.
    patience : int or None
        Evaluations in a row without a new lowest loss after which to stop; None never stops.
    num_threads : int or None

    Attributes
    ----------
    best : dict of str to ndarray or None
        The weights with the lowest loss, as the network's ``state_dict``.
    best_loss : float
    best_step : int
        The step after which it was measured.
    since : int
        Evaluations since then.
    """

    def __init__(
        self, network: Network, streams: Streams, patience: int | None, num_threads: int | None
    ) -> None:
        self._network, self._streams = network, streams
        self._patience, self._num_threads = patience, num_threads
        self.best: dict[str, np.ndarray] | None = None
        self.best_loss = math.inf
        self.best_step = 0
        self.since = 0

    @property
    def over(self) -> bool:
        """Whether the patience is at its end."""
        return self._patience is not None and self.since >= self._patience

    def evaluate(self, step: int) -> float:
        """Return the mean loss of a held-out character in nats; keep the weights if it is lowest.

        They are those after ``step``. A loss that overflows is infinite, and never the lowest.
        """
        total, state = 0.0, None
        chunks = self._streams.chunk_count(_CHUNK)
        for inputs, targets, _ in islice(self._streams.walk(_CHUNK), chunks):
            loss, state = self._network.loss(
                inputs, targets, state, reduction="sum", num_threads=self._num_threads
            )
            total += loss
        mean = total / self._streams.target_count(chunks, _CHUNK)
        if not math.isfinite(mean):
            mean = math.inf
        if mean < self.best_loss:
            best = self._network.state_dict()
            self.best, self.best_loss, self.best_step, self.since = best, mean, step, 0
        else:
            self.since += 1
        return mean

    def restore(self) -> None:
        """Give the network the best weights, if there was an evaluation."""
        if self.best is not None:
            self._network.load_state_dict(self.best)
