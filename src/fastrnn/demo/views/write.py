"""A network writes a text, one character after another."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, Range1d

from fastrnn.demo import controls, files, parts
from fastrnn.demo.models import write as model
from fastrnn.demo.session import Session
from fastrnn.demo.view import View
from fastrnn.demo.views.learning import Learning
from fastrnn.demo.views.playing import Play
from fastrnn.demo.views.states import SHADES, States, name_ticks
from fastrnn.plot.axes import BLUE, ORANGE, SKY

HELP, OWN = "Python's help texts", "My own text"
CELLS = {"GRU": "gru", "LSTM": "lstm", "RNN (tanh)": "rnn"}
UNITS = ("16", "32", "64", "128")
BARS = 12

# So much of a new model is shown before anybody asks.
LENGTH = 80
PERIOD = 120  # of Play, in milliseconds: as fast as one can read

TRAINING = (
    "These settings take effect with <b>Train</b>, which begins anew each time, with a new "
    "network. The same text and settings, trained to the end, give the very same network again: "
    "the weights that it begins with come from dice, but of a fixed seed."
)
LOSS = (
    "The loss is how much the character that really came next surprised the network, on average: "
    "−ln of the probability that it gave to it, in the unit “nat”. A network that is always sure "
    "and right has 0; one that guesses blindly among 100 characters has ln 100 = 4.6."
)
SUMS = (
    "In words: the cell reads a character <i>x<sub>t</sub></i> and makes a new state "
    "<i>h<sub>t</sub></i> of it and of the one before; the weights <i>W<sub>hy</sub></i> turn the "
    "state into one number <i>z</i> for each character that may come next; and the fraction, "
    "called softmax, makes probabilities of them, which add up to 1. <i>T</i> is the temperature, "
    "Σ the sum over all characters <i>k</i>."
)


class Write(View):
    """A model to train, and what it writes."""

    name = "Write text"
    slug = "write-text"
    explanation = (
        "The network reads a text character by character and guesses at every place which one "
        "comes next; to write, it draws one of its guesses and reads that in turn. Untrained, it "
        "writes noise: train it for a few seconds and watch words appear."
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = model.untrained("gru", 64)
        self.origin = "untrained"
        self.length = LENGTH
        self._make_training()
        self._make_writing()
        self.formula, self.about, self.sample, self.page, self.words = (
            parts.text() for _ in range(5)
        )
        self._draw()
        self._watch()
        self._show_model()
        session.on_theme(lambda dark: self.show())

    def panel(self) -> Any:
        """Return the formula, the training, and the writing."""
        return parts.column(
            self.formula,
            parts.note(SUMS),
            parts.text("<h2>1. A network</h2>", margin=(16, 0, 0, 0)),
            parts.controls(self.source, self.cell, self.units, self.steps),
            self.own,
            parts.note(TRAINING),
            self.learning.panel(),
            parts.note(LOSS),
            parts.controls(self.learning.figure, self.sample, least=300),
            parts.controls(self.file, least=300),
            self.about,
            parts.text("<h2>2. What it writes</h2>", margin=(16, 0, 0, 0)),
            parts.controls(self.prompt, self.temperature, self.top_k, self.seed),
            parts.buttons(self.forward, self.play.button, self.back, self.restart),
            self.page,
            self.words,
            parts.controls(self.bars, self.states.figure, least=300),
            parts.note(f"␣ is a blank, ⏎ the end of a line. {SHADES}"),
        )

    def _make_training(self) -> None:
        self.source = controls.Choice("Text to learn", value=HELP, options=[HELP, OWN])
        self.own = controls.TextField("Your text", rows=5, visible=False)
        self.cell = controls.Choice("Cell", value="GRU", options=list(CELLS), hint=parts.CELL_HINT)
        self.units = controls.Choice(
            "Hidden units", value="64", options=list(UNITS), hint=parts.UNITS_HINT
        )
        self.steps = controls.Slider(
            "Training steps", value=2000, start=100, end=10_000, step=100, decimals=0,
            hint="In each it reads a few pieces of the text and improves its weights a little.",
        )  # fmt: skip
        self.learning = Learning(
            self.session, self._lesson, seen=self._look, done=self._take,
            x_label="training step", y_label="loss (nats per character)",
        )  # fmt: skip
        self.file = files.FileField(
            "Or load a model (.safetensors)", self._load, ".safetensors",
            hint="A character model that fastrnn trained and wrote to a file: by the command "
            "“fastrnn train”, or in Python by model.save(\"name.safetensors\").",
        )  # fmt: skip

    def _make_writing(self) -> None:
        self.prompt = controls.TextField(
            "Prompt", "The ", self._readable, hint="What it reads before it writes: the grey text."
        )
        self.temperature = controls.Slider(
            "Temperature", value=0.7, start=0, end=2,
            hint="How bold the dice are: below 1 they favour the probable, above 1 the unlikely "
            "get a chance; 0 is no dice at all. The whole text is drawn anew.",
        )  # fmt: skip
        self.top_k = controls.Slider(
            "Top-k (0: all)", value=0, start=0, end=30, step=1, decimals=0,
            hint="Only the k most probable characters are kept; the whole text is drawn anew.",
        )  # fmt: skip
        self.seed = controls.NumberField(
            "Seed", 0, 0, 2**31, whole=True,
            hint="Which dice are thrown: the same number, the same throws, the same text.",
        )  # fmt: skip
        self.forward = controls.Button("Write one character", self.step, primary=True)
        self.play = Play(self.session, self._go_on, self._is_full, PERIOD, end=self._say_all)
        self.back = controls.Button("Take one back", self.step_back)
        self.restart = controls.Button("Start over", self.start_over)

    def _draw(self) -> None:
        self._chances = ColumnDataSource({"rank": [], "probability": [], "colour": []})
        self._ranks, self._heights = Range1d(0.4, BARS + 0.6), Range1d(0, 1)
        self.bars = parts.figure(
            self.session, "How probable each character is to come next",
            x_label="next character", y_label="probability",
            x_range=self._ranks, y_range=self._heights, height=280,
        )  # fmt: skip
        self.bars.vbar("rank", top="probability", width=0.8, color="colour", source=self._chances)
        self.states = States(self.session, x_label="characters read", height=280)

    def _watch(self) -> None:
        self.source.param.watch(lambda event: self._show_source(), "value")
        for control in (self.prompt, self.temperature, self.top_k, self.seed):
            control.param.watch(lambda event: self.show(), "value")

    def _show_source(self) -> None:
        self.own.visible = self.source.value == OWN

    def _lesson(self) -> model.Lesson:
        own = self.source.value == OWN
        if own and self.own.too_long:
            raise ValueError("There is too much text to learn from.")
        text = self.own.text if own else model.help_text()
        try:
            lesson = model.Lesson(
                text, CELLS[self.cell.value], int(self.units.value), int(self.steps.value)
            )
        except ValueError as error:
            self.own.message = str(error)
            raise ValueError("There is too little text to learn from.") from None
        self.own.message = self.sample.object = ""
        self.play.pause()
        return lesson

    def _look(self, lesson: model.Lesson, when: str = "by now") -> None:
        self.sample.object = parts.sentence(f"What it writes {when}:" + _typed("", lesson.sample))

    def _take(self, lesson: model.Lesson) -> None:
        self._look(lesson, "after its training")
        step = lesson.model.history[-1]["step"]
        self._use(lesson.model, f"trained here, {step:,} steps")

    def _load(self, content: bytes, name: str) -> None:
        loaded = model.load(content, name)
        self.learning.clear()
        self.sample.object = ""
        self._use(loaded, f"from {name}")

    def _use(self, used: Any, origin: str) -> None:
        self.model, self.origin, self.length = used, origin, LENGTH
        self.prompt.put(self.prompt.text)
        if self.prompt.message:  # another alphabet
            self.prompt.put("")
        self._show_model()

    def _readable(self, prompt: str) -> str:
        model.check_prompt(self.model, prompt)
        return prompt

    def step(self) -> None:
        """Write a character, if there is room for one."""
        if not self._is_full():
            self._go_on()
            self.session.announce(self._last)

    def _go_on(self) -> None:
        self.length += 1
        self.show()

    def _say_all(self) -> None:
        self.session.announce(f"Written: {self._text}")

    def step_back(self) -> None:
        """Take the last character back."""
        self.length = max(0, self.length - 1)
        self.show()

    def start_over(self) -> None:
        """Take all back that was written."""
        self.play.pause()
        self.length = 0
        self.show()

    def _is_full(self) -> bool:
        return self.length == model.MAX_LENGTH

    def _show_model(self) -> None:
        used = self.model
        layers = "" if used.num_layers == 1 else f" in {used.num_layers} layers each"
        knows = f"{len(used.vocabulary)} characters" if used.vocabulary else "256 bytes"
        self.about.object = parts.sentence(
            f"At work: {_kind(used.cell, used.nonlinearity)} of {used.hidden_size} units{layers}, "
            f"<b>{parts.escape(self.origin)}</b>. It knows {knows}."
        )
        self.show()

    def show(self) -> None:
        """Show the text so far and what may come next."""
        try:
            written = model.write(
                self.model,
                self.prompt.value,
                self.length,
                temperature=self.temperature.value,
                top_k=int(self.top_k.value) or None,
                seed=int(self.seed.value),
            )
        except ValueError as error:
            self.play.pause()
            self.words.object = parts.sentence(parts.escape(str(error)), "warn")
            return
        self._last, self._text = written.symbols[-1], written.prompt + written.text
        self.page.object = _typed(written.prompt, written.text)
        self._show_choices(written.choices)
        self.states.show(written.symbols, written.states)
        self.back.disabled = self.length == 0
        self.forward.disabled = self._is_full()

    def _show_choices(self, choices: list[model.Choice]) -> None:
        drawn = next(choice for choice in choices if choice.drawn)
        shown = choices[:BARS]
        if drawn not in shown:
            shown = [*shown[:-1], drawn]
        others = SKY if self.session.dark else BLUE
        self._chances.data = {
            "rank": list(range(1, len(shown) + 1)),
            "probability": [choice.probability for choice in shown],
            "colour": [ORANGE if choice.drawn else others for choice in shown],
        }
        highest = shown[0].probability
        self._heights.end = next(end for end in (0.05, 0.1, 0.2, 0.5, 1.05) if highest <= end)
        name_ticks(self.bars.xaxis[0], [choice.symbol for choice in shown])
        first = shown[0]
        parts.describe(
            self.bars,
            f"How probable each character is to come next: {first.symbol} {first.probability:.1%}, "
            f"{drawn.symbol} {drawn.probability:.1%} will come",
        )
        temperature = self.temperature.value
        self.formula.object = _formula(first, temperature, int(self.top_k.value), len(choices))
        self.words.object = parts.sentence(
            f"At temperature 0 there are no dice: <b>{_quoted(first)}</b>, the most probable, "
            "comes next."
            if temperature == 0
            else f"Most probable next: <b>{_quoted(first)}</b> with {first.probability:.1%}. "
            f"The dice (seed {int(self.seed.value)}) draw <b>{_quoted(drawn)}</b>, which had "
            f"{drawn.probability:.1%}: the orange bar."
        )


def _quoted(choice: model.Choice) -> str:
    return parts.escape(choice.symbol)


def _typed(prompt: str, text: str) -> str:
    style = (
        "white-space: pre-wrap; overflow-wrap: anywhere; margin: 8px 0; padding: 10px 14px; "
        "min-height: 6.5em; border: 1px solid var(--line); border-radius: 6px; "
        "font: .95rem/1.45 ui-monospace, 'DejaVu Sans Mono', monospace;"
    )
    return (
        f'<div class="typed" style="{style}">'
        f'<span class="prompt" style="color: var(--muted)">{parts.escape(prompt)}</span>'
        f'<span class="written">{parts.escape(text)}</span>'
        '<span aria-hidden="true" style="background: var(--glow); outline: 1px solid '
        'var(--amber)">&nbsp;</span></div>'
    )


def _kind(cell: str, nonlinearity: str) -> str:
    """Return what a cell is called, with its article."""
    return {
        "rnn": f"an RNN ({nonlinearity})",
        "jordan": f"a Jordan network ({nonlinearity})",
        "gru": "a GRU",
        "lstm": "an LSTM",
    }[cell]


def _formula(first: model.Choice, temperature: float, top_k: int, count: int) -> str:
    n = parts.number
    among = (
        f", &ensp;<i>k</i> over the <b>{count}</b> most probable alone: all others are left out"
        if 0 < top_k == count and temperature > 0
        else ""
    )
    general = (
        "<i>h<sub>t</sub></i> = cell( <i>x<sub>t</sub></i>, <i>h</i><sub><i>t</i>−1</sub> ), "
        "&ensp;<i>z</i> = <i>W<sub>hy</sub> h<sub>t</sub></i> + <i>b<sub>y</sub></i>, &ensp;"
        "<i>p</i>(<i>c</i>) = e<sup><i>z<sub>c</sub></i> / <i>T</i></sup> / "
        f"Σ<sub><i>k</i></sub> e<sup><i>z<sub>k</sub></i> / <i>T</i></sup>{among}"
    )
    name = f"<b>{_quoted(first)}</b>"
    if temperature == 0:
        return parts.formula(
            f"{general}<br><i>T</i> = <b>0</b>: always the most probable, now {name} with "
            f"<i>z</i> = <b>{n(first.logit)}</b>"
        )
    return parts.formula(
        f"{general}<br><i>p</i>({name}) = e<sup><b>{n(first.logit)}</b> / "
        f"<b>{n(temperature, 2)}</b></sup> / Σ = <b>{n(first.probability)}</b>"
    )


VIEW = Write
