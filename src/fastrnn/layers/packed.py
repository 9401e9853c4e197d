"""Weights in the layouts the loops want."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrnn import _biases, _ops, _update
from fastrnn.layers.embedding import Table, Tokens
from fastrnn.layers.module import product

# Where blocks of gates stand in a row of pre-activations, and where in a parameter: (first gate in
# the row, first gate in the parameter, how many).
Blocks = tuple[tuple[int, int, int], ...]


class Lazy:
    """A property computed once; functools.cached_property takes a lock, for a microsecond."""

    def __init__(self, compute: Callable[[Any], np.ndarray]) -> None:
        self._compute, self.__doc__ = compute, compute.__doc__

    def __get__(self, instance: Any, owner: type) -> Any:
        value = instance.__dict__[self._compute.__name__] = self._compute(instance)
        return value


class Copies:
    """Base: packed copies of weights, each made when first needed.

    None changes while it is of the weights that there are, nor while a stream or a call has it.
    """

    def forget(self) -> None:
        """Drop all copies that no sweep renews."""

    def _have(
        self,
        sweep: _update.UpdateSweep,
        weight: np.ndarray,
        way: int,
        of: Copies,
        name: str,
        *more: Any,
    ) -> None:
        """Have a sweep make a copy that ``of`` has; what it cannot make is made when needed."""
        copy = of.__dict__.get(name)
        if copy is not None:
            to = _ops.empty(copy.shape, copy.dtype)
            if sweep.add_copy(weight, way, to, *more):
                self.__dict__[name] = to


class LinearCopies(Copies):
    """Of the weight (M, N) of an affine map."""

    def __init__(self, weight: np.ndarray) -> None:
        self._weight = weight

    @Lazy
    def there(self) -> np.ndarray:
        """For x W^T."""
        return _ops.pack(self._weight.T)

    @Lazy
    def back(self) -> np.ndarray:
        """For dy W."""
        return _ops.pack(self._weight)

    def renewed(self, sweep: _update.UpdateSweep) -> LinearCopies:
        """Return what a sweep, once it has updated the weight, leaves in place of this."""
        new, weight = LinearCopies(self._weight), self._weight
        new._have(sweep, weight, _update.COLUMNS, self, "there")
        new._have(sweep, weight, _update.ROWS, self, "back")
        sweep.watch(new)
        return new


class Packed(Copies):
    """Of a recurrent layer's weights in one direction.

    Parameters
    ----------
    weight_ih, weight_hh : ndarray
    biases : tuple of ndarray, or of None
        b_ih and b_hh.
    width : int
        Of a row of pre-activations.
    gates : int
        Of W_hh.
    input_blocks, hidden_blocks : Blocks
        Which gates the input projection and the recurrent product have, in the order of a row.
    weight_out : ndarray, optional
        What the state is projected with.
    """

    def __init__(
        self,
        weight_ih: np.ndarray,
        weight_hh: np.ndarray,
        biases: tuple[np.ndarray | None, np.ndarray | None],
        width: int,
        gates: int,
        input_blocks: Blocks,
        hidden_blocks: Blocks,
        weight_out: np.ndarray | None,
    ) -> None:
        self._weight_ih, self._weight_hh, self._weight_out = weight_ih, weight_hh, weight_out
        self._biases, self._width = biases, width
        self._gates, self._input_blocks, self._hidden_blocks = gates, input_blocks, hidden_blocks
        self._kept: tuple[Table | None, Any] | None = None
        self._small: dict[tuple[str, int], np.ndarray] = {}

    def renewed(self, sweep: _update.UpdateSweep) -> Packed:
        """Return what a sweep, once it has updated the weights, leaves in place of this."""
        new = Packed(
            self._weight_ih, self._weight_hh, self._biases, self._width, self._gates,
            self._input_blocks, self._hidden_blocks, self._weight_out,
        )  # fmt: skip
        ih, hh, out = self._weight_ih, self._weight_hh, self._weight_out
        whole = ((0, 0, self._gates),)
        if "bias" in self.__dict__:
            row = new.__dict__["bias"] = _ops.empty(self._width, hh.dtype)
            sweep.add_bias_row(row, *self._of_biases())
            new._have(sweep, ih, _update.TOKENS, self, "token_rows", self._input_blocks, row)
        new._have(sweep, ih, _update.COLUMNS, self, "ih", self._input_blocks)
        new._have(sweep, ih, _update.UNITS, self, "ih_gates", whole)
        new._have(sweep, ih, _update.ROWS, self, "ih_back", self._input_blocks)
        new._have(sweep, hh, _update.UNITS, self, "hh", whole)
        new._have(sweep, hh, _update.COLUMNS, self, "hh_whole", whole)
        new._have(sweep, hh, _update.ROWS, self, "hh_back", whole)
        if out is not None:
            new._have(sweep, out, _update.COLUMNS, self, "out")
            new._have(sweep, out, _update.ROWS, self, "out_back")
        sweep.watch(new)
        return new

    def forget(self) -> None:
        """Drop all copies that no sweep renews."""
        self._kept = None
        self._small.clear()

    def _of_biases(self) -> tuple[Any, ...]:
        hidden = len(self._weight_hh) // self._gates
        return (*self._biases, self._input_blocks, self._hidden_blocks, hidden)

    @Lazy
    def bias(self) -> np.ndarray:
        """For a row of pre-activations, before any product."""
        row = _ops.empty(self._width, self._weight_hh.dtype)
        _biases.fill_bias_row(row, *self._of_biases())
        return row

    def ordered_ih(self) -> np.ndarray:
        """W_ih, its gates in the order of a row."""
        hidden = len(self._weight_hh) // self._gates
        if len(self._input_blocks) == 1:
            return self._weight_ih
        parts = sorted(self._input_blocks)
        return np.concatenate(
            [self._weight_ih[gate * hidden : (gate + n) * hidden] for _, gate, n in parts]
        )

    @Lazy
    def ih(self) -> np.ndarray:
        """For x W_ih^T of many steps at once."""
        return _ops.pack(self.ordered_ih().T)

    @Lazy
    def ih_gates(self) -> np.ndarray:
        """For x W_ih^T in a step."""
        return _ops.pack_gates(self._weight_ih, self._gates)

    @Lazy
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

    @Lazy
    def ih_back(self) -> np.ndarray:
        """For dz W_ih."""
        return _ops.pack(self.ordered_ih())

    @Lazy
    def hh_back(self) -> np.ndarray:
        """For dz W_hh."""
        return _ops.pack(self._weight_hh)

    @Lazy
    def hh_whole(self) -> np.ndarray:
        """For h W_hh^T apart from the cell."""
        return _ops.pack(self._weight_hh.T)

    @Lazy
    def out(self) -> np.ndarray:
        """For the projection of the state."""
        return _ops.pack(self._projection().T)

    @Lazy
    def out_back(self) -> np.ndarray:
        """For the gradient of what is projected."""
        return _ops.pack(self._projection())

    def _projection(self) -> np.ndarray:
        assert self._weight_out is not None
        return self._weight_out

    @Lazy
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
