"""Backpropagation through time, with its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.animate import chain, drawing, film, sequences
from fastrnn.animate.drawing import BACK, INPUT, OUTPUT, STATE
from fastrnn.text import CharRNN
from fastrnn.unrolled import Copy, backpropagate

# More copies leave no room for their numbers.
MOST_STEPS = 4

PHASES = ("forward", "loss", "output", "state", "weights", "total")

# Sums of numbers whose largest is in this range are written without powers of ten.
_NARROW = 1e-3, 1e3

COLORS = {"W_ih": INPUT, "W_hh": STATE, "W_hy": OUTPUT}
_MIDDLES = {"W_ih": 2.85, "W_hh": 8.0, "W_hy": 13.15}


@dataclass(frozen=True, eq=False)
class Unrolled:
    """What :func:`bptt` shows.

    Attributes
    ----------
    copies : list of Copy
        As :func:`fastrnn.unrolled.backpropagate` gives them.
    inputs, answers, targets : tuple of str
        What those of each step are called.
    entries : dict of str to (int, int)
        The one number of each matrix whose gradient is added up before the eyes.
    """

    copies: list[Copy]
    inputs: tuple[str, ...]
    answers: tuple[str, ...]
    targets: tuple[str, ...]
    entries: dict[str, tuple[int, int]]

    @property
    def limit(self) -> float:
        """The end of the scale of the states."""
        return drawing.limit_of_states(one.state[0] for one in self.copies)


@dataclass(frozen=True, eq=False, kw_only=True)
class Backward(film.Scene):
    """A moment of :func:`bptt`.

    Attributes
    ----------
    phase : str
        One of ``PHASES``: a copy runs forward; the losses are added; a loss reaches its state;
        what comes from later steps is added; both go on to the weights and to the copy before;
        the end.
    step : int
        Of which copy, from 0.
    sums : dict of str to ndarray
        What has been added up so far to the gradients of all parameters, by their names in
        :meth:`fastrnn.Network.state_dict`.
    terms : dict of str to tuple of float
        What each copy has added to one number of W_ih, W_hh and W_hy, the last copy first.
    """

    phase: str
    step: int
    sums: dict[str, np.ndarray]
    terms: dict[str, tuple[float, ...]]


def bptt(
    network: Any = None,
    x: Any = None,
    target: Any = None,
    *,
    loss: str = "cross_entropy",
    hold: int = 12,
    figure: Any = None,
) -> Any:
    """Run a network forward and backpropagate through time, adding up gradients copy by copy.

    Parameters
    ----------
    network : Network or CharRNN, optional
        With a read-out, one layer in one direction that drops nothing out, and no embedding. A
        tiny one that is not trained yet unless given.
    x : str, or array_like, optional
        What it reads, of 2 to 4 steps: for a Network token ids (seq_len,) or floats (seq_len,
        input_size); for a CharRNN a text of one character more, the last target. "hello" unless
        given; to be given with ``network``.
    target : array_like, optional
        Of a Network, as :func:`fastrnn.unrolled.backpropagate` takes it.
    loss : {"cross_entropy", "mse"}
        Of each step.
    hold : int
        For how many frames a new caption stands.
    figure : matplotlib.figure.Figure, optional
        Where to draw, emptied before; a new one of 640 × 440 pixels unless given.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        To be saved by :func:`save`, or shown.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import animate
    >>> network = fastrnn.Network(fastrnn.GRU(4, 8, seed=0), fastrnn.Linear(8, 4, seed=1))
    >>> animation = animate.bptt(network, [0, 1, 2], [1, 2, 3])  # doctest: +SKIP
    >>> animate.save(animation, "bptt.gif")  # doctest: +SKIP
    """
    figure = film.stage(figure)
    unrolled = unroll(network, x, target, loss)
    return film.film(
        figure,
        "Learning, backwards through time",
        backward(unrolled, hold),
        lambda ax, scene: _draw(ax, unrolled, scene),
    )


def unroll(network: Any, x: Any, target: Any, loss: str) -> Unrolled:
    """Return the copies of a network, and what stands beside them."""
    if network is None and x is None and target is None:
        network, x = CharRNN(hidden_size=4, vocabulary="hello", seed=0), "hello"
    of_text = isinstance(network, CharRNN)
    if of_text and target is not None:
        raise ValueError(
            f"target must not be given for a CharRNN, whose targets are the characters that "
            f"follow, got {_check.describe(target)}"
        )
    found, x, characters = sequences.resolve(network, x, MOST_STEPS + of_text, 2 + of_text)
    sequences.require_one_layer(found)
    if of_text:
        x, target = x[:-1], x[1:]
    elif target is None:
        raise ValueError("target must be given for a Network, got None")
    copies = backpropagate(found, x, target, loss=loss)
    predictions = np.array([one.prediction for one in copies])
    answers = sequences.answers_of(predictions, characters, are_classes=loss == "cross_entropy")
    labels = sequences.labels_of(x, characters)
    targets = sequences.labels_of(_check.as_array("target", target), characters)
    return Unrolled(copies, labels, answers, targets, _entries(copies))


def _entries(copies: list[Copy]) -> dict[str, tuple[int, int]]:
    """Return one number of each matrix, the largest gradient among those most steps add to."""
    found = {}
    for short, name in sequences.MATRICES.items():
        each = np.array([one.grads[name] for one in copies])
        often, size = (each != 0).sum(axis=0), np.abs(each.sum(axis=0))
        best = np.where(often == often.max(), size, -1)
        row, column = np.unravel_index(int(best.argmax()), best.shape)
        found[short] = int(row), int(column)
    return found


def backward(unrolled: Unrolled, hold: int) -> list[Backward]:
    """Return the scenes of :func:`bptt`."""
    long, short = film.checked_hold(hold)
    copies, steps = unrolled.copies, len(unrolled.copies)
    sums = {name: np.zeros_like(grad) for name, grad in copies[0].grads.items()}
    terms: dict[str, tuple[float, ...]] = dict.fromkeys(sequences.MATRICES, ())
    scenes: list[Backward] = []

    def scene(phase: str, step: int, caption: str, hold: int) -> None:
        scenes.append(
            Backward(
                caption=caption, hold=hold, phase=phase, step=step,
                sums={name: value.copy() for name, value in sums.items()}, terms=dict(terms),
            )
        )  # fmt: skip

    def add(t: int, *matrices: str) -> None:
        """Add what a copy gives to these matrices, and to the biases that go with them."""
        with_it = {"W_ih": "_ih_", "W_hh": "_hh_", "W_hy": "readout."}
        for short in matrices:
            for name, grad in copies[t].grads.items():
                if with_it[short] in name:
                    sums[name] = sums[name] + grad
            row, column = unrolled.entries[short]
            value = float(copies[t].grads[sequences.MATRICES[short]][row, column])
            terms[short] = (*terms[short], value)

    for t in range(steps):
        caption = (
            f"Forward. Copy {t + 1} reads “{unrolled.inputs[t]}”, makes its state and keeps it. "
            f"It answers “{unrolled.answers[t]}”, and “{unrolled.targets[t]}” was wanted."
        )
        scene("forward", t, caption, long if t < 2 else short)
    losses = " ".join(addition([one.loss for one in copies]))
    scene(
        "loss", steps - 1,
        f"Each loss says how wrong an answer is. Together: {losses}. "
        f"How should the weights change to make it smaller?",
        2 * long,
    )  # fmt: skip
    for t in reversed(range(steps)):
        hold = long if t == steps - 1 else max(short, long // 2)
        add(t, "W_hy")
        scene("output", t, _said("output", t, steps), hold)
        scene("state", t, _said("state", t, steps), hold)
        add(t, "W_ih", "W_hh")
        scene("weights", t, _said("weights", t, steps), hold)
    scene(
        "total", 0,
        "The copies share their weights, so what each of them found is added up. These sums are "
        "the gradient: every weight now moves a little against it.",
        3 * long,
    )  # fmt: skip
    return scenes


def _said(phase: str, t: int, steps: int) -> str:
    """Say what happens in a copy on the way back."""
    if phase == "output":
        where = "Backward, from the end. " if t == steps - 1 else ""
        return (
            f"{where}The loss of copy {t + 1} goes back through W_hy: it says how W_hy should "
            f"change, and how the state should have been."
        )
    if phase == "state":
        if t == steps - 1:
            return f"The last state has no step after it: only its own loss speaks to copy {t + 1}."
        return (
            f"In copy {t + 1} two messages meet: that of its own loss, and what came back through "
            f"the states of later steps. They add up."
        )
    if t == 0:
        return (
            "In copy 1 it ends. It adds its share to W_ih; to W_hh it adds nothing, "
            "for no state came before it."
        )
    return (
        f"From there it splits: a share for W_ih, a share for W_hh, and a message through the "
        f"state to copy {t}."
    )


def _draw(ax: Any, unrolled: Unrolled, scene: Backward) -> None:
    for short in sequences.MATRICES:
        _draw_sum(ax, unrolled, scene, short)
    places = chain.places(len(unrolled.copies))
    for t, x in enumerate(places):
        after = places[t + 1] if t + 1 < len(places) else None
        if scene.phase != "forward" or t <= scene.step:
            _draw_copy(ax, unrolled, scene, t, x, after)
        if scene.phase not in ("forward", "loss") and t >= scene.step:
            _draw_back(ax, unrolled.copies[t], scene, t, x, places[t - 1] if t else None)


def _draw_sum(ax: Any, unrolled: Unrolled, scene: Backward, short: str) -> None:
    """Draw the sum of a matrix' gradient so far, and the addition of one of its numbers."""
    middle, values = _MIDDLES[short], scene.sums[sequences.MATRICES[short]]
    adds = {"output": ("W_hy",), "weights": ("W_ih", "W_hh")}.get(scene.phase, ())
    lit = short in adds or scene.phase == "total"
    drawing.box(ax, middle, 9.15, 4.9, 1.85, COLORS[short], lit=lit)
    name = f"gradient of {short}"
    how = {"weight": "bold", "color": COLORS[short], "ha": "left"}
    drawing.write(ax, middle - 2.25, 9.75, name, size=9, **how)
    last = sum(one.grads[sequences.MATRICES[short]] for one in unrolled.copies)
    drawing.heat(ax, middle + 1.25, 9.1, 1.0, 0.8, values, drawing.limit(np.asarray(last)))
    terms, (row, column) = scene.terms[short], unrolled.entries[short]
    lines = f"row {row + 1}, column {column + 1}:", *addition(terms)
    for y, line in zip((9.32, 8.88, 8.47), lines, strict=False):
        size = 8 if len(line) < 27 else 6.5 if len(line) < 35 else 5.9
        drawing.write(ax, middle - 2.25, y, line, size=size, ha="left")


