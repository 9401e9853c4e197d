"""How far back cells remember: a race on one task."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from bokeh.models import ColumnDataSource, Legend, LegendItem, Range1d, Span

from fastrnn.demo import controls, parts
from fastrnn.demo.models.memory import (
    BATCH_SIZE,
    CELLS,
    NO_CELL,
    STARTS,
    TASKS,
    Race,
    Setting,
    counted,
    kept,
    verdict,
)
from fastrnn.demo.session import Session
from fastrnn.demo.view import View
from fastrnn.demo.work import Report, Runner
from fastrnn.plot.axes import BLUE, GREEN, ORANGE, SKY

COLOURS = {"Elman": (ORANGE,), "LSTM": (BLUE, SKY), "GRU": (GREEN,)}  # a second one in the dark
DASHES = {"Elman": "dotted", "LSTM": "solid", "GRU": "dashed"}
MARKERS = {"Elman": "triangle", "LSTM": "circle", "GRU": "square"}

AXES = {"right": "right answers, %", "loss": "loss on held-out sequences"}

PICTURES = 60  # of a training: it is evaluated so often, or oftener
RARELY = 50  # updates from one evaluation to the next, at most
FRAME = 0.1  # seconds between two signs of life
EXAMPLE = Setting(updates=3000)

TRAINING = (
    "All settings take effect with <b>Train</b>, which begins anew each time, with new networks. "
    "The same settings, trained to the end, give the very same curves again: the first weights and "
    "the sequences come from dice, but of a fixed seed."
)
GATES = (
    "An LSTM and a GRU have gates: numbers between 0 and 1 that the cell computes anew at each "
    "step, by weights that it learns, and that say how much of the state is kept and how much of "
    "the new is let in. An Elman network has none: all of its state is made anew at each step."
)
CURVES = (
    "The curves are drawn while it trains. The dashed line is the best that can be had without "
    "memory: one answer to all sequences."
)


class Memory(View):
    """Three cells learn the same task, and what each of them remembers is seen."""

    name = "Memory"
    slug = "memory"
    explanation = (
        "A recurrent network can only use what its state still holds, and training can only "
        "teach it to hold what the gradient still reaches. Here an Elman network, an LSTM and a "
        "GRU learn the same task, whose answer depends on the far beginning: who remembers?"
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        example = EXAMPLE
        self.task = controls.Choice("Task", value=example.task, options=list(TASKS))
        self.delay = controls.NumberField(
            "Steps in between", example.delay, 1, 200, whole=True,
            hint="Between the first step and the last: so long the first has to be remembered.",
        )  # fmt: skip
        self.start = controls.Choice(
            "Initial weights", value=example.start, options=list(STARTS),
            hint="What training begins with. “usual”: drawn at random. “made to keep”: an Elman "
            "network’s W_hh turns the state without shrinking it, and the gates that keep the "
            "state of the others begin nearly open.",
        )  # fmt: skip
        self._make_numbers(example)
        self.cells = {cell: controls.Checkbox(cell, value=True) for cell in CELLS}
        self.runner = Runner(session, "Train", self._train, begin=self._begin)
        self.formula, self.words, self.reminder, self.verdict = (parts.text() for _ in range(4))
        self._shown: Setting | None = None
        self._draw()
        for control in self._controls().values():
            control.param.watch(lambda event: self.explain(), "value")
        self.explain()

    def _make_numbers(self, example: Setting) -> None:
        self.size = controls.NumberField(
            "Hidden units", example.hidden_size, 1, 128, whole=True, hint=parts.UNITS_HINT
        )
        self.lr = controls.NumberField(
            "Learning rate", example.lr, 1e-6, 1,
            hint="How far an update moves the weights: too small learns slowly, too large never.",
        )  # fmt: skip
        self.updates = controls.NumberField(
            "Updates", example.updates, 1, 50_000, whole=True,
            hint=f"In each, every cell reads the same {BATCH_SIZE} new sequences and improves its "
            "weights a little.",
        )  # fmt: skip
        self.seed = controls.NumberField(
            "Seed", example.seed, 0, 2**31 - 1, whole=True,
            hint="Which dice are thrown: the same number, the same first weights and sequences.",
        )  # fmt: skip

    def _controls(self) -> dict[str, Any]:
        """Return all that a training depends on, by what a sentence calls it."""
        return {
            "task": self.task, "steps in between": self.delay, "initial weights": self.start,
            "hidden units": self.size, "learning rate": self.lr, "updates": self.updates,
            "seed": self.seed, **self.cells,
        }  # fmt: skip

    def panel(self) -> Any:
        """Return the task, the controls, the two curves and what was seen."""
        return parts.column(
            self.formula,
            self.words,
            parts.controls(self.task, self.delay, self.start),
            parts.controls(self.size, self.lr, self.updates, self.seed, least=120),
            parts.controls(*self.cells.values(), least=100),
            parts.note(GATES),
            parts.note(TRAINING),
            self.runner.panel(),
            self.reminder,
            parts.controls(*self.figures.values(), least=320),
            parts.note(CURVES),
            self.verdict,
        )

    def _draw(self) -> None:
        columns: dict[str, list[float]] = {"update": [], "right": [], "loss": []}
        self.curves = {cell: ColumnDataSource(dict(columns), name=cell) for cell in CELLS}
        self.widths, self.heights = Range1d(0, EXAMPLE.updates), Range1d(0.001, 1)
        self.guess = Span(location=0, dimension="width", line_color="#888888", line_dash="dashed")
        self.figures = {
            "right": self._figure("right", y_range=Range1d(0, 104)),
            "loss": self._figure("loss", y_range=self.heights, y_axis_type="log"),
        }
        self.figures["right"].add_layout(self.guess)

    def _figure(self, column: str, **heights: Any) -> Any:
        label = AXES[column]
        made = parts.figure(
            self.session, _untrained(label), x_label="updates", y_label=label,
            x_range=self.widths, height=300, **heights,
        )  # fmt: skip
        items = []
        for cell, source in self.curves.items():
            dash, marker = DASHES[cell], MARKERS[cell]
            line = made.line("update", column, source=source, line_width=2.5, line_dash=dash)
            dots = made.scatter("update", column, source=source, marker=marker, size=6)
            for drawn in (line, dots):
                parts.paint(self.session, drawn, *COLOURS[cell])
            items.append(LegendItem(label=cell, renderers=[line, dots]))
        parts.add_legend(self.session, made, Legend(items=items, orientation="horizontal"))
        return made

    def setting(self) -> Setting:
        """Return what the controls say."""
        return Setting(
            task=self.task.value,
            cells=tuple(cell for cell, box in self.cells.items() if box.value),
            delay=self.delay.value,
            hidden_size=self.size.value,
            updates=self.updates.value,
            lr=self.lr.value,
            seed=self.seed.value,
            start=self.start.value,
        )

    def explain(self) -> None:
        """Show the task, and what stands between its beginning and its end."""
        setting = self.setting()
        task, factors = TASKS[setting.task], setting.delay + 1
        last = f"<sub>{setting.delay + 2}</sub>"
        self.formula.object = parts.formula(
            f"∂<i>L</i>/∂<i>h</i><sub>1</sub> = ∂<i>L</i>/∂<i>h</i>{last} · "
            f"∂<i>h</i>{last}/∂<i>h</i><sub>{setting.delay + 1}</sub> · … · "
            f"∂<i>h</i><sub>2</sub>/∂<i>h</i><sub>1</sub><br>"
            f"With <b>{setting.delay}</b> step{'' if setting.delay == 1 else 's'} in between "
            f"these are <b>{factors}</b> factors: if each keeps nine tenths, "
            f"<b>{0.9**factors:.2g}</b> of the gradient arrives."
        )
        self.words.object = parts.sentence(
            f"{task.description} For example: <b>{task.example(setting.delay)}</b>"
        )
        self._remind()

    def _remind(self) -> None:
        """Say whose curves are seen, where the controls say something else by now."""
        shown = self._shown
        if shown is None or shown == self.setting():
            self.reminder.object = ""
            return
        which = "under way" if self.runner.running else "before"
        self.reminder.object = parts.sentence(
            f"The controls were changed: what is seen below is of the training {which}, of "
            f"“{shown.task}” with {counted(shown.delay, 'step')} in between. The new settings "
            "take effect with the next one.",
            "warn",
        )

    def _begin(self) -> tuple[Setting]:
        parts.require_readable(self.delay, self.size, self.lr, self.updates, self.seed)
        setting = self.setting()
        if not setting.cells:
            raise ValueError(NO_CELL)
        for source in self.curves.values():
            source.data = {"update": [], "right": [], "loss": []}
        self.widths.update(start=0, end=setting.updates)
        self.verdict.object, self._shown = "", None
        self._remind()
        for column, figure in self.figures.items():
            parts.describe(figure, _untrained(AXES[column]))
        return (setting,)

    def _train(self, report: Report, setting: Setting) -> None:
        """Train, in a thread, and show how it goes."""
        race = Race(setting)
        before, every = race.reach(), min(max(1, setting.updates // PICTURES), RARELY)
        shown = time.monotonic()
        while not race.over:
            race.update()
            if race.done % every == 0 or race.over:
                race.evaluate()
                report.show(self._picture(race))
            elif time.monotonic() - shown > FRAME:
                shown = time.monotonic()
                report.show(self._progress(race.done, setting.updates), "progress")
        after = race.reach()
        report.show(lambda: self._compare(race, before, after), "compare")

    def _progress(self, done: int, updates: int) -> Callable[[], None]:
        return lambda: self.runner.progress(done / updates, f"{done:,} of {updates:,} updates")

    def _picture(self, race: Race) -> Callable[[], None]:
        """Return what shows the race as it is now."""
        data: dict[str, dict[str, list[float]]] = {
            cell: {
                "update": [*curve.updates],
                "right": [100 * share for share in curve.accuracies],
                "loss": [*curve.losses],
            }
            for cell, curve in race.curves.items()
        }
        sentences, guess, done = verdict(race), 100 * race.guess, race.done
        progress = self._progress(race.done, race.setting.updates)

        def change() -> None:
            for cell, columns in data.items():
                self.curves[cell].data = columns
            losses = [loss for columns in data.values() for loss in columns["loss"]]
            self.heights.update(start=0.7 * min(losses), end=1.4 * max(losses))
            self.guess.location = guess
            self._shown = race.setting
            self._remind()
            self.verdict.object = parts.sentence(" ".join(sentences))
            parts.describe(self.figures["right"], f"Right answers: {sentences[0]}")
            ends = ", ".join(f"{c} {columns['loss'][-1]:.3g}" for c, columns in data.items())
            parts.describe(
                self.figures["loss"],
                f"Loss after {counted(done, 'update')} of “{race.setting.task}”: {ends}",
            )
            progress()

        return change

    def _compare(self, race: Race, before: dict[str, float], after: dict[str, float]) -> None:
        """Add how much of the gradient arrived at the beginning."""
        rows = "".join(
            f'<tr><th scope="row">{cell}</th><td>{curve.accuracies[-1]:.0%}</td>'
            f"<td>{_small(curve.losses[-1])}</td><td>{_small(before[cell])}</td>"
            f"<td>{_small(after[cell])}</td><td>{race.networks[cell].num_parameters:,}</td></tr>"
            for cell, curve in race.curves.items()
        )
        titles = ("right", "loss", "gradient left, untrained", "gradient left, trained", "weights")
        head = "".join(f'<th scope="col">{title}</th>' for title in ("cell", *titles))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        self.verdict.object += parts.sentence(kept(race, before, after))
        self.verdict.object += parts.scroll("The cells compared", table)


def _untrained(label: str) -> str:
    return f"{label}: nothing trained yet"


def _small(value: float) -> str:
    """Return two digits, of a very small number with a power of ten."""
    if not math.isfinite(value) or value == 0 or value >= 1e-4:
        return f"{value:.2g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} · 10<sup>−{-int(power)}</sup>"


VIEW = Memory
