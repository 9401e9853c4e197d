"""Compiled; see _step.pyx."""

from typing import Any

import numpy as np

class RNNStream:
    input_size: int
    hidden_size: int
    batch_size: int
    def __init__(
        self,
        packed_ih: np.ndarray,
        bias: np.ndarray,
        packed_hh: np.ndarray,
        table_rows: np.ndarray,
        nonlinearity: int,
        batch_size: int,
    ) -> None: ...
    @property
    def state(self) -> np.ndarray: ...
    def reset(self, h_0: Any = None) -> None: ...
    def step(self, x: Any, out: np.ndarray | None = None) -> np.ndarray: ...

def generate(*arguments: Any) -> None: ...
