"""The compact cell and its copies in time."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn.demo import controls, parts
from fastrnn.demo.models.unroll import WEIGHTS, Unrolled
from fastrnn.demo.session import Session
from fastrnn.demo.view import View

NAMES = {
    "W_ih": "<i>W<sub>ih</sub></i>",
    "W_hh": "<i>W<sub>hh</sub></i>",
    "W_hy": "<i>W<sub>hy</sub></i>",
}
BIASES = {
    "b_ih": "<i>b<sub>ih</sub></i>",
    "b_hh": "<i>b<sub>hh</sub></i>",
    "b_y": "<i>b<sub>y</sub></i>",
}
SUMS = (
    "In words: the cell takes what it reads, <i>x<sub>t</sub></i> (here a wave), and its state of "
    "the step before (zeros before the first), multiplies them by its weights, adds <i>b</i>, and "
    "tanh squeezes each sum to between −1 and 1: that is the new state <i>h<sub>t</sub></i>. From "
    "it <i>W<sub>hy</sub></i> makes the answer <i>y<sub>t</sub></i>. The weights are drawn at "
    "random: nothing is learned here."
)
MADE_OF = {"W_ih": ("h", "x"), "W_hh": ("h", "h"), "W_hy": ("y", "h")}


class Unroll(View):
    """The compact cell unfolds into copies that share their weights."""

    name = "Unroll and share"
    slug = "unroll"
    explanation = (
        "A recurrent network is one cell whose state comes back to it; written out over time, it "
        "is a row of copies, each handing its state to the next. All copies have the very same "
        "weights: choose one and see it light up in every copy."
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = Unrolled()
        model = self.model
        whole = {"step": 1, "decimals": 0}
        self.length = controls.Slider(
            "Steps T", value=model.length, start=1, end=8, **whole,
            hint="How many values are read: one copy of the cell for each.",
        )  # fmt: skip
        self.size = controls.Slider(
            "Hidden units", value=model.hidden_size, start=1, end=6, **whole, hint=parts.UNITS_HINT
        )
        self.chosen = controls.Radio(
            "Weights", value="W_hh", options=list(WEIGHTS),
            hint="Which of them light up in every copy, and are written below.",
        )  # fmt: skip
        self.renew = controls.Button("New weights", self._renew)
        self.formula, self.picture, self.words = (parts.text() for _ in range(3))
        self.length.param.watch(lambda event: self.change(length=int(event.new)), "value")
        self.size.param.watch(lambda event: self.change(hidden_size=int(event.new)), "value")
        self.chosen.param.watch(lambda event: self.show(), "value")
        self.show()

    def panel(self) -> Any:
        """Return the formula, the controls, the copies and the weights that they share."""
        return parts.column(
            self.formula,
            parts.note(SUMS),
            parts.controls(self.length, self.size, self.chosen),
            parts.buttons(self.renew),
            self.picture,
            self.words,
        )

    def change(self, **changes: int) -> None:
        """Change something of the model and draw what it is now."""
        self.model.set(**changes)
        self.show()

    def _renew(self) -> None:
        self.change(seed=self.model.seed + 1)
        self.session.announce("New weights")

    def show(self) -> None:
        """Put the copies and their numbers on the page."""
        model, chosen = self.model, self.chosen.value
        x, states, outputs = model.inputs[:, 0], model.states(), model.outputs()[:, 0]
        self.formula.object = _formula(x, states, outputs)
        self.picture.object = _picture(chosen, x, states, outputs)
        self.words.object = _shared(model, chosen)


def _vector(numbers: np.ndarray) -> str:
    return f"[<b>{', '.join(map(parts.number, map(float, numbers)))}</b>]"


def _formula(x: np.ndarray, states: np.ndarray, outputs: np.ndarray) -> str:
    steps = len(x)
    before = states[-2] if steps > 1 else np.zeros_like(states[0])
    return parts.formula(
        f"<i>h<sub>t</sub></i> = tanh( {NAMES['W_ih']} <i>x<sub>t</sub></i> + {NAMES['W_hh']} "
        f"<i>h</i><sub><i>t</i>−1</sub> + <i>b</i> ), &emsp; <i>y<sub>t</sub></i> = "
        f"{NAMES['W_hy']} <i>h<sub>t</sub></i> + <i>b<sub>y</sub></i><br>"
        f"<i>h</i><sub>{steps}</sub> = tanh( {NAMES['W_ih']} · <b>{parts.number(float(x[-1]))}</b>"
        f" + {NAMES['W_hh']} {_vector(before)} + <i>b</i> ) = {_vector(states[-1])}, &emsp; "
        f"<i>y</i><sub>{steps}</sub> = <b>{parts.number(float(outputs[-1]))}</b>"
    )


def _picture(chosen: str, x: np.ndarray, states: np.ndarray, outputs: np.ndarray) -> str:
    copies = "".join(
        f'<li class="copy">{_copy(t, x[t - 1], outputs[t - 1])}'
        f"{_numbers(t, x[t - 1], states[t - 1], outputs[t - 1])}</li>"
        for t in range(1, len(x) + 1)
    )
    return (
        f'<div class="scroll unrolled chosen-{chosen[-2:]}" tabindex="0" role="region" '
        'aria-label="The cell and its copies">'
        f'<div class="copy compact">{_compact()}<p>the cell</p></div>'
        f'<p class="becomes" aria-hidden="true">=</p><ol class="copies">{copies}</ol></div>'
    )


def _numbers(t: int, x: float, state: np.ndarray, output: float) -> str:
    units = "".join(f"<li>{parts.number(float(h))}</li>" for h in state)
    return (
        f'<p class="unseen">Copy {t} reads {parts.number(float(x))}, answers '
        f"{parts.number(float(output))}.</p>"
        f'<p class="of">state <i>h</i><sub>{t}</sub></p><ol class="state">{units}</ol>'
    )


# One copy: x_t below, the cell, y_t above, and the state that comes from the left and leaves to
# the right; of the compact cell it comes back instead, in a picture that reaches as far to the
# right as the loop and its name do.
_COPY = """
<svg viewBox="{left} 0 118 214" width="118" height="214" aria-hidden="true">
<g class="hy"><path d="M59 84V46"/><path class="head" d="M59 36l-5 11h10z"/>
<text x="65" y="66" class="weight">W<tspan dy="4">hy</tspan></text></g>
<g class="hh">{loop}<text x="{at_x}" y="{at_y}" class="weight">W<tspan dy="4">hh</tspan></text></g>
<g class="ih"><path d="M59 180v-34"/><path class="head" d="M59 136l-5 11h10z"/>
<text x="65" y="168" class="weight">W<tspan dy="4">ih</tspan></text></g>
<circle cx="59" cy="110" r="25"/><text x="59" y="115" class="name">h<tspan dy="4">{t}</tspan></text>
<text x="59" y="26" class="name">y<tspan dy="4">{t}</tspan><tspan dy="-4">{y}</tspan></text>
<text x="59" y="200" class="name">x<tspan dy="4">{t}</tspan><tspan dy="-4">{x}</tspan></text>
</svg>"""
_ON = '<path d="M0 110h24M84 110h34"/><path class="head" d="M34 110l-11-5v10z"/>'
_BACK = '<path d="M81 121c42 20 42-42 9-25"/><path class="head" d="M81 101l13-9-2 12z"/>'


def _copy(t: int, x: float, y: float) -> str:
    x_t, y_t = (f" = {parts.number(float(number))}" for number in (x, y))
    return _COPY.format(t=t, x=x_t, y=y_t, left=0, loop=_ON, at_x=0, at_y=100)


def _compact() -> str:
    return _COPY.format(t="t", x="", y="", left=14, loop=_BACK, at_x=86, at_y=150)


def _shared(model: Unrolled, chosen: str) -> str:
    weight = model.weight(chosen)
    size = f"{weight.shape[0]} × {weight.shape[1]} = {_of('number', weight.size)}"
    if model.length == 1:
        said = f"has {size}, and every further copy would use the very same ones."
    else:
        said = (
            f"is the same in all {model.length} copies: {size}, not {model.length} × {weight.size}."
        )
    return (
        f'<p class="say"><span>{NAMES[chosen]}</span> ({WEIGHTS[chosen]}) {said} '
        f"{_counted(model)}</p>" + parts.scroll(f"The numbers of {chosen}", _matrix(chosen, weight))
    )


def _of(name: str, count: int) -> str:
    return f"{count} {name}" + ("" if count == 1 else "s")


def _counted(model: Unrolled) -> str:
    """Return how many parameters there are, and the sum that makes them."""
    counts = model.counts()
    terms = " + ".join(f"{count} ({(NAMES | BIASES)[name]})" for name, count in counts.items())
    return (
        f"The whole network has {_of('parameter', model.network.num_parameters)}, which is what "
        f"its weights and biases are called together, however long the sequence is: {terms} = "
        f"{sum(counts.values())}. The <i>b</i> of the equation is kept in two parts, <i>b</i> = "
        f"{BIASES['b_ih']} + {BIASES['b_hh']}."
    )


def _matrix(chosen: str, weight: np.ndarray) -> str:
    """Return a table with a row for each number that it makes and a column for each it takes."""
    made, taken = MADE_OF[chosen]
    columns = "".join(f'<th scope="col">{name}</th>' for name in _units(taken, weight.shape[1]))
    rows = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f"<td>{parts.number(float(w))}</td>" for w in row)
        + "</tr>"
        for name, row in zip(_units(made, len(weight)), weight, strict=True)
    )
    return (
        f'<table class="matrix" aria-label="{chosen}"><thead><tr><th scope="col">to \\ from</th>'
        f"{columns}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _units(letter: str, count: int) -> list[str]:
    """Return the names of a vector's numbers; x and y have one each, which needs no index."""
    if letter != "h":
        return [f"<i>{letter}</i>"]
    return [f"<i>h</i>[{k + 1}]" for k in range(count)]


VIEW = Unroll
