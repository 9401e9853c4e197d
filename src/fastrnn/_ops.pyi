"""Compiled; see _ops.pyx."""

from typing import Any

NONLINEARITIES: dict[str, int]
WEIGHTS: dict[str, int]

def __getattr__(name: str) -> Any: ...
