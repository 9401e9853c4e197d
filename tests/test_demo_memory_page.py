"""The page's race of cells, in a browser."""

from __future__ import annotations

from typing import Any

import pytest
from browser import eventually, numbers

pytest.importorskip("panel")

from fastrnn.demo.models.memory import Race, Setting
from fastrnn.demo.session import Session
from fastrnn.demo.views.memory import Memory
from fastrnn.demo.work import Report
from fastrnn.plot.axes import BLUE, SKY


@pytest.fixture
def page(open_view) -> Any:
    return open_view("memory")


def curves(page: Any) -> dict[str, list[list[float]]]:
    """What the figures draw, by the cell: updates, right answers in percent and losses."""
    return page.evaluate(
        """() => {
        const found = {}
        for (const source of Bokeh.documents[0]._all_models.values())
          if (source.type === "ColumnDataSource" && source.data.right !== undefined)
            found[source.name] = ["update", "right", "loss"].map((key) => [...source.data[key]])
        return found
        }"""
    )


def set_up(page: Any, **fields: object) -> None:
    for name, value in fields.items():
        page.locator(f"[name={name.replace('_', '-')}]").fill(str(value))


def train(page: Any) -> None:
    page.get_by_role("button", name="Train").click()
    page.get_by_text("Done.", exact=True).wait_for()
    page.get_by_role("region", name="The cells compared").wait_for()


def test_the_curves_and_the_table_are_the_librarys_and_follow_every_control(page) -> None:
    set_up(page, steps_in_between=5, hidden_units=8, learning_rate=0.01, updates=40, seed=3)
    page.locator("[name=task]").select_option("Recall the first symbol")
    page.locator("[name=initial-weights]").select_option("made to keep")
    page.get_by_label("GRU").uncheck()
    train(page)
    setting = Setting(
        task="Recall the first symbol", cells=("Elman", "LSTM"), delay=5, hidden_size=8,
        updates=40, lr=0.01, seed=3, start="made to keep",
    )  # fmt: skip
    race = Race(setting)
    for _ in range(40):
        race.update()
        race.evaluate()
    drawn = curves(page)
    assert drawn["GRU"] == [[], [], []]
    for cell, curve in race.curves.items():
        assert drawn[cell][0] == curve.updates
        assert drawn[cell][1] == pytest.approx([100 * share for share in curve.accuracies])
        assert drawn[cell][2] == pytest.approx(curve.losses)
        row = page.locator("tr", has=page.get_by_role("rowheader", name=cell))
        eventually(row, round(100 * curve.accuracies[-1]), lambda text: numbers(text)[0])
        assert numbers(row.inner_text().replace(",", ""))[-1] == race.networks[cell].num_parameters
    said = page.locator(".say", has_text="After 40 updates")
    eventually(said, True, lambda text: "the Elman network" in text)


def test_bad_fields_are_said_and_a_training_can_be_watched_and_stopped(page) -> None:
    set_up(page, steps_in_between="long", updates="1.5", learning_rate="inf")
    for name in ("steps-in-between", "updates", "learning-rate"):
        page.locator(f"#message-{name}").get_by_text("Expected").wait_for()
    for cell in ("Elman", "LSTM", "GRU"):
        page.get_by_label(cell, exact=True).uncheck()
    page.get_by_role("button", name="Train").click()
    page.get_by_text("Steps in between: Expected a whole number").first.wait_for()
    set_up(page, steps_in_between=100, updates=50000, learning_rate=0.01)
    page.locator("#message-updates").get_by_text("Expected").wait_for(state="detached")
    page.get_by_role("button", name="Train").click()
    page.get_by_text("Choose at least one cell.").first.wait_for()
    for cell in ("Elman", "LSTM", "GRU"):
        page.get_by_label(cell, exact=True).check()
    page.get_by_role("button", name="Train").click()
    page.locator(".say", has_text="After").wait_for()
    assert all(len(columns[0]) > 1 for columns in curves(page).values())
    set_up(page, steps_in_between=101)
    page.locator(".formula b", has_text="101").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.", exact=True).wait_for()
    assert page.locator(".say", has_text="100 steps in between, right answers").is_visible()
    page.locator(".say.warn", has_text="with 100 steps in between").wait_for()
    set_up(page, steps_in_between=100)
    page.locator(".say.warn").wait_for(state="detached")
    assert page.get_by_role("button", name="Train").is_enabled()


def test_gradients_that_are_no_finite_numbers_are_shown_as_such() -> None:
    view, race = Memory(Session()), Race(Setting(delay=4, hidden_size=4, cells=("GRU",)))
    view._compare(race, {"GRU": 2e-9}, {"GRU": float("nan")})
    assert "<td>2.0 · 10<sup>−9</sup></td><td>nan</td>" in view.verdict.object


def test_a_new_training_takes_back_what_the_figures_were_said_to_show() -> None:
    view = Memory(Session())
    race = Race(Setting(delay=4, hidden_size=4, updates=1))
    race.update()
    view._picture(race)()
    assert all("1 update of “Add two numbers”" in label for label in labels(view))
    view._begin()
    assert all(label.endswith("nothing trained yet") for label in labels(view))


def test_where_the_controls_say_something_else_it_is_said_whose_curves_are_seen() -> None:
    view = Memory(Session())
    others = {
        "task": "Recall the first symbol", "steps in between": 51,
        "initial weights": "made to keep", "hidden units": 31, "learning rate": 0.01,
        "updates": 2999, "seed": 1, "Elman": False, "LSTM": False, "GRU": False,
    }  # fmt: skip
    race = Race(view.setting())
    assert others.keys() == view._controls().keys()
    for name, other in others.items():
        control = view._controls()[name]
        own, control.value = control.value, other
        assert view.reminder.object == ""
        view._shown = race.setting
        view.explain()
        assert "of the training before, of “Add two numbers” with 50 steps" in view.reminder.object
        view.runner._report = Report(lambda key, change: None)  # as while it runs
        view.explain()
        assert "of the training under way, of" in view.reminder.object
        view.runner._report = None
        control.value = own
        assert view.reminder.object == ""
        view._begin()


def labels(view: Memory) -> list[str]:
    return [figure.html_attributes["aria-label"] for figure in view.figures.values()]


def test_the_lstms_curve_is_seen_on_a_dark_page_too() -> None:
    for dark, colour in ((False, BLUE), (True, SKY)):
        (line,) = (
            renderer
            for renderer in Memory(Session(dark=dark)).figures["loss"].renderers
            if renderer.data_source.name == "LSTM" and hasattr(renderer.glyph, "line_dash")
            and not hasattr(renderer.glyph, "marker")
        )  # fmt: skip
        assert line.glyph.line_color == colour
