"""A sequence as a network reads it, step by step, and the networks that are shown by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.animate import drawing
from fastrnn.corpus.vocabulary import Vocabulary
from fastrnn.network import Network
from fastrnn.text import CharRNN
from fastrnn.unrolled import one_sequence

# The weights that all copies share, by the names that they have in equations.
MATRICES = {"W_ih": "rnn.weight_ih_l0", "W_hh": "rnn.weight_hh_l0", "W_hy": "readout.weight"}

# More copies would not be readable beside each other.
MOST_STEPS = 6


@dataclass(frozen=True, eq=False)
class Run:
    """A sequence of T steps as a network has read it.

    Attributes
    ----------
    labels : tuple of str
        What each input is called.
    states : ndarray of shape (T, hidden_size)
        h_t of the last layer.
    outputs : ndarray of shape (T, out_features)
        y_t.
    answers : tuple of str
        What each output is called: the likeliest class, or the number where there is but one.
    """

    labels: tuple[str, ...]
    states: np.ndarray
    outputs: np.ndarray
    answers: tuple[str, ...]

    def __len__(self) -> int:
        """Return T."""
        return len(self.labels)

    @property
    def limit(self) -> float:
        """The end of the scale of the states."""
        return drawing.limit_of_states(self.states)


def resolve(network: Any, x: Any, most: int, least: int = 2) -> tuple[Network, np.ndarray, str]:
    """Return a network, what it reads and the characters that its ids stand for, if they do.

    Of a :class:`CharRNN` x is a text. It must have from ``least`` to ``most`` steps.
    """
    if isinstance(network, CharRNN):
        if not isinstance(x, str):
            raise TypeError(f"x must be a str, for a CharRNN, got {_check.describe(x)}")
        found, vocabulary = network._ready()
        if not isinstance(vocabulary, Vocabulary):
            raise ValueError(f"network must read characters, got one of bytes, {network!r}")
        x = vocabulary.encode(x, name="x")
        network, characters = found, vocabulary.characters
    else:
        if not isinstance(network, Network):
            raise TypeError(
                f"network must be a Network or a CharRNN, got {_check.describe(network)}"
            )
        x, characters = one_sequence(x, network.layer.dtype), ""
    if not least <= len(x) <= most:
        raise ValueError(f"x must have from {least} to {most} steps to be drawn, got {len(x)}")
    return network, x, characters


def require_one_layer(network: Network) -> None:
    """Require a read-out and one recurrent layer in one direction, without an embedding."""
    layer = network.layer
    if network.readout is None or network.embedding is not None:
        raise ValueError(f"network must have a read-out and no embedding, got {network!r}")
    if layer.num_layers > 1 or layer.bidirectional:
        raise ValueError(f"network must have one layer in one direction, got {network!r}")


def run(network: Network, x: np.ndarray, characters: str) -> Run:
    """Read a sequence step by step."""
    states, outputs, state = [], [], None
    for t in range(len(x)):
        output, state = network(x[t : t + 1], state)
        states.append(hidden(state))
        outputs.append(output[0])
    rows = np.array(outputs)
    answers = answers_of(rows, characters, are_classes=network.out_features > 1)
    return Run(labels_of(x, characters), np.array(states), rows, answers)


def answers_of(outputs: np.ndarray, characters: str, *, are_classes: bool) -> tuple[str, ...]:
    """Return what outputs (T, out_features) are called: the likeliest class, or numbers."""
    return labels_of(outputs.argmax(axis=1) if are_classes else outputs, characters)


def labels_of(x: np.ndarray, characters: str) -> tuple[str, ...]:
    """Return what inputs or targets are called: characters, ids, or the first of some numbers."""
    if characters:
        return tuple(drawing.shown(characters[i]) for i in x)
    if x.ndim == 1:
        return tuple(str(i) for i in x)
    rest = "…" if x.shape[1] > 1 else ""
    return tuple(drawing.number(float(row[0])) + rest for row in x)


def hidden(state: Any) -> np.ndarray:
    """Return h of the last layer of a state without batch."""
    return (state[0] if isinstance(state, tuple) else state)[-1]


def speller() -> CharRNN:
    """Return a tiny network that has learned to spell "hello", over and over."""
    model = CharRNN(hidden_size=4, seed=0)
    return model.fit("hello" * 40, steps=150, batch_size=4, seq_len=10, lr=0.03)


def writer() -> CharRNN:
    """Return a small network that has learned a line of a play."""
    model = CharRNN(hidden_size=12, seed=0)
    return model.fit("to be or not to be. " * 20, steps=80, batch_size=4, seq_len=20, lr=0.02)
