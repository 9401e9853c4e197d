"""From a list of scenes to an animation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastrnn import _check
from fastrnn.animate import drawing
from fastrnn.plot.axes import pyplot

# Milliseconds that a frame stands.
INTERVAL = 200


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """What is shown for some frames.

    Attributes
    ----------
    caption : str
        What it means, in plain language.
    hold : int
        For how many frames.
    """

    caption: str
    hold: int


def checked_hold(hold: Any) -> tuple[int, int]:
    """Return for how many frames a new caption stands, and how many one like the last."""
    hold = _check.integer("hold", hold, maximum=1000)
    return hold, max(1, hold // 3)


def stage(figure: Any) -> Any:
    """Return the figure to draw in: a new one, which pyplot does not hold, if there is none.

    It is asked for first, to say before any work what to install or what is no figure.
    """
    pyplot()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if figure is None:
        figure = Figure(figsize=drawing.INCHES, dpi=100)
        FigureCanvasAgg(figure)
    elif not isinstance(figure, Figure):
        raise TypeError(f"figure must be Matplotlib's Figure, got {_check.describe(figure)}")
    return figure


def film(figure: Any, title: str, scenes: Sequence[Any], draw: Callable[[Any, Any], None]) -> Any:
    """Return a FuncAnimation of scenes, each drawn by ``draw(axes, scene)``."""
    from matplotlib.animation import FuncAnimation

    frames = [scene for scene in scenes for _ in range(scene.hold)]
    ax = drawing.canvas(figure)

    def show(k: int) -> list[Any]:
        drawing.clear(ax)
        draw(ax, frames[k])
        drawing.frame(ax, title, frames[k].caption, (k + 1) / len(frames))
        return []

    animation = FuncAnimation(figure, show, frames=len(frames), interval=INTERVAL)
    # The first frame at once: Matplotlib warns of animations that nobody has drawn.
    figure.canvas.draw()
    return animation
