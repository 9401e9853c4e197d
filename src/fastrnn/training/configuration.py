"""What a character model's file says of the model, and whether its tensors are that model's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastrnn import _check, checkpoint
from fastrnn.cells import parameter_shapes
from fastrnn.corpus.vocabulary import ERROR, described

KIND = "CharRNN"

# Options of a model's network that no recipe chooses, and what they are unless given.
OF_THE_NETWORK = {
    "num_layers": 1,
    "embedding_size": None,
    "tied": False,
    "recurrent_dropout": 0.0,
    "layer_norm": False,
}

# What a model's configuration has gained since files were first written, and what it was before.
ADDED = {"symbols": "chars", "unknown": ERROR, **OF_THE_NETWORK}


def settings(description: dict[str, Any], layout: checkpoint.Layout) -> dict[str, Any]:
    """Return the arguments of the model described, whose parameters are the file's tensors.

    Parameters
    ----------
    description : dict
        Of a model file.
    layout : dict of str to (dtype, shape)
        The model's tensors in the file. They need not be as large as they say, and no memory is
        taken by them or for the model.

    Raises
    ------
    TypeError, ValueError
        If this describes no model, or one of other tensors.
    MemoryError
        If it would not fit in memory.
    """
    _check.choice("its kind", description.get("kind"), (KIND,))
    config: Any = description.get("config")
    vocabulary: Any = description.get("vocabulary")
    required = {"cell", "hidden_size", "nonlinearity", "dtype", "seed"}
    if not isinstance(config, dict) or set(config) - set(ADDED) != required:
        raise ValueError(
            f"its config must hold exactly {', '.join(sorted(required))}; {', '.join(ADDED)} "
            f"may be missing"
        )
    config = {**ADDED, **config}
    size = len(described(config["symbols"], vocabulary, config["unknown"]))
    dtype = _check.float_dtype("dtype", config["dtype"])
    sizes = [math.prod(shape) for _, shape in layout.values()]
    _check.memory("its tensors, the model and gradients", sum(sizes), 3 * dtype.itemsize)
    _check_layout(layout, _shapes(config, size, len(layout)), dtype)
    return {**config, "vocabulary": vocabulary}


def _shapes(config: dict[str, Any], size: int, most: int) -> dict[str, tuple[int, ...]]:
    """Return the parameters' shapes of a network for ``size`` symbols, of ``most`` layers at most.

    Nothing as large as the network is made: whether a file has room for it is not known yet.
    """
    hidden_size = _check.integer("hidden_size", config["hidden_size"])
    layers = _check.integer("num_layers", config["num_layers"])
    if layers > most:
        raise ValueError(f"its {most:,} tensors are too few for num_layers {layers:,}")
    embedding_size = config["embedding_size"]
    if embedding_size is not None:
        embedding_size = _check.integer("embedding_size", embedding_size)
    return parameter_shapes(
        config["cell"],
        size,
        hidden_size,
        size,
        embedding_size=embedding_size,
        tied=_check.flag("tied", config["tied"]),
        num_layers=layers,
        layer_norm=_check.flag("layer_norm", config["layer_norm"]),
    )


def _check_layout(
    layout: checkpoint.Layout, shapes: dict[str, tuple[int, ...]], dtype: np.dtype[Any]
) -> None:
    """Require tensors of the names and shapes of ``shapes``, all of ``dtype``."""
    missing = [name for name in shapes if name not in layout]
    unknown = [name for name in layout if name not in shapes]
    if missing:
        raise ValueError(f"it lacks the tensors {', '.join(missing)}")
    if unknown:
        raise ValueError(f"it holds a tensor of another kind of model, {unknown[0]!r}")
    for name, (found, shape) in layout.items():
        if found != dtype:
            raise TypeError(f"{name} has dtype {found}, expected {dtype}")
        if shape != shapes[name]:
            raise ValueError(f"{name} has shape {shape}, expected {shapes[name]}")
