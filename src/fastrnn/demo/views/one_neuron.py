"""One neuron, step by step."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, Range1d, Span

from fastrnn.demo import controls, parts
from fastrnn.demo.models.one_neuron import (
    NONLINEARITIES,
    SEQUENCES,
    Neuron,
    memory,
    read_sequence,
    remark,
)
from fastrnn.demo.session import Session
from fastrnn.demo.view import View
from fastrnn.demo.views.playing import Play
from fastrnn.plot.axes import AMBER, BLUE, ORANGE, SKY

TYPED = "Typed in"
ACTIVATION = (
    "What is made of the sum: tanh bends it to between −1 and 1, the sigmoid, written σ, to "
    "between 0 and 1; a ReLU leaves it as it is, but makes 0 of what is negative."
)
PERIOD = 700  # of Play, in milliseconds: slow enough to read the numbers


class OneNeuron(View):
    """A sequence goes through a network of one neuron."""

    name = "One neuron"
    slug = "one-neuron"
    explanation = (
        "The neuron reads one number at a time and mixes it with what it remembers: its state, "
        "which is also its output. Drag the weights and watch what it keeps of the past, and "
        "when it is overwhelmed."
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = model = Neuron()
        slider = controls.Slider
        self.sequence = controls.Choice("Sequence", value="Fibonacci", options=[*SEQUENCES, TYPED])
        self.typed = controls.TextField("Numbers", _listed(model.sequence), read_sequence)
        self.sliders = {
            "w_input": slider(
                "W_input", value=model.w_input, hint="How much the number that it reads counts."
            ),
            "w_hidden": slider(
                "W_hidden", value=model.w_hidden, hint="How much the state before counts: memory."
            ),
            "bias": slider(
                "Bias", value=model.bias, hint="The b that is added at each step, whatever is read."
            ),
        }
        self.activation = controls.Choice(
            "Activation", value=model.nonlinearity, options=list(NONLINEARITIES), hint=ACTIVATION
        )
        self.forward = controls.Button("Step forward", self.step, primary=True)
        self.play = Play(session, self.step, self._is_over, PERIOD, self._begin)
        self.reset = controls.Button("Reset", self.start_over)
        self.formula, self.strip, self.words = (parts.text() for _ in range(3))
        self._draw()
        self._watch()
        self.show()

    def panel(self) -> Any:
        """Return the formula, the controls, the sequence's way through the cell and the path."""
        return parts.column(
            self.formula,
            parts.controls(self.sequence, self.typed, self.activation),
            parts.controls(*self.sliders.values()),
            parts.buttons(self.forward, self.play.button, self.reset),
            self.strip,
            self.words,
            self.figure,
            parts.text('<p class="note">Dashed: the states still to come.</p>'),
        )

    def _draw(self) -> None:
        self.path = ColumnDataSource({"t": [], "h": []})
        self.seen = ColumnDataSource({"t": [], "h": []})
        self.heights = Range1d(-1, 1)
        self.figure = parts.figure(
            self.session, "The state after every step", x_label="step t", y_label="state h",
            y_range=self.heights, height=280,
        )  # fmt: skip
        self.figure.add_layout(Span(location=0, dimension="width", line_color="#888888"))
        draw = self.figure
        ahead = draw.line("t", "h", source=self.path, alpha=0.6, line_dash="dashed")
        line = draw.line("t", "h", source=self.seen, line_width=2.5)
        dots = draw.scatter("t", "h", source=self.seen, size=8)
        for renderer, light, dark in ((ahead, BLUE, SKY), (line, BLUE, SKY), (dots, ORANGE, AMBER)):
            parts.paint(self.session, renderer, light, dark)

    def _watch(self) -> None:
        for attribute, slider in self.sliders.items():
            slider.param.watch(
                lambda event, attribute=attribute: self.change(**{attribute: event.new}), "value"
            )
        self.activation.param.watch(lambda event: self.change(nonlinearity=event.new), "value")
        self.sequence.param.watch(lambda event: self._choose(event.new), "value")
        self.typed.param.watch(lambda event: self._take(event.new), "value")

    def change(self, **changes: object) -> None:
        """Change something of the model and show what it makes of the sequence now."""
        self.model.set(**changes)
        self.show()

    def _choose(self, name: str) -> None:
        chosen = SEQUENCES.get(name, self.model.sequence)
        if chosen != self.model.sequence or (name in SEQUENCES and self.typed.message):
            self.typed.put(_listed(chosen))

    def _take(self, sequence: list[float]) -> None:
        self.play.pause()
        self.change(sequence=sequence)
        names = [name for name, numbers in SEQUENCES.items() if numbers == sequence]
        self.sequence.value = names[0] if names else TYPED

    def step(self) -> None:
        """Take a step; at the end there is none left."""
        if self.model.step():
            self.show()
            self.session.announce(self._said())

    def start_over(self) -> None:
        """Forget the sequence so far."""
        self.play.pause()
        self.model.reset()
        self.show()

    def _is_over(self) -> bool:
        return self.model.seen == len(self.model.sequence)

    def _begin(self) -> None:
        """Play from the beginning where the end was reached; the first step comes at once."""
        if self._is_over():
            self.model.reset()
        self.step()

    def show(self) -> None:
        """Put the numbers of the model on the page."""
        model = self.model
        trace = model.trace()
        states = [float(step.state[0]) for step in trace]
        seen = model.seen
        self.path.data = {"t": list(range(len(states) + 1)), "h": [0.0, *states]}
        self.seen.data = {"t": list(range(seen + 1)), "h": [0.0, *states[:seen]]}
        parts.set_range(self.heights, [0.0, *states], least=0.5)
        self.formula.object = _formula(model, trace)
        self.strip.object = _strip(model.sequence, states[:seen])
        words, tone = remark(list(trace[:seen]), model)
        kept = memory(model)
        self.words.object = parts.sentence(words, tone) + (parts.sentence(kept) if kept else "")
        self.forward.disabled = seen == len(states)
        parts.describe(self.figure, f"The state after every step. {self._said()}")

    def _said(self) -> str:
        heights = self.seen.data["h"]
        return f"Step {len(heights) - 1} of {len(self.model.sequence)}: {heights[-1]:.3f}"


