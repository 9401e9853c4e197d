"""Compiled; see _loops.pyx."""

from typing import Any

def __getattr__(name: str) -> Any: ...
