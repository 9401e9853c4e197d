"""Every example in the documents runs and gives what it says."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCUMENTS = sorted((Path(__file__).parent.parent / "docs").glob("*.md"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_examples_give_what_they_say(path: Path) -> None:
    assert doctest.testfile(str(path), module_relative=False, encoding="utf-8").failed == 0


def test_there_are_examples() -> None:
    assert any(">>> " in path.read_text(encoding="utf-8") for path in DOCUMENTS)