def _listed(sequence: list[float]) -> str:
    return ", ".join(f"{number:g}" for number in sequence)


def _formula(model: Neuron, trace: Any) -> str:
    n, term = parts.number, parts.term
    f = {"tanh": "tanh", "relu": "ReLU", "sigmoid": "σ"}[model.nonlinearity]
    general = (
        f"<i>h<sub>t</sub></i> = {f}( <i>W</i><sub>input</sub> <i>x<sub>t</sub></i> + "
        "<i>W</i><sub>hidden</sub> <i>h</i><sub><i>t</i>−1</sub> + <i>b</i> )"
    )
    if model.seen == 0:
        return parts.formula(general + "<br>Step forward to see it with numbers.")
    step = trace[model.seen - 1]
    x, before = float(step.input[0]), float(step.previous_state[0])
    now = (
        f"<i>h</i><sub>{model.seen}</sub> = {f}( <b>{n(model.w_input, 2)}</b> · <b>{term(x)}</b> + "
        f"<b>{term(model.w_hidden, 2)}</b> · <b>{term(before)}</b> + "
        f"<b>{term(model.bias, 2)}</b> ) = "
        f"{f}( <b>{n(float(step.pre_activation[0]))}</b> ) = "
        f'<b class="state">{n(float(step.state[0]))}</b>'
    )
    return parts.formula(f"{general}<br>{now}")


def _strip(sequence: list[float], states: list[float]) -> str:
    """Return the way from the input sequence through the cell to the output sequence."""
    now = len(states) - 1
    inputs = "".join(
        _chip(f"{x:g}".replace("-", "−"), t == now, t < now) for t, x in enumerate(sequence)
    )
    outputs = "".join(_chip(parts.number(h), t == now, False) for t, h in enumerate(states))
    state = parts.number(states[-1]) if states else "0"
    return (
        '<div class="way">'
        f'<section><h2>Input sequence</h2><ol class="chips inputs">{inputs}</ol></section>'
        '<span class="arrow" aria-hidden="true">→</span>'
        f'<section class="cell"><h2>RNN cell</h2><p class="neuron">{state}</p>'
        '<p class="loop"><span aria-hidden="true">↺</span> keeps its state for the next step'
        "</p></section>"
        '<span class="arrow" aria-hidden="true">→</span>'
        f'<section><h2>Output sequence</h2><ol class="chips outputs">{outputs}</ol></section>'
        "</div>"
    )


def _chip(number: str, is_now: bool, is_past: bool) -> str:
    if is_now:
        return f'<li class="now" aria-current="step">{number}</li>'
    return f'<li class="{"past" if is_past else ""}">{number}</li>'


VIEW = OneNeuron
