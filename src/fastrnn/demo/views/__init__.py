"""The views of the page, in the order of its navigation by module."""

from __future__ import annotations

import importlib
from typing import Any

MODULES = (
    "one_neuron",
    "worked_example",
    "unroll",
    "gradients",
    "write",
    "read",
    "predict",
    "memory",
)


def load() -> list[type[Any]]:
    """Import the views' modules, which need Panel, and return their classes, named ``VIEW``."""
    return [importlib.import_module(f"fastrnn.demo.views.{name}").VIEW for name in MODULES]
