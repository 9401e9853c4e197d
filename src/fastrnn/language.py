"""What a model of characters can write: how it continues a text."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fastrnn import _check
from fastrnn.corpus.vocabulary import Decoder, Symbols, check_text
from fastrnn.errors import not_finite
from fastrnn.network import Network
from fastrnn.reading import Reader
from fastrnn.sampling import beam_ids, generate_ids, stream_ids


class Continuation(NamedTuple):
    """A text that :meth:`fastrnn.CharRNN.beam_search` found.

    Attributes
    ----------
    text : str
        The prompt and what follows it.
    log_prob : float
        Natural logarithm of the probability of what follows the prompt.
    """

    text: str
    log_prob: float


class LanguageModel(Reader):
    """Base of models that predict each character of a text from those before it."""

    def generate(
        self,
        prompt: str = "",
        length: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = 0,
        num_samples: int = 1,
        unknown: str | None = None,
        weights: str | None = None,
        *,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        repetition_window: int | None = None,
        stop: str | Sequence[str] | None = None,
    ) -> str | list[str]:
        """Continue a prompt with characters drawn one by one from the model's prediction.

        The options apply in this order: ``repetition_penalty``, ``temperature``, ``top_k``,
        ``top_p``, ``min_p``; of what is left, a character is drawn.

        Parameters
        ----------
        prompt : str
            The text to continue. The model starts an empty prompt as if after a newline, or
            after the first character of its vocabulary if that has no newline.
        length : int
            Number of characters to generate at most, or of bytes, not counting the prompt.
        temperature : float
            Divides the logits: below 1 is more cautious, above 1 more daring; 0 always takes
            the most likely character.
        top_k : int, optional
            Draw from the ``top_k`` most likely characters only.
        top_p : float, optional
            Draw from the fewest most likely characters whose probabilities sum to ``top_p``,
            in (0, 1], only.
        seed : int or None
            Seed of the draws. The same seed gives the same text, None another one each time.
        num_samples : int
            Number of texts to generate.
        unknown : str, optional
            What becomes of characters of the prompt that the model does not know, as it reads it;
            as the model has it unless given.
        weights : {"float32", "bfloat16", "int8"}, optional
            What the weights that every character needs are stored as, those of a float32 model:
            smaller ones are faster from a hidden_size of about 256 on, and change the
            predictions a little. :meth:`evaluate` measures how much.
        min_p : float, optional
            Draw from the characters only that are at least ``min_p`` times, in [0, 1], as likely
            as the most likely one: from few where the model is sure, from many where it is not
            (Nguyen et al., arXiv:2407.01082).
        repetition_penalty : float
            Above 0: divides the positive and multiplies the other logits of the characters that
            the text has (Keskar et al., arXiv:1909.05858). Above 1 there is less repetition;
            1 changes nothing.
        repetition_window : int, optional
            Of the text so far, prompt included, only so many of the last characters count for
            the penalty; all, as in its source, unless given. After a few hundred characters
            nearly all have occurred, and a penalty of all of them is none: a window of 10 to 30
            makes the difference.
        stop : str or sequence of str, optional
            A text ends as soon as what was generated ends with this string, or one of these,
            which is kept; so whoever needs to know sees whether it was reached. Other samples go
            on.

        Returns
        -------
        str or list of str
            The prompt as given followed by ``length`` characters, or fewer if it ended with
            ``stop``; a list of such texts if ``num_samples`` is above 1. A model of bytes writes
            ``length`` of them: those that can be no character become U+FFFD, and a character that
            is incomplete at the end is left out.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or value.
        UnknownCharacterError
            If the prompt or a stop string holds a character the model does not know.
        NonFiniteLossError
            If the model's outputs are too large for its dtype.
        RuntimeError
            If the model has no vocabulary yet.

        Examples
        --------
        >>> import fastrnn
        >>> model = fastrnn.CharRNN(hidden_size=32).fit("one two three " * 50, steps=200, lr=0.01)
        >>> model.generate("one", length=100, temperature=0, stop="three")
        'one two three'
        """
        network, vocabulary, ids = self._start(prompt, unknown)
        samples = generate_ids(
            network,
            ids,
            length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            repetition_window=repetition_window,
            stop=_stop_ids(vocabulary, stop),
            seed=seed,
            num_samples=num_samples,
            weights=weights,
        )
        texts = [prompt + text for text in _decoded(vocabulary, samples)]
        return texts[0] if num_samples == 1 else texts

    def stream(
        self,
        prompt: str = "",
        length: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = 0,
        num_samples: int = 1,
        unknown: str | None = None,
        weights: str | None = None,
        *,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        repetition_window: int | None = None,
        stop: str | Sequence[str] | None = None,
    ) -> Generator[str | list[str], None, None]:
        """Return an iterator of the pieces of the text that :meth:`generate` returns.

        The pieces come as they are generated, the prompt first, of a few characters each, and
        are together the same text. Nothing is computed ahead of the piece that is asked for;
        closing the iterator, or no longer asking, is the end. It takes memory for a piece, not
        for ``length``. The weights are those of when this is called.

        Takes the arguments of :meth:`generate`, and raises what it raises, when called.

        Returns
        -------
        generator of str or of list of str
            Pieces of the text; if ``num_samples`` is above 1, lists with a piece of each text,
            empty for one that has ended.

        Examples
        --------
        >>> import fastrnn
        >>> model = fastrnn.CharRNN(hidden_size=8, vocabulary="to be or not")
        >>> pieces = model.stream("to ", length=100, seed=1)
        >>> next(pieces)
        'to '
        >>> "to " + "".join(pieces) == model.generate("to ", length=100, seed=1)
        True
        """
        network, vocabulary, ids = self._start(prompt, unknown)
        pieces = stream_ids(
            network,
            ids,
            length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            repetition_window=repetition_window,
            stop=_stop_ids(vocabulary, stop),
            seed=seed,
            num_samples=num_samples,
            weights=weights,
        )
        return _texts(prompt, vocabulary, pieces, num_samples)

    def beam_search(
        self,
        prompt: str = "",
        length: int = 500,
        beam_width: int = 5,
        *,
        stop: str | Sequence[str] | None = None,
        unknown: str | None = None,
        weights: str | None = None,
    ) -> list[Continuation]:
        """Search for the most probable continuations of a prompt.

        At each step, of the ``beam_width`` texts so far, each followed by each character, the
        ``beam_width`` most probable ones are kept. A text that has ended with ``stop`` is kept
        as it is while it is among them: none is favoured for its length. This finds the most
        probable texts if ``beam_width`` is large enough; there is no promise for a smaller one.

        Parameters
        ----------
        prompt, stop, unknown, weights
            As :meth:`generate` takes them.
        length : int
            Number of characters of a continuation, not counting the prompt, or fewer if it ends
            with ``stop``.
        beam_width : int
            Number of texts to keep; with 1 this is :meth:`generate` with temperature 0.

        Returns
        -------
        list of Continuation
            ``beam_width`` texts, each with its ``log_prob``, the most probable one first; fewer
            if no more exist.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or value.
        UnknownCharacterError
            If the prompt or a stop string holds a character the model does not know.
        NonFiniteLossError
            If the model's outputs are too large for its dtype.
        RuntimeError
            If the model has no vocabulary yet.

        Examples
        --------
        >>> import fastrnn
        >>> model = fastrnn.CharRNN(hidden_size=32).fit("one two three " * 50, steps=200, lr=0.01)
        >>> best, second = model.beam_search("one ", length=9, beam_width=2)
        >>> best.text, best.log_prob > second.log_prob
        ('one two three', True)
        """
        network, vocabulary, ids = self._start(prompt, unknown)
        tokens, log_probs = beam_ids(
            network, ids, length, beam_width, stop=_stop_ids(vocabulary, stop), weights=weights
        )
        if len(log_probs) == 0:
            raise not_finite("no continuation can be found", network.layer.dtype)
        return [
            Continuation(prompt + text, log_prob)
            for text, log_prob in zip(_decoded(vocabulary, tokens), log_probs.tolist(), strict=True)
        ]

    def _start(self, prompt: str, unknown: str | None) -> tuple[Network, Symbols, np.ndarray]:
        """Return what continues a prompt, and the ids to continue."""
        network, vocabulary = self._ready()
        return network, vocabulary, vocabulary.encode_prompt(prompt, self._policy(unknown))


def _stop_ids(vocabulary: Symbols, stop: str | Sequence[str] | None) -> list[np.ndarray]:
    """Return the ids of each string that ends a text."""
    strings = [] if stop is None else [stop] if isinstance(stop, str) else stop
    if not isinstance(strings, (list, tuple)):
        raise TypeError(f"stop must be a str or a list of them, got {_check.describe(stop)}")
    for string in strings:
        check_text("stop" if string is stop else "each string of stop", string, 1)
    advice = "a text of this model never ends with it: leave it out"
    return [vocabulary.encode(string, name="stop", advice=advice) for string in strings]


def _decoded(vocabulary: Symbols, rows: np.ndarray) -> list[str]:
    """Return the texts of rows of ids that may end before their last column, with -1."""
    return [vocabulary.decode(row[row >= 0]) for row in rows]


def _texts(
    prompt: str,
    vocabulary: Symbols,
    pieces: Iterator[np.ndarray],
    num_samples: int,
) -> Generator[str | list[str], None, None]:
    if prompt:
        yield prompt if num_samples == 1 else [prompt] * num_samples
    decoders: list[Decoder] = [vocabulary.decoder() for _ in range(num_samples)]
    for ids in pieces:
        texts = [one.decode(row[row >= 0]) for one, row in zip(decoders, ids, strict=True)]
        yield texts[0] if num_samples == 1 else texts
