"""A cell's weights as hand-written loops like them.

PyTorch keeps the gates of a GRU as r, z, n and those of an LSTM as i, f, g, o. Moving o to the
front leaves the three sigmoids of an LSTM side by side, and so the three gates whose gradients all
have the factor of c's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastrnn.bench.problem import Array, Outcome, Problem

ORDER = {"RNN": "h", "GRU": "rzn", "LSTM": "ifgo"}
BY_HAND = {"RNN": "h", "GRU": "rzn", "LSTM": "oifg"}
ONNX = {"RNN": "h", "GRU": "zrn", "LSTM": "iofg"}
SIGMOIDS = "rzoif"


@dataclass(frozen=True)
class Weights:
    """Weights whose blocks of H rows are in the order ``BY_HAND``.

    Attributes
    ----------
    weight_ih, weight_hh : (G H, I) and (G H, H)
    bias : (G H,) b_ih + b_hh, except that a GRU's b_hn is not in it, which r multiplies
    bias_n : (H,) that b_hn; empty for other cells
    """

    weight_ih: Array
    weight_hh: Array
    bias: Array
    bias_n: Array


def reordered(array: Array, source: str, target: str) -> Array:
    """Return the blocks of ``array``, lettered as in ``source``, in the order of ``target``."""
    blocks = array.reshape(len(source), -1, *array.shape[1:])
    return blocks[[source.index(gate) for gate in target]].reshape(array.shape)


def by_hand(problem: Problem, sigmoid_scale: float = 1.0) -> Weights:
    """Return the layer's weights, those of gates with a sigmoid multiplied by ``sigmoid_scale``."""
    cell, hidden = problem.row.cell, problem.row.hidden_size
    bias = problem.layer["bias_ih_l0"] + problem.layer["bias_hh_l0"]
    bias_n = np.empty(0, np.float32)
    if cell == "GRU":
        bias_n = problem.layer["bias_hh_l0"][2 * hidden :]
        bias[2 * hidden :] = problem.layer["bias_ih_l0"][2 * hidden :]
    scales = [sigmoid_scale if gate in SIGMOIDS else 1.0 for gate in BY_HAND[cell]]
    scale = np.repeat(np.array(scales, np.float32), hidden)

    def arranged(array: Array) -> Array:
        moved = reordered(array, ORDER[cell], BY_HAND[cell])
        return (moved.T * scale).T if sigmoid_scale != 1 else moved

    return Weights(
        arranged(problem.layer["weight_ih_l0"]),
        arranged(problem.layer["weight_hh_l0"]),
        arranged(bias),
        bias_n,
    )


def training_outcome(
    problem: Problem,
    loss: Array,
    weights: Sequence[Array],
    readout: Sequence[Array],
    bias_hh: Array | None = None,
) -> Outcome:
    """Name the gradients of a hand-written loop as `Problem.check` expects them.

    ``weights`` are the gradients of weight_ih, weight_hh and bias in the order ``BY_HAND``,
    ``readout`` of weight and bias. b_hh has the gradient of the bias unless ``bias_hh`` is given.
    """
    cell = problem.row.cell
    arrays = [*weights, weights[-1] if bias_hh is None else bias_hh]
    return {
        "loss": np.asarray(loss),
        **{
            name: reordered(np.asarray(array), BY_HAND[cell], ORDER[cell])
            for name, array in zip(problem.layer, arrays, strict=True)
        },
        **{name: np.asarray(array) for name, array in zip(problem.readout, readout, strict=True)},
    }
