"""Four words and a network small enough to work by hand: every number of one step of training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fastrnn.cells import make_network
from fastrnn.errors import NonFiniteLossError
from fastrnn.layers import RNN
from fastrnn.network import Network
from fastrnn.training.updates import Settings, Updates
from fastrnn.unrolled import Copy, State, backpropagate

WORDS = ("hi", "there", "class", "!")
INPUTS = np.array([0, 1, 2, 3])
TARGETS = np.array([1, 2, 3, 3])  # the word that follows; "!" follows "!"
STEPS = len(INPUTS)

# Of each network: cell, nonlinearity, the names of its gates, and the parts of its state.
KINDS = {
    "Elman, tanh": ("rnn", "tanh", ("h",), ("h",)),
    "Elman, ReLU": ("rnn", "relu", ("h",), ("h",)),
    "GRU": ("gru", "tanh", ("r", "z", "n"), ("h",)),
    "LSTM": ("lstm", "tanh", ("i", "f", "g", "o"), ("h", "c")),
}

# Elman networks begin at numbers that are easy to follow, all others at drawn ones.
ELMAN: dict[int, dict[str, object]] = {
    1: {
        "rnn.weight_ih_l0": [[0.5, -0.3, 0.8, 0.0]],
        "rnn.weight_hh_l0": [[0.2]],
        "rnn.bias_ih_l0": [0.0],
        "rnn.bias_hh_l0": [0.0],
        "readout.weight": [[1.0], [0.5], [-0.5], [0.0]],
        "readout.bias": [0.0, 0.0, 0.0, 0.0],
    },
    2: {
        "rnn.weight_ih_l0": [[0.5, 0.1, -0.4, 0.3], [-0.2, 0.8, 0.2, -0.5]],
        "rnn.weight_hh_l0": [[0.3, 0.4], [0.6, -0.1]],
        "rnn.bias_ih_l0": [0.1, 0.1],
        "rnn.bias_hh_l0": [0.0, 0.0],
        "readout.weight": [[0.1, 0.7], [-0.3, 0.2], [0.5, 0.4], [-0.6, -0.1]],
        "readout.bias": [0.0, 0.0, 0.0, 0.0],
    },
}

LIMIT = 1000.0  # of numbers that a reader may set or a step may lead to
EPSILON = 6e-6  # of central differences: the cube root of float64's, which is about the best


@dataclass(frozen=True)
class Matrix:
    """A parameter, or a part of the initial state, with the names that its numbers go by.

    Attributes
    ----------
    name : str
        In :meth:`Network.state_dict`; ``"h_0"`` and ``"c_0"`` of the initial state.
    symbol, title : str
        As it stands in equations, and in words.
    rows, columns : tuple of str
        A vector has one column, without a name.
    """

    name: str
    symbol: str
    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...] = ("",)

    def labels(self) -> list[str]:
        """Return the names of its numbers, row by row."""
        return [
            f"{self.symbol}[{row}, {column}]" if column else f"{self.symbol}[{row}]"
            for row in self.rows
            for column in self.columns
        ]


def units(letters: Iterable[str], hidden_size: int) -> tuple[str, ...]:
    """Return the names of units: h alone; h1 and h2; i1, i2, f1 and so on."""
    numbers = [""] if hidden_size == 1 else [str(k + 1) for k in range(hidden_size)]
    return tuple(letter + number for letter in letters for number in numbers)


@dataclass(frozen=True, eq=False)
class Example:
    """What the reader may set.

    Attributes
    ----------
    kind : str
        Of ``KINDS``.
    hidden_size : int
        1 or 2.
    numbers : dict of str to ndarray of float64
        The parameters by their names in :meth:`Network.state_dict`, and the initial state's parts
        ``h_0`` and ``c_0``, each of shape (1, hidden_size).
    lr : float
        Learning rate.
    """

    kind: str
    hidden_size: int
    numbers: dict[str, np.ndarray]
    lr: float = 0.1

    @classmethod
    def of(cls, kind: str, hidden_size: int, lr: float = 0.1) -> Example:
        """Return the numbers that an example begins with."""
        cell, nonlinearity, _, parts = KINDS[kind]
        network = make_network(
            cell, len(WORDS), hidden_size, len(WORDS), nonlinearity=nonlinearity,
            dtype=np.float64, seed=4,
        )  # fmt: skip
        if cell == "rnn":
            values = {name: np.array(value, float) for name, value in ELMAN[hidden_size].items()}
        else:
            values = {name: value.round(1) + 0.0 for name, value in network.state_dict().items()}
        values |= {f"{part}_0": np.zeros((1, hidden_size)) for part in parts}
        return cls(kind, hidden_size, values, lr)

    def matrices(self) -> list[Matrix]:
        """Return what the numbers are, in the order in which the network uses them."""
        _, _, gates, parts = KINDS[self.kind]
        hidden, rows = units(["h"], self.hidden_size), units(gates, self.hidden_size)
        initial = [
            Matrix(f"{part}_0", f"{part}_0", "the initial state", units([part], self.hidden_size))
            for part in parts
        ]
        return [
            Matrix("rnn.weight_ih_l0", "W_ih", "from the word to the state", rows, WORDS),
            Matrix("rnn.weight_hh_l0", "W_hh", "from the state to the state", rows, hidden),
            Matrix("rnn.bias_ih_l0", "b_ih", "added to the word’s share", rows),
            Matrix("rnn.bias_hh_l0", "b_hh", "added to the state’s share", rows),
            Matrix("readout.weight", "W_hy", "from the state to the logits", WORDS, hidden),
            Matrix("readout.bias", "b_y", "added to the logits", WORDS),
            *initial,
        ]

    def parameters(self) -> list[Matrix]:
        """Return those of the matrices that are trained."""
        return [matrix for matrix in self.matrices() if "." in matrix.name]

    def state(self) -> State:
        """Return the initial state's parts."""
        return tuple(self.numbers[f"{part}_0"] for part in KINDS[self.kind][3])

    def network(self, output: str = "linear") -> Network:
        """Return a network of these numbers."""
        cell, nonlinearity, _, _ = KINDS[self.kind]
        plain = make_network(
            cell, len(WORDS), self.hidden_size, len(WORDS), nonlinearity=nonlinearity,
            dtype=np.float64, seed=0,
        )  # fmt: skip
        network = Network(plain.layer, plain.readout, output=output)
        network.load_state_dict(
            {matrix.name: self.numbers[matrix.name] for matrix in self.parameters()}
        )
        return network

    def replaced(self, name: str, values: np.ndarray) -> Example:
        """Return the example with one matrix replaced, of any shape with as many numbers."""
        shape = self.numbers[name].shape
        return replace(self, numbers={**self.numbers, name: np.reshape(values, shape).copy()})

    def loss(self) -> float:
        """Return L, the sum of the losses of all steps."""
        return _loss(self.network(), self.state())


