"""How gradients vanish and explode on their way back through time."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d, Span

from fastrnn.demo import controls, parts
from fastrnn.demo.models.gradients import NONLINEARITIES, Clipped, Gradients, factor, verdict
from fastrnn.demo.session import Session
from fastrnn.demo.view import View
from fastrnn.plot.axes import BLUE, SKY

SUMS = (
    "In words: ∂<i>L</i>/∂<i>h</i> is the gradient, one number for each unit: how fast the error "
    "<i>L</i> grows with the unit’s state. On its way back through time it is multiplied at every "
    "step by a matrix <i>J</i>, which says how much each new state has to do with the one before: "
    "that is backpropagation through time. <i>k</i> counts the steps back from the last one, "
    "<i>T</i>. For an LSTM and a GRU <i>J</i> has no short equation: it says how the new "
    "state changes with the old; the LSTM’s state <i>s</i> has a second part, its "
    "memory <i>c</i>."
)
NORM = (
    "The norm of a gradient is its size in one number, the length of an arrow: the root of the sum "
    "of the squares of all its numbers. On the upright axis equal heights are equal factors: bars "
    "that shrink evenly are multiplied by the same number at each step. The dashed line is norm 1, "
    "where it sets out."
)
CLIPPING = (
    "The gradient of the parameters, the weights and biases, says how each of them should move. "
    "Clipping keeps one update from being far too large: a gradient whose norm is above the "
    "largest that is allowed is made shorter, all its numbers by the same factor."
)
NAMES = {"rnn": "Elman (RNN)", "lstm": "LSTM", "gru": "GRU"}


class GradientsView(View):
    """The norm of the gradient by its distance from the loss, and what clipping does."""

    name = "Gradients through time"
    slug = "gradients"
    explanation = (
        "To learn, a network asks how much a state long ago has to do with an error now; that "
        "question travels back one step at a time and is multiplied at every step. Turn the scale "
        "of the recurrent weights to see the answer vanish or explode."
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        model = self.model = Gradients()
        self.cell = controls.Radio(
            "Cell", value=NAMES["rnn"], options=list(NAMES.values()), hint=parts.CELL_HINT
        )
        self.activation = controls.Choice(
            "Activation", value=model.nonlinearity, options=list(NONLINEARITIES),
            hint="The function f that each sum goes through to become a state: its slope f ′ is a "
            "factor of every step back. The LSTM and the GRU have theirs.",
        )  # fmt: skip
        self.length = controls.Slider(
            "Steps T", value=model.length, start=2, end=100, step=1, decimals=0,
            hint="How many steps the network reads, and the gradient goes back.",
        )  # fmt: skip
        self.scale = controls.Slider(
            "Weight scale", value=model.scale, start=0.1, end=3,
            hint="What the recurrent weights W_hh are multiplied by: at 1 they keep the length of "
            "what they multiply, below they shorten it, above they lengthen it. An activation "
            "whose slope is below 1, as that of tanh, shortens it, too.",
        )  # fmt: skip
        self.keep = controls.Slider(
            "Gate bias (LSTM, GRU)", value=model.keep_bias, start=0, end=5, step=0.1, decimals=1,
            slug="gate-bias", disabled=True,
            hint="A number added to the gate that decides how much of the old state is kept: the "
            "larger, the more. The Elman cell has no gates.",
        )  # fmt: skip
        self.clips = controls.Checkbox("Clip the gradient", value=True)
        self.max_norm = controls.Slider(
            "Largest norm", value=model.max_norm, start=0.1, end=10, step=0.1, decimals=1,
            hint="What is longer than this is made just as long.",
        )  # fmt: skip
        self.formula, self.words, self.clipped = (parts.text() for _ in range(3))
        self._draw()
        self._watch()
        self.show()

    def panel(self) -> Any:
        """Return the formula, the controls, the norms and the clipping."""
        return parts.column(
            self.formula,
            parts.note(SUMS),
            parts.controls(self.cell, self.activation, least=240),
            parts.controls(self.length, self.scale, self.keep),
            self.words,
            self.figure,
            parts.note(NORM),
            parts.text(
                "<h2>What clipping does to the parameters’ gradient</h2>", margin=(16, 0, 0, 0)
            ),
            parts.note(CLIPPING),
            parts.controls(self.clips, self.max_norm),
            self.clipped,
        )

    def _draw(self) -> None:
        self.bars = ColumnDataSource({"k": [], "norm": [], "bottom": []})
        self.across, self.heights = Range1d(-0.6, 1), Range1d(0.1, 10)
        self.figure = parts.figure(
            self.session, "", x_label="k, steps before the end", y_label="norm of the gradient",
            y_axis_type="log", x_range=self.across, y_range=self.heights, height=320,
        )  # fmt: skip
        drawn = self.figure.vbar("k", 0.75, "norm", "bottom", source=self.bars)
        parts.paint(self.session, drawn, BLUE, SKY)
        self.figure.add_layout(
            Span(location=1, dimension="width", line_color="#888888", line_dash="dashed")
        )

    def _watch(self) -> None:
        def change(control: Any, name: str, read: Any = float) -> None:
            control.param.watch(lambda event: self.change(**{name: read(event.new)}), "value")

        by_name = {shown: cell for cell, shown in NAMES.items()}
        change(self.cell, "cell", by_name.__getitem__)
        change(self.activation, "nonlinearity", str)
        change(self.length, "length", int)
        change(self.scale, "scale")
        change(self.keep, "keep_bias")
        for control in (self.max_norm, self.clips):
            control.param.watch(lambda event: self._show_clipping(), "value")

    def change(self, **changes: object) -> None:
        """Change something of the model and show what it makes of the gradient."""
        self.model.set(**changes)
        self.activation.disabled = self.model.cell != "rnn"
        self.keep.disabled = self.model.cell == "rnn"
        self.show()

    def show(self) -> None:
        """Put the numbers of the model on the page."""
        norms = self.model.norms()
        self._show_bars(norms)
        word, tone = verdict(norms)
        self.verdict = word
        self.formula.object = _formula(self.model, norms)
        said = _said(word, norms)
        if word == "vanishes" and self.model.cell != "rnn":
            said += " A larger gate bias opens the gate that lets the old state through."
        self.words.object = parts.sentence(said, tone)
        parts.describe(
            self.figure,
            f"The gradient's norm at {len(norms)} distances from the end, from {norms[0]:.3g} to "
            f"{norms[-1]:.3g}: it {word}",
        )
        self._show_clipping()

    def _show_bars(self, norms: np.ndarray) -> None:
        shown = np.where(norms > 0, norms, np.nan)
        low, high = np.nanmin(shown) / 3, np.nanmax(shown) * 3
        self.bars.data = {
            "k": np.arange(len(norms)), "norm": shown, "bottom": np.full(len(norms), low),
        }  # fmt: skip
        self.across.end = len(norms) - 0.4
        self.heights.update(start=low, end=high)

    def _show_clipping(self) -> None:
        self.model.max_norm = self.max_norm.value
        self.max_norm.disabled = not self.clips.value
        self.clipped.object = _clipping(
            self.model.clip(),
            self.model.max_norm,
            clips=self.clips.value,
            vanishes=self.verdict == "vanishes",
        )


def _formula(model: Gradients, norms: np.ndarray) -> str:
    state = "h" if model.cell != "lstm" else "s"
    jacobian = (
        "<i>J<sub>t</sub></i> = diag( <i>f</i> ′(<i>a<sub>t</sub></i>) ) <i>W<sub>hh</sub></i>"
        if model.cell == "rnn"
        else f"<i>J<sub>t</sub></i> = ∂<i>{state}<sub>t</sub></i> / "
        f"∂<i>{state}</i><sub><i>t</i>−1</sub>"
        + (", <i>s</i> = (<i>h</i>, <i>c</i>)" if model.cell == "lstm" else "")
    )
    steps = len(norms) - 1
    return parts.formula(
        f"∂<i>L</i>/∂<i>{state}<sub>T−k</sub></i> = <i>J</i><sup>⊤</sup><sub><i>T−k</i>+1</sub> ⋯ "
        f"<i>J</i><sup>⊤</sup><sub><i>T</i></sub> ∂<i>L</i>/∂<i>{state}<sub>T</sub></i>, &emsp; "
        f"{jacobian}<br>"
        f"<i>k</i> = 0: <b>{parts.significant(norms[0])}</b>, &emsp; <i>k</i> = {steps}: "
        f'<b class="farthest">{parts.significant(norms[-1])}</b>, &emsp; × '
        f'<b class="factor">{parts.significant(factor(norms))}</b> per step'
    )


def _said(word: str, norms: np.ndarray) -> str:
    steps, per_step = len(norms) - 1, parts.significant(factor(norms))
    end = {
        "vanishes": f"The gradient <strong>vanishes</strong>: {steps} steps back hardly anything "
        "of it is left, so that the network cannot learn from what it read there.",
        "explodes": f"The gradient <strong>explodes</strong>: {steps} steps back it is "
        "many times what it was at the end.",
        "overflows": "The gradient <strong>explodes</strong> beyond what a number can hold.",
        "survives": f"The gradient <strong>survives</strong>: {steps} steps back it is still of a "
        "size that the network can learn from.",
    }
    return f"{end[word]} A step back multiplies it by {per_step} on average."


def _clipping(clipped: Clipped | None, max_norm: float, *, clips: bool, vanishes: bool) -> str:
    lost = " What vanished on the way back does not return." if vanishes else ""
    if clipped is None:
        return parts.sentence("The gradient is not finite; no clipping can mend that.", "warn")
    norm, after = clipped.norm, clipped.clipped_norm if clips else clipped.norm
    if not clips:
        words = f"The gradient of all parameters has norm {_number(norm)}; it is left as it is."
    elif norm > max_norm:
        words = (
            f"The gradient of all parameters has norm {_number(norm)}; clipping multiplies all of "
            f"it by {parts.significant(after / norm)}, to norm {_number(after)}. Its direction "
            f"stays.{lost}"
        )
    else:
        words = (
            f"The gradient of all parameters has norm {_number(norm)}, which is small enough: "
            "clipping leaves it as it is. It does nothing against gradients that vanish."
        )
    kept = clipped.clipped_parameters if clips else clipped.parameters
    rows = "".join(
        f'<tr><th scope="row">{name.removesuffix("_l0")}</th><td>{_number(before)}</td>'
        f"<td>{_number(kept[name])}</td></tr>"
        for name, before in clipped.parameters.items()
    )
    head = "".join(
        f'<th scope="col">{title}</th>' for title in ("parameter", "norm before", "norm after")
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return parts.sentence(words) + parts.scroll("Norms of the parameters’ gradients", table)


def _number(value: float) -> str:
    return f"<b>{parts.significant(value)}</b>"


VIEW = GradientsView
