"""The read-out: an affine map of the last dimension."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastrnn import _check, _ops, _threads, _update
from fastrnn.layers.module import Module, add_product, product
from fastrnn.layers.packed import LinearCopies


class Linear(Module):
    """Affine map of the last dimension: y = x W^T + b.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last dimension before and after.
    dtype : {numpy.float32, numpy.float64}
        Of parameters and gradients.
    seed : int, optional
        Makes the initial parameters reproducible, U(-1/sqrt(in), 1/sqrt(in)).

    Attributes
    ----------
    weight : ndarray of shape (out_features, in_features)
    bias : ndarray of shape (out_features,)

    Raises
    ------
    TypeError, ValueError, MemoryError
        As :class:`RNN` does.

    Examples
    --------
    >>> import numpy as np, fastrnn
    >>> fastrnn.Linear(5, 2, seed=0)(np.zeros((7, 3, 5), np.float32)).shape
    (7, 3, 2)
    """

    _fixed = Module._fixed | {"in_features", "out_features"}

    def __init__(
        self, in_features: int, out_features: int, *, dtype: Any = np.float32, seed: Any = None
    ) -> None:
        self.in_features = _check.integer("in_features", in_features)
        self.out_features = _check.integer("out_features", out_features)
        self._make_arena(
            {
                "weight": (self.out_features, self.in_features),
                "bias": (self.out_features,),
            },
            _check.float_dtype("dtype", dtype),
        )
        self._init_uniform(1 / math.sqrt(self.in_features), seed)

    def __repr__(self) -> str:
        return f"Linear({self.in_features}, {self.out_features}, dtype={self.dtype})"

    def _pack(self) -> LinearCopies:
        return LinearCopies(self._views["weight"])

    def _renewed(self, packed: LinearCopies, sweep: _update.UpdateSweep) -> LinearCopies:
        return packed.renewed(sweep)

    def __call__(self, x: Any, *, num_threads: int | None = None) -> np.ndarray:
        """Return x W^T + b.

        Parameters
        ----------
        x : array_like
            Shape (..., in_features). Must not be changed before ``backward``.
        num_threads : int, optional
            Threads for this call, at most.

        Returns
        -------
        ndarray
            Shape (..., out_features).

        Raises
        ------
        TypeError, ValueError
            For a wrong dtype or shape.
        """
        x = _check.floats("x", x, self.dtype)
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"x has shape {x.shape}, expected (..., {self.in_features})")
        _check.not_empty("x", x)
        self._keep(x)
        return self._forward(x, num_threads)

    def backward(self, grad_y: Any, *, num_threads: int | None = None) -> np.ndarray:
        """Add to ``self.grad`` from the last call: dW = dy^T x, db = sum dy; return dy W.

        Parameters
        ----------
        grad_y : array_like
            Gradient with respect to the result of the last call, of its shape.
        num_threads : int, optional
            Threads for this call, at most.

        Returns
        -------
        ndarray
            Gradient with respect to x, of its shape.

        Raises
        ------
        RuntimeError
            If there was no call in training mode before.
        TypeError, ValueError
            For a wrong dtype or shape.
        """
        x = self._kept()
        grad_y = _check.floats("grad_y", grad_y, self.dtype)
        _check.shape("grad_y", grad_y, (*x.shape[:-1], self.out_features))
        with _threads.call:
            return self._backward(x, grad_y, num_threads)

    def _packed_stored(self, stored: int) -> np.ndarray:
        """For x W^T, stored as one of ``_ops.WEIGHTS``."""
        if stored == 0:
            return self._packed().there
        return _ops.pack_small(self._views["weight"], 1, stored)

    def _forward(self, x: np.ndarray, num_threads: int | None, stored: int = 0) -> np.ndarray:
        rows = x.size // self.in_features
        _check.memory("the output", rows, self.out_features, self.dtype.itemsize)
        y = _ops.empty((*x.shape[:-1], self.out_features), self.dtype)
        product(y, x, self._packed_stored(stored), num_threads, self._views["bias"], stored)
        return y

    def _backward(self, x: np.ndarray, grad_y: np.ndarray, num_threads: int | None) -> np.ndarray:
        rows_x, rows_y = x.reshape(-1, self.in_features), grad_y.reshape(-1, self.out_features)
        grad_x = _ops.empty(x.shape, self.dtype)
        product(grad_x, grad_y, self._packed().back, num_threads)

        add_product(self._grad_views["weight"], rows_y, rows_x, num_threads)
        _ops.column_sums(self._grad_views["bias"], rows_y)
        return grad_x
