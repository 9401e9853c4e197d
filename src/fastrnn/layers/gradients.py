"""The gradients of a recurrent layer's parameters, products over rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastrnn import _gradients, _ops, _team, _threads
from fastrnn.layers.embedding import Tokens
from fastrnn.layers.module import add_product, product
from fastrnn.layers.packed import Packed
from fastrnn.layers.workspace import FRESH, Workspace

if TYPE_CHECKING:
    from fastrnn.layers.recurrent import Recurrent
    from fastrnn.layers.sweep import Sweep


class ParameterGrads:
    """The gradients of a sweep's parameters: products over rows.

    Parameters
    ----------
    sweep : Sweep
    x : ndarray
        Its input, (N, I), or token ids (N,).
    previous : ndarray, shape (N, R)
        What W_hh is multiplied with in each row.
    tokens : Tokens
    num_threads : int, optional
    workspace : Workspace
    groups : int
        How many groups of sequences have sums of their own.

    Attributes
    ----------
    sums : WeightSums
        What adds to them.
    threads : int
        How many threads share their units.
    """

    def __init__(
        self,
        sweep: Sweep,
        x: np.ndarray,
        previous: np.ndarray,
        tokens: Tokens,
        num_threads: int | None,
        workspace: Workspace = FRESH,
        groups: int = 1,
    ) -> None:
        layer, suffix = sweep._layer, sweep.suffix
        grad = layer._grad_views
        self._layer, self._suffix, self._workspace = layer, suffix, workspace
        self._tokens, self._num_threads = tokens, num_threads
        is_dense = x.ndim == 2
        row_work = sweep._columns * (previous.shape[1] + (x.shape[1] if is_dense else 0))
        work, stripes = len(x) * row_work, _team.stripe_count(layer.hidden_size)
        self.threads = _threads.threads_for(work, stripes, num_threads)
        self._sums = _ops.empty((groups, sweep._width), previous.dtype)
        self._of_tokens: np.ndarray | None = None
        if not is_dense:
            shape = groups, tokens.count(sweep.input_size), sweep._columns
            self._of_tokens = _ops.empty(shape, previous.dtype)
        self._apart: np.ndarray | None = None
        if groups > 1:
            size = sweep._columns * (previous.shape[1] + (x.shape[1] if is_dense else 0))
            self._apart = workspace.take("grad" + suffix, (groups - 1, size), previous.dtype)
        self.sums = _gradients.WeightSums(
            self._sums, self._of_tokens, grad["weight_ih" + suffix], grad["weight_hh" + suffix],
            self._apart, x if is_dense else None, None if is_dense else x, previous,
            layer.hidden_size, layer._input_blocks, layer._hidden_blocks,
            _threads.segment_size(row_work), self.threads,
        )  # fmt: skip

    def share(self, packed: Packed) -> None:
        """Share the sums over all rows among the parameters."""
        self._workspace.give("grad" + self._suffix, self._apart)
        layer, grad, suffix = self._layer, self._layer._grad_views, self._suffix
        one_hot = self._tokens.one_hot
        of_tokens = None if self._of_tokens is None else self._of_tokens[0]
        _gradients.share_sums(
            self._sums[0], of_tokens if one_hot else None, grad["weight_ih" + suffix],
            grad["bias_ih" + suffix] if layer.bias else None,
            grad["bias_hh" + suffix] if layer.bias else None,
            layer.hidden_size, layer._input_blocks, layer._hidden_blocks,
        )  # fmt: skip
        if of_tokens is not None and not one_hot:
            token_grads(layer, suffix, packed, of_tokens, self._tokens, self._num_threads)


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
