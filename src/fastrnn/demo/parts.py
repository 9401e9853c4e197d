"""What all views share beside their controls: formulas, sentences, figures, rows of controls."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import panel as pn
from bokeh.models import Axis, Grid, Legend, Range1d
from bokeh.plotting import figure as bokeh_figure

from fastrnn.demo.controls import Markup, TextField
from fastrnn.demo.session import Session

INK = {False: "#1b1d21", True: "#ebedf0"}
MUTED = {False: "#565b63", True: "#abb1ba"}
LINE = {False: "#dfe2e6", True: "#3a3f47"}
PAPER = {False: "#ffffff", True: "#16181c"}


# What a network is made of, for who chooses it.
CELL_HINT = (
    "How the state changes at each step: plainly (RNN), or with gates that learn what to keep and "
    "what to forget (GRU, LSTM)."
)
UNITS_HINT = "How many numbers the state has, and so how much it can remember."


def text(markup: str = "", **params: Any) -> Any:
    """Return a text in the page's colours; set its ``object`` to change it.

    The markup is the program's: what a reader typed goes through :func:`escape`.
    """
    return Markup(object=markup, **{"sizing_mode": "stretch_width", **params})


def escape(typed: str) -> str:
    """Return a text as HTML shows it."""
    return html.escape(typed)


def formula(markup: str) -> str:
    """Return an equation; letters in <i>, indices in <sub>, numbers in <b>."""
    return f'<p class="formula">{markup}</p>'


def sentence(words: str, tone: str = "") -> str:
    """Return a sentence about what is seen; its tone is "warn", "good" or none."""
    return f'<p class="say {tone}">{words}</p>'


def note(words: str) -> Any:
    """Return a small text that explains what stands beside it."""
    return text(f'<p class="note">{words}</p>', margin=(6, 0))


def number(value: float, decimals: int = 3) -> str:
    """Return a number as the page shows it, with a real minus sign."""
    if abs(value) >= 1e6 or value != value:
        return f"{value:.{decimals}e}".replace("-", "−")
    shown = f"{value:.{decimals}f}"
    return (shown.lstrip("-") if float(shown) == 0 else shown).replace("-", "−")


def term(value: float, decimals: int = 3) -> str:
    """Return a number as it stands behind an operator: in brackets if it is negative."""
    shown = number(value, decimals)
    return f"({shown})" if shown.startswith("−") else shown


def significant(value: float) -> str:
    """Return three digits of a number of any size, as HTML."""
    digits, _, exponent = f"{value:#.3g}".replace("-", "−").partition("e")
    if not exponent:
        return digits
    return f"{digits} × 10<sup>{exponent[0].strip('+')}{exponent[1:].lstrip('0')}</sup>"


def controls(*items: Any, least: int = 170) -> Any:
    """Return controls beside each other, in as many rows as the width needs."""
    return pn.Row(
        *items,
        sizing_mode="stretch_width",
        margin=(10, 0),
        stylesheets=[
            ":host { flex-wrap: wrap; gap: 10px 18px; align-items: flex-start; } "
            f":host > * {{ flex: 1 1 {least}px; min-width: min({least}px, 100%); margin: 0; }}"
        ],
    )


def buttons(*items: Any) -> Any:
    """Return buttons beside each other."""
    return pn.Row(
        *items,
        sizing_mode="stretch_width",
        margin=(6, 0),
        stylesheets=[
            ":host { flex-wrap: wrap; gap: 8px; align-items: center; } "
            ":host > * { flex: none; width: auto; margin: 0; }"
        ],
    )


def require_readable(*fields: TextField) -> None:
    """Raise a ValueError that names the first field with a message, if one has."""
    for field in fields:
        if field.message:
            raise ValueError(f"{field.label}: {field.message}")


def column(*items: Any) -> Any:
    """Return a view's parts below each other."""
    return pn.Column(*items, sizing_mode="stretch_width", margin=0)


def scroll(name: str, table: str) -> str:
    """Return a table that scrolls within itself where it is too wide, also by the keyboard."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">{table}</div>'


def figure(
    session: Session,
    description: str,
    *,
    x_label: str,
    y_label: str,
    height: int = 300,
    **params: Any,
) -> Any:
    """Return a Bokeh figure in the page's colours that screen readers can name.

    Draw into it from data sources and change these: a figure that is made anew flickers and costs
    ten times as long. :func:`describe` changes what screen readers say of it.
    """
    params.setdefault("tools", "")
    made = bokeh_figure(
        height=height, sizing_mode="stretch_width", x_axis_label=x_label, y_axis_label=y_label,
        **params,
    )  # fmt: skip
    made.toolbar_location = None
    made.background_fill_alpha = 0
    made.border_fill_alpha = 0
    made.outline_line_color = None
    made.min_border_left = 62  # room for any tick's label, so that none moves the whole picture
    made.axis.axis_label_text_font_style = "normal"
    describe(made, description)
    session.on_theme(lambda dark: _recolour(made, dark))
    return made


def add_legend(session: Session, made: Any, legend: Legend) -> None:
    """Put a legend above a figure."""
    made.add_layout(legend, "above")
    _recolour(made, session.dark)


def describe(made: Any, description: str) -> None:
    """Set what screen readers say of a figure."""
    made.html_attributes = {"role": "img", "aria-label": description}


def paint(session: Session, renderer: Any, light: str, dark: str | None = None) -> None:
    """Colour what was drawn, otherwise on a dark page: blue and black would vanish there."""

    def recolour(is_dark: bool) -> None:
        colour = (dark or light) if is_dark else light
        for name in ("line_color", "fill_color"):
            if hasattr(renderer.glyph, name):
                setattr(renderer.glyph, name, colour)

    session.on_theme(recolour)


def _recolour(made: Any, dark: bool) -> None:
    for axis in made.select(Axis):
        axis.axis_label_text_color = axis.major_label_text_color = INK[dark]
        axis.axis_line_color = axis.major_tick_line_color = MUTED[dark]
        axis.minor_tick_line_color = None
    for grid in made.select(Grid):
        grid.grid_line_color = LINE[dark]
    for legend in made.select(Legend):
        legend.label_text_color = INK[dark]
        legend.background_fill_color = PAPER[dark]
        legend.background_fill_alpha = 0.8
        legend.border_line_color = None


def set_range(axis_range: Range1d, values: Sequence[float], least: float = 0.0) -> None:
    """Have an axis reach a little beyond its values, and over ``least`` at the least."""
    low, high = min(values), max(values)
    room = max(0.08 * (high - low), (least - (high - low)) / 2, 1e-9)
    axis_range.update(start=low - room, end=high + room)
