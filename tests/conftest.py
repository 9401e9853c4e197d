"""Fixtures that several files of tests share."""

from collections.abc import Iterator

import pytest
from browser import address, chromium, open_view, usual_reader
from hypothesis import settings
from oracles.sweeps import split_small_problems
from pictures import pyplot

# How fast an example is says nothing on a busy machine; benchmarks tell.
settings.register_profile("fastrnn", deadline=None)
settings.load_profile("fastrnn")

__all__ = ["address", "chromium", "open_view", "pyplot", "usual_reader"]


@pytest.fixture
def always_split() -> Iterator[None]:
    """Let small problems use several threads too."""
    with split_small_problems:
        yield
