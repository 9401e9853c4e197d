"""A recurrent layer's weights in the layouts the loops want."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrnn import _ops
from fastrnn.layers.embedding import Table, Tokens
from fastrnn.layers.module import product

# Where blocks of gates stand in a row of pre-activations, and where in a parameter: (first gate in
# the row, first gate in the parameter, how many).
Blocks = tuple[tuple[int, int, int], ...]


class _Lazy:
    """A property computed once; functools.cached_property takes a lock, for a microsecond."""

    def __init__(self, compute: Callable[[Packed], np.ndarray]) -> None:
        self._compute, self.__doc__ = compute, compute.__doc__

    def __get__(self, instance: Packed, owner: type) -> Any:
        value = instance.__dict__[self._compute.__name__] = self._compute(instance)
        return value


class Packed:
    """Packed copies, made when first needed, never changed.

    Parameters
    ----------
    weight_ih, weight_hh : ndarray
        A layer's, of one direction.
    input_blocks : Blocks
        Which gates the input projection has, in the order of a row.
    row : ndarray
        The biases as a row of pre-activations has them before any product, (width,).
    gates : int
        Of W_hh.
    """

    def __init__(
        self,
        weight_ih: np.ndarray,
        weight_hh: np.ndarray,
        input_blocks: Blocks,
        row: np.ndarray,
        gates: int,
    ) -> None:
        self._weight_ih, self._weight_hh = weight_ih, weight_hh
        self.weight_out: np.ndarray | None = None  # what the state is projected with
        self._gates = gates
        self._input_blocks = input_blocks
        self._kept: tuple[Table | None, Any] | None = None
        self._small: dict[tuple[str, int], np.ndarray] = {}
        self.bias = row

    def ordered_ih(self) -> np.ndarray:
        """W_ih, its gates in the order of a row."""
        hidden = len(self._weight_hh) // self._gates
        if len(self._input_blocks) == 1:
            return self._weight_ih
        parts = sorted(self._input_blocks)
        return np.concatenate(
            [self._weight_ih[gate * hidden : (gate + n) * hidden] for _, gate, n in parts]
        )

    @_Lazy
    def ih(self) -> np.ndarray:
        """For x W_ih^T of many steps at once."""
        return _ops.pack(self.ordered_ih().T)

    @_Lazy
    def ih_gates(self) -> np.ndarray:
        """For x W_ih^T in a step."""
        return _ops.pack_gates(self._weight_ih, self._gates)

    @_Lazy
    def hh(self) -> np.ndarray:
        """For h W_hh^T in a step."""
        return _ops.pack_gates(self._weight_hh, self._gates)

    def ih_stored(self, stored: int) -> np.ndarray:
        """For x W_ih^T of a step, stored as one of ``_ops.WEIGHTS``."""
        if stored == 0:
            return self.ih
        if ("ih", stored) not in self._small:
            self._small["ih", stored] = _ops.pack_small(self.ordered_ih(), 1, stored)
        return self._small["ih", stored]

    def hh_stored(self, stored: int) -> np.ndarray:
        """For h W_hh^T in a step, stored as one of ``_ops.WEIGHTS``."""
        if stored == 0:
            return self.hh
        if ("hh", stored) not in self._small:
            self._small["hh", stored] = _ops.pack_small(self._weight_hh, self._gates, stored)
        return self._small["hh", stored]

    @_Lazy
    def ih_back(self) -> np.ndarray:
        """For dz W_ih."""
        return _ops.pack(self.ordered_ih())

    @_Lazy
    def hh_back(self) -> np.ndarray:
        """For dz W_hh."""
        return _ops.pack(self._weight_hh)

    @_Lazy
    def hh_whole(self) -> np.ndarray:
        """For h W_hh^T apart from the cell."""
        return _ops.pack(self._weight_hh.T)

    @_Lazy
    def out(self) -> np.ndarray:
        """For the projection of the state."""
        return _ops.pack(_there(self.weight_out).T)

    @_Lazy
    def out_back(self) -> np.ndarray:
        """For the gradient of what is projected."""
        return _ops.pack(_there(self.weight_out))

    @_Lazy
    def token_rows(self) -> np.ndarray:
        """Row v is what token v and the biases give: the input projection of a one-hot vector."""
        rows: np.ndarray = _ops.token_rows(self.ordered_ih(), self.bias)
        return rows

    def rows_of(self, tokens: Tokens, num_threads: int | None) -> np.ndarray:
        """Return the same for tokens as a call has them."""
        if tokens.one_hot:
            rows: np.ndarray = self.token_rows
            return rows
        return self.kept_for(tokens, lambda: self._with_bias(tokens, num_threads))

    def kept_for(self, tokens: Tokens, compute: Callable[[], Any]) -> Any:
        """Return what is computed for all tokens, kept until another table or version is asked for.

        What is for a few chosen ones is not kept.
        """
        if tokens.chosen is not None:
            return compute()
        kept = self._kept
        if kept is None or not _same(kept[0], tokens.table):
            kept = self._kept = tokens.table, compute()
        return kept[1]

    def _with_bias(self, tokens: Tokens, num_threads: int | None) -> np.ndarray:
        of_tokens = self.of_tokens(tokens, num_threads)
        rows = _ops.empty((len(of_tokens), len(self.bias)), of_tokens.dtype)
        rows[...] = self.bias
        rows[:, : of_tokens.shape[1]] += of_tokens
        return rows

    def of_tokens(self, tokens: Tokens, num_threads: int | None) -> np.ndarray:
        """Return what W_ih gives for each token, its gates in the order of a row."""
        if tokens.table is None:
            weight = self.ordered_ih()
            of_ids = weight if tokens.chosen is None else weight[:, tokens.chosen]
            return np.ascontiguousarray(of_ids.T)
        vectors = tokens.vectors()
        of_tokens = _ops.empty((len(vectors), len(self._weight_ih)), vectors.dtype)
        product(of_tokens, vectors, self.ih, num_threads)
        return of_tokens


def _same(one: Table | None, other: Table | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.weight is other.weight and one.version == other.version


def _there(weight: np.ndarray | None) -> np.ndarray:
    assert weight is not None
    return weight
