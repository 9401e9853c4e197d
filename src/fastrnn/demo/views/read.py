"""A network reads a sentence and says at every word what it makes of it."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, Range1d, Span

from fastrnn.demo import controls, parts
from fastrnn.demo.models import read as model
from fastrnn.demo.session import Session
from fastrnn.demo.view import View
from fastrnn.demo.views.playing import Play
from fastrnn.demo.views.states import SHADES, States, name_ticks, slant
from fastrnn.plot.axes import BLUE, ORANGE, SKY

CELLS = {"RNN (tanh)": "rnn", "GRU": "gru", "LSTM": "lstm"}
TYPED = "Typed in"
PERIOD = 800  # of Play, in milliseconds: slow enough to look
UNDECIDED = (0.4, 0.6)  # a probability between them is no verdict

SUMS = (
    "In words: <i>x<sub>t</sub></i> stands for the word; the cell makes a new state "
    "<i>h<sub>t</sub></i> of it and of the state before; the weights <i>W<sub>hy</sub></i> turn "
    "the state into two numbers, <i>y</i>₊ for praise and <i>y</i>₋ for blame; and the larger "
    "<i>y</i>₊ is beside <i>y</i>₋, the nearer is the probability <i>p</i> of praise to 1."
)


class Read(View):
    """A sentence, and the state and the answer after each of its words."""

    name = "Read a sentence"
    slug = "read-a-sentence"
    explanation = (
        "This small network was trained to tell praise from blame, and it reads one word at a "
        "time: after each, its state is all it remembers of the sentence so far. Watch how a "
        "single “not” changes what the words after it do to the answer."
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        first = model.EXAMPLES[0]
        self.example = controls.Choice("Example", value=first, options=[*model.EXAMPLES, TYPED])
        self.cell = controls.Choice(
            "Cell", value="RNN (tanh)", options=list(CELLS), hint=parts.CELL_HINT
        )
        self.sentence = controls.TextField(
            "Sentence", first, self._read,
            hint="Change it, or write one of your own: a few English words of praise or blame.",
        )  # fmt: skip
        self.place = len(self.sentence.value.words) - 1
        self.back = controls.Button("Previous word", self.step_back)
        self.forward = controls.Button("Next word", self.step, primary=True)
        self.play = Play(session, self.step, self._is_at_end, PERIOD, self._rewind)
        self.formula, self.way, self.words = (parts.text() for _ in range(3))
        self._draw()
        self._watch()
        self.show()

    def panel(self) -> Any:
        """Return the formula, the sentence, and the pictures of answers and states."""
        return parts.column(
            self.formula,
            parts.note(SUMS),
            parts.controls(self.sentence, self.example, self.cell, least=220),
            parts.buttons(self.back, self.forward, self.play.button),
            self.way,
            self.words,
            self.line,
            parts.note("Above the dashed line it leans to praise, below it to blame."),
            parts.controls(self.states.figure, self.bars, least=300),
            parts.note(f"{SHADES} The bars are its column at the word that is marked."),
        )

    def _draw(self) -> None:
        self._answers = ColumnDataSource({"place": [], "probability": []})
        self._now = ColumnDataSource({"place": [], "marked": []})
        self._places = Range1d(0.5, 1.5)
        self.line = parts.figure(
            self.session, "The probability that the sentence is praise, after every word",
            x_label="words read", y_label="probability of praise",
            x_range=self._places, y_range=Range1d(-0.03, 1.03), height=260,
        )  # fmt: skip
        slant(self.line.xaxis[0])
        self.line.add_layout(
            Span(location=0.5, dimension="width", line_color="#888888", line_dash="dashed")
        )
        for drawn in (
            self.line.line("place", "probability", source=self._answers, line_width=2.5),
            self.line.scatter("place", "probability", source=self._answers, size=7),
        ):
            parts.paint(self.session, drawn, BLUE, SKY)
        self.line.scatter("place", "marked", source=self._now, color=ORANGE, size=13)
        self.states = States(self.session, x_label="words read", steep=True)
        self._units = ColumnDataSource({"unit": [], "state": []})
        self.bars = parts.figure(
            self.session, "The state after the word that is marked",
            x_label="unit", y_label="state", y_range=Range1d(-1.05, 1.05), height=300,
        )  # fmt: skip
        self.bars.vbar("unit", top="state", width=0.8, color=ORANGE, source=self._units)
        self.bars.add_layout(Span(location=0, dimension="width", line_color="#888888"))

    def _watch(self) -> None:
        self.example.param.watch(lambda event: self._choose(event.new), "value")
        self.cell.param.watch(lambda event: self._change_cell(), "value")
        self.sentence.param.watch(lambda event: self._take(), "value")

    @property
    def _cell(self) -> str:
        return CELLS[self.cell.value]

    def _read(self, text: str) -> Any:
        return model.read(text, self._cell)

    def _choose(self, example: str) -> None:
        if example != TYPED:
            self.sentence.text = example

    def _change_cell(self) -> None:
        place = self.place
        # What was read last: the field may hold what cannot be read.
        self.sentence.value = self._read(" ".join(self.sentence.value.words))
        self.place = place
        self.show()

    def _take(self) -> None:
        self.play.pause()
        self.place = len(self.sentence.value.words) - 1
        text = self.sentence.text
        self.example.value = text if text in model.EXAMPLES else TYPED
        self.show()

    def step(self) -> None:
        """Go on to the next word, if there is another."""
        if not self._is_at_end():
            self.place += 1
            self.show()
            self._announce()

    def step_back(self) -> None:
        """Go back to the word before."""
        self.play.pause()
        self.place = max(0, self.place - 1)
        self.show()
        self._announce()

    def _announce(self) -> None:
        reading, place = self.sentence.value, self.place
        probability = _probability(reading.probabilities[place])
        self.session.announce(f"{reading.words[place]}: praise {probability}")

    def _is_at_end(self) -> bool:
        return bool(self.place == len(self.sentence.value.words) - 1)

    def _rewind(self) -> None:
        if self._is_at_end():
            self.place = 0
            self.show()

    def show(self) -> None:
        """Show the sentence, and the state and the answer after the word that is marked."""
        reading, place = self.sentence.value, self.place
        answer = model.answer(reading, place, self._cell)
        self.formula.object = _formula(self._cell, answer)
        self.way.object = _chips(reading, place)
        self.words.object = parts.sentence(*_remark(reading, place))
        x, p = list(range(1, len(reading.words) + 1)), reading.probabilities
        self._answers.data = {"place": x, "probability": p}
        parts.describe(
            self.line,
            "The probability that the sentence is praise, after every word: "
            f"{_probability(p[place])} after “{reading.words[place]}”, word {x[place]} of {len(x)}",
        )
        self._now.data = {"place": [x[place]], "marked": [p[place]]}
        self._places.update(start=0.5, end=len(x) + 0.5)
        name_ticks(self.line.xaxis[0], reading.words)
        self.states.show(reading.words, reading.states)
        state = reading.states[place]
        self._units.data = {"unit": list(range(1, len(state) + 1)), "state": state}
        self.back.disabled = place == 0
        self.forward.disabled = self._is_at_end()


def _chips(reading: Any, place: int) -> str:
    words = []
    for i, (word, known) in enumerate(zip(reading.words, reading.known, strict=True)):
        kind = "now" if i == place else "past" if i > place else ""
        now = ' aria-current="step"' if i == place else ""
        style = "" if known else ' style="text-decoration: line-through; border-style: dashed"'
        told = "" if known else '<span class="unseen"> (unknown)</span>'
        words.append(f'<li class="{kind}"{now}{style}>{parts.escape(word)}{told}</li>')
    return f'<ol class="chips words" style="margin: 10px 0">{"".join(words)}</ol>'


def _remark(reading: Any, place: int) -> tuple[str, str]:
    """Return what to say of a reading, and in which tone."""
    probability = reading.probabilities[place]
    so_far = "At the end" if place == len(reading.words) - 1 else "So far"
    undecided = UNDECIDED[0] <= probability <= UNDECIDED[1]
    verdict = (
        "it is <b>undecided</b>: this is near to one half"
        if undecided
        else f"it takes the sentence for <b>{'praise' if probability > 0.5 else 'blame'}</b>"
    )
    words = (
        f"After “{parts.escape(reading.words[place])}”: praise with a probability of "
        f"<b>{parts.escape(_probability(probability))}</b>. {so_far} {verdict}."
    )
    if reading.unknown:
        listed = ", ".join(f"“{parts.escape(word)}”" for word in dict.fromkeys(reading.unknown))
        passed = f"It has never met {listed} and passes over it: such words are struck through."
        return f"{words} {passed}", "warn"
    return words, "good" if probability > 0.5 and not undecided else ""


def _probability(value: float) -> str:
    """Return a probability, one that is not quite 0 or 1 as such."""
    shown = parts.number(value)
    return {"0.000": "<0.001", "1.000": ">0.999"}.get(shown, shown)


def _formula(cell: str, answer: model.Answer) -> str:
    n = parts.number
    shown = _probability(answer.probability)
    equals = "= " if shown[0] in "01" else ""
    plain = (
        "tanh( <i>W<sub>ih</sub> x<sub>t</sub></i> + <i>W<sub>hh</sub> h</i><sub><i>t</i>−1</sub> "
        "+ <i>b</i> )"
    )
    state = (
        plain if cell == "rnn" else "cell( <i>x<sub>t</sub></i>, <i>h</i><sub><i>t</i>−1</sub> )"
    )
    return parts.formula(
        f"<i>h<sub>t</sub></i> = {state}, &ensp;<i>p</i> = 1 / (1 + e<sup><i>y</i>₋ − "
        "<i>y</i>₊</sup>) &ensp;with&ensp; <i>y</i> = <i>W<sub>hy</sub> h<sub>t</sub></i> + "
        f"<i>b<sub>y</sub></i><br><i>p</i> = 1 / (1 + e<sup><b>{n(answer.negative)}</b> − "
        f"<b>{parts.term(answer.positive)}</b></sup>) {equals}<b>{parts.escape(shown)}</b>"
    )


VIEW = Read
