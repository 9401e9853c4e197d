"""Tables of fields lose no change, take no bad number, and know what belongs to them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytest.importorskip("panel")

from fastrnn.demo.controls import Button
from fastrnn.demo.number_tables import NumberTables

TABLES = [("W", "weights", ["a", "b"], ["x", "y"]), ("b", "biases", ["a", "b"], [""])]
VALUES = [np.array([[1.0, 2.0], [3.0, 1 / 3]]), np.array([0.5, -0.5])]


@pytest.fixture
def changes() -> list[tuple[int, list]]:
    return []


@pytest.fixture
def tables(changes) -> NumberTables:
    made = NumberTables(lambda table, values: changes.append((table, values.tolist())), -10, 10)
    made.show(TABLES, VALUES)
    return made


def type_in(tables: NumberTables, *typed: tuple[int, int, int, str]) -> None:
    texts = copy.deepcopy(tables.texts)
    for table, row, column, text in typed:
        texts[table][row][column] = text
    tables.texts = texts


def test_what_is_shown_is_no_change(tables, changes) -> None:
    assert tables.texts == [[["1", "2"], ["3", "0.3333"]], [["0.5"], ["-0.5"]]]
    assert changes == []


def test_a_number_is_shown_in_seven_characters_at_most(tables) -> None:
    shown = {
        -0.00541099: "-0.0054", -0.000541: "-5e-04", -1.23456: "-1.2346", -12.3456: "-12.35",
        -999.99: "-1000", 9.99996: "10", 0.0: "0", 0.5: "0.5", 1e-300: "1e-300",
    }  # fmt: skip
    tables.show([("v", "numbers", [*map(str, shown)], [""])], [np.array([*shown])])
    assert [text for (text,) in tables.texts[0]] == [*shown.values()]


def test_a_change_keeps_the_other_numbers_to_the_last_digit(tables, changes) -> None:
    type_in(tables, (0, 0, 1, "2.5"))
    assert changes == [(0, [[1.0, 2.5], [3.0, 1 / 3]])]


def test_changes_that_arrive_as_one_are_all_taken(tables, changes) -> None:
    type_in(tables, (0, 0, 0, "9"), (1, 1, 0, "-9"), (0, 1, 0, "x"))
    assert sorted(changes) == [(0, [[9.0, 2.0], [3.0, 1 / 3]]), (1, [[0.5], [-9.0]])]
    assert tables.messages[0][1][0] == "Expected a number from -10 to 10, got “x”."


@pytest.mark.parametrize("text", ["x", "", "nan", "inf", "-1e999", "11", "1,5"])
def test_what_is_no_number_gets_a_message_and_changes_nothing(tables, changes, text) -> None:
    type_in(tables, (1, 0, 0, text))
    assert changes == []
    assert tables.messages[1][0][0].startswith("Expected a number from -10 to 10")
    type_in(tables, (1, 0, 0, "1"))
    assert tables.messages[1][0][0] == ""
    assert changes == [(1, [[1.0], [-0.5]])]


def test_other_tables_forget_messages_and_ignore_fields_that_are_gone(tables, changes) -> None:
    before = copy.deepcopy(tables.texts)
    type_in(tables, (1, 0, 0, "x"))
    tables.show(TABLES[1:], VALUES[1:])
    assert tables.messages == [[[""], [""]]]
    tables.texts = before
    assert changes == []


def test_clicks_that_arrive_as_one_are_all_counted() -> None:
    clicked = []
    button = Button("Next", lambda: clicked.append(1))
    button.clicks = 3
    button.clicks = 4
    assert len(clicked) == 4
