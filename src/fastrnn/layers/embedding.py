"""Embeddings of tokens, and how a recurrent layer reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrnn import _check, _ops
from fastrnn.layers.module import Module


class Table(NamedTuple):
    """A row for each token, which a layer reads in place of one-hot vectors.

    Between a table and W_ih there is nothing but products, so that a layer needs what W_ih makes of
    each row only once, and not at each step.
    """

    weight: np.ndarray  # (V, I)
    grad: np.ndarray  # (V, I)
    version: int


class Embedding(Module):
    r"""A vector for each token: y = E[ids].

    Parameters
    ----------
    num_embeddings : int
        How many tokens there are.
    embedding_dim : int
        Size of a vector.
    dtype : {numpy.float32, numpy.float64}
        Of parameters and gradients.
    seed : int, optional
        Makes the initial vectors reproducible, which are drawn from N(0, 1).

    Attributes
    ----------
    weight : ndarray of shape (num_embeddings, embedding_dim)

    Raises
    ------
    TypeError, ValueError, MemoryError
        As :class:`RNN` does.

    References
    ----------
    Names and initial values are those of ``torch.nn.Embedding``.

    Examples
    --------
    >>> import fastrnn
    >>> fastrnn.Embedding(10, 4, seed=0)([[1, 2, 3], [3, 0, 9]]).shape
    (2, 3, 4)
    """

    _fixed = Module._fixed | {"num_embeddings", "embedding_dim"}

    def __init__(
        self, num_embeddings: int, embedding_dim: int, *, dtype: Any = np.float32, seed: Any = None
    ) -> None:
        self.num_embeddings = _check.integer("num_embeddings", num_embeddings)
        self.embedding_dim = _check.integer("embedding_dim", embedding_dim)
        shape = (self.num_embeddings, self.embedding_dim)
        self._make_arena({"weight": shape}, _check.float_dtype("dtype", dtype))
        rng = np.random.default_rng(_check.seed("seed", seed))
        self._views["weight"][...] = rng.standard_normal(shape)

    def __repr__(self) -> str:
        return f"Embedding({self.num_embeddings}, {self.embedding_dim}, dtype={self.dtype})"

    def _pack(self) -> None:
        """There is nothing to pack."""

    @property
    def _table(self) -> Table:
        return Table(self._views["weight"], self.grad["weight"], self._version)

    def __call__(self, ids: Any) -> np.ndarray:
        """Return the vectors of ids, integers of any shape: (*shape, embedding_dim).

        Raises
        ------
        TypeError, ValueError
            For ids that are no integers or out of range.
        """
        array = _check.as_array("ids", ids)
        if array.dtype.kind not in "iu":
            raise TypeError(f"ids must hold integers, got {_check.describe(array)}")
        checked = _check.token_ids("ids", array, self.num_embeddings).reshape(array.shape)
        self._keep(checked)
        vectors: np.ndarray = self._views["weight"][checked]
        return vectors

    def backward(self, grad_y: Any) -> None:
        """Add to ``self.grad`` from the last call: the gradient of each id's vector.

        Parameters
        ----------
        grad_y : array_like
            Gradient with respect to the result of the last call, of its shape.

        Raises
        ------
        RuntimeError
            If there was no call in training mode before.
        TypeError, ValueError
            For a wrong dtype or shape.
        """
        ids = self._kept()
        grad_y = _check.floats("grad_y", grad_y, self.dtype)
        _check.shape("grad_y", grad_y, (*ids.shape, self.embedding_dim))
        np.add.at(self.grad["weight"], ids.reshape(-1), grad_y.reshape(-1, self.embedding_dim))


def embedded_rows(weight_ih: np.ndarray, packed_ih: np.ndarray, table: Table) -> np.ndarray:
    """Return what W_ih, (G * H, I), gives for each token: (V, G * H)."""
    rows = _ops.empty((len(table.weight), len(weight_ih)), weight_ih.dtype)
    _ops.gemm(rows, table.weight, packed_ih, None, 0, len(rows), 1)
    return rows
