"""A network learns a series of numbers and goes on with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
from bokeh.models import BoxAnnotation, ColumnDataSource, Range1d

from fastrnn.demo import controls, files, parts
from fastrnn.demo.models import predict as model
from fastrnn.demo.session import Session
from fastrnn.demo.view import View
from fastrnn.demo.views.learning import Learning
from fastrnn.plot.axes import BLUE, GREEN, ORANGE, SKY

SERIES = {"Sine wave": model.sine, "Counting": model.counting, "Sunspots": model.sunspots}
OWN = "My CSV file"
CELLS = {"RNN (tanh)": "rnn", "GRU": "gru", "LSTM": "lstm"}
UNITS = ("4", "8", "16", "32", "64")
SCALINGS = {
    "level of the series": "global",
    "each window by itself": "window",
    "none": "none",
}
STEPS = 24
EXAMPLE = (
    "A table with the names of its columns in the first line, or just one number per line; "
    '<a href="assets/sunspots.csv" download style="color: var(--accent)">the sunspots</a> are an '
    "example."
)

SUMS = (
    "In words: of each number <i>w<sub>t</sub></i> of the window the level <i>c</i> is taken off, "
    "and it is divided by the spread <i>s</i>, so that the network gets numbers near 0; the cell "
    "reads them one after another; the weights <i>W<sub>hy</sub></i> make one number <i>o</i> of "
    "its last state <i>h<sub>n</sub></i>; and <i>o</i>, scaled back, is the guess for the next."
)
TRAINING = (
    "Cell, units, window, scaling and passes take effect with <b>Train</b>, which begins anew each "
    "time, with a new network. The same series and settings, trained to the end, give the very "
    "same network again: the weights that it begins with come from dice, but of a fixed seed."
)
NAIVE = (
    "“Naive” is the simplest guess: that the last value which the network has seen comes again and "
    "again. What is not better than that is of no use. Grey is what the network does not see while "
    "it learns."
)
LOSS = "The loss is the mean of the squares of its errors, those of the scaled numbers."

# As many values before the forecast are drawn: more are a smear.
PAST = 160


class Predict(View):
    """A series, what was learned of it, and a forecast of the rest."""

    name = "Predict a sequence"
    slug = "predict-a-sequence"
    explanation = (
        "The network reads a window of numbers one by one and guesses the number after it; to "
        "look further ahead it reads its own guesses as if they had come true. It learns from most "
        "of the series, and the rest shows whether it beats the simplest guess: that nothing "
        "changes."
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.series = model.sine()
        self.upload: model.Upload | None = None
        self.lesson: model.Lesson | None = None
        self._learns = False
        self._make_controls()
        self.formula, self.words = parts.text(), parts.text()
        self._draw()
        self._watch()
        self._take(self.series)

    def panel(self) -> Any:
        """Return the formula, the series with its forecast, and the training."""
        return parts.column(
            self.formula,
            parts.note(SUMS),
            parts.controls(self.choice, self.file, self.column_place),
            self.example,
            parts.controls(self.cell, self.units, self.window, self.scaling, self.epochs),
            parts.note(TRAINING),
            self.learning.panel(),
            parts.controls(self.steps, least=300),
            self.figure,
            self.words,
            parts.note(NAIVE),
            self.learning.figure,
            parts.note(LOSS),
        )

    def _make_controls(self) -> None:
        self.choice = controls.Choice("Series", value="Sine wave", options=[*SERIES, OWN])
        self.file = files.FileField("CSV file", self._load, ".csv,.tsv,.txt,.gz", visible=False)
        self.example = parts.text(EXAMPLE, visible=False)
        self.column_place = pn.Column(sizing_mode="stretch_width", visible=False)
        self.cell = controls.Choice(
            "Cell", value="RNN (tanh)", options=list(CELLS), hint=parts.CELL_HINT
        )
        self.units = controls.Choice(
            "Hidden units", value="16", options=list(UNITS), hint=parts.UNITS_HINT
        )
        self.window = controls.TextField(
            "Window (values read)", str(self.series.window), self._read_window, numeric=True,
            hint="So many values in a row are read before the next one is guessed.",
        )  # fmt: skip
        self.scaling = controls.Choice(
            "Scaled by", value=next(iter(SCALINGS)), options=list(SCALINGS),
            hint="What level is taken off before the network reads: one for all, each window's "
            "own, or none.",
        )  # fmt: skip
        self.epochs = controls.Slider(
            "Passes over the series", value=300, start=20, end=3000, step=20, decimals=0,
            hint="How often it goes through all that it learns from.",
        )  # fmt: skip
        self.steps = controls.Slider(
            "Steps to predict", value=STEPS, start=1, end=model.MAX_STEPS, step=1, decimals=0,
            hint="How far to look ahead: from the second step on it reads its own guesses. This "
            "takes effect at once.",
        )  # fmt: skip
        self.learning = Learning(
            self.session, self._make_lesson, seen=self._look, done=self._trained,
            x_label="pass over the series", y_label="loss (mean squared error)",
        )  # fmt: skip

    def _draw(self) -> None:
        self._places, self._values = Range1d(0, 1), Range1d(0, 1)
        figure = self.figure = parts.figure(
            self.session, "The series, and how it goes on by the network and by the naive guess",
            x_label="step", y_label="value", x_range=self._places, y_range=self._values, height=340,
        )  # fmt: skip
        self._held_out = BoxAnnotation(fill_color="#888888", fill_alpha=0.1)
        figure.add_layout(self._held_out)
        self._lines = {
            name: ColumnDataSource({"place": [], name: []})
            for name in ("learned", "came", "naive", "forecast")
        }
        for name, label, colours, dash in (
            ("learned", "learned from", (BLUE, SKY), "solid"),
            ("came", "what came", (BLUE, SKY), "dotted"),
            ("naive", "naive: the last value", (GREEN,), "dashed"),
            ("forecast", "the network", (ORANGE,), "solid"),
        ):
            line = figure.line(
                "place", name, source=self._lines[name], line_width=2, line_dash=dash,
                legend_label=label,
            )  # fmt: skip
            parts.paint(self.session, line, *colours)
        figure.legend.location = "top_left"
        figure.legend.ncols = 2
        parts.add_legend(self.session, figure, figure.legend[0])

    def _watch(self) -> None:
        self.choice.param.watch(lambda event: self._choose(event.new), "value")
        self.steps.param.watch(lambda event: self.show(), "value")

    def _choose(self, name: str) -> None:
        self.file.visible = self.example.visible = name == OWN
        self.column_place.visible = name == OWN and self.upload is not None
        if name in SERIES:
            self._take(SERIES[name]())
        elif self.upload is not None:
            self._pick(self.column_place[0].value)
        else:
            self._forget()

    @property
    def _lacks_file(self) -> bool:
        return bool(self.choice.value == OWN and self.upload is None)

    def _load(self, content: bytes, name: str) -> None:
        try:
            upload = model.Upload.read(content, name)
        except ValueError as error:
            told = str(error).rstrip(".")
            raise ValueError(f"{told}. It is not used: what is shown was chosen before.") from None
        self.upload = upload
        self.file.message = " ".join(upload.flaws)
        columns = list(upload.series)
        chosen = controls.Choice("Column", value=columns[-1], options=columns)
        chosen.param.watch(lambda event: self._pick(event.new), "value")
        self.column_place[:] = [chosen]
        self.column_place.visible = True
        self._pick(chosen.value)

    def _pick(self, column: str) -> None:
        if self.upload is not None:
            self._take(self.upload.series[column])

    def _forget(self) -> None:
        self.learning.clear()
        self.lesson, self._learns = None, False
        self.show()

    def _take(self, series: model.Series) -> None:
        self.series = series
        self.window.put(str(series.window))
        self.scaling.value = next(name for name, kind in SCALINGS.items() if kind == series.scaling)
        self.figure.xaxis.axis_label = series.unit
        self.figure.yaxis.axis_label = series.name
        self._forget()

    def _read_window(self, text: str) -> int:
        return int(controls.number(text, 2, self.series.largest_window, whole=True))

    def _make_lesson(self) -> model.Lesson:
        if self._lacks_file:
            raise ValueError("Choose a CSV file first: there is none to learn from.")
        if self.window.message:
            raise ValueError("The window does not fit the series.")
        lesson = model.Lesson(
            self.series,
            window=self.window.value,
            cell=CELLS[self.cell.value],
            hidden_size=int(self.units.value),
            scaling=SCALINGS[self.scaling.value],
            epochs=int(self.epochs.value),
        )
        self.lesson, self._learns = None, True
        self.show()
        return lesson

    def _look(self, lesson: model.Lesson) -> None:
        self._show_forecast(lesson.latest[: int(self.steps.value)])

    def _trained(self, lesson: model.Lesson) -> None:
        self.lesson, self._learns = lesson, False
        self.show()

    def show(self) -> None:
        """Show the series and, if there is a network, its forecast."""
        steps, start = int(self.steps.value), self.series.learned
        places, values = self.series.places, self.series.values
        self._set("learned", places[:start], values[:start])
        self._set("came", places[start - 1 :], values[start - 1 :])
        self._held_out.left = float(places[start - 1])
        ahead = places[start - 1] + np.arange(steps + 1)
        self._set("naive", ahead, np.full(steps + 1, values[start - 1]))
        first = max(0, start - PAST)
        end = max(start + steps, min(len(values), start + PAST))
        self._places.update(start=float(places[first]), end=float(places[0] + end))
        forecast = None if self.lesson is None else self.lesson.forecast(steps)
        self._show_forecast(np.empty(0) if forecast is None else forecast.forecast)
        self._describe(forecast)
        if self.lesson is None or forecast is None:
            self.formula.object = _formula(None)
            self.words.object = parts.sentence(self._what_now())
            return
        self.formula.object = _formula(self.lesson.first_step())
        self.words.object = parts.sentence(*_remark(self.series, forecast, steps))

    def _what_now(self) -> str:
        name = parts.escape(self.series.name)
        if self._lacks_file:
            return f"Choose a CSV file. Until then the picture still shows: {name}."
        now = "It is learning." if self._learns else "Press <b>Train</b>."
        return f"{self.series.note} {now}"

    def _describe(self, forecast: model.Ahead | None) -> None:
        last = parts.number(self.series.values[self.series.learned - 1])
        words = f"{self.series.name}, and how it goes on: the naive guess is {last} at every step"
        if forecast is not None:
            first, far = (parts.number(forecast.forecast[i]) for i in (0, -1))
            words += f"; the network's forecast begins with {first} and ends with {far}"
        parts.describe(self.figure, words)

    def _set(self, name: str, places: np.ndarray, values: np.ndarray) -> None:
        self._lines[name].data = {"place": places, name: values}

    def _show_forecast(self, forecast: np.ndarray) -> None:
        start = self.series.learned
        places, values = self.series.places, self.series.values
        ahead = places[start - 1] + np.arange(len(forecast) + 1)
        joined = np.concatenate([values[start - 1 : start], forecast])
        self._set("forecast", ahead, joined)
        seen = values[max(0, start - PAST) : start + max(PAST, len(forecast))]
        parts.set_range(self._values, [*seen, *joined])


def _remark(series: model.Series, ahead: model.Ahead, steps: int) -> tuple[str, str]:
    """Return what to say of a forecast, and in which tone."""
    n = _amount
    wins = ahead.mae < ahead.naive_mae
    verdict = "The network is ahead" if wins else "The naive guess is ahead"
    if n(ahead.mae) == n(ahead.naive_mae):
        wins, verdict = False, "Neither is ahead"
    held_out = len(series.values) - series.learned
    far = f"up to {min(steps, held_out)} steps ahead" if steps > 1 else "one step ahead"
    words = (
        f"The first value of the forecast is <b>{n(ahead.forecast[0])}</b>; what came was "
        f"<b>{n(ahead.actual[0])}</b>. Forecasts {far}, from every place of the last "
        f"{held_out} values, are wrong by <b>{n(ahead.mae)}</b> on average; repeating the last "
        f"value is wrong by <b>{n(ahead.naive_mae)}</b>. {verdict}."
    )
    return words, "good" if wins else "warn"


def _formula(first: model.Sum | None) -> str:
    n, term = _amount, _term
    general = (
        "<i>z<sub>t</sub></i> = ( <i>w<sub>t</sub></i> − <i>c</i> ) / <i>s</i>, &ensp;"
        "<i>h<sub>t</sub></i> = cell( <i>z<sub>t</sub></i>, <i>h</i><sub><i>t</i>−1</sub> ), &ensp;"
        "<i>o</i> = <i>W<sub>hy</sub> h<sub>n</sub></i> + <i>b<sub>y</sub></i>, &ensp;"
        "<i>w</i><sub><i>n</i>+1</sub> = <i>c</i> + <i>d o</i>"
    )
    if first is None:
        return parts.formula(general)
    return parts.formula(
        f"{general}<br>with the level <i>c</i> = <b>{n(first.center)}</b>, the spread <i>s</i> = "
        f"<b>{n(first.spread)}</b> and the reach <i>d</i> = <b>{n(first.reach)}</b>:"
        f"<br><i>z<sub>n</sub></i> = ( <b>{n(first.last)}</b> − "
        f"<b>{term(first.center)}</b> ) / <b>{n(first.spread)}</b> = <b>{n(first.scaled)}</b>, "
        f"&ensp;<i>w</i><sub><i>n</i>+1</sub> = <b>{n(first.center)}</b> + "
        f"<b>{term(first.reach)}</b> · <b>{term(first.output)}</b> = "
        f"<b>{n(first.value)}</b>"
    )


def _amount(value: float) -> str:
    """Return a number as the page shows it, a small one with its first digits."""
    small = 0 < abs(value) < 0.01
    return parts.significant(value) if small else parts.number(value)


def _term(value: float) -> str:
    return f"({_amount(value)})" if value < 0 else _amount(value)


VIEW = Predict
