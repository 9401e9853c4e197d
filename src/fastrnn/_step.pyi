"""Compiled; see _step.pyx."""

from typing import Any

import numpy as np

class Stream:
    input_size: int
    hidden_size: int
    batch_size: int
    def __init__(
        self,
        cell: int,
        nonlinearity: int,
        stored: int,
        packed_ih: np.ndarray,
        bias: np.ndarray,
        packed_hh: np.ndarray,
        token_rows: np.ndarray,
        columns: int,
        hidden_size: int,
        batch_size: int,
    ) -> None: ...
    @property
    def state(self) -> Any: ...
    def reset(self, state: Any = None) -> None: ...
    def step(self, x: Any, out: np.ndarray | None = None) -> np.ndarray: ...
