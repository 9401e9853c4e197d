"""A text as a character model writes it: what it could have written, and what it remembers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from fastrnn import _ops, checkpoint
from fastrnn.demo.models import uploads
from fastrnn.errors import ModelFileError, NonFiniteLossError
from fastrnn.sampling import generate_ids
from fastrnn.text import CharRNN
from fastrnn.training.fitting import TrainingStep

MAX_LENGTH = 1000
MIN_TEXT = 200
SHOWN_STATES = 24  # characters whose states are drawn

# A curve of so many points has all that can be seen; a sample so often can still be read.
CURVE_POINTS, SAMPLE_SECONDS = 200, 0.7
SAMPLE_LENGTH, SAMPLE_TEMPERATURE = 160, 0.6

_NAMES = {" ": "␣", "\n": "⏎", "\t": "⇥"}


class Choice(NamedTuple):
    """A character that may come next.

    Attributes
    ----------
    symbol : str
        The character, blanks by a sign of their own.
    logit : float
        What the network answers for it.
    probability : float
        Of being drawn.
    drawn : bool
        Whether it is the one that will be.
    """

    symbol: str
    logit: float
    probability: float
    drawn: bool


@dataclass(frozen=True, eq=False)
class Written:
    """A text so far, and what the network is about to do.

    Attributes
    ----------
    prompt, text : str
        What was given, and what was written after it.
    symbols : list of str
        The last symbols that were read, first to last, the prompt's and those written.
    states : ndarray, shape (len(symbols), units)
        The state of the last layer after each of them.
    choices : list of Choice
        All that may be drawn next, the most probable first.
    """

    prompt: str
    text: str
    symbols: list[str]
    states: np.ndarray
    choices: list[Choice]


def write(
    model: CharRNN,
    prompt: str,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Written:
    """Write ``length`` characters after a prompt, as :meth:`fastrnn.CharRNN.generate` does.

    Parameters
    ----------
    model : CharRNN
        With a vocabulary.
    prompt, temperature, top_k, seed
        As ``generate`` takes them.
    length : int
        At least 0; bytes of a model of bytes.

    Raises
    ------
    TypeError, ValueError
        As ``generate`` does, and if what the network answers is not finite.

    Examples
    --------
    >>> model = CharRNN(hidden_size=8, vocabulary="abc ")
    >>> written = write(model, "ab", 5, seed=3)
    >>> written.prompt + written.text == model.generate("ab", 5, seed=3)
    True
    >>> [choice.symbol for choice in written.choices if choice.drawn] == [
    ...     name(model.generate("ab", 6, seed=3)[-1])]
    True
    """
    network, symbols, start = model._start(prompt, None)
    options = {"temperature": temperature, "top_k": top_k, "seed": seed}
    refusal = ValueError(
        "The network cannot write here: its answers are not finite, as of weights too large."
    )
    try:
        (drawn,) = generate_ids(network, start, length + 1, **options)
    except NonFiniteLossError:
        raise refusal from None
    ids = np.concatenate([start, drawn[:length]])
    states, logits = _last_steps(network, ids)
    if not np.isfinite(logits).all():  # minus infinity, beside which others can be drawn
        raise refusal
    return Written(
        prompt,
        symbols.decode(drawn[:length]),
        [name(_symbol(model, i)) for i in ids[-len(states) :]],
        states,
        [
            Choice(name(_symbol(model, i)), float(logits[i]), p, bool(i == drawn[length]))
            for i, p in _probabilities(logits, temperature, top_k, int(drawn[length]))
        ],
    )


def check_prompt(model: CharRNN, prompt: str) -> None:
    """Require a prompt that a model can read and the page can show.

    Raises
    ------
    ValueError
        In words for a reader who types it.

    Examples
    --------
    >>> check_prompt(CharRNN(vocabulary="abc"), "bad")
    Traceback (most recent call last):
    ...
    ValueError: The network does not know “d”: it is none of the 3 characters that it can read.
    """
    if len(prompt) > MAX_LENGTH:
        raise ValueError(
            f"The prompt has {len(prompt):,} characters; {MAX_LENGTH:,} at most are taken here."
        )
    _, symbols = model._ready()
    missing = symbols.lacks(prompt)
    if missing.any() and model.unknown == "error":
        raise ValueError(
            f"The network does not know {_called(prompt[int(np.argmax(missing))])}: it is none of "
            f"the {len(symbols)} characters that it can read."
        )


def load(content: bytes, name: str) -> CharRNN:
    """Return the character model of a file that a reader brought.

    Raises
    ------
    ValueError
        If it is none, is damaged, or cannot write; in words for who chose the file.

    Examples
    --------
    >>> load(b"%PDF-1.4", "letter.pdf")
    Traceback (most recent call last):
    ...
    ValueError: “letter.pdf” is no model that this page can read, or only a part of one. Expected \
