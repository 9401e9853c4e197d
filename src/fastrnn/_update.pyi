from typing import Any

import numpy as np

from fastrnn._equations import Rule

COLUMNS: int
UNITS: int
ROWS: int
TOKENS: int

_Blocks = tuple[tuple[int, int, int], ...]

class UpdateSweep:
    done: bool
    finite: bool
    def __init__(self, modules: int, parameters: int) -> None: ...
    @property
    def numbers(self) -> int: ...
    def add(
        self,
        param: np.ndarray,
        grad: np.ndarray,
        states: tuple[np.ndarray | None, ...] = ...,
        previous: np.ndarray | None = ...,
    ) -> None: ...
    def add_weight(self, weight: np.ndarray, gates: int) -> None: ...
    def add_copy(
        self,
        weight: np.ndarray,
        how: int,
        to: np.ndarray,
        blocks: _Blocks = ...,
        bias: np.ndarray | None = ...,
    ) -> bool: ...
    def add_bias_row(
        self,
        row: np.ndarray,
        of_input: np.ndarray | None,
        of_state: np.ndarray | None,
        input_blocks: _Blocks,
        hidden_blocks: _Blocks,
        hidden: int,
    ) -> None: ...
    def watch(self, of: object) -> None: ...
    def publish(self, attributes: dict[str, Any], packed: object) -> None: ...
    def is_whole(self) -> bool: ...
    def again(self) -> bool: ...
    def norm(self, threads: int = ...) -> float: ...
    def run(self, rule: Rule, scale: float, threads: int) -> None: ...