def addition(terms: Sequence[float]) -> list[str]:
    """Return a sum as it is written: the terms with signs between them, and what they make.

    All have as many decimals, or two digits and a power of ten where those would be too wide. What
    they make is said to be about that where the numbers that are written down do not add up to it.
    """
    if not terms:
        return []
    total = sum(terms)
    largest = max(map(abs, (*terms, total)))
    kind = ".1e"
    if largest == 0 or _NARROW[0] <= largest < _NARROW[1]:
        kind = f".{2 if largest == 0 else max(2, 1 - math.floor(math.log10(largest)))}f"
    first, *rest = (float(format(term, kind)) for term in terms)
    text = _written(first, kind)
    for term in rest:
        text += f" {'−' if term < 0 else '+'} {_written(abs(term), kind)}"
    makes = float(format(total, kind))
    is_exact = math.isclose(first + sum(rest), makes, rel_tol=1e-9, abs_tol=1e-9 * largest)
    return [text, f"{'=' if is_exact else '≈'} {_written(makes, kind)}"]


def _written(value: float, kind: str) -> str:
    """Return a number in a format, with a true minus sign and no more of a power than it needs."""
    text = format(value or 0.0, kind)  # no -0
    text = text.replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return text.replace("-", "−")


def _draw_copy(
    ax: Any, unrolled: Unrolled, scene: Backward, t: int, x: float, after: float | None
) -> None:
    """Draw a copy as it has run forward."""
    copy, here = unrolled.copies[t], t == scene.step
    lit = here and scene.phase == "forward"
    if after is not None:
        chain.hand_on(ax, x, after, lit=lit)
    chain.read(ax, x, lit=lit)
    chain.answer(ax, x, lit=lit)
    chain.cell(ax, x, drawing.indexed("h", t + 1), copy.state[0][-1], unrolled.limit, lit=lit)
    if here and scene.phase == "state":
        drawing.box(ax, x, chain.CELLS, chain.CELL + 0.25, chain.CELL + 0.25, BACK, fill=False)
    chain.small(ax, x, chain.INPUTS, unrolled.inputs[t], INPUT)
    chain.small(ax, x, chain.OUTPUTS, unrolled.answers[t], OUTPUT)
    said = f"wanted {unrolled.targets[t]}\nloss {drawing.number(copy.loss)}"
    size, weight = 8 if len(said) < 20 else 7, "bold" if scene.phase == "loss" else "normal"
    drawing.write(ax, x + 0.6, chain.OUTPUTS, said, size=size, ha="left", weight=weight)


