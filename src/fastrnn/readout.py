"""A read-out with softmax and cross-entropy, and their gradients, in one sweep over the states."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from fastrnn import _ops, _readout, _threads, losses
from fastrnn.layers import Linear
from fastrnn.layers.composed import dropout_threshold
from fastrnn.layers.outside import Given, OnTheWay, Outside
from fastrnn.layers.workspace import Workspace

# Rows of logits that exist at a time: as many as keep states and their gradients, 64 k numbers
# each, in half of a 1 MB L2. The deeper a block, the less its part of the weights' gradient costs
# to load and store: 199 GFLOP/s with 64 rows, 230 with 256.
_BLOCK_ROWS = 256
_BLOCK_NUMBERS = 1 << 16

_DOUBLE = np.dtype(np.float64)


class How(NamedTuple):
    """How a loss is computed."""

    loss: str
    reduction: str
    outputs: str
    class_weight: np.ndarray | None
    num_threads: int | None
    dropout: float
    seed: int = 0


class Outcome(Outside, Protocol):
    """A loss, and the gradient of the rows that it is computed from."""

    @property
    def value(self) -> float:
        """The loss, once the gradient of all rows has been asked for."""

    def loss(self) -> float:
        """Return the loss of all rows; no gradients."""

    def give_back(self) -> None:
        """Let the workspace have what was taken from it."""


class Computed(Given):
    """A loss that is there, of outputs themselves.

    Parameters
    ----------
    value : float
    grad : ndarray, shape (N, O)
    """

    def __init__(self, value: float, grad: np.ndarray) -> None:
        super().__init__(grad)
        self.value = value

    def loss(self) -> float:
        """Return the loss."""
        return self.value

    def give_back(self) -> None:
        """Nothing was taken."""


class SquaredError(Computed):
    """The squared error of h W^T + b.

    Parameters
    ----------
    readout : Linear
        W and b.
    h : ndarray, shape (N, H)
    target : ndarray, shape (N, O)
    how : How
    """

    def __init__(self, readout: Linear, h: np.ndarray, target: np.ndarray, how: How) -> None:
        super().__init__(*losses.mse(readout._forward(h, how.num_threads), target, how.reduction))
        self._readout, self._h, self._num_threads = readout, h, how.num_threads
        self._is_of_outputs = True

    def whole(self) -> np.ndarray:
        """Return the gradient of h, computed with the read-out's when first asked for."""
        if self._is_of_outputs:
            self._gradient = self._readout._backward(self._h, self._gradient, self._num_threads)
            self._is_of_outputs = False
        return self._gradient


class CrossEntropy:
    """The cross-entropy of softmax(h W^T + b), and its gradients, some rows at a time.

    All is done block by block of rows, and never for all rows by all classes.

    Parameters
    ----------
    readout : Linear
        W and b.
    h : ndarray, shape (N, H)
    target : ndarray of int64, shape (N,)
    how : How
    workspace : Workspace
        What the gradient of some rows of h lies in.
    """

    def __init__(
        self, readout: Linear, h: np.ndarray, target: np.ndarray, how: How, workspace: Workspace
    ) -> None:
        self._readout, self._h, self._target, self._how = readout, h, target, how
        self._workspace = workspace
        self._grad: np.ndarray | None = None
        self._apart: np.ndarray | None = None
        counts: float = len(target)
        if how.class_weight is not None:
            counts = float(how.class_weight[target].sum())
        self._scale = 1.0 / counts if how.reduction == "mean" else 1.0
        self.row_work = readout.in_features * readout.out_features

    @property
    def value(self) -> float:
        """The loss, once the gradient of all rows was computed."""
        return self._rows.total() * self._scale

    def loss(self) -> float:
        """Return the loss of all rows; no gradients."""
        self._by_rows(1).run(None, self._threads(1))
        return self.value

    def whole(self) -> np.ndarray:
        """Return the gradient of h, and add to the read-out's."""
        self._grad = self._workspace.take("grad_h", self._h.shape, self._h.dtype)
        self._by_rows(1).run(self._grad, self._threads(3))
        return self._grad

    def on_the_way(self, groups: int) -> OnTheWay:
        """Return what computes some rows of the gradient of h, and adds to the read-out's."""
        return OnTheWay(self._by_rows(groups), self._threads(3))

    def give_back(self) -> None:
        """Let the workspace have the gradients' memory."""
        self._workspace.give("grad_h", self._grad)
        self._workspace.give("grad_readout", self._apart)

    def _by_rows(self, groups: int) -> _readout.CrossEntropyRows:
        readout, how, h = self._readout, self._how, self._h
        hidden, classes = h.shape[1], readout.out_features
        threshold = dropout_threshold(how.dropout) if how.dropout else 0
        block = max(1, min(len(h), _BLOCK_ROWS, _BLOCK_NUMBERS // max(hidden, classes)))
        logits = _ops.empty((groups, block, classes), h.dtype)
        dropped = _ops.empty((groups, block, hidden), h.dtype) if threshold else None
        if groups > 1:
            shape = groups - 1, (hidden + 1) * classes
            self._apart = self._workspace.take("grad_readout", shape, h.dtype)
        grads, packed = readout._grad_views, readout._packed()
        self._rows = _readout.CrossEntropyRows(
            logits, dropped, _ops.empty((len(h),), _DOUBLE), grads["weight"], grads["bias"],
            self._apart, h, self._target, packed.there, packed.back, readout._views["bias"],
            how.class_weight, how.seed, threshold, self._scale,
            _threads.segment_size(3 * self.row_work),
        )  # fmt: skip
        return self._rows

    def _threads(self, products: int) -> int:
        """Return how many threads share a block, by the work for all rows."""
        work = products * len(self._h) * self.row_work
        return _threads.threads_for(work, len(self._h), self._how.num_threads)
