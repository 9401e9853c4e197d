"""A read-out with softmax and cross-entropy, and their gradients, in one sweep over the states."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastrnn import _ops, _readout, _threads
from fastrnn.layers import Linear
from fastrnn.layers.composed import dropout_threshold

# Rows of logits that exist at a time: as many as keep states and their gradients, 64 k numbers
# each, in half of a 1 MB L2. The deeper a block, the less its part of the weights' gradient costs
# to load and store: 199 GFLOP/s with 64 rows, 230 with 256.
_BLOCK_ROWS = 256
_BLOCK_NUMBERS = 1 << 16

# Rows are cut into slices, each with its own sum of gradients, added up in order: a number of
# slices that does not depend on threads gives bits that do not either. A slice has work for some
# 70 microseconds, beside which its sum does not count; with many classes there are fewer, so
# that the sums take no more than four times the memory of h.
_SLICES = 16
_SLICE_WORK = 3_000_000


class How(NamedTuple):
    """How a loss is computed."""

    loss: str
    reduction: str
    outputs: str
    class_weight: np.ndarray | None
    num_threads: int | None
    dropout: float
    seed: int


def cross_entropy(
    readout: Linear, h: np.ndarray, target: np.ndarray, how: How, grad_h: np.ndarray | None
) -> float:
    """Return the cross-entropy of softmax(h W^T + b), with the gradients if ``grad_h`` is given.

    That of h (N, H) is written to it, those of the parameters are added to the read-out's. All is
    done block by block of rows, and never for all rows by all classes.
    """
    rows, hidden, classes = len(target), h.shape[1], readout.out_features
    with_grad = grad_h is not None
    bias, (packed, packed_back) = readout._views["bias"], readout._packed()
    counts: float = rows
    if how.class_weight is not None:
        counts = float(how.class_weight[target].sum())
        if counts == 0:
            raise ValueError("class_weight is 0 for every target, expected one that counts")
    scale = 1.0 / counts if how.reduction == "mean" else 1.0
    threshold = dropout_threshold(how.dropout)
    slices = _slices(rows, hidden, classes)
    slice_rows = -(-rows // slices)
    most = max(1, min(_BLOCK_ROWS, _BLOCK_NUMBERS // max(hidden, classes)))
    block = -(-slice_rows // -(-slice_rows // most))
    grad_w, grad_b = _slice_grads(readout, slices) if with_grad else (None, None)
    row_work = hidden * classes
    threads = _threads.threads_for(
        rows * row_work * (3 if with_grad else 1), slices, how.num_threads
    )
    scratch = _ops.empty((threads, block, classes), h.dtype)
    scratch_h = _ops.empty((threads, block, hidden), h.dtype) if threshold else None
    values, value = np.empty(slices), 0.0
    for start, stop in _threads.segments(slice_rows, slices * row_work):
        _readout.readout_cross_entropy(
            scratch, scratch_h, values, grad_h, grad_w, grad_b, h, target, packed,
            packed_back, bias, how.class_weight, how.seed, threshold, scale, slice_rows,
            start, stop, slices == 1 or start > 0, threads,
        )  # fmt: skip
        for one in values.tolist():
            value += one
    if grad_w is not None and grad_b is not None and slices > 1:
        _ops.column_sums(readout._grad_views["weight"].reshape(-1), grad_w.reshape(slices, -1))
        _ops.column_sums(readout._grad_views["bias"], grad_b)
    return value * scale


def _slice_grads(readout: Linear, slices: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where each slice adds its gradients; a single one adds to the read-out's own."""
    grad_w, grad_b = readout._grad_views["weight"], readout._grad_views["bias"]
    if slices == 1:
        return grad_w[None], grad_b[None]
    return (
        _ops.empty((slices, *grad_w.shape), grad_w.dtype),
        _ops.empty((slices, *grad_b.shape), grad_b.dtype),
    )


def _slices(rows: int, hidden: int, classes: int) -> int:
    """Return into how many slices the rows of a read-out are cut: a power of two."""
    most = min(_SLICES, rows * hidden * classes // _SLICE_WORK, 4 * rows // classes)
    return 1 << max(0, most.bit_length() - 1)
