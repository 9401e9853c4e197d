"""What a model of characters makes of a text: how probable it is, and what states it leads to."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastrnn import _check, scoring
from fastrnn.corpus.corpus import Corpus, as_corpus
from fastrnn.corpus.vocabulary import Symbols, check_length
from fastrnn.errors import not_finite
from fastrnn.network import Network

_LARGEST_EXPONENT = math.log(sys.float_info.max)


class Reader(ABC):
    """Base of models that read a text character by character."""

    @abstractmethod
    def _ready(self) -> tuple[Network, Symbols]:
        """Return what the model knows, or raise RuntimeError if it knows nothing yet."""

    @abstractmethod
    def _policy(self, unknown: str | None) -> str:
        """Return what becomes of unknown characters, the model's own policy unless given."""

    def log_probs(
        self,
        text: str | Corpus,
        *,
        unknown: str | None = None,
        num_threads: int | None = None,
        weights: str | None = None,
    ) -> np.ndarray:
        """Return how probable the model finds each character of a text after those before it.

        Of a model of bytes, each byte.

        Parameters
        ----------
        text, unknown, num_threads, weights
            As :meth:`evaluate` takes them.

        Returns
        -------
        ndarray
            float64: natural logarithms of the probabilities of all characters (or bytes) but the
            first, (len(text) - 1,) unless some are left out as unknown. Their mean is minus the
            ``loss`` of :meth:`evaluate`.

        Raises
        ------
        TypeError, ValueError, UnknownCharacterError, NonFiniteLossError, RuntimeError
            As :meth:`evaluate` does.

        Examples
        --------
        >>> import fastrnn
        >>> model = fastrnn.CharRNN(hidden_size=8, vocabulary="abc")
        >>> log_probs = model.log_probs("abcab")
        >>> log_probs.shape
        (4,)
        >>> bool(abs(-log_probs.mean() - model.evaluate("abcab")["loss"]) < 1e-12)
        True
        """
        return np.concatenate(list(self._scored(text, unknown, num_threads, weights)))

    def next_probs(
        self,
        text: str | Corpus,
        *,
        unknown: str | None = None,
        num_threads: int | None = None,
    ) -> np.ndarray:
        """Return how probable each character is to come next, after each character of a text.

        Parameters
        ----------
        text : str or Corpus
            At least one character.
        unknown, num_threads
            As :meth:`evaluate` takes them.

        Returns
        -------
        ndarray
            Of the model's dtype. Row t has the probabilities of all characters after the first
            t + 1 of the text, (T, V): T is len(text) unless some are left out as unknown, and
            column v is of ``vocabulary[v]``. In a model of bytes each row is of a byte, and column
            v of the byte v.

        Raises
        ------
        TypeError, ValueError, UnknownCharacterError, NonFiniteLossError, RuntimeError
            As :meth:`evaluate` does.
        MemoryError
            If the result would not fit into the machine's memory.

        Examples
        --------
        >>> import fastrnn
        >>> model = fastrnn.CharRNN(hidden_size=8, vocabulary="abc")
        >>> model.next_probs("abcab").shape
        (5, 3)
        """
        network, ids = self._spelled(text, unknown, 1)
        parts = scoring.next_probs(network, ids, num_threads=num_threads)
        return _joined("the probabilities", parts, network, len(ids), network.out_features)

    def states(
        self,
        text: str | Corpus,
        *,
        unknown: str | None = None,
        num_threads: int | None = None,
    ) -> np.ndarray:
        """Return the hidden state after each character of a text.

        Parameters
        ----------
        text : str or Corpus
            At least one character.
        unknown, num_threads
            As :meth:`evaluate` takes them.

        Returns
        -------
        ndarray
            h_t of the last layer, of the model's dtype, (T, hidden_size): T is len(text) unless
            some are left out as unknown, and the number of bytes in a model of bytes. Of a Jordan
            network what it feeds back, which are its outputs, (T, V).

        Raises
        ------
        TypeError, ValueError, UnknownCharacterError, NonFiniteLossError, RuntimeError
            As :meth:`evaluate` does.
        MemoryError
            If the result would not fit into the machine's memory.

        Examples
        --------
        >>> import fastrnn
        >>> model = fastrnn.CharRNN(hidden_size=8, vocabulary="abc")
        >>> model.states("abcab").shape
        (5, 8)
        """
        network, ids = self._spelled(text, unknown, 1)
        parts = scoring.states(network, ids, num_threads=num_threads)
        return _joined("the states", parts, network, len(ids), network.layer.output_size)

    def evaluate(
        self,
        text: str | Corpus,
        *,
        unknown: str | None = None,
        num_threads: int | None = None,
        weights: str | None = None,
    ) -> dict[str, float]:
        """Measure how well the model predicts a text, reading it from beginning to end.

        Every character (or byte) but the first is predicted from all those before it.

        Parameters
        ----------
        text : str or Corpus
            At least two characters.
        unknown : str, optional
            What becomes of characters that the model does not know; as the model has it unless
            given. Those that are left out do not count, and those that another stands in for count
            as that one.
        num_threads : int, optional
            Threads to use, :func:`fastrnn.get_num_threads` by default.
        weights : {"float32", "bfloat16", "int8"}, optional
            Measure the model as :meth:`generate` runs it with these weights, one character after
            the other.

        Returns
        -------
        dict
            ``loss``: mean negative log-likelihood of a character, in nats;
            ``bits_per_char``: the same in bits, loss / ln 2;
            ``perplexity``: e to the loss, the number of characters an equally uncertain
            uniform guess would choose among. For a model of bytes all are those of a byte, and
            ``bits_per_byte`` takes the place of ``bits_per_char``.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or value.
        UnknownCharacterError
            If the text holds a character the model does not know.
        NonFiniteLossError
            If the loss is too large for the model's dtype.
        RuntimeError
            If the model has no vocabulary yet.
        """
        total, count = 0.0, 0
        for part in self._scored(text, unknown, num_threads, weights):
            total += float(part.sum())
            count += len(part)
        loss = abs(total) / count  # of a text that is certain 0, not -0
        return {
            "loss": loss,
            f"bits_per_{self._ready()[1].short}": loss / math.log(2.0),
            "perplexity": math.exp(loss) if loss < _LARGEST_EXPONENT else math.inf,
        }

    def _scored(
        self,
        text: str | Corpus,
        unknown: str | None,
        num_threads: int | None,
        weights: str | None,
    ) -> Iterator[np.ndarray]:
        """Yield the log-probabilities of a text, chunk by chunk."""
        network, ids = self._spelled(text, unknown, 2)
        for part in scoring.log_probs(network, ids, num_threads=num_threads, weights=weights):
            if not np.isfinite(part).all():
                raise not_finite("the loss over text cannot be measured", network.layer.dtype)
            yield part

    def _spelled(
        self, text: str | Corpus, unknown: str | None, minimum: int
    ) -> tuple[Network, Any]:
        """Return what reads a text, and the text's ids, at least ``minimum``."""
        network, vocabulary = self._ready()
        ids = as_corpus("text", text)._encode(vocabulary, self._policy(unknown))
        check_length("text", len(ids), minimum, vocabulary.unit)
        return network, ids


def _joined(
    what: str, parts: Iterator[np.ndarray], network: Network, rows: int, columns: int
) -> np.ndarray:
    """Return chunks of rows as one array, or raise NonFiniteLossError."""
    dtype = network.layer.dtype
    _check.memory(what, rows, columns, dtype.itemsize)
    joined, start = np.empty((rows, columns), dtype), 0
    for part in parts:
        if not np.isfinite(part).all():
            raise not_finite(f"{what} along text cannot be measured", dtype)
        joined[start : start + len(part)] = part
        start += len(part)
    return joined