def _draw_back(
    ax: Any, copy: Copy, scene: Backward, t: int, x: float, before: float | None
) -> None:
    """Draw what has gone back through a copy."""
    top, bottom = chain.CELLS + chain.CELL / 2, chain.CELLS - chain.CELL / 2
    drawing.arrow(ax, (x + 0.3, chain.OUTPUTS - chain.SMALL / 2), (x + 0.3, top), BACK, width=3)
    _number(ax, x + 0.5, top + 0.4, np.linalg.norm(copy.grad_output))
    if t == scene.step and scene.phase in ("output", "state"):
        return
    drawing.arrow(ax, (x + 0.3, bottom), (x + 0.3, chain.INPUTS + chain.SMALL / 2), BACK, width=3)
    drawing.write(ax, x + 0.5, bottom - 0.45, "W_ih", size=8, color=BACK, ha="left")
    if before is not None:
        y = chain.CELLS - 0.35
        ends = (x - chain.CELL / 2, y), (before + chain.CELL / 2, y)
        drawing.arrow(ax, *ends, BACK, width=3)
        middle = (x + before) / 2
        size = np.linalg.norm([np.linalg.norm(part) for part in copy.grad_state_before])
        drawing.write(ax, middle, y - 0.4, drawing.number(float(size)), size=8, color=BACK)
        drawing.write(ax, middle, chain.CELLS + 0.3, "W_hh", size=8, color=BACK)


def _number(ax: Any, x: float, y: float, value: Any) -> None:
    drawing.write(ax, x, y, drawing.number(float(value)), size=8, color=BACK, ha="left")
