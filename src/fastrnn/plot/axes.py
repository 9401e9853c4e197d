"""What all pictures share: colours, and the axes that they are drawn on."""

from __future__ import annotations

import importlib.util
from typing import Any

# Okabe and Ito's colours, which readers with any colour vision tell apart.
BLUE, ORANGE, GREEN, SKY = "#0072b2", "#d55e00", "#009e73", "#56b4e9"
PINK, AMBER, YELLOW, BLACK = "#cc79a7", "#e69f00", "#f0e442", "#000000"

GRID = {"color": "#e0e0e0", "linewidth": 0.6}

_HOW = "needs Matplotlib, which the extra 'plot' brings: python -m pip install 'fastrnn[plot]'"


def check_available() -> None:
    """Raise a ValueError that says what to install, where Matplotlib is missing."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(f"--plot {_HOW}")


def current() -> Any:
    """Return the axes that pyplot draws on."""
    return pyplot().gca()


def pyplot() -> Any:
    """Return pyplot, or raise an ImportError that says what to install."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(f"a picture {_HOW}") from None
    return pyplot
