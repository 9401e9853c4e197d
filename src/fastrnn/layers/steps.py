"""A recurrent layer one step at a time: what streams and generated text advance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check
from fastrnn._cells import Cells
from fastrnn._step import Stream
from fastrnn.layers.embedding import Table, Tokens

if TYPE_CHECKING:
    from fastrnn.layers.recurrent import Recurrent

# A prompt is read so many tokens at a time: the states of all of a long one would take gigabytes.
PROMPT_STEPS = 4096


def require_one_direction(layer: Recurrent) -> None:
    """Refuse a layer of which a step needs later ones."""
    if layer.bidirectional:
        raise ValueError(
            "a bidirectional layer reads sequences from their end too, which a stream, or a "
            "text of which each token follows from those before, does not have; use "
            "bidirectional=False"
        )


def cells_of(layer: Recurrent, rows: int, stored: int, table: Table | None) -> Cells:
    """Return the layer's cells for being advanced step by step, states zero."""
    require_one_direction(layer)
    cells = Cells(layer.dtype, rows, layer.input_size)
    for sweep, packed in zip(layer._sweeps, layer._packed(), strict=True):
        sweep.add_to(cells, packed, stored, Tokens(table))
    return cells


def checked_cells(
    layer: Recurrent, batch_size: Any, weights: Any, table: Table | None
) -> tuple[Cells, int]:
    """Return what a stream advances and what its weights are stored as, both as asked for."""
    batch_size = _check.integer("batch_size", batch_size)
    numbers = (3 + layer._row_gates) * layer.hidden_size * layer.num_layers
    _check.memory("the states", batch_size, numbers, layer.dtype.itemsize)
    stored = _check.weights("weights", weights, layer.dtype)
    return cells_of(layer, batch_size, stored, table), stored


def cells_after(
    layer: Recurrent, prompt: np.ndarray, rows: int, stored: int, table: Table | None
) -> Cells:
    """Return the layer's cells for being advanced step by step, all rows after ids (T,)."""
    cells = cells_of(layer, rows, stored, table)
    if len(prompt):
        cells.set_state(_state_after(layer, prompt, stored, table))
    return cells


def _state_after(layer: Recurrent, ids: np.ndarray, stored: int, table: Table | None) -> Any:
    """Return the parts of the state after ids (T,), (L, 1, size) each."""
    if stored:
        cells = cells_of(layer, 1, stored, table)
        cells.read(ids)
        return cells.state()
    state: Any = None
    parts: tuple[np.ndarray, ...] = ()
    for begin in range(0, len(ids), PROMPT_STEPS):
        some = ids[begin : begin + PROMPT_STEPS]
        parts = layer._final(layer._forward(some, state, None, keep=False, table=table))
        state = layer._state_of(parts)
    return [part[:, None] for part in parts]


def stream_of(layer: Recurrent, cells: Cells, **options: Any) -> Stream:
    """Return a stream that advances a layer's cells."""
    return Stream(cells, layer.state_names, layer.state_sizes, **options)
