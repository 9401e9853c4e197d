import numpy as np

_Blocks = tuple[tuple[int, int, int], ...]

def fill_bias_row(
    row: np.ndarray,
    of_input: np.ndarray | None,
    of_state: np.ndarray | None,
    input_blocks: _Blocks,
    hidden_blocks: _Blocks,
    hidden: int,
) -> None: ...
