"""The table of features keeps to its form, and tests hold what it promises."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "features.md"

pytestmark = pytest.mark.skipif(
    not TABLE.exists(), reason="the documents are not beside these tests"
)

ROW = re.compile(r"^\| *(\d+) *\|(.*)\|$", re.MULTILINE)
HEAD = re.compile(r"^\| \| \|(.*)\|$", re.MULTILINE)
HELD = re.compile(r"^- (\d+): (`[^`]+`(?:,\s+`[^`]+`)*)$", re.MULTILINE)
ANSWER = re.compile(r"(\*\*yes\*\*|yes|no|partly|\?)(: .+)?")


@cache
def text() -> str:
    return TABLE.read_text(encoding="utf-8")


@cache
def rows() -> dict[int, list[str]]:
    """Of each row by its number: the feature and the answers, fastrnn's the first of them."""
    found = [(int(number), rest.split("|")) for number, rest in ROW.findall(text())]
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    return {number: [cell.strip() for cell in cells] for number, cells in found}


@cache
def held() -> dict[int, list[str]]:
    found = [(int(number), re.findall("`([^`]+)`", of)) for number, of in HELD.findall(text())]
    assert len(dict(found)) == len(found), "a row's tests stand in two places"
    return dict(found)


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def is_there(name: str) -> bool:
    """Whether a test is, named as ``tests/test_file.py::test_function``."""
    file, _, function = name.partition("::")
    path = ROOT / file
    return path.is_file() and function.startswith("test_") and function in functions(path)


def test_every_yes_names_a_test() -> None:
    promised = {number for number, cells in rows().items() if cells[1].startswith("**yes**")}
    assert len(promised) > 50
    assert promised == held().keys()


def test_every_test_that_is_named_exists() -> None:
    named = {name for names in held().values() for name in names}
    assert len(named) > 50
    assert sorted(name for name in named if not is_there(name)) == []


@pytest.mark.parametrize(
    "name",
    [
        "tests/test_features.py::test_no_such_thing",
        "tests/test_no_such_file.py::test_every_yes_names_a_test",
        "tests/test_features.py::is_there",
        "tests/test_features.py",
    ],
)
def test_a_test_that_does_not_exist_is_noticed(name: str) -> None:
    assert not is_there(name)
    assert is_there("tests/test_features.py::test_every_yes_names_a_test")


def test_every_answer_is_yes_no_partly_or_unknown() -> None:
    heads = [head.split("|") for head in HEAD.findall(text())]
    assert len(heads) == 5
    assert all(head == heads[0] for head in heads)
    for number, (_, ours, *others) in rows().items():
        assert len(others) + 1 == len(heads[0]), f"row {number}"
        assert all(ANSWER.fullmatch(answer) for answer in (ours, *others)), f"row {number}"
        assert not ours.startswith(("yes", "?")), f"row {number}: fastrnn's yes is bold"


def test_what_was_looked_at_stands_in_a_note_for_every_library() -> None:
    for library in HEAD.findall(text())[0].split("|")[1:]:
        (note,) = re.findall(r"\[\^\w+\]", library)
        assert f"\n{note}: " in text(), library
