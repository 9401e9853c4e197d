"""What tests of pictures share."""

from __future__ import annotations

import pytest


@pytest.fixture
def pyplot():
    """Return pyplot without any figure; those that a test leaves are closed."""
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed").use("agg")
    from matplotlib import pyplot

    pyplot.close("all")
    yield pyplot
    pyplot.close("all")