@dataclass(frozen=True, eq=False)
class Group:
    """Some rows of a table whose columns are the steps: a vector at every step.

    Attributes
    ----------
    key : str
        Names the group on the page.
    title : str
        What it is.
    labels : list of str
        Of each row.
    values : ndarray of shape (rows, steps)
    """

    key: str
    title: str
    labels: list[str]
    values: np.ndarray


class Worked:
    """An example, worked: forward, backward, and one step of gradient descent.

    Parameters
    ----------
    example : Example

    Attributes
    ----------
    copies : list of Copy
        What :func:`fastrnn.unrolled.backpropagate` gives.
    probabilities : ndarray of shape (steps, words)
    gates : dict of str to ndarray of shape (steps, hidden_size)
        What the gates of a GRU or LSTM let through.
    pre_activations : ndarray of shape (steps, hidden_size) or None
        Of an Elman network.
    gradients : dict of str to ndarray
        dL / d of each parameter.
    loss : float
        L.
    """

    def __init__(self, example: Example) -> None:
        self.example = example
        network = example.network()
        self.copies = backpropagate(network, INPUTS, TARGETS, _given(example.state()))
        soft, _ = example.network("softmax")(INPUTS, _given(example.state()))
        self.probabilities: np.ndarray = soft
        layer = network.layer
        self.pre_activations = None
        if isinstance(layer, RNN):
            trace = layer.trace(INPUTS, example.state()[0])
            self.pre_activations = np.array([step.pre_activation for step in trace])
        self.gates = _gates(example, self.copies)
        self.loss, _ = network.loss_and_grad(
            INPUTS, TARGETS, _given(example.state()), reduction="sum"
        )
        assert network.readout is not None
        self.gradients = {
            f"{prefix}.{name}": grad
            for prefix, part in (("rnn", network.layer), ("readout", network.readout))
            for name, grad in part.grad.items()
        }

    @cached_property
    def slopes(self) -> dict[str, np.ndarray]:
        """The gradients once more, by :func:`nudged`."""
        return nudged(self.example)

    def after(self) -> Example:
        """Return the example after one step of gradient descent.

        Raises
        ------
        FloatingPointError
            If a number would be beyond ``LIMIT``.
        """
        descent = Descent(self.example)
        descent.step()
        return descent.example

    def forward(self) -> list[Group]:
        """Return what the forward pass computes, in its order."""
        example, size = self.example, self.example.hidden_size
        groups = [
            Group("x", "input x, the word as a one-hot vector", _of("x", WORDS), np.eye(STEPS))
        ]
        if self.pre_activations is not None:
            labels = list(units(["a"], size))
            groups.append(Group("a", "pre-activation a", labels, self.pre_activations.T))
        for gate, values in self.gates.items():
            groups.append(Group(gate, GATES[gate], list(units([gate], size)), values.T))
        for index, part in reversed(list(enumerate(KINDS[example.kind][3]))):
            values = np.array([copy.state[index][0] for copy in self.copies])
            groups.append(Group(part, STATES[part], list(units([part], size)), values.T))
        logits = np.array([copy.prediction for copy in self.copies])
        losses = np.array([[copy.loss for copy in self.copies]])
        return [
            *groups,
            Group("y", "logits y = W_hy h + b_y", _of("y", WORDS), logits.T),
            Group("p", "probabilities p = softmax(y)", _of("p", WORDS), self.probabilities.T),
            Group("L", "loss L = −ln p[next word]", ["L"], losses),
        ]

    def backward(self) -> list[Group]:
        """Return what the backward pass computes, in its order within a step."""
        example, copies, size = self.example, self.copies, self.example.hidden_size
        wanted = np.array([copy.grad_prediction for copy in copies])
        own = np.array([copy.grad_output for copy in copies])
        groups = [
            Group("dy", "dL/dy: probability less target", _of("dL/dy", WORDS), wanted.T),
            Group("own", "dL/dh from this step’s own loss", list(units(["h"], size)), own.T),
        ]
        for index, part in enumerate(KINDS[example.kind][3]):
            later = np.array([copy.grad_state[index][0] for copy in copies])
            title = f"dL/d{part} from all later steps"
            groups.append(Group(f"later-{part}", title, list(units([part], size)), later.T))
        for matrix in reversed(example.parameters()):
            adds = np.array([copy.grads[matrix.name].ravel() for copy in copies])
            title = f"what this copy adds to dL/d{matrix.symbol}"
            groups.append(Group(matrix.symbol, title, matrix.labels(), adds.T))
        return groups