is a file that “fastrnn train” or, in Python, model.save wrote.
    """

    def read(path: str) -> CharRNN:
        if not checkpoint.is_model(path):
            raise ValueError(
                f"“{name}” is no model that this page can read, or only a part of one. Expected "
                f"is a file that “fastrnn train” or, in Python, model.save wrote."
            )
        try:
            return CharRNN.load(path)
        except ModelFileError as error:
            raise ValueError(
                f"“{name}” is a model's file, but it was damaged after it was saved or is of "
                f"another kind than this page can use: save it once more. ({error})"
            ) from None

    model = uploads.read(content, name, read)
    write(model, "", 0)
    return model


def name(symbol: str) -> str:
    """Return a symbol as it is shown by itself.

    Examples
    --------
    >>> name("a"), name(" ")
    ('a', '␣')
    """
    if symbol in _NAMES or symbol.isprintable():
        return _NAMES.get(symbol, symbol)
    return f"{ord(symbol):02x}"


def _called(symbol: str) -> str:
    """Return what a sentence calls a symbol that somebody typed."""
    if symbol == "\t":
        return "a tab"
    return f"“{symbol}”" if symbol.isprintable() else f"the invisible character U+{ord(symbol):04X}"


def _symbol(model: CharRNN, i: int) -> str:
    # A byte above 127 is only a part of a character.
    return model.vocabulary[i] if model.vocabulary else chr(i) if i < 128 else f"{i:02x}"


def _last_steps(network: Any, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the states after the last of these ids, and what the network answers to them all."""
    cut = max(1, len(ids) - SHOWN_STATES + 1)
    logits, state = network(ids[:cut])
    states = [_of_last_layer(state)]
    for i in ids[cut:]:
        logits, state = network(np.array([i]), state)
        states.append(_of_last_layer(state))
    return np.stack(states), logits[-1]


def _of_last_layer(state: Any) -> np.ndarray:
    h = state[0] if isinstance(state, tuple) else state  # an LSTM's is a pair
    return np.asarray(h[-1])


def _probabilities(
    logits: np.ndarray, temperature: float, top_k: int | None, drawn: int
) -> list[tuple[int, float]]:
    """Return what may be drawn with which probability, in the order of it."""
    if temperature == 0:
        return [(drawn, 1.0)]
    scaled = logits.astype(np.float64)[None] / temperature
    probabilities = scaled.copy()
    _ops.softmax(probabilities)
    # Sampling cuts where the network's own precision may see a tie: what it drew, it has kept.
    order = np.argsort(-probabilities[0].astype(logits.dtype), kind="stable")[:top_k]
    if drawn not in order:
        order[-1] = drawn
    kept = np.ascontiguousarray(scaled[:, order])
    _ops.softmax(kept)
    return [(int(i), float(p)) for i, p in zip(order, kept[0], strict=True)]


@cache
def help_text() -> str:
    """Return the English text that every CPython carries, help on the language."""
    from pydoc_data.topics import topics

    return "\n".join(topics.values())


@cache
def _characters() -> str:
    return "".join(sorted(set(help_text())))


def untrained(cell: str, hidden_size: int) -> CharRNN:
    """Return a model that knows the characters of :func:`help_text` and nothing of them."""
    return CharRNN(cell, hidden_size, seed=0, vocabulary=_characters())


class Lesson:
    """The training of a new model on a text.

    Parameters
    ----------
    text : str
        At least ``MIN_TEXT`` characters.
    cell, hidden_size, steps
        As :class:`fastrnn.CharRNN` and its ``fit`` take them.

    Attributes
    ----------
    model : CharRNN
        What is trained: to be used when the training is over.
    curve : list of (int, float)
        A step and the mean loss, in nats, of those since the point before.
    sample : str
        What the model wrote a moment ago, and at the end.

    Raises
    ------
    ValueError
        If the text is too short.

    Examples
    --------
    >>> lesson = Lesson("to be or not to be. " * 20, "gru", 16, steps=40)
    >>> lesson(lambda progress: None)
    >>> lesson.curve[-1][1] < lesson.curve[0][1], lesson.model.history[-1]["step"]
    (True, 40)
    """

    def __init__(self, text: str, cell: str, hidden_size: int, steps: int) -> None:
        if len(text) < MIN_TEXT:
            raise ValueError(
                f"The text has {len(text)} characters; paste at least {MIN_TEXT}, better several "
                f"thousand: from less there is nothing to learn."
            )
        self.model = CharRNN(cell, hidden_size, seed=0)
        self.curve: list[tuple[int, float]] = []
        self.sample = ""
        self._text, self._steps = text, steps
        self._losses: list[float] = []
        self._sampled = 0.0

    def __call__(self, report: Callable[[float], object]) -> None:
        """Train, and say after every step how far it is; StopTraining raised there ends it."""

        def after_step(step: TrainingStep) -> None:
            self._note(step)
            report(step.progress)

        # One thread: there may be other readers.
        self.model.fit(self._text, steps=self._steps, callbacks=[after_step], num_threads=1)
        if self._losses:
            self._add_point(self.model.history[-1]["step"])
        self._write(self.model)

    def _note(self, step: TrainingStep) -> None:
        self._losses.append(step.loss)
        if len(self._losses) >= self._steps / CURVE_POINTS:
            self._add_point(step.step)
        now = time.monotonic()
        if now - self._sampled > SAMPLE_SECONDS:
            self._write(step.model)
            self._sampled = now

    def _write(self, model: Any) -> None:
        sample = model.generate(length=SAMPLE_LENGTH, temperature=SAMPLE_TEMPERATURE)
        self.sample = str(sample)

    def _add_point(self, step: int) -> None:
        self.curve.append((step, float(np.mean(self._losses))))
        self._losses.clear()
