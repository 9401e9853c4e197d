"""The gradients of a recurrent layer's parameters, products over rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastrnn import _gradients, _ops, _team, _threads
from fastrnn.layers.embedding import Tokens
from fastrnn.layers.module import add_product, product
from fastrnn.layers.packed import Packed

if TYPE_CHECKING:
    from fastrnn.layers.recurrent import Recurrent
    from fastrnn.layers.sweep import Sweep


class ParameterGrads:
    """The gradients of a sweep's parameters, products over rows: some rows at a time.

    Parameters
    ----------
    sweep : Sweep
    x : ndarray
        Its input, (N, I), or token ids (N,).
    previous : ndarray, shape (N, R)
        What W_hh is multiplied with in each row.
    tokens : Tokens
    num_threads : int, optional
    """

    def __init__(
        self,
        sweep: Sweep,
        x: np.ndarray,
        previous: np.ndarray,
        tokens: Tokens,
        num_threads: int | None,
    ) -> None:
        layer, grad, suffix = sweep._layer, sweep._layer._grad_views, sweep.suffix
        self._layer, self._suffix = layer, suffix
        self._tokens, self._num_threads = tokens, num_threads
        is_dense = x.ndim == 2
        row_work = sweep._columns * (previous.shape[1] + (x.shape[1] if is_dense else 0))
        work, stripes = len(x) * row_work, _team.stripe_count(layer.hidden_size)
        threads = _threads.threads_for(work, stripes, num_threads)
        self._sums = np.zeros(sweep._width, previous.dtype)
        self._of_tokens: np.ndarray | None = None
        if not is_dense:
            shape = tokens.count(sweep.input_size), sweep._columns
            self._of_tokens = np.zeros(shape, previous.dtype)
        self._weights = _gradients.WeightSums(
            self._sums, self._of_tokens, grad["weight_ih" + suffix], grad["weight_hh" + suffix],
            x if is_dense else None, None if is_dense else x, previous, layer.hidden_size,
            layer._input_blocks, layer._hidden_blocks, _threads.segment_size(row_work), threads,
        )  # fmt: skip

    def add(self, dz: np.ndarray, row: int, start: int, stop: int) -> None:
        """Add what rows start to stop give, dz's from ``row`` on, units shared by threads."""
        self._weights.add(dz, row, start, stop)

    def share(self, packed: Packed) -> None:
        """Share the sums over all rows among the parameters."""
        layer, grad, suffix = self._layer, self._layer._grad_views, self._suffix
        one_hot = self._tokens.one_hot
        _gradients.share_sums(
            self._sums, self._of_tokens if one_hot else None, grad["weight_ih" + suffix],
            grad["bias_ih" + suffix] if layer.bias else None,
            grad["bias_hh" + suffix] if layer.bias else None,
            layer.hidden_size, layer._input_blocks, layer._hidden_blocks,
        )  # fmt: skip
        if self._of_tokens is not None and not one_hot:
            token_grads(layer, suffix, packed, self._of_tokens, self._tokens, self._num_threads)


def token_grads(
    layer: Recurrent,
    suffix: str,
    packed: Packed,
    of_tokens: np.ndarray,
    tokens: Tokens,
    num_threads: int | None,
) -> None:
    """Add what W_ih gives for tokens, (V, G H), to the gradients of it and of a table."""
    hidden, grad = layer.hidden_size, layer._grad_views["weight_ih" + suffix]
    table, chosen = tokens
    vectors = None if table is None else tokens.vectors()
    for row, gate, n in layer._input_blocks:
        own = grad[gate * hidden : (gate + n) * hidden]
        of = of_tokens[:, row * hidden : (row + n) * hidden]
        if vectors is None:
            own[:, chosen] += of.T
        else:
            add_product(own, of, vectors, num_threads)
    if table is None or vectors is None:
        return
    of_table = _ops.empty(vectors.shape, vectors.dtype)
    product(of_table, of_tokens, packed.ih_back, num_threads)
    table.grad[slice(None) if chosen is None else chosen] += of_table
