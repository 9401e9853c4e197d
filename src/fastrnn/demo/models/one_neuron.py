"""A network of one neuron, followed through a sequence."""

from __future__ import annotations

import math
import re

import numpy as np

from fastrnn.demo.controls import shortened
from fastrnn.layers import RNN
from fastrnn.trace import Step, Trace
from fastrnn.unrolled import gradient_norms

LENGTH = 12
LONGEST = 40
NONLINEARITIES = ("tanh", "relu", "sigmoid")

# Where a state counts as one that hardly moves any more, and as one that has run away.
SATURATED = 0.99
LARGE = 100.0

HALF = 0.5  # of a difference: from here on more is forgotten than kept


def _fibonacci() -> list[float]:
    numbers = [1.0, 1.0]
    while len(numbers) < LENGTH:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers


SEQUENCES = {
    "Fibonacci": _fibonacci(),
    "Linear": [float(t) for t in range(1, LENGTH + 1)],
    "Alternating": [(-1.0) ** t for t in range(LENGTH)],
    "Exponential": [2.0**t for t in range(LENGTH)],
    "Sine": [round(math.sin(math.tau * t / LENGTH), 4) for t in range(LENGTH)],
}


def read_sequence(text: str) -> list[float]:
    """Read numbers with commas or spaces between them, or raise a ValueError that says what not."""
    words = re.split(r"[,;\s]+", text.strip(" ,;\t\n"))
    if words == [""]:
        raise ValueError("Type at least one number, such as 1, 0, -1.")
    numbers = []
    for word in words:
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not abs(number) <= 1e6:
            raise ValueError(f"“{shortened(word)}” is not a number from -1000000 to 1000000.")
        numbers.append(number)
    if len(numbers) > LONGEST:
        raise ValueError(f"At most {LONGEST} numbers fit here, got {len(numbers)}.")
    return numbers


class Neuron:
    """h_t = f(w_input x_t + w_hidden h_{t-1} + bias), of a compiled layer, and the steps seen.

    Attributes
    ----------
    sequence : list of float
    w_input, w_hidden, bias : float
    nonlinearity : {"tanh", "relu", "sigmoid"}
    seen : int
        How many steps have been taken.
    """

    def __init__(self) -> None:
        self.sequence = SEQUENCES["Fibonacci"]
        self.w_input, self.w_hidden, self.bias = 0.1, 0.5, 0.0
        self.nonlinearity = "tanh"
        self.seen = 0
        self._layers = {
            name: RNN(1, 1, nonlinearity=name, dtype=np.float64, seed=0) for name in NONLINEARITIES
        }

    def set(self, **changes: object) -> None:
        """Change attributes; a new sequence begins at its beginning."""
        for name, value in changes.items():
            setattr(self, name, value)
        if "sequence" in changes:
            self.seen = 0

    def step(self) -> bool:
        """Take a step, and say whether there was one left."""
        if self.seen == len(self.sequence):
            return False
        self.seen += 1
        return True

    def reset(self) -> None:
        """Go back to the beginning."""
        self.seen = 0

    def trace(self) -> Trace:
        """Return all steps of the sequence as the compiled layer takes them."""
        return self._layer().trace(np.array(self.sequence)[:, None])

    def kept(self) -> np.ndarray:
        """Return which share of a small change of the state is still there 0, 1, … steps later.

        At the step seen last; the last share is of a change of the initial state.
        :func:`fastrnn.unrolled.gradient_norms`.
        """
        return gradient_norms(self._layer(), np.array(self.sequence[: self.seen])[:, None])

    def _layer(self) -> RNN:
        layer = self._layers[self.nonlinearity]
        layer.weight_ih_l0 = [[float(self.w_input)]]
        layer.weight_hh_l0 = [[float(self.w_hidden)]]
        layer.bias_ih_l0 = [float(self.bias)]
        layer.bias_hh_l0 = [0.0]
        return layer


def remark(steps: list[Step], neuron: Neuron) -> tuple[str, str]:
    """Return what is worth saying of the states so far, and in which tone ("warn" or none)."""
    states = [float(step.state[0]) for step in steps]
    if not states:
        return "The state is 0 before the first step: the network has seen nothing yet.", ""
    last, nonlinearity = states[-1], neuron.nonlinearity
    if abs(last) > LARGE and neuron.w_hidden >= 1 and last > [0.0, *states][-2]:
        return (
            "It explodes: nothing bounds the ReLU, and nothing that it holds fades. A weight "
            "W_hidden below 1 would let it forget.",
            "warn",
        )
    if abs(last) > LARGE:
        return "The state is large: nothing bounds the ReLU.", "warn"
    if nonlinearity == "relu" and last == 0:
        return (
            "The ReLU is off: what it is given is not positive, so that its state is 0 and no "
            "gradient gets through.",
            "warn",
        )
    if nonlinearity == "tanh" and abs(last) > SATURATED:
        return (
            f"It is saturated: the state is almost {'1' if last > 0 else '−1'}, where tanh is "
            "flat. Other inputs of this size would hardly change it, and hardly any gradient gets "
            "through.",
            "warn",
        )
    if nonlinearity == "sigmoid" and not 1 - SATURATED < last < SATURATED:
        return (
            f"It is saturated: the state is almost {'1' if last > 0.5 else '0'}, where the sigmoid "
            "is flat. Hardly any gradient gets through.",
            "warn",
        )
    return "The state is in the range where the activation still reacts to its input.", "good"


def memory(neuron: Neuron) -> str:
    """Return in words how much the state still holds of those before."""
    if neuron.w_hidden == 0:
        return (
            "W_hidden is 0, so it forgets at once: each state comes from its own input alone, and "
            "nothing is left of the one before."
        )
    if not neuron.seen:
        return ""
    shares = neuron.kept()
    first, whole = float(shares[1]), float(shares[-1])
    said = "How well it remembers: had the state before this step been a little different, " + (
        f"{_share(first)} of that difference would be left now."
        if first <= 1
        else f"that difference would now be {first:,.3g} times as large."
    )
    gone = [k for k in range(2, len(shares)) if shares[k] < HALF]
    if first < HALF or neuron.seen == 1:
        return said
    if gone:
        return f"{said} Of a difference {gone[0]} steps ago less than half is left."
    if whole > 1:
        return f"{said} One at the very beginning would be {whole:,.3g} times as large."
    return f"{said} Even of one at the very beginning {_share(whole)} is left."


def _share(share: float) -> str:
    """Return a share of at most 1 in percent."""
    if share == 0:
        return "nothing"
    if share < 0.01:
        return "less than 1 %"
    return f"{share:.0%}".replace("%", " %")
