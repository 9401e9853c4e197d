"""The recurrent cells a model can be built from, by name.

A new cell is a layer class and one entry in ``CELLS``; character models, forecasters and
the command line then offer it.
"""

from __future__ import annotations

from typing import Any

from fastrnn import _check
from fastrnn.layers import RNN

CELLS: dict[str, type[RNN]] = {"rnn": RNN}


def make_layer(
    cell: str,
    input_size: int,
    hidden_size: int,
    *,
    nonlinearity: str,
    dtype: Any,
    seed: int | None,
) -> RNN:
    """Return a new recurrent layer of the named cell.

    Raises
    ------
    ValueError
        If ``cell`` is none of ``CELLS``, or the layer refuses one of the other arguments.

    Examples
    --------
    >>> make_layer("rnn", 3, 5, nonlinearity="tanh", dtype="float32", seed=0).weight_hh_l0.shape
    (5, 5)
    """
    layer_class = CELLS[_check.choice("cell", cell, tuple(CELLS))]
    return layer_class(input_size, hidden_size, nonlinearity=nonlinearity, dtype=dtype, seed=seed)