GATES = {
    "r": "reset gate r",
    "z": "update gate z",
    "n": "new state n",
    "i": "input gate i",
    "f": "forget gate f",
    "g": "cell candidate g",
    "o": "output gate o",
}
STATES = {"h": "state h", "c": "cell state c"}


def nudged(example: Example) -> dict[str, np.ndarray]:
    """Return the gradient of every parameter from the loss alone.

    The central differences (L(θ + ε) − L(θ − ε)) / 2ε: no backward pass has a part in them.
    """
    network, state = example.network(), example.state()
    given = {name: value.copy() for name, value in network.state_dict().items()}
    slopes = {}
    for name, value in given.items():
        slope = np.empty_like(value)
        for index in np.ndindex(value.shape):
            number, losses = value[index], []
            for moved in (number + EPSILON, number - EPSILON):
                value[index] = moved
                network.load_state_dict(given)
                losses.append(_loss(network, state))
            value[index] = number
            slope[index] = (losses[0] - losses[1]) / (2 * EPSILON)
        slopes[name] = slope
    return slopes


class Descent:
    """Gradient descent from an example, step by step.

    Parameters
    ----------
    example : Example

    Attributes
    ----------
    example : Example
        With the numbers as they are now.
    steps : int
        How many were made.
    """

    def __init__(self, example: Example) -> None:
        self.example, self.steps = example, 0
        self._network = example.network()
        settings = Settings(
            optimizer="sgd", lr=example.lr, schedule="constant", clip_norm=None, progress=False,
            num_threads=1,
        )  # fmt: skip
        self._updates = Updates(self._network, settings)

    def step(self) -> float:
        """Make a step; return the loss before it.

        Raises
        ------
        FloatingPointError
            If a number after the step would be beyond ``LIMIT``; the numbers are those of before.
        """
        state = _given(self.example.state())
        too_large = FloatingPointError(
            f"at step {self.steps + 1} a number grows beyond {LIMIT:g}: "
            f"the learning rate {self.example.lr:g} is too large"
        )
        try:
            loss, _ = self._updates.make(INPUTS, TARGETS, state, reduction="sum")
        except NonFiniteLossError:
            raise too_large from None
        numbers = {**self.example.numbers, **self._network.state_dict()}
        if any(np.abs(value).max() > LIMIT for value in numbers.values()):
            raise too_large
        self.example = replace(self.example, numbers=numbers)
        self.steps += 1
        return loss


