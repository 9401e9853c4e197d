"""Fixtures that several files of tests share."""

from collections.abc import Iterator

import pytest
from browser import address, chromium, open_view, usual_reader
from oracles.sweeps import split_small_problems
from pictures import pyplot

__all__ = ["address", "chromium", "open_view", "pyplot", "usual_reader"]


@pytest.fixture
def always_split() -> Iterator[None]:
    """Let small problems use several threads too."""
    with split_small_problems:
        yield
