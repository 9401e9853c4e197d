"""Fixtures that several files of tests share."""

import pytest
from browser import address, chromium, open_view, usual_reader
from pictures import pyplot

from fastrnn import _threads

__all__ = ["address", "chromium", "open_view", "pyplot", "usual_reader"]


@pytest.fixture
def always_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small problems use several threads too."""
    monkeypatch.setattr(_threads, "MINIMUM_SHARE", 1)
    monkeypatch.setattr(_threads, "MINIMUM_TURN", 1)
