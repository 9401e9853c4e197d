"""Compiled; see _backward.pyx."""

from typing import Any

def backward(*arguments: Any) -> None: ...
