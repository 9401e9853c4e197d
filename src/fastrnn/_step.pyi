"""Compiled; see _step.pyx."""

from typing import Any

import numpy as np

class Stream:
    input_size: int
    output_size: int
    batch_size: int
    def __init__(
        self,
        cells: Any,
        state_names: tuple[str, ...],
        state_sizes: tuple[int, ...],
        num_tokens: int | None = None,
        is_softmax: bool = False,
    ) -> None: ...
    @property
    def state(self) -> Any: ...
    def reset(self, state: Any = None, rows: Any = None) -> None: ...
    def step(self, x: Any, out: np.ndarray | None = None) -> np.ndarray: ...
