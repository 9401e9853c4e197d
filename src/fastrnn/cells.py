"""The recurrent cells a model can be built from, by name.

A new cell is a layer class and one entry in ``CELLS``; character models, forecasters and
the command line then offer it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.layers import GRU, LSTM, RNN, Linear, Recurrent
from fastrnn.network import Network

CELLS: dict[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def make_layer(
    cell: str,
    input_size: int,
    hidden_size: int,
    *,
    nonlinearity: str,
    dtype: Any,
    seed: int | None,
) -> Recurrent:
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
    options: dict[str, Any] = {"dtype": dtype, "seed": seed}
    if "nonlinearity" in layer_class.options:
        options["nonlinearity"] = nonlinearity
    elif nonlinearity != "tanh":
        raise ValueError(f"cell {cell!r} has a fixed nonlinearity, got {nonlinearity!r}")
    return layer_class(input_size, hidden_size, **options)


def make_network(
    cell: str,
    input_size: int,
    hidden_size: int,
    output_size: int,
    *,
    nonlinearity: str,
    dtype: Any,
    seed: int,
) -> Network:
    """Return a new layer of the named cell with a read-out, each with its own stream of ``seed``.

    Raises
    ------
    ValueError
        As :func:`make_layer` does.

    Examples
    --------
    >>> make_network("rnn", 3, 5, 2, nonlinearity="tanh", dtype="float32", seed=0).readout
    Linear(5, 2, dtype=float32)
    """
    layer_seed, readout_seed = np.random.SeedSequence(seed).generate_state(2).tolist()
    layer = make_layer(
        cell, input_size, hidden_size, nonlinearity=nonlinearity, dtype=dtype, seed=layer_seed
    )
    return Network(layer, Linear(hidden_size, output_size, dtype=dtype, seed=readout_seed))