def _gates(example: Example, copies: list[Copy]) -> dict[str, np.ndarray]:
    """Return what the gates let through at each step.

    A gate is an Elman step with its own rows of the weights, from the state before: so it is
    computed by the compiled Elman layer. The n of a GRU sees its recurrent share through r.
    """
    cell, _, names, _ = KINDS[example.kind]
    if cell == "rnn":
        return {}
    size, numbers = example.hidden_size, example.numbers
    before = np.array([copy.state_before[0] for copy in copies])  # (steps, 1, hidden_size)
    gates: dict[str, np.ndarray] = {}
    for index, name in enumerate(names):
        rows = slice(index * size, (index + 1) * size)
        layer = RNN(
            len(WORDS), size, nonlinearity="tanh" if name in "gn" else "sigmoid",
            dtype=np.float64, seed=0,
        )  # fmt: skip
        own = {key: numbers[f"rnn.{key}"][rows] for key in layer.state_dict()}
        values = []
        for t, h in enumerate(before):
            weights = dict(own)
            if name == "n":
                weights["weight_hh_l0"] = gates["r"][t][:, None] * own["weight_hh_l0"]
                weights["bias_hh_l0"] = gates["r"][t] * own["bias_hh_l0"]
            layer.load_state_dict(weights)
            values.append(layer(INPUTS[t : t + 1], h)[0][0])
        gates[name] = np.array(values)
    return gates


def _loss(network: Network, state: State) -> float:
    return network.loss(INPUTS, TARGETS, _given(state), reduction="sum")[0]


def _given(state: State) -> State | np.ndarray:
    return state if len(state) > 1 else state[0]


def _of(symbol: str, names: Iterable[str]) -> list[str]:
    return [f"{symbol}[{name}]" for name in names]
