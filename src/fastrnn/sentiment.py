"""A small model of whether a sentence is meant well, trained on the spot.

It is there to be looked at. Its sentences are short and made from the tables below, and many of
them turn round with a word that is long gone when the answer is due ("not good at all", "never
boring"), so that the state has something to remember.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastrnn import _check, _ops
from fastrnn.network import Network
from fastrnn.sequence import SequenceClassifier

CELLS = ("rnn", "lstm", "gru")

# Pairs of opposites.
ADJECTIVES = (
    ("good", "bad"), ("great", "terrible"), ("funny", "boring"), ("lovely", "awful"),
    ("wonderful", "horrible"), ("exciting", "dull"), ("beautiful", "ugly"), ("clever", "stupid"),
    ("excellent", "poor"), ("charming", "annoying"), ("interesting", "tedious"), ("nice", "nasty"),
)  # fmt: skip
VERBS = (
    ("like", "hate"), ("love", "dislike"), ("enjoy", "regret"), ("admire", "resent"),
    ("recommend", "despise"),
)  # fmt: skip
# A number that has no factor in common with those of words and patterns: all meet.
SUBJECTS = (
    "the film", "this book", "the food", "the story", "the music", "the ending", "the play",
    "the service", "this game", "the trip", "the actor",
)  # fmt: skip

# {a} is a word and {b} its opposite, {s} a subject and {n} its noun; what is said is what {a}
# says, or with False the opposite.
OF_ADJECTIVES = (
    ("{a}", True),
    ("this is {a}", True),
    ("this {n} is {a}", True),
    ("{s} was {a}", True),
    ("{s} was very {a}", True),
    ("{s} is really {a}", True),
    ("i think {s} was {a}", True),
    ("it was so {a}", True),
    ("{s} was {a} and never {b}", True),
    ("at first {s} was {b} but {a} in the end", True),
    ("it was not {b} but {a}", True),
    ("what a {a} {n}", True),
    ("this was a very {a} {n}", True),
    ("a {a} {n} with a {a} ending", True),
    ("{s} was not {a}", False),
    ("{s} was not {a} at all", False),
    ("{s} is not very {a}", False),
    ("{s} was never {a}", False),
    ("it was not at all {a}", False),
    ("never {a}", False),
    ("not {a} at all", False),
    ("i do not think {s} was {a}", False),
    ("nobody thought that {s} was {a}", False),
    ("{s} was not {a} it was {b}", False),
    ("not a {a} {n}", False),
    ("that was not a {a} {n} at all", False),
    ("{s} was not really {a}", False),
)
OF_VERBS = (
    ("i {a} {s}", True),
    ("we really {a} {s}", True),
    ("i do not {a} {s}", False),
    ("i did not {a} {s} at all", False),
    ("you will never {a} {s}", False),
    ("nobody will {a} {s}", False),
)

# Negations of which more is left out than an o.
_IRREGULAR = {
    "can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not",
}  # fmt: skip

# Of the meetings of a word with a pattern, one in so many is not learned from.
_HELD_OUT = 6


class Sentence(NamedTuple):
    """A sentence and what it says.

    Attributes
    ----------
    text : str
    positive : bool
    """

    text: str
    positive: bool


@dataclass(frozen=True, eq=False)
class Reading:
    """A sentence as it was read, word by word.

    Attributes
    ----------
    words : tuple of str
        All T words of the sentence, in lower case and without punctuation.
    known : ndarray of bool, shape (T,)
        Whether the model has learned a word. One that it has not is passed over: the state and
        the probability stay as they are.
    states : ndarray of float32, shape (T, hidden_size)
        The state h_t after each word.
    probabilities : ndarray of float64, shape (T,)
        How probable it is after each word that the sentence turns out positive.
    """

    words: tuple[str, ...]
    known: np.ndarray
    states: np.ndarray
    probabilities: np.ndarray

    @property
    def unknown(self) -> tuple[str, ...]:
        """The words that were passed over, in order."""
        return tuple(w for w, known in zip(self.words, self.known, strict=True) if not known)

    @property
    def positive(self) -> bool:
        """Whether the sentence is taken to be positive, at its end."""
        return bool(self.probabilities[-1] > 0.5)


class Sentiment:
    """What :func:`train` gives: a network that reads words, and the words that it knows.

    Parameters
    ----------
    network : Network
        Words enter as ids, after each of them the logits of negative and positive come out.
    vocabulary : tuple of str
        The words, by id.
    """

    def __init__(self, network: Network, vocabulary: tuple[str, ...]) -> None:
        self.network, self.vocabulary = network, vocabulary
        self._ids = {word: i for i, word in enumerate(vocabulary)}

    def __repr__(self) -> str:
        return f"<Sentiment: {self.network!r}, {len(self.vocabulary)} words>"

    def encode(self, text: str) -> np.ndarray:
        """Return the ids of the known words of a sentence, int64 (T,).

        Raises
        ------
        TypeError, ValueError
            As :meth:`read` does.
        """
        return self._encoded(split(text))

    def read(self, text: str) -> Reading:
        """Read a sentence word by word.

        Parameters
        ----------
        text : str
            With at least one word that the model knows. Others are passed over.

        Returns
        -------
        Reading
            The words, the state and the probability after each of them.

        Raises
        ------
        TypeError
            If ``text`` is not a string.
        ValueError
            If it has no word, or none that the model knows.

        Examples
        --------
        >>> from fastrnn import sentiment
        >>> reading = sentiment.train().read("The zebra was NOT boring at all!")
        >>> reading.words, reading.unknown
        (('the', 'zebra', 'was', 'not', 'boring', 'at', 'all'), ('zebra',))
        >>> reading.states.shape, reading.positive
        ((7, 12), True)
        """
        words = split(text)
        outputs, _ = self.network.states(self._encoded(words))
        # Row 0 is what stands before the first known word.
        states = np.concatenate([np.zeros_like(outputs[:1]), outputs])
        readout = self.network.readout
        assert readout is not None
        # Not by a call, which would keep the states in place of those of a training under way.
        rows = readout._forward(states, None).astype(np.float64)
        _ops.softmax(rows)
        probabilities = rows[:, 1].copy()
        known = np.array([word in self._ids for word in words])
        place = np.cumsum(known)
        return Reading(tuple(words), known, states[place], probabilities[place])

    def accuracy(self, sentences: Sequence[Sentence]) -> float:
        """Return the share of sentences whose meaning is found.

        Parameters
        ----------
        sentences : list of Sentence
            Or of pairs of a text and whether it is positive; at least one.

        Raises
        ------
        TypeError, ValueError
            If there is none, one is no such pair, or as :meth:`read` does.
        """
        if not isinstance(sentences, (list, tuple)):
            raise TypeError(f"sentences must be a list, got {_check.describe(sentences)}")
        for k, one in enumerate(sentences):
            if not isinstance(one, (list, tuple)) or len(one) != 2:
                raise TypeError(
                    f"sentences[{k}] must be a text and whether it is positive, "
                    f"got {_check.describe(one)}"
                )
            _check.flag(f"positive of sentences[{k}]", one[1])
        if len(sentences) == 0:
            raise ValueError(f"sentences must not be empty, got {_check.describe(sentences)}")
        found = [self.read(text).positive == positive for text, positive in sentences]
        return float(np.mean(found))

    def _encoded(self, words: list[str]) -> np.ndarray:
        if not words:
            raise ValueError("text must have at least one word, got none")
        ids = [self._ids[word] for word in words if word in self._ids]
        if not ids:
            raise ValueError(
                f"text must have a word that the model knows, such as 'good', 'not' or 'film', "
                f"got {_check.describe(' '.join(words))}"
            )
        return np.array(ids, np.int64)


def train(
    *, cell: str = "rnn", hidden_size: int = 12, epochs: int = 60, seed: int = 0
) -> Sentiment:
    """Train a classifier on the sentences that are not held out, in a fraction of a second.

    The label of a sentence is the target after each of its words, so that what is learned is how
    probable it is to turn out positive, as far as it has been read.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        The recurrent layer.
    hidden_size : int
        Number of hidden units.
    epochs : int
        Passes over the sentences.
    seed : int
        The same seed gives the same model.

    Returns
    -------
    Sentiment

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> from fastrnn import sentiment
    >>> model = sentiment.train()
    >>> model.read("the film was not good at all").positive
    False
    >>> model.read("this book was never boring").positive
    True
    """
    _check.choice("cell", cell, CELLS)
    learned, _ = sentences()
    words = [split(text) for text, _ in learned]
    vocabulary = tuple(sorted({word for row in words for word in row}))
    ids = {word: i for i, word in enumerate(vocabulary)}
    classifier = SequenceClassifier(
        cell, hidden_size, outputs="all", num_ids=len(vocabulary), epochs=epochs, lr=0.02,
        seed=seed, num_threads=1,
    )  # fmt: skip
    classifier.fit(
        [np.array([ids[word] for word in row]) for row in words],
        [[positive] * len(row) for row, (_, positive) in zip(words, learned, strict=True)],
    )
    return Sentiment(classifier.network_, vocabulary)


def sentences() -> tuple[list[Sentence], list[Sentence]]:
    """Return the sentences that are learned from, and those that are held out.

    Of those held out every word and every pattern is learned, but not the two together.

    Examples
    --------
    >>> from fastrnn import sentiment
    >>> learned, held_out = sentiment.sentences()
    >>> len(learned), len(held_out)
    (590, 118)
    >>> held_out[0]
    Sentence(text='good', positive=True)
    """
    parts: tuple[list[Sentence], list[Sentence]] = ([], [])
    count = 0
    for pairs, patterns in ((ADJECTIVES, OF_ADJECTIVES), (VERBS, OF_VERBS)):
        words = [(*pair, True) for pair in pairs] + [(b, a, False) for a, b in pairs]
        for i, (a, b, positive) in enumerate(words):
            for j, (pattern, says_so) in enumerate(patterns):
                subject = SUBJECTS[count % len(SUBJECTS)]
                text = pattern.format(s=subject, n=subject.split()[-1], a=a, b=b)
                parts[(i + j) % _HELD_OUT == 0].append(Sentence(text, positive == says_so))
                count += 1
    return parts


def split(text: str) -> list[str]:
    """Return the words of a text, in lower case; "wasn't" is two, was and not.

    Raises
    ------
    TypeError
        If ``text`` is not a string.

    Examples
    --------
    >>> split("It wasn't good, they can't cook!")
    ['it', 'was', 'not', 'good', 'they', 'can', 'not', 'cook']
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {_check.describe(text)}")
    text = text.lower().replace("’", "'")
    for short, long in _IRREGULAR.items():
        text = re.sub(rf"\b{short}\b", long, text)
    return re.findall(r"\w+(?:'\w+)*", re.sub(r"n't\b", " not", text))
