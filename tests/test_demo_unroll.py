"""The page's unrolled network has the compiled layer's states under its copies."""

from __future__ import annotations

import re

import numpy as np
import pytest
from browser import drag, eventually, numbers

pytest.importorskip("panel")

import fastrnn
from fastrnn.demo.models.unroll import Unrolled
from fastrnn.demo.session import Session
from fastrnn.demo.views.gradients import GradientsView
from fastrnn.demo.views.unroll import Unroll


def network(hidden_size: int, seed: int) -> fastrnn.Network:
    return fastrnn.Network(
        fastrnn.RNN(1, hidden_size, dtype=np.float64, seed=seed),
        fastrnn.Linear(hidden_size, 1, dtype=np.float64, seed=seed + 1),
    )


def inputs(length: int) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(1, length + 1) / 10)[:, None]


def shown(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in np.ravel(values)]


def states(length: int, hidden_size: int, seed: int = 0) -> list[float]:
    output, _ = network(hidden_size, seed).layer(inputs(length))
    return shown(output)


def test_a_longer_sequence_leaves_the_weights_and_the_first_states_as_they_were() -> None:
    model = Unrolled()
    before, weight = model.states(), model.weight("W_hh")
    model.set(length=7)
    np.testing.assert_array_equal(model.weight("W_hh"), weight)
    np.testing.assert_array_equal(model.states()[: len(before)], before)


@pytest.mark.parametrize("name", ["W_ih", "W_hh", "W_hy"])
def test_the_weights_are_the_networks_own(name) -> None:
    theirs = network(3, 0)
    expected = {
        "W_ih": theirs.layer.weight_ih_l0,
        "W_hh": theirs.layer.weight_hh_l0,
        "W_hy": theirs.readout.weight,
    }
    np.testing.assert_array_equal(Unrolled().weight(name), expected[name])


def test_the_copies_have_the_layers_states_for_any_length_size_and_weights(open_view) -> None:
    page = open_view("unroll")

    copies = page.locator(".copies .state")

    def states_shown(expected: list[float], count: int) -> None:
        eventually(copies, expected, numbers)
        assert copies.count() == count

    states_shown(states(4, 3), 4)
    drag(page.get_by_label("Steps T"), 7)
    states_shown(states(7, 3), 7)
    drag(page.get_by_label("Hidden units"), 2)
    states_shown(states(7, 2), 7)
    page.get_by_role("button", name="New weights").click()
    states_shown(states(7, 2, seed=1), 7)
    drag(page.get_by_label("Steps T"), 1)
    states_shown(states(1, 2, seed=1), 1)

    x, y = inputs(1), network(2, 1)(inputs(1))[0]
    for drawn in (x, y):
        text = f"= {round(float(drawn[0, 0]), 3)}".replace("-", "−")
        page.locator(".copies svg").first.get_by_text(text).wait_for()


def test_the_chosen_weights_light_up_in_every_copy(open_view) -> None:
    page = open_view("unroll")
    theirs = network(3, 0)
    for name, weight, part in (
        ("W_ih", theirs.layer.weight_ih_l0, "ih"),
        ("W_hy", theirs.readout.weight, "hy"),
        ("W_hh", theirs.layer.weight_hh_l0, "hh"),
    ):
        page.get_by_label(name).check()
        eventually(page.locator("table.matrix td"), shown(weight), numbers)
        lit = f".chosen-{part} .copies .{part} path.head"
        assert page.locator(lit).count() == 4
        for other in {"ih", "hh", "hy"} - {part}:
            assert opacity(page, other) == "0.5"
        assert opacity(page, part) == "1"
    assert "22 parameters" in page.locator(".say").inner_text()


def opacity(page, part: str) -> str:
    return (
        page.locator(f".copies .{part} path")
        .first.evaluate("(element) => getComputedStyle(element).opacity")
    )  # fmt: skip


def test_one_copy_is_not_said_to_share_its_weights() -> None:
    view = Unroll(Session())
    assert "the same in all 4 copies: 3 × 3 = 9 numbers, not 4 × 9." in view.words.object
    view.change(length=1)
    assert "not 1 × 9" not in view.words.object
    assert "has 3 × 3 = 9 numbers" in view.words.object


@pytest.mark.parametrize("hidden_size", [1, 3, 6])
def test_the_parts_that_are_counted_make_all_parameters(hidden_size) -> None:
    view = Unroll(Session())
    view.change(hidden_size=hidden_size)
    state = network(hidden_size, 0).state_dict()
    assert sorted(view.model.counts().values()) == sorted(value.size for value in state.values())
    said = re.sub("<.*?>", "", view.words.object)
    total = sum(value.size for value in state.values())
    count, terms, result = re.search(r"has (\d+) parameters.*?: (.*?) = (\d+)\.", said).groups()
    assert int(count) == int(result) == total
    assert sum(map(int, re.findall(r"(\d+) \(", terms))) == total


def test_one_number_is_not_called_numbers() -> None:
    view = Unroll(Session())
    view.change(hidden_size=1)
    assert "1 × 1 = 1 number, not" in view.words.object


def test_the_loop_and_its_name_stay_within_the_compact_cells_frame(open_view) -> None:
    page = open_view("unroll")
    frame = page.locator(".copy.compact").bounding_box()
    for part in (page.locator(".compact .hh path"), page.locator(".compact .hh text")):
        for i in range(part.count()):
            box = part.nth(i).bounding_box()
            assert box["x"] > frame["x"] + 2
            assert box["x"] + box["width"] < frame["x"] + frame["width"] - 2


def test_the_rows_and_columns_of_the_weights_have_names() -> None:
    view = Unroll(Session())
    for name, columns, rows in (("W_ih", 1, 3), ("W_hh", 3, 3), ("W_hy", 3, 1)):
        view.chosen.value = name
        assert view.words.object.count('<th scope="col">') == columns + 1
        assert view.words.object.count('<th scope="row">') == rows


def test_wide_tables_can_be_scrolled_by_the_keyboard() -> None:
    for markup in (Unroll(Session()).words.object, GradientsView(Session()).clipped.object):
        assert '<div class="scroll" role="region" tabindex="0" aria-label="' in markup
