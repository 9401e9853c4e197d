"""Compiled; see _cells.pyx."""

from typing import Any

import numpy as np

MOST: int

class Cells:
    capacity: int
    input_size: int
    output_size: int
    def __init__(self, dtype: np.dtype[Any], rows: int, input_size: int) -> None: ...
    def add(self, *arguments: Any) -> None: ...
    def add_composed(self, *arguments: Any) -> None: ...
    def state(self) -> list[np.ndarray]: ...
    def set_state(self, parts: Any, rows: Any = ...) -> None: ...
