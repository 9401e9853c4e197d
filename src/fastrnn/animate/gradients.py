"""Gradients on their way back through time: they fade, or they grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.animate import drawing, film
from fastrnn.animate.drawing import BACK, QUIET
from fastrnn.cells import make_layer
from fastrnn.layers import Recurrent
from fastrnn.plot.gradients import scaled
from fastrnn.unrolled import gradient_norms, one_sequence

# What is readable at the usual width.
MOST_STEPS, MOST_ROWS = 12, 3

_STEPS = 10

# Of the rows, by their number, and the size of a state's box.
_HEIGHTS = {1: (5.6,), 2: (7.6, 4.2), 3: (8.4, 5.9, 3.4)}
_SIZE = 0.7

# Gradients that are so many times smaller or larger at the first step are called so.
_FACTOR = 10.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Back(film.Scene):
    """A moment of :func:`vanishing`.

    Attributes
    ----------
    steps_back : int
        How many steps the gradient has gone back from the last one; -1 before it begins.
    sizes : dict of str to tuple of float
        Of each row, its norms so far, the last step's first.
    """

    steps_back: int
    sizes: dict[str, tuple[float, ...]]


def scaled_layer(
    cell: str, scale: float, *, input_size: int = 4, hidden_size: int = 16, seed: int = 0
) -> Recurrent:
    """Return a layer whose recurrent weights neither turn large nor small, times ``scale``.

    They are orthogonal, gate by gate, so that of a linear network gradients would change by
    ``scale`` at every step (R. Pascanu, T. Mikolov and Y. Bengio, arXiv:1211.5063).

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        The recurrent layer.
    scale : float
        Above 0.
    input_size, hidden_size, seed : int
        As the layers take them.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrnn import animate
    >>> weight = animate.scaled_layer("rnn", 0.5).weight_hh_l0
    >>> bool(np.allclose(weight @ weight.T, 0.25 * np.eye(16), atol=1e-6))
    True
    """
    _check.choice("cell", cell, ("rnn", "lstm", "gru"))
    scale = _check.number("scale", scale, above=0)
    layer = make_layer(
        cell, input_size, hidden_size, nonlinearity="tanh", dtype=np.float32, seed=seed,
        init="orthogonal",
    )  # fmt: skip
    return scaled(layer, scale)


def vanishing(
    layers: Mapping[str, Recurrent] | None = None,
    x: Any = None,
    *,
    hold: int = 12,
    figure: Any = None,
) -> Any:
    """Send a gradient back through time and see it fade or grow.

    The gradient's norm is written below each state (:func:`fastrnn.unrolled.gradient_norms`). The
    width of an arrow follows its root, for norms from 0.0225 to 25, beyond which arrows grow no
    thinner and no wider; their strength does so from 0.01 to 1.

    Parameters
    ----------
    layers : dict of str to layer, optional
        One to three rows, each a recurrent layer of one direction that drops nothing out, by the
        name that is written above. Two of :func:`scaled_layer` unless given, with weights of 0.6
        and 1.6.
    x : array_like, optional
        What all of them read, of 1 to 12 steps: floats (seq_len, input_size) or token ids
        (seq_len,). Ten steps of small random numbers, always the same, unless given.
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
    >>> from fastrnn import animate
    >>> layers = {cell: animate.scaled_layer(cell, 0.8) for cell in ("rnn", "lstm")}
    >>> animation = animate.vanishing(layers)  # doctest: +SKIP
    >>> animate.save(animation, "vanishing.gif")  # doctest: +SKIP
    """
    figure = film.stage(figure)
    if layers is None:
        layers = {
            f"recurrent weights × {scale}": scaled_layer("rnn", scale) for scale in (0.6, 1.6)
        }
    norms = sizes(layers, x)
    return film.film(
        figure,
        "What a mistake teaches the steps before it",
        going_back(norms, hold),
        lambda ax, scene: _draw(ax, norms, scene),
    )


def sizes(layers: Mapping[str, Recurrent], x: Any) -> dict[str, np.ndarray]:
    """Return the norms of the gradient of each layer, from the last step to the initial state."""
    if not isinstance(layers, Mapping) or not all(isinstance(name, str) for name in layers):
        raise TypeError(f"layers must be a dict of names and layers, got {_check.describe(layers)}")
    if not 1 <= len(layers) <= MOST_ROWS:
        raise ValueError(f"layers must be from 1 to {MOST_ROWS} to be drawn, got {len(layers)}")
    norms = {}
    for name, layer in layers.items():
        if not isinstance(layer, Recurrent):
            raise TypeError(
                f"layers[{name!r}] must be a recurrent layer, got {_check.describe(layer)}"
            )
        given = _small_numbers(layer) if x is None else _steps(x, layer)
        norms[name] = gradient_norms(layer, given)
        if not np.isfinite(norms[name]).all():
            raise ValueError(f"layers[{name!r}] has a gradient that is not finite: {norms[name]}")
    return norms


def _small_numbers(layer: Recurrent) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.1, (_STEPS, layer.input_size)).astype(layer.dtype)


def _steps(x: Any, layer: Recurrent) -> np.ndarray:
    """Return what a layer reads, of as many steps as can be drawn."""
    given = one_sequence(x, layer.dtype)
    if not 1 <= len(given) <= MOST_STEPS:
        raise ValueError(f"x must have from 1 to {MOST_STEPS} steps to be drawn, got {len(given)}")
    _check.finite("x", given)
    return given


def going_back(norms: dict[str, np.ndarray], hold: int) -> list[Back]:
    """Return the scenes of :func:`vanishing`."""
    long, short = film.checked_hold(hold)
    steps = len(next(iter(norms.values()))) - 1

    def scene(k: int, caption: str, hold: int) -> Back:
        sizes = {name: tuple(map(float, row[: k + 1])) for name, row in norms.items()}
        return Back(caption=caption, hold=hold, steps_back=k, sizes=sizes)

    scenes = [
        scene(
            -1,
            "A network learns from its mistakes. What it got wrong at the last step is traced back "
            "to all that came before, copy by copy.",
            long,
        ),
        scene(
            0,
            "At the last step this signal, the gradient, has size 1. On its way back it passes "
            "the same recurrent weights again and again.",
            long,
        ),
    ]
    for k in range(1, steps + 1):
        ago = "step" if k == 1 else "steps"
        caption = (
            f"{k} {ago} back. The number is the size of the gradient, which the arrow shows as far "
            f"as there is room."
        )
        scenes.append(scene(k, caption, short))
    for name, row in norms.items():
        scenes.append(scene(steps, f"{name}: {verdict(row)}", 2 * long))
    return scenes


def verdict(row: np.ndarray) -> str:
    """Say in plain language what became of a gradient."""
    first, last = float(row[0]), float(row[-1])
    size = drawing.number(last)
    if last * _FACTOR <= first:
        return (
            f"{size} of {drawing.number(first)} is left, the gradient vanishes. "
            f"What was read first can hardly be learned from."
        )
    if last >= first * _FACTOR:
        return (
            f"{drawing.number(first)} has become {size}, the gradient explodes. "
            f"One step of learning would throw the weights far off."
        )
    return (
        f"{drawing.number(first)} has become {size}. "
        f"The first step can be learned from about as well as the last."
    )


def _draw(ax: Any, norms: dict[str, np.ndarray], scene: Back) -> None:
    for y, (name, row) in zip(_HEIGHTS[len(norms)], norms.items(), strict=True):
        _draw_row(ax, y, name, row, scene.steps_back)


def _draw_row(ax: Any, y: float, name: str, row: np.ndarray, back: int) -> None:
    """Draw a chain of states, and the gradient as far as it has gone back."""
    drawing.write(ax, 0.5, y + 1.15, name, ha="left", weight="bold")
    places = np.linspace(15.1, 0.9, len(row))
    for k in range(1, len(row)):
        ends = (places[k - 1] - _SIZE / 2, y), (places[k] + _SIZE / 2, y)
        if k <= back:
            drawing.arrow(ax, *ends, BACK, width=arrow_width(row[k]), alpha=strength(row[k]))
        else:
            drawing.arrow(ax, ends[1], ends[0], QUIET, width=1)
    for k, x in enumerate(places):
        reached = k <= back
        lit = 2 * strength(row[k]) if reached else 0
        drawing.box(ax, x, y, _SIZE, _SIZE, BACK if reached else QUIET, lit=lit)
        drawing.write(ax, x, y, drawing.indexed("h", len(row) - 1 - k), size=8)
        if reached:
            drawing.write(ax, x, y - 0.75, drawing.number(row[k]), size=8, color=BACK)


def arrow_width(norm: float) -> float:
    """Return the width of an arrow in points: 2 for a gradient of 1, from 0.3 to 10 at most."""
    return float(np.clip(2 * np.sqrt(norm), 0.3, 10))


def strength(norm: float) -> float:
    """Return how opaque an arrow is: fully for a gradient of 1 or more, never invisible."""
    return float(np.clip(np.sqrt(norm), 0.1, 1))
