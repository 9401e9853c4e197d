"""The loop and the unrolled network, and what their copies share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn.animate import chain, drawing, film, sequences
from fastrnn.animate.drawing import INPUT, OUTPUT, STATE, WIDTH
from fastrnn.network import Network

# Frames in which the loop unfolds.
_TWEENS = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class Unfolding(film.Scene):
    """A moment of :func:`unrolling`.

    Attributes
    ----------
    step : int or None
        Which step is taking place, from 0.
    spread : float
        How far the loop is unfolded: 0 is one cell with a loop, 1 a chain of copies.
    """

    step: int | None
    spread: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Shared(film.Scene):
    """A moment of :func:`shared_parameters`.

    Attributes
    ----------
    weight : str or None
        Which matrix is lit, a key of :func:`matrices`.
    copies : tuple of int
        In which copies, from 0.
    """

    weight: str | None
    copies: tuple[int, ...]


def unrolling(network: Any = None, x: Any = None, *, hold: int = 15, figure: Any = None) -> Any:
    """Unfold a recurrent network: one cell with a loop becomes a chain of copies.

    Parameters
    ----------
    network : Network or CharRNN, optional
        With a read-out, one layer in one direction and no embedding. A tiny one that is trained on
        the spot to spell "hello" unless given.
    x : str, or array_like, optional
        What it reads, of 2 to 6 steps: a text for a CharRNN; for a Network token ids (seq_len,)
        or floats (seq_len, input_size). "hell" unless given; to be given with ``network``.
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
    >>> animation = animate.unrolling()  # doctest: +SKIP
    >>> animate.save(animation, "unrolling.gif")  # doctest: +SKIP
    """
    figure = film.stage(figure)
    _, run = _read(network, x)
    return film.film(
        figure,
        "A recurrent network, unrolled",
        unfolding(run, hold),
        lambda ax, scene: _draw_unfolding(ax, run, scene),
    )


def shared_parameters(
    network: Any = None, x: Any = None, *, hold: int = 15, figure: Any = None
) -> Any:
    """Light up the weights that all copies of an unrolled network share.

    Takes, returns and raises what :func:`unrolling` does.

    Examples
    --------
    >>> from fastrnn import animate
    >>> animation = animate.shared_parameters()  # doctest: +SKIP
    >>> animate.save(animation, "shared_parameters.gif")  # doctest: +SKIP
    """
    figure = film.stage(figure)
    found, run = _read(network, x)
    weights = matrices(found)
    return film.film(
        figure,
        "One set of weights for every step",
        sharing(found, run, hold),
        lambda ax, scene: _draw_shared(ax, run, weights, scene),
    )


def _read(network: Any, x: Any) -> tuple[Network, sequences.Run]:
    if network is None and x is None:
        network, x = sequences.speller(), "hell"
    found, x, characters = sequences.resolve(network, x, sequences.MOST_STEPS)
    sequences.require_one_layer(found)
    return found, sequences.run(found, x, characters)


def matrices(network: Network) -> dict[str, np.ndarray]:
    """Return the weights that all copies share."""
    state = network.state_dict()
    return {short: state[name] for short, name in sequences.MATRICES.items()}


def unfolding(run: sequences.Run, hold: int) -> list[Unfolding]:
    """Return the scenes of :func:`unrolling`."""
    long, short = film.checked_hold(hold)
    steps = len(run)
    scenes = [
        Unfolding(
            caption="A recurrent network is one small cell that reads a sequence step by step. "
            "What it remembers, its state h, goes back into it.",
            hold=long, step=None, spread=0.0,
        )
    ]  # fmt: skip
    for t in range(steps):
        from_where = "an empty memory" if t == 0 else "what it remembers of the steps before"
        scenes.append(
            Unfolding(
                caption=f"Step {t + 1}: from “{run.labels[t]}” and {from_where} it makes a new "
                f"state (the coloured numbers), and from that an answer.",
                hold=long if t < 2 else short, step=t, spread=0.0,
            )
        )  # fmt: skip
    caption = "Now draw the cell once more for every step, and pull the copies apart."
    for k in range(_TWEENS + 1):
        spread = (1 - np.cos(np.pi * k / _TWEENS)) / 2
        scenes.append(Unfolding(caption=caption, hold=1, step=None, spread=float(spread)))
    for t in range(steps):
        caption = (
            f"The loop has become a chain: copy {t + 1} hands its state on to copy {t + 2}. "
            f"That is how what was read first still counts later."
            if t < steps - 1
            else "The last copy knows something of all that was read before it."
        )
        scenes.append(
            Unfolding(
                caption=caption, hold=long if t in (0, steps - 1) else short, step=t, spread=1
            )
        )
    scenes.append(
        Unfolding(
            caption=f"This is the network, unrolled: {_times(steps)} the same cell, joined by its "
            f"state. Nothing was added but the way of drawing it.",
            hold=long, step=None, spread=1.0,
        )
    )  # fmt: skip
    return scenes


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def sharing(network: Network, run: sequences.Run, hold: int) -> list[Shared]:
    """Return the scenes of :func:`shared_parameters`."""
    long, short = film.checked_hold(hold)
    steps, weights = len(run), matrices(network)
    everywhere = tuple(range(steps))
    scenes = [
        Shared(
            caption="Three tables of numbers, the weights, are all that this network knows. "
            "Where are they used?",
            hold=long, weight=None, copies=(),
        )
    ]  # fmt: skip
    does = {
        "W_ih": "brings each input into the cell",
        "W_hh": "carries the state from one step to the next",
        "W_hy": "turns each state into an answer",
    }
    for name, what in does.items():
        used = everywhere[:-1] if name == "W_hh" else everywhere
        for t in used:
            where = f"from copy {t + 1} to {t + 2}" if name == "W_hh" else f"in copy {t + 1}"
            caption = f"{name} {what}: here {where} …"
            scenes.append(Shared(caption=caption, hold=short, weight=name, copies=(t,)))
        rows, columns = weights[name].shape
        scenes.append(
            Shared(
                caption=f"… the same {rows} × {columns} numbers of {name} in every copy.",
                hold=long, weight=name, copies=used,
            )
        )  # fmt: skip
    scenes.append(
        Shared(
            caption=f"In all the network has {network.num_parameters:,} numbers, for {steps} steps "
            f"as for a million: that is why it can read sequences of any length.",
            hold=long, weight="all", copies=everywhere,
        )
    )  # fmt: skip
    return scenes


def _draw_unfolding(ax: Any, run: sequences.Run, scene: Unfolding) -> None:
    if scene.spread == 0:
        _draw_loop(ax, run, scene.step)
        return
    places = WIDTH / 2 + scene.spread * (chain.places(len(run)) - WIDTH / 2)
    limit = run.limit
    _legend(ax, limit)
    for t in reversed(range(len(run))):
        x, here = places[t], scene.step == t
        if t + 1 < len(run) and places[t + 1] - x > chain.CELL:
            chain.hand_on(ax, x, places[t + 1], lit=here, alpha=scene.spread)
        chain.read(ax, x)
        chain.answer(ax, x)
        chain.cell(ax, x, drawing.indexed("h", t + 1), run.states[t], limit, lit=here)
        chain.small(ax, x, chain.INPUTS, run.labels[t], INPUT)
        chain.small(ax, x, chain.OUTPUTS, run.answers[t], OUTPUT)


def _draw_loop(ax: Any, run: sequences.Run, step: int | None) -> None:
    x, lit = WIDTH / 2, step is not None
    if lit:
        _legend(ax, run.limit)
    right, height = x + chain.CELL / 2, chain.CELLS
    drawing.arrow(
        ax, (right, height + 0.45), (right, height - 0.45), STATE, width=3 if lit else 1.5,
        bend=-2.6,
    )  # fmt: skip
    drawing.write(ax, right + 1.4, height, "h, its memory", size=10, color=STATE, ha="left")
    chain.read(ax, x, lit=lit)
    chain.answer(ax, x, lit=lit)
    name = "cell" if step is None else drawing.indexed("h", step + 1)
    values = None if step is None else run.states[step]
    chain.cell(ax, x, name, values, run.limit, lit=lit)
    chain.small(ax, x, chain.INPUTS, "x" if step is None else run.labels[step], INPUT)
    chain.small(ax, x, chain.OUTPUTS, "y" if step is None else run.answers[step], OUTPUT)
    drawing.write(ax, x - 0.8, chain.INPUTS, "it reads", color=INPUT, ha="right")
    drawing.write(ax, x - 0.8, chain.OUTPUTS, "it answers", color=OUTPUT, ha="right")


def _legend(ax: Any, limit: float) -> None:
    """Say what the colours of a state mean, from -limit to limit."""
    end = "1" if limit == 1 else drawing.number(limit)
    drawing.heat(ax, 6.5, 9.15, 3, 0.3, np.linspace(-limit, limit, 61)[None], limit)
    drawing.write(ax, 6.3, 9.3, f"numbers of the state: −{end}", size=9, ha="right")
    drawing.write(ax, 9.7, 9.3, end, size=9, ha="left")


def _draw_shared(
    ax: Any, run: sequences.Run, weights: dict[str, np.ndarray], scene: Shared
) -> None:
    colors = {"W_ih": INPUT, "W_hh": STATE, "W_hy": OUTPUT}
    for middle, (name, values) in zip((3.2, 8.0, 12.8), weights.items(), strict=True):
        lit = scene.weight in (name, "all")
        drawing.box(ax, middle, 9.2, 3.4, 1.7, colors[name], lit=lit)
        drawing.heat(ax, middle + 0.15, 8.55, 1.3, 1.3, values, drawing.limit(values))
        drawing.write(ax, middle - 0.75, 9.4, name, size=12, weight="bold", color=colors[name])
        shape = " × ".join(map(str, values.shape))
        drawing.write(ax, middle - 0.75, 8.85, shape, size=9)
    places = chain.places(len(run))

    def is_lit(name: str, t: int) -> bool:
        return scene.weight in (name, "all") and t in scene.copies

    for t, x in enumerate(places):
        if t + 1 < len(run):
            chain.hand_on(ax, x, places[t + 1], lit=is_lit("W_hh", t))
        chain.read(ax, x, lit=is_lit("W_ih", t))
        chain.answer(ax, x, lit=is_lit("W_hy", t))
        chain.cell(ax, x, drawing.indexed("h", t + 1), run.states[t], run.limit)
        chain.small(ax, x, chain.INPUTS, run.labels[t], INPUT)
        chain.small(ax, x, chain.OUTPUTS, run.answers[t], OUTPUT)
