"""The worked example: one step of training, number by number."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, Range1d

from fastrnn.demo import controls, parts
from fastrnn.demo.models.worked import KINDS, LIMIT, Descent, Example, Worked
from fastrnn.demo.number_tables import NumberTables
from fastrnn.demo.session import Session
from fastrnn.demo.view import View
from fastrnn.demo.views import walkthrough
from fastrnn.demo.work import Report, Runner, Stopped
from fastrnn.plot.axes import BLUE, SKY

DECIMALS = ("2", "4", "8")
MOST_STEPS = 20_000
POINTS = 400  # of a curve: more than a screen shows
UNTRAINED = "The loss after every step of training: nothing yet"
FRAME = 0.1  # seconds between two pictures of a training

STYLE = """
table.walk { margin: 8px 0; }
table.walk th, table.walk td { padding: 2px 5px; white-space: nowrap; }
table.walk td { min-width: 3.9em; }
table.walk thead th { vertical-align: bottom; color: var(--ink); }
table.walk tr.group th {
  text-align: left; padding-top: 10px; color: var(--ink); white-space: normal;
  border-bottom-width: 2px;
}
table.of-words th, table.of-words td { text-align: left; }
table.walk .now { background: var(--glow); }
table.walk .sum { font-weight: 700; border-left: 2px solid var(--line); }
@media (max-width: 480px) {
  table.walk { font-size: .8rem; }
  table.walk th, table.walk td { padding: 2px 4px; min-width: 0; }
}
"""


class WorkedExample(View):
    """Four words through a network small enough to follow every number."""

    name = "Worked example"
    slug = "worked-example"
    explanation = (
        "A network learns by running forward, seeing how wrong it was, and going back through "
        "every step to find which numbers to turn, and which way. Here it reads four words, "
        "“hi”, “there”, “class” and “!”, the exclamation mark being a word like the others; every "
        "number of that is on the page: go through it with Next."
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.example = Example.of(next(iter(KINDS)), 1)
        self.stages = walkthrough.stages()
        self._trained: Example | None = None
        self._make_controls()
        self._make_training()
        self.words, self.formula, self.table = (parts.text() for _ in range(3))
        self.table.stylesheets = [*self.table.stylesheets, STYLE]
        self._watch()
        self._show_numbers()
        self.show()

    def _make_controls(self) -> None:
        names = [f"{k + 1}. {stage.name}" for k, stage in enumerate(self.stages)]
        self.stage = controls.Choice(
            "Stage", value=names[0], options=names, sizing_mode="fixed", width=280
        )
        self.back = controls.Button("Back", lambda: self._go(-1))
        self.next = controls.Button("Next", lambda: self._go(1), primary=True)
        self.kind = controls.Choice("Network", value=self.example.kind, options=list(KINDS))
        self.size = controls.Choice("Hidden units", value="1", options=["1", "2"])
        self.lr = controls.NumberField("Learning rate", self.example.lr, 1e-6, LIMIT)
        self.decimals = controls.Choice(
            "Decimals", value="4", options=list(DECIMALS), sizing_mode="fixed", width=90
        )
        self.take = controls.Button("Take this step", self._take_step, primary=True)
        self.reset = controls.Button("Start over", self._start_over)
        self.numbers = NumberTables(self._change, -LIMIT, LIMIT)

    def _make_training(self) -> None:
        self.many = controls.NumberField("Steps", 300, 1, MOST_STEPS, whole=True)
        self.runner = Runner(
            self.session, "Train", self._train, begin=self._begin, done=self._end_training
        )
        self.keep = controls.Button("Put what it learned into the fields", self._use, disabled=True)
        self.curve = ColumnDataSource({"step": [], "loss": []})
        self.heights, self.widths = Range1d(0, 6), Range1d(0, 300)
        self.figure = parts.figure(
            self.session, UNTRAINED,
            x_label="steps made", y_label="loss L, nats", x_range=self.widths,
            y_range=self.heights, height=260,
        )  # fmt: skip
        line = self.figure.line("step", "loss", source=self.curve, line_width=2.5)
        parts.paint(self.session, line, BLUE, SKY)
        self.outcome = parts.text()
        self.outcome.stylesheets = [*self.outcome.stylesheets, STYLE]
        self.training = parts.column(
            parts.controls(self.many),
            self.runner.panel(),
            self.figure,
            self.outcome,
            parts.buttons(self.keep),
        )

    def panel(self) -> Any:
        """Return the walk and what it shows, beside all numbers."""
        shown = parts.column(self.table, parts.buttons(self.take), self.training)
        settings = parts.column(
            parts.text('<h2 class="section">All numbers: change any of them</h2>'),
            parts.controls(self.kind, self.size, self.lr, least=130),
            self.numbers,
            parts.note(
                "The fields show the first digits of long numbers; the network reckons with all."
            ),
            parts.buttons(self.reset),
        )
        return parts.column(
            pn.FlexBox(
                self.back, self.next, self.stage, self.decimals, gap="8px", align_items="end",
                sizing_mode="stretch_width", margin=(0, 0, 10, 0),
            ),
            self.words,
            self.formula,
            parts.controls(shown, settings, least=440),
        )  # fmt: skip

    def _watch(self) -> None:
        self.stage.param.watch(lambda event: self.show(), "value")
        self.decimals.param.watch(lambda event: self.show(), "value")
        for control in (self.kind, self.size):
            control.param.watch(lambda event: self._start_over(), "value")
        self.lr.param.watch(lambda event: self._set(replace(self.example, lr=event.new)), "value")

    def _go(self, by: int) -> None:
        place = self._place() + by
        if 0 <= place < len(self.stages):
            self.stage.value = self.stage.options[place]
            self.session.announce(f"Stage {self.stage.value}")

    def _place(self) -> int:
        return int(self.stage.options.index(self.stage.value))

    def _start_over(self) -> None:
        """Go back to the numbers that such a network begins with."""
        self._set(Example.of(self.kind.value, int(self.size.value), self.lr.value))
        self._show_numbers()

    def _change(self, table: int, values: np.ndarray) -> None:
        self._set(self.example.replaced(self.example.matrices()[table].name, values))

    def _take_step(self) -> None:
        try:
            after = Worked(self.example).after()
        except FloatingPointError as error:  # a second click, before the button was disabled
            self.session.announce(f"Not taken: {error}")
            return
        self._adopt(after)

    def _use(self) -> None:
        if self._trained is not None:
            self._adopt(self._trained)

    def _adopt(self, example: Example) -> None:
        self._set(example)
        self._show_numbers()

    def _set(self, example: Example) -> None:
        """Work with other numbers; a training of those before is over."""
        self.runner.stop()
        self.example = example
        self._take_back()
        self.show()

    def _take_back(self) -> None:
        """Show and offer nothing of the training before."""
        self._trained, self.keep.disabled = None, True
        self.curve.data = {"step": [], "loss": []}
        parts.describe(self.figure, UNTRAINED)
        self.outcome.object = ""

    def _show_numbers(self) -> None:
        matrices = self.example.matrices()
        self.numbers.show(
            [(matrix.symbol, matrix.title, matrix.rows, matrix.columns) for matrix in matrices],
            [self.example.numbers[matrix.name] for matrix in matrices],
        )

    def _write(self, value: float) -> str:
        return parts.number(value, int(self.decimals.value))

    def show(self) -> None:
        """Show the stage, worked out anew."""
        place, worked = self._place(), Worked(self.example)
        stage, last = self.stages[place], len(self.stages) - 1
        self.back.disabled, self.next.disabled = place == 0, place == last
        self.words.object = parts.sentence(stage.words)
        self.formula.object = parts.formula("<br>".join(stage.equation(worked, self._write)))
        self.table.object = stage.table(worked, self._write)
        self.take.visible = stage.name == "One step"
        self.training.visible = place == last
        self.take.disabled = self.take.visible and not _can_step(worked)

    def _begin(self) -> tuple[Example, int]:
        parts.require_readable(self.lr, self.many)
        self._take_back()
        return self.example, int(self.many.value)

    def _train(self, report: Report, example: Example, steps: int) -> tuple[Any, ...]:
        """Descend, in a thread; return where from and to, the losses, and why it ended early."""
        descent, losses, why = Descent(example), [], ""
        shown = time.monotonic()
        for done in range(1, steps + 1):
            try:
                losses.append(descent.step())
            except FloatingPointError as error:
                why = str(error)
                break
            if time.monotonic() - shown > FRAME:
                shown = time.monotonic()
                try:
                    report.show(self._frame(example, [*losses], done, steps))
                except Stopped:
                    break
        return example, descent.example, [*losses, descent.example.loss()], why

    def _frame(self, example: Example, losses: list[float], done: int, steps: int) -> Any:
        def change() -> None:
            if example is self.example:
                self._draw(losses, steps)
                self.runner.progress(done / steps, f"Step {done} of {steps}")

        return change

    def _end_training(self, result: tuple[Any, ...]) -> None:
        before, after, losses, why = result
        if before is not self.example:
            return  # the reader went on to other numbers
        self._draw(losses, len(losses) - 1)
        self._trained, self.keep.disabled = after, False
        first, last = self._write(losses[0]), self._write(losses[-1])
        steps = len(losses) - 1
        words = f"After {steps} step{'' if steps == 1 else 's'} the loss is {last}; it was {first}."
        said = parts.sentence(words, "good" if losses[-1] < losses[0] else "warn")
        if why:
            said += parts.sentence(f"Stopped early: {why}.", "warn")
        table = walkthrough.learned(Worked(before), Worked(after), self._write)
        self.outcome.object = said + table

    def _draw(self, losses: list[float], steps: int) -> None:
        parts.describe(
            self.figure,
            f"The loss after every step of training: {self._write(losses[0])} at first, "
            f"{self._write(losses[-1])} after step {len(losses) - 1}",
        )
        chosen = np.unique(np.linspace(0, len(losses) - 1, POINTS).astype(int))
        self.curve.data = {"step": chosen.tolist(), "loss": [losses[k] for k in chosen]}
        self.widths.update(start=0, end=max(steps, 1))
        self.heights.update(start=0, end=1.08 * max(losses))


def _can_step(worked: Worked) -> bool:
    try:
        worked.after()
    except FloatingPointError:
        return False
    return True


VIEW = WorkedExample
