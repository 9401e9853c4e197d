"""The page's worked example, in a browser: every number on it is the library's."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from browser import eventually, eventually_holds, numbers
from test_worked_examples import LOSSES, STATES

pytest.importorskip("panel")

from fastrnn.demo.models.worked import INPUTS, KINDS, TARGETS, Descent, Example, Worked
from fastrnn.demo.session import Session
from fastrnn.demo.views import walkthrough
from fastrnn.demo.views.worked_example import WorkedExample
from fastrnn.plot.axes import BLUE, SKY

STAGES = {"losses": 5, "sums": 10, "check": 11, "step": 12, "training": 13}


@pytest.fixture
def page(open_view) -> Any:
    return open_view("worked-example")


def choose_stage(page: Any, index: int) -> None:
    page.locator("[name=stage]").select_option(index=index)


def cell(page: Any, name: str) -> Any:
    return page.locator(f'[data-cell="{name}"]')


def shown(value: float, decimals: int = 4) -> float:
    return round(float(value), decimals)


def eventually_shows(page: Any, name: str, value: float, decimals: int = 4) -> None:
    eventually(cell(page, name), [pytest.approx(shown(value, decimals), abs=1e-12)], numbers)


def all_cells(page: Any) -> dict[str, float]:
    read = page.locator("[data-cell]").evaluate_all(
        "cells => cells.map(c => [c.dataset.cell, c.textContent.replace('−', '-')])"
    )
    return {name: float(text) for name, text in read if text}


def network_slopes(example: Example) -> dict[str, np.ndarray]:
    """Central differences, from a forward pass that the page has no part in."""
    network = example.network()
    state = example.state()
    given = network.state_dict()
    slopes = {}
    for name, value in given.items():
        slope = np.empty(value.shape)
        for index in np.ndindex(value.shape):
            losses = []
            for nudge in (1e-5, -1e-5):
                moved = {key: array.copy() for key, array in given.items()}
                moved[name][index] += nudge
                network.load_state_dict(moved)
                start = state if len(state) > 1 else state[0]
                losses.append(network.loss(INPUTS, TARGETS, start, reduction="sum")[0])
            slope[index] = (losses[0] - losses[1]) / 2e-5
        slopes[name] = slope
    return slopes


def test_next_and_back_walk_through_all_stages_and_show_what_they_have_come_to(page) -> None:
    assert page.get_by_role("button", name="Back").is_disabled()
    step = page.get_by_role("button", name="Next")
    step.click()
    eventually_shows(page, "h h 1", STATES[0])
    assert cell(page, "h h 2").inner_text() == ""
    for t in (2, 3, 4):
        step.click()
        eventually_shows(page, f"L L {t}", LOSSES[t - 1])
    for _ in range(9):
        step.click()
    stage = page.locator("[name=stage]")
    page.wait_for_function("select => select.value.startsWith('14.')", arg=stage.element_handle())
    page.wait_for_function("button => button.ariaDisabled === 'true'", arg=step.element_handle())
    page.get_by_role("button", name="Back").click()
    page.wait_for_function("select => select.value.startsWith('13.')", arg=stage.element_handle())
    eventually_shows(page, "W_hh[h, h] after", 0.1547905489)


def test_all_numbers_are_the_librarys_and_gradients_the_slopes_of_its_loss(page) -> None:
    page.locator("[name=decimals]").select_option("8")
    for kind, size in zip(KINDS, (2, 1, 1, 2), strict=True):
        page.locator("[name=network]").select_option(kind)
        page.locator("[name=hidden-units]").select_option(str(size))
        check_all_numbers(page, Worked(Example.of(kind, size)))


def check_all_numbers(page: Any, worked: Worked) -> None:
    choose_stage(page, 4)
    eventually_shows(page, "L L 4", worked.copies[3].loss, 8)
    check(all_cells(page), worked.forward())
    choose_stage(page, 9)
    eventually_shows(page, "dy dL/dy[hi] 1", worked.copies[0].grad_prediction[0], 8)
    check(all_cells(page), worked.backward())
    choose_stage(page, STAGES["check"])
    cell(page, "b_y[!] by nudging").wait_for()
    on_page, slopes = all_cells(page), network_slopes(worked.example)
    for matrix in worked.example.parameters():
        for label, slope in zip(matrix.labels(), slopes[matrix.name].ravel(), strict=True):
            assert on_page[f"{label} by BPTT"] == pytest.approx(slope, abs=2e-8)
            assert on_page[f"{label} by nudging"] == pytest.approx(slope, abs=2e-8)


def check(on_page: dict[str, float], groups: list[Any]) -> None:
    expected = {
        f"{group.key} {label} {t + 1}": value
        for group in groups
        for label, row in zip(group.labels, group.values, strict=True)
        for t, value in enumerate(row)
    }
    assert on_page.keys() == expected.keys()
    for name, value in expected.items():
        assert on_page[name] == pytest.approx(shown(value, 8), abs=1e-12), name


def test_every_field_changes_its_number_and_no_other(page) -> None:
    choose_stage(page, STAGES["step"])
    example = Example.of("Elman, tanh", 1)
    cell(page, "b_y[!] after").wait_for()
    for table, matrix in enumerate(example.matrices()):
        values = example.numbers[matrix.name].copy()
        for index, label in enumerate(matrix.labels()):
            row, column = divmod(index, len(matrix.columns))
            values.flat[index] = new = round(0.11 + 0.07 * index + 0.13 * table, 2)
            page.locator(f"[name=number-{table}-{row}-{column}]").fill(str(new))
            if "." in matrix.name:
                eventually_shows(page, f"{label} before", new)
        example = example.replaced(matrix.name, values)
    page.locator("[name=learning-rate]").fill("0.05")
    after = Worked(Example(example.kind, 1, example.numbers, 0.05)).after()
    for matrix in example.parameters():
        for label, value in zip(matrix.labels(), after.numbers[matrix.name].flat, strict=True):
            eventually_shows(page, f"{label} after", value)
    on_page = all_cells(page)
    for matrix in example.parameters():
        for label, value in zip(matrix.labels(), example.numbers[matrix.name].flat, strict=True):
            assert on_page[f"{label} before"] == pytest.approx(shown(value), abs=1e-12)


def test_what_is_no_number_gets_a_message_beside_it_and_the_last_good_one_stays(page) -> None:
    choose_stage(page, 4)
    field, message = page.locator("[name=number-1-0-0]"), page.locator("#message-number-1-0-0")
    field.fill("0.9")
    changed = Example.of("Elman, tanh", 1).replaced("rnn.weight_hh_l0", np.array([[0.9]]))
    eventually_shows(page, "h h 4", Worked(changed).copies[3].output[0])
    for h_0, typed in enumerate(["abc", "nan", "inf", "-inf", "1e9", ""]):
        field.fill(typed)
        got = f"got “{typed}”" if typed else "the field is empty"
        message.get_by_text(got).wait_for()
        assert field.get_attribute("aria-invalid") == "true"
        page.locator("[name=number-6-0-0]").fill(str(h_0))  # the initial state: the page lives on
        state = Worked(changed.replaced("h_0", np.array([float(h_0)]))).copies[3].output[0]
        eventually_shows(page, "h h 4", state)
    page.locator("[name=learning-rate]").fill("0")
    page.locator("#message-learning-rate").get_by_text("Expected a number").wait_for()
    field.fill("0.2")
    eventually(message, "")
    page.get_by_role("button", name="Start over").click()
    eventually_shows(page, "h h 4", STATES[3])
    eventually_holds(page.locator("[name=number-6-0-0]"), "0")


def test_a_step_that_is_taken_becomes_the_numbers_of_one_reader_alone(page, open_view) -> None:
    other = open_view("worked-example")
    for reader in (page, other):
        choose_stage(reader, STAGES["step"])
    page.get_by_role("button", name="Take this step").click()
    before = Worked(Example.of("Elman, tanh", 1))
    after = Worked(before.after())
    weight = "rnn.weight_hh_l0"
    eventually_shows(page, "W_hh[h, h] before", after.example.numbers[weight][0, 0])
    eventually_shows(page, "W_hh[h, h] after", after.after().numbers[weight][0, 0])
    eventually_holds(page.locator("[name=number-1-0-0]"), "0.1548")
    other.locator("[name=number-6-0-0]").fill("0.5")
    moved = Worked(before.example.replaced("h_0", np.array([0.5])))
    eventually_shows(other, "W_hh[h, h] slope", moved.gradients[weight][0, 0])
    eventually_shows(other, "W_hh[h, h] before", 0.2)
    eventually_shows(page, "W_hh[h, h] slope", after.gradients[weight][0, 0])


def test_a_training_ends_at_the_librarys_loss_is_stopped_and_says_what_went_wrong(page) -> None:
    choose_stage(page, STAGES["training"])
    page.locator("[name=steps]").fill("50")
    page.get_by_role("button", name="Train").click()
    descent = Descent(Example.of("Elman, tanh", 1))
    for _ in range(50):
        descent.step()
    said = page.locator(".say.good")
    eventually(said, [50, shown(descent.example.loss()), shown(sum(LOSSES))], numbers)
    page.get_by_role("button", name="Put what it learned into the fields").click()
    choose_stage(page, STAGES["losses"])
    eventually(page.locator("table.walk tr").last, [shown(descent.example.loss())], numbers)
    choose_stage(page, STAGES["training"])
    page.locator("[name=steps]").fill("20000")
    page.get_by_role("button", name="Train").click()
    stop = page.get_by_role("button", name="Stop")
    page.wait_for_function("button => button.ariaDisabled === 'false'", arg=stop.element_handle())
    stop.click()
    page.get_by_text("Stopped.", exact=True).wait_for()
    made = numbers(page.locator(".say", has_text="After").first.inner_text())[0]
    assert 0 < made < 20000
    keep = page.get_by_role("button", name="Put what it learned into the fields")
    page.wait_for_function("button => button.ariaDisabled === 'false'", arg=keep.element_handle())
    page.locator("[name=network]").select_option("Elman, ReLU")
    page.locator("[name=learning-rate]").fill("900")
    page.get_by_role("button", name="Train").click()
    page.get_by_text("the learning rate 900 is too large").wait_for()


@pytest.fixture
def view() -> WorkedExample:
    return WorkedExample(Session())


def label(view: WorkedExample) -> str:
    return view.figure.html_attributes["aria-label"]


def test_a_step_too_far_is_said_and_leaves_the_numbers_as_they_are(view) -> None:
    said: list[str] = []
    view.session.on_announcement(said.append)
    view._set(Example.of("Elman, ReLU", 2, lr=1000.0))
    for _ in range(20):
        view._take_step()
    assert "the learning rate 1000 is too large" in said[-1]
    before = view.example
    view._take_step()
    assert view.example is before


@pytest.mark.parametrize("name", ["lr", "many"])
def test_a_field_with_a_message_begins_no_training(view, name) -> None:
    field = getattr(view, name)
    field.text = "many"
    view.runner.start()
    assert not view.runner.running
    assert view.runner.bar.text == f"{field.label}: {field.message}"


def test_the_curves_label_holds_its_numbers_and_goes_with_it(view) -> None:
    losses = [4.0, 2.0, 1.0]
    view._draw(losses, 2)
    assert label(view).endswith("4.0000 at first, 1.0000 after step 2")
    for begin_anew in (lambda: view._set(view.example), view._begin):
        view._draw(losses, 2)
        view._end_training((view.example, view.example, losses, ""))
        assert not view.keep.disabled
        begin_anew()
        assert label(view).endswith("nothing yet")
        assert (view.outcome.object, view.curve.data["loss"]) == ("", [])
        assert view.keep.disabled


def test_the_curve_is_seen_on_a_dark_page_too() -> None:
    for dark, colour in ((False, BLUE), (True, SKY)):
        (line,) = WorkedExample(Session(dark=dark)).figure.renderers
        assert line.glyph.line_color == colour


def test_what_is_said_of_many_steps_also_holds_where_the_loss_rises() -> None:
    assert "with a learning rate that is too large it jumps about or rises" in (
        walkthrough.stages()[-1].words
    )


def test_the_words_error_is_added_up_over_the_weights_to_what_reaches_the_state() -> None:
    for kind in KINDS:
        worked = Worked(Example.of(kind, 2))
        stages = [s for s in walkthrough.stages() if s.name.startswith("Backward, step 2: “there”")]
        lines = "".join(stages[0].equation(worked, lambda value: f"{value:.6f}"))
        own = re.findall(r"own[^=+]*= ([^=<]*(?:<b>[^=]*)) = <b>\(?([-\d.]+)", lines)
        assert len(own) == 2
        for (products, total), expected in zip(own, worked.copies[1].grad_output, strict=True):
            factors = [float(n) for n in re.findall(r"-?\d+\.?\d*", products)]
            assert sum(np.multiply(factors[::2], factors[1::2])) == pytest.approx(
                float(total), abs=1e-5
            )
            assert float(total) == pytest.approx(expected, abs=1e-6)


def test_no_number_is_cut_by_its_field(open_view) -> None:
    for width in (360, 1200):
        page = open_view("worked-example", viewport={"width": width, "height": 900})
        page.locator("[name=network]").select_option("LSTM")
        page.locator("[name=hidden-units]").select_option("2")
        choose_stage(page, STAGES["step"])
        page.locator("[name=number-0-7-3]").wait_for()
        page.get_by_role("button", name="Take this step").click()
        after = Worked(Example.of("LSTM", 2)).after()
        changed = after.numbers["rnn.weight_ih_l0"][0, 0]
        eventually_shows(page, "W_ih[i1, hi] before", changed)
        cut = page.locator("[name^=number-]").evaluate_all(
            "fields => fields.filter(f => f.scrollWidth > f.clientWidth).map(f => f.value)"
        )
        assert cut == []
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0


def test_every_column_of_a_table_has_a_title() -> None:
    worked = Worked(Example.of("Elman, tanh", 1))
    for stage in walkthrough.stages():
        assert "<td></td>" not in stage.table(worked, str).split("</thead>")[0]


def test_the_sums_shown_are_the_librarys_gradients() -> None:
    worked = Worked(Example.of("GRU", 2))
    (stage,) = (stage for stage in walkthrough.stages() if stage.name == "The sums")
    shown_sums = stage.table(worked, repr)
    for matrix in worked.example.parameters():
        for name, value in zip(matrix.labels(), worked.gradients[matrix.name].flat, strict=True):
            assert f'data-cell="{name} sum">{value!r}<' in shown_sums
