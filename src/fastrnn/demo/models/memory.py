"""How far back cells remember: the same task learned by several of them, side by side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fastrnn.cells import make_network
from fastrnn.errors import NonFiniteLossError
from fastrnn.network import Network
from fastrnn.training.updates import Settings, Updates
from fastrnn.unrolled import gradient_norms

CELLS = {"Elman": "rnn", "LSTM": "lstm", "GRU": "gru"}

HELD_OUT = 500  # sequences that nothing is learned from; an answer's standard error is 2 % at most
BATCH_SIZE = 32
CLIP_NORM = 1.0
KEEPING_BIAS = 2.0  # sigmoid(2) = 0.88 of what a gate holds stays at each step

NO_CELL = "Choose at least one cell."

LEARNED, GUESSED = 0.9, 0.1  # right answers: a share from here on; this close to guessing


class Task(ABC):
    """Sequences that begin with something to be remembered to their end.

    Attributes
    ----------
    name, description : str
    loss : str
        Of :meth:`Network.loss_and_grad`.
    features, outputs : int
        Of the network.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    loss: ClassVar[str]
    features: ClassVar[int]
    outputs: ClassVar[int]

    @abstractmethod
    def draw(
        self, rng: np.random.Generator, delay: int, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``count`` sequences with ``delay`` steps between first and last, and answers."""

    @abstractmethod
    def right(self, outputs: np.ndarray, target: np.ndarray) -> float:
        """Return the share of answers that are right."""

    @abstractmethod
    def guess(self, target: np.ndarray) -> float:
        """Return the share that is right of one answer to all, the best there is."""

    @abstractmethod
    def example(self, delay: int) -> str:
        """Return a sequence in words, shortened."""


class Adding(Task):
    """Add the first number to one that comes late (S. Hochreiter and J. Schmidhuber, 1997)."""

    name = "Add two numbers"
    description = (
        "At each step a number between 0 and 1, and beside it a mark, which says whether this "
        "number counts. Two do, here in brackets: the first, and one of the second half. At the "
        "end the network has to say their sum: right is within 0.1."
    )
    loss = "mse"
    features, outputs = 2, 1
    TOLERANCE = 0.1

    def draw(
        self, rng: np.random.Generator, delay: int, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return x (steps, count, 2), numbers and marks, and sums (count, 1)."""
        steps = delay + 2
        x = np.zeros((steps, count, 2), np.float32)
        x[..., 0] = rng.random((steps, count), np.float32)
        second = rng.integers(steps // 2, steps, count)
        every = np.arange(count)
        x[0, :, 1] = x[second, every, 1] = 1
        return x, (x[0, :, 0] + x[second, every, 0])[:, None]

    def right(self, outputs: np.ndarray, target: np.ndarray) -> float:
        """Return the share of sums that are met to within the tolerance."""
        return float(np.mean(np.abs(outputs - target) <= self.TOLERANCE))

    def guess(self, target: np.ndarray) -> float:
        """Return the share that the middle of all sums meets."""
        return self.right(np.full_like(target, np.median(target)), target)

    def example(self, delay: int) -> str:
        """Return numbers, the marked ones in brackets."""
        return "[0.3] 0.9 … 0.1 [0.5] 0.7 → 0.8"


class Recalling(Task):
    """Say at the end which symbol came first (after S. Hochreiter and J. Schmidhuber, 1997)."""

    name = "Recall the first symbol"
    description = (
        "First one of the symbols A, B, C and D, then noise, in which dots and dashes are drawn, "
        "then a question mark. There the network has to say which symbol came first."
    )
    loss = "cross_entropy"
    SYMBOLS = 4
    features, outputs = SYMBOLS + 3, SYMBOLS  # two kinds of noise, and the question

    def draw(
        self, rng: np.random.Generator, delay: int, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return token ids (steps, count) and symbols (count,)."""
        x = rng.integers(self.SYMBOLS, self.SYMBOLS + 2, (delay + 2, count))
        x[0] = rng.integers(0, self.SYMBOLS, count)
        x[-1] = self.features - 1
        return x, x[0].copy()

    def right(self, outputs: np.ndarray, target: np.ndarray) -> float:
        """Return the share of symbols that got the largest logit."""
        return float(np.mean(outputs.argmax(axis=-1) == target))

    def guess(self, target: np.ndarray) -> float:
        """Return the share of the symbol that is most frequent."""
        return float(np.bincount(target).max() / len(target))

    def example(self, delay: int) -> str:
        """Return symbols."""
        return "C · – – … · – ? → C"


TASKS: dict[str, Task] = {task.name: task for task in (Adding(), Recalling())}
STARTS = ("usual", "made to keep")


@dataclass(frozen=True)
class Setting:
    """What is learned, by whom and how.

    Attributes
    ----------
    task : str
        Of ``TASKS``.
    cells : tuple of str
        Of ``CELLS``.
    delay : int
        Steps between the first and the last.
    hidden_size, updates, seed : int
    lr : float
    start : {"usual", "made to keep"}
        Initial weights: uniform, as of any layer; or W_hh orthogonal and the gate that keeps the
        state, f of an LSTM and z of a GRU, nearly open.
    """

    task: str = Adding.name
    cells: tuple[str, ...] = tuple(CELLS)
    delay: int = 50
    hidden_size: int = 32
    updates: int = 4000
    lr: float = 3e-3
    seed: int = 0
    start: str = STARTS[0]


@dataclass
class Curve:
    """How a cell did so far, on held-out sequences.

    Attributes
    ----------
    updates : list of int
    losses, accuracies : list of float
    stopped : str
        Why its training ended early, if it did.
    """

    updates: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    stopped: str = ""


class Race:
    """Cells that learn one task from the same sequences, update by update.

    Parameters
    ----------
    setting : Setting

    Attributes
    ----------
    curves : dict of str to Curve
        By the cell.
    guess : float
        The share of right answers of who remembers nothing.
    done : int
        Updates made of each cell.

    Raises
    ------
    ValueError
        If no cell is chosen.
    """

    def __init__(self, setting: Setting) -> None:
        if not setting.cells:
            raise ValueError(NO_CELL)
        self.setting, self.task = setting, TASKS[setting.task]
        drawn, held_out = np.random.SeedSequence(setting.seed).spawn(2)
        self._rng = np.random.default_rng(drawn)
        self._held_out = self.task.draw(np.random.default_rng(held_out), setting.delay, HELD_OUT)
        self.guess = self.task.guess(self._held_out[1])
        self.networks = {cell: self._network(cell) for cell in setting.cells}
        rule = Settings(
            optimizer="adam", lr=setting.lr, schedule="constant", clip_norm=CLIP_NORM,
            progress=False, num_threads=1,
        )  # fmt: skip
        self._updates = {cell: Updates(network, rule) for cell, network in self.networks.items()}
        self.curves = {cell: Curve() for cell in setting.cells}
        self.done = 0
        self.evaluate()

    @property
    def over(self) -> bool:
        """Whether all updates are made, or no cell goes on."""
        stopped = all(curve.stopped for curve in self.curves.values())
        return stopped or self.done >= self.setting.updates

    def update(self) -> None:
        """Draw a batch and have every cell learn from it."""
        x, target = self.task.draw(self._rng, self.setting.delay, BATCH_SIZE)
        self.done += 1
        for cell, updates in self._updates.items():
            if self.curves[cell].stopped:
                continue
            try:
                updates.make(x, target, loss=self.task.loss, outputs="last")
            except NonFiniteLossError:
                self.curves[cell].stopped = (
                    f"At update {self.done} its numbers grew beyond all bounds: "
                    f"the learning rate {self.setting.lr:g} is too large for it."
                )

    def evaluate(self) -> None:
        """Have every cell answer the held-out sequences."""
        x, target = self._held_out
        for cell, network in self.networks.items():
            curve = self.curves[cell]
            if curve.stopped:
                continue
            outputs, _ = network(x, outputs="last", num_threads=1)
            loss, _ = network.loss(x, target, loss=self.task.loss, outputs="last", num_threads=1)
            curve.updates.append(self.done)
            curve.losses.append(loss)
            curve.accuracies.append(self.task.right(outputs, target))

    def reach(self) -> dict[str, float]:
        """Return which share of the gradient at the last state reaches the first, of each cell.

        Of one held-out sequence: :func:`fastrnn.unrolled.gradient_norms`.
        """
        x = self._held_out[0][:, 0]
        norms = {cell: gradient_norms(net.layer, x) for cell, net in self.networks.items()}
        return {cell: float(values[len(x) - 1] / values[0]) for cell, values in norms.items()}

    def _network(self, cell: str) -> Network:
        setting, task = self.setting, self.task
        keeps = setting.start != STARTS[0]
        network = make_network(
            CELLS[cell], task.features, setting.hidden_size, task.outputs, nonlinearity="tanh",
            dtype=np.float32, seed=setting.seed, init="orthogonal" if keeps else "uniform",
        )  # fmt: skip
        if keeps and cell != "Elman":
            # f of an LSTM and z of a GRU both stand second of the gates.
            values = network.state_dict()
            size = setting.hidden_size
            values["rnn.bias_ih_l0"][size : 2 * size] = KEEPING_BIAS
            network.load_state_dict(values)
        return network


def verdict(race: Race) -> list[str]:
    """Return in sentences what a race has shown so far."""
    if not race.done:
        return []
    curves, delay, guess = race.curves, race.setting.delay, race.guess
    sentences = [
        f"After {counted(race.done, 'update')} of “{race.setting.task}” with "
        f"{counted(delay, 'step')} in between, right answers to "
        f"{HELD_OUT} sequences that nobody had seen: {_listed(_shares(race))}. One answer to all "
        f"of them, which needs no memory, would be right in {guess:.0%}."
    ]
    if race.done >= race.setting.updates:
        sentences += _judged(race)
    return sentences + [f"{c}: {curve.stopped}" for c, curve in curves.items() if curve.stopped]


def kept(race: Race, before: dict[str, float], after: dict[str, float]) -> str:
    """Return what :meth:`Race.reach` was found to say before and after the training."""
    grew = [
        cell
        for cell, curve in race.curves.items()
        if curve.accuracies[-1] >= LEARNED and after[cell] > before[cell]
    ]
    said = (
        "The gradient says how a small change of the state would change the answer; “gradient "
        "left” is how much of it, on its way back from the last step, arrives at the first. Where "
        "next to nothing arrives, training finds out slowly what to keep, or never."
    )
    if not grew:
        return said
    return f"{said} It grew in {_listed(_articles(grew))}, which learned to keep."


def _shares(race: Race) -> list[str]:
    """Return each cell's share of right answers; of one that stopped, since when it stands."""
    return [
        f"{_article(cell)} {curve.accuracies[-1]:.0%}"
        + (f" (as of update {curve.updates[-1]:,})" if curve.stopped else "")
        for cell, curve in race.curves.items()
    ]


def _judged(race: Race) -> list[str]:
    """Return what those that had all updates made of them."""
    shares = {
        cell: curve.accuracies[-1] for cell, curve in race.curves.items() if not curve.stopped
    }
    learned = [cell for cell, share in shares.items() if share >= LEARNED]
    lost = [cell for cell, share in shares.items() if share <= race.guess + GUESSED]
    partly = [cell for cell in shares if cell not in (*learned, *lost)]
    sentences = []
    if learned:
        sentences.append(f"{_sentence(learned)} remembered.")
    if partly:
        sentences.append(f"{_sentence(partly)} remembered something, and not enough.")
    if lost:
        sentences.append(
            f"{_sentence(lost)} did hardly better than guessing, and did not learn to keep what "
            f"would be needed."
        )
    if len(shares) == len(race.curves):
        sentences += _compared(learned, lost, partly, race.setting.delay)
    return sentences


def _compared(learned: list[str], lost: list[str], partly: list[str], delay: int) -> list[str]:
    """Return what follows for gates, if something does."""
    gated = [cell for cell in learned if cell != "Elman"]
    missed = [cell for cell in (*lost, *partly) if cell != "Elman"]
    if "Elman" in learned and gated and not missed:
        return [f"Over {counted(delay, 'step')} gates were not needed: try a longer delay."]
    if "Elman" in learned and missed:
        return [
            "Here the Elman network did better than cells with gates: gates help when they begin "
            "open enough to keep something, which is what “made to keep” sets."
        ]
    if gated and not missed and "Elman" in (*lost, *partly):
        return [f"Over {counted(delay, 'step')} it took gates."]
    if not learned and lost and not partly:
        return [
            "Nobody found it: try fewer steps in between, more updates, or initial weights “made "
            "to keep”."
        ]
    return []


def counted(count: int, name: str) -> str:
    """Return a number of things: 1 step, 1,000 steps."""
    return f"{count:,} {name}" + ("" if count == 1 else "s")


def _article(cell: str) -> str:
    return f"the {cell} network" if cell == "Elman" else f"the {cell}"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _articles(cells: list[str]) -> list[str]:
    return [_article(cell) for cell in cells]


def _sentence(cells: list[str]) -> str:
    words = _listed(_articles(cells))
    return words[0].upper() + words[1:]
