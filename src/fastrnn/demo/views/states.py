"""States over time as colours: a column for each step, a row for each unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    CustomLabelingPolicy,
    FixedTicker,
    LinearColorMapper,
    Range1d,
)

from fastrnn.demo import parts
from fastrnn.demo.session import Session

MAX_UNITS = 64
LONGEST_NAME = 14  # of a step

# Okabe and Ito's blue and orange at the ends; in the middle the page's own colour.
_LEAST, _MOST = (0, 114, 178), (213, 94, 0)
_SHADES = 64

# What the picture shows.
SHADES = (
    "The coloured picture is the state: a row for each unit, which is one number of the state (the "
    "first 64 of more), and a column for each step that is shown. Orange is positive, blue "
    "negative, and the page's own colour near 0. No unit has a meaning that anybody gave it: what "
    "it stands for, training makes of it."
)


class States:
    """A figure of states, in colours for [-1, 1] or, where they exceed it, for as much as needed.

    Parameters
    ----------
    session : Session
    x_label : str
        What the steps are.
    height : int
    steep : bool
        Whether the names of steps are words, which stand aslant.

    Attributes
    ----------
    figure : bokeh figure
    """

    def __init__(
        self, session: Session, *, x_label: str, height: int = 300, steep: bool = False
    ) -> None:
        self._units, self._steps = Range1d(0, 1), Range1d(0, 1)
        self._colours = LinearColorMapper(low=-1, high=1)
        self.figure = parts.figure(
            session, "The state after every step, unit by unit", x_label=x_label, y_label="unit",
            x_range=self._steps, y_range=self._units, height=height,
        )  # fmt: skip
        self.figure.grid.visible = False
        if steep:
            slant(self.figure.xaxis[0])
        self._image = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        self.figure.image(
            image="image", x="x", y="y", dw="dw", dh="dh", source=self._image,
            color_mapper=self._colours,
        )  # fmt: skip
        self._ticks = FixedTicker(ticks=[-1, 0, 1])
        bar = ColorBar(color_mapper=self._colours, width=8, ticker=self._ticks)
        bar.background_fill_alpha = 0
        self.figure.add_layout(bar, "right")
        session.on_theme(lambda dark: self._recolour(bar, dark))

    def show(self, names: Sequence[str], states: np.ndarray) -> None:
        """Show states (steps, units), the first ``MAX_UNITS`` units of them."""
        shown = np.ascontiguousarray(states[:, :MAX_UNITS].T.astype(np.float32))
        units, steps = shown.shape
        # A ReLU has no bound.
        most = max(1.0, float(f"{np.abs(shown).max():.2g}"))
        self._colours.update(low=-most, high=most)
        self._ticks.ticks = [-most, 0, most]
        self._image.data = {
            "image": [shown], "x": [0.5], "y": [0.5], "dw": [steps], "dh": [units]
        }  # fmt: skip
        self._steps.update(start=0.5, end=steps + 0.5)
        self._units.update(start=0.5, end=units + 0.5)
        name_ticks(self.figure.xaxis[0], names)

    def _recolour(self, bar: Any, dark: bool) -> None:
        paper = parts.PAPER[dark].lstrip("#")
        middle = tuple(int(paper[i : i + 2], 16) for i in (0, 2, 4))
        self._colours.palette = _shades(_LEAST, middle) + _shades(middle, _MOST)
        bar.major_label_text_color = parts.INK[dark]


# Aslant, each ends at its tick: lines of text need so many pixels between their ends.
_NO_OVERLAP = """
let last = -Infinity
for (const i of indices) {
  if (bboxes[i].right - last < 16) indices.unset(i)
  else last = bboxes[i].right
}
return indices
"""


def slant(axis: Any) -> None:
    """Have an axis show words, aslant, and leave out those that would overlap."""
    axis.major_label_orientation = 0.9
    axis.major_label_policy = CustomLabelingPolicy(code=_NO_OVERLAP)


def name_ticks(axis: Any, names: Sequence[str]) -> None:
    """Have an axis show names at 1, 2, 3 and so on."""
    places = list(range(1, len(names) + 1))
    # A new ticker has the browser lay the whole figure out again.
    if getattr(axis.ticker, "ticks", []) != places:
        axis.ticker = FixedTicker(ticks=places)
    shown = [
        name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names
    ]
    # No place is left out again: Bokeh 3.10 would warn of it at every change from then on.
    before = dict.fromkeys(axis.major_label_overrides, "")
    axis.major_label_overrides = before | dict(zip(places, shown, strict=True))


def _shades(first: tuple[int, ...], last: tuple[int, ...]) -> list[str]:
    shares = np.linspace(0, 1, _SHADES)[:, None]
    colours = np.rint((1 - shares) * first + shares * last).astype(int)
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours.tolist()]
