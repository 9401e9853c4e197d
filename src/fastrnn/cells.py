"""The recurrent cells a model can be built from, by name.

A new cell is a layer class and one entry in ``CELLS``; character models, forecasters and
the command line then offer it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.layers import GRU, LSTM, RNN, Embedding, Jordan, Linear, Recurrent
from fastrnn.network import Network

CELLS: dict[str, type[Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU, "jordan": Jordan}


def make_layer(
    cell: str,
    input_size: int,
    hidden_size: int,
    *,
    nonlinearity: str,
    dtype: Any,
    seed: int | None,
    output_size: int | None = None,
    **options: Any,
) -> Recurrent:
    """Return a new recurrent layer of the named cell.

    Parameters
    ----------
    cell, input_size, hidden_size, nonlinearity, dtype, seed
        As the layers take them.
    output_size : int, optional
        Of a Jordan layer, what it puts out and feeds back.
    **options
        Of the layer; those that are as they are by default may be given to any.

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
    options |= {"dtype": dtype, "seed": seed}
    if "nonlinearity" in layer_class.options:
        options["nonlinearity"] = nonlinearity
    elif nonlinearity != "tanh":
        raise ValueError(f"cell {cell!r} has a fixed nonlinearity, got {nonlinearity!r}")
    if layer_class is not Jordan:
        return layer_class(input_size, hidden_size, **options)
    for name, usual in ("num_layers", 1), ("bidirectional", False), ("dropout", 0.0):
        if options.pop(name, usual) != usual:
            raise ValueError(f"cell 'jordan' is one layer in one direction, got another {name}")
    return Jordan(input_size, hidden_size, output_size or hidden_size, **options)


def make_network(
    cell: str,
    input_size: int,
    hidden_size: int,
    output_size: int,
    *,
    nonlinearity: str,
    dtype: Any,
    seed: int,
    embedding_size: int | None = None,
    tied: bool = False,
    **options: Any,
) -> Network:
    """Return a new network, each of its parts with its own stream of ``seed``.

    Parameters
    ----------
    cell, hidden_size, nonlinearity, **options
        Of the layer, as :func:`make_layer` takes them. A Jordan layer puts out the outputs itself.
    input_size, output_size : int
        Features or tokens that the network takes, and its outputs.
    embedding_size : int, optional
        Features of a token's vector; one-hot vectors unless given.
    tied : bool
        Whether the vectors are the rows of the read-out's weight.

    Raises
    ------
    ValueError
        As :func:`make_layer` does, or if parts do not fit together.

    Examples
    --------
    >>> make_network("rnn", 3, 5, 2, nonlinearity="tanh", dtype="float32", seed=0).readout
    Linear(5, 2, dtype=float32)
    """
    layer_seed, readout_seed, embedding_seed = np.random.SeedSequence(seed).generate_state(3)
    features = input_size if embedding_size is None else embedding_size
    if tied and embedding_size is None:  # what the layer puts out
        features = options.get("proj_size") or hidden_size
        features *= 2 if options.get("bidirectional") else 1
    layer = make_layer(
        cell, features, hidden_size, nonlinearity=nonlinearity, dtype=dtype,
        seed=int(layer_seed), output_size=output_size, **options,
    )  # fmt: skip
    readout = None
    if not isinstance(layer, Jordan):
        seed = int(readout_seed)
        readout = Linear(layer.output_size, output_size, dtype=dtype, seed=seed)
    embedding: Embedding | str | None = "tied" if tied else None
    if embedding_size is not None and not tied:
        seed = int(embedding_seed)
        embedding = Embedding(input_size, embedding_size, dtype=dtype, seed=seed)
    return Network(layer, readout, embedding=embedding)


def parameter_shapes(
    cell: str,
    input_size: int,
    hidden_size: int,
    output_size: int,
    *,
    embedding_size: int | None = None,
    tied: bool = False,
    num_layers: int = 1,
    layer_norm: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Return the shapes in the ``state_dict`` of a network that is not made.

    Takes what :func:`make_network` does. For models that come from a file, which may say anything:
    no memory is taken, however large they would be.

    Examples
    --------
    >>> parameter_shapes("gru", 3, 5, 2)["rnn.weight_hh_l0"]
    (15, 5)
    """
    layer_class = CELLS[_check.choice("cell", cell, tuple(CELLS))]
    is_jordan, rows = layer_class is Jordan, layer_class._gates * hidden_size
    features = input_size if embedding_size is None else embedding_size
    if tied:
        features = hidden_size
    fed_back = output_size if is_jordan else hidden_size
    shapes: dict[str, tuple[int, ...]] = {}
    for k in range(num_layers):
        shapes |= {
            f"rnn.weight_ih_l{k}": (rows, fed_back if k else features),
            f"rnn.weight_hh_l{k}": (rows, fed_back),
            f"rnn.bias_ih_l{k}": (rows,),
            f"rnn.bias_hh_l{k}": (rows,),
        }
        if layer_norm:
            shapes |= {f"rnn.weight_norm_{name}_l{k}": (rows,) for name in ("ih", "hh")}
        if layer_norm and len(layer_class.state_names) > 1:
            shapes |= {f"rnn.{kind}_norm_c_l{k}": (hidden_size,) for kind in ("weight", "bias")}
    if is_jordan:
        shapes |= {"rnn.weight_ho_l0": (output_size, hidden_size), "rnn.bias_ho_l0": (output_size,)}
    else:
        shapes |= {"readout.weight": (output_size, hidden_size), "readout.bias": (output_size,)}
    if embedding_size is not None and not tied:
        shapes["embedding.weight"] = (input_size, embedding_size)
    return shapes
