"""Embeddings of tokens, and how a recurrent layer reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrnn import _check
from fastrnn.layers.module import Module


class Table(NamedTuple):
    """A row for each token, which a layer reads in place of one-hot vectors.

    Between a table and W_ih there is nothing but products, so that a layer needs what W_ih makes of
    each row only once, and not at each step.
    """

    weight: np.ndarray  # (V, I)
    grad: np.ndarray  # (V, I)
    version: int


class Tokens(NamedTuple):
    """How the ids of a call are read.

    Attributes
    ----------
    table : Table or None
        What they stand for; one-hot vectors if None.
    chosen : ndarray or None
        The tokens that occur, in ascending order, where ids are places in these.
    """

    table: Table | None = None
    chosen: np.ndarray | None = None

    @property
    def one_hot(self) -> bool:
        """Whether ids are one-hot vectors of all tokens."""
        return self.table is None and self.chosen is None

    def count(self, input_size: int) -> int:
        """Return how many different ids there can be, in a layer of this input size."""
        if self.chosen is not None:
            return len(self.chosen)
        return input_size if self.table is None else len(self.table.weight)

    def vectors(self) -> np.ndarray:
        """Return the table's rows that ids stand for."""
        assert self.table is not None
        return self.table.weight if self.chosen is None else self.table.weight[self.chosen]


ONE_HOT = Tokens()

# Tokens are chosen where what W_ih gives for all of them is at least so many numbers, and they are
# so many times the ids: half a millisecond, beside which looking for those that occur is little.
_FEW_NUMBERS, _FEW_TIMES = 1 << 18, 4


def choose(ids: np.ndarray, count: int, width: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ids and the tokens they are places of, where few of ``count`` tokens occur."""
    if count * width < _FEW_NUMBERS or count < _FEW_TIMES * len(ids):
        return ids, None
    chosen, places = np.unique(ids, return_inverse=True)
    return places.reshape(-1), chosen


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
        return Table(self._views["weight"], self._grad_views["weight"], self._version)

    def __call__(self, ids: Any) -> np.ndarray:
        """Return the vectors of ids, integers of any shape: (*shape, embedding_dim).

        Raises
        ------
        TypeError, ValueError
            For ids that are no integers or out of range.
        """
        array = _check.integers("ids", ids)
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
        np.add.at(
            self._grad_views["weight"], ids.reshape(-1), grad_y.reshape(-1, self.embedding_dim)
        )
