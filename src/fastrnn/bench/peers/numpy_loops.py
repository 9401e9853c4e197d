"""NumPy's loops over time: from the input projection of all steps to all states."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastrnn.bench.peers.gates import Weights
from fastrnn.bench.problem import Array

HALF = np.float32(0.5)


class Loop:
    """Buffers of a forward pass of T steps.

    `forward` goes from ``a`` (T, B, G H), the input projection with its bias, to ``h``
    (T + 1, B, H), and overwrites ``a``. For a batch of one the loop is over vectors: a gemv costs
    less than a gemm with one row.

    ``keep`` says whether what happens inside a step is kept for a backward pass.
    """

    gates = 1

    def __init__(self, weights: Weights, steps: int, batch: int, keep: bool = False) -> None:
        hidden = weights.weight_hh.shape[1]
        self.hidden, self.keep = hidden, keep
        self.weight_hh, self.bias_n = weights.weight_hh, weights.bias_n
        self.lead = (batch,) if batch > 1 else ()
        self.a = self.empty(steps, self.gates * hidden)
        self.h = self.empty(steps + 1, hidden)
        self.h[0] = 0
        self.product = self.empty(self.gates * hidden)
        self.output = self.h[1:].reshape(steps, batch, hidden)
        self.recurrent = self._recurrent()

    def empty(self, *shape: int) -> Array:
        """Return a buffer whose last but one axis is that of the batch, where there is one."""
        return np.empty((*shape[:-1], *self.lead, shape[-1]), np.float32)

    def blocks(self, array: Array) -> list[Array]:
        """Return views of H columns each."""
        return np.split(array, array.shape[-1] // self.hidden, axis=-1)

    def forward(self) -> None:
        """Compute h of every step."""
        raise NotImplementedError

    def _recurrent(self) -> Callable[[Array, Array], Array]:
        if not self.lead:
            return self.weight_hh.dot
        # Training makes no copy of a weight that each step changes.
        weight_hh_t = self.weight_hh.T if self.keep else np.ascontiguousarray(self.weight_hh.T)
        return lambda h, out: np.dot(h, weight_hh_t, out)


class Elman(Loop):
    """h_t = tanh(a_t + W_hh h_{t-1})."""

    def forward(self) -> None:
        """As `Loop.forward`."""
        recurrent, add, tanh, product = self.recurrent, np.add, np.tanh, self.product
        h_t = self.h[0]
        for a_t, h_next in zip(self.a, self.h[1:], strict=True):
            recurrent(h_t, product)
            add(a_t, product, a_t)
            h_t = tanh(a_t, h_next)


class Lstm(Loop):
    """Gates o, i, f, g; sigmoids by tanh, whose weights have a factor of 1/2 unless kept."""

    gates = 4

    def __init__(self, weights: Weights, steps: int, batch: int, keep: bool = False) -> None:
        super().__init__(weights, steps, batch, keep)
        slots = steps if keep else 1
        self.c = self.empty(slots + 1, self.hidden)
        self.tanh_c = self.empty(slots, self.hidden)

    def forward(self) -> None:
        """As `Loop.forward`; in place of ``a`` the gates are left."""
        recurrent, add, multiply, tanh = self.recurrent, np.add, np.multiply, np.tanh
        product, scratch = self.product, self.empty(self.hidden)
        self.c[0] = 0
        h_t, c_t, c_next, tanh_c = self.h[0], self.c[0], self.c[0], self.tanh_c[0]
        sigmoids = self.a[..., : 3 * self.hidden]
        views = zip(self.a, sigmoids, *self.blocks(self.a), self.h[1:], strict=True)
        for t, (a_t, s_t, o, i, f, g, h_next) in enumerate(views):
            if self.keep:
                c_t, c_next, tanh_c = self.c[t], self.c[t + 1], self.tanh_c[t]
            recurrent(h_t, product)
            add(a_t, product, a_t)
            if self.keep:
                multiply(s_t, HALF, s_t)
            tanh(a_t, a_t)
            multiply(s_t, HALF, s_t)
            add(s_t, HALF, s_t)
            multiply(i, g, scratch)
            multiply(c_t, f, c_next)
            add(c_next, scratch, c_next)
            tanh(c_next, tanh_c)
            h_t = multiply(o, tanh_c, h_next)


class Gru(Loop):
    """Gates r, z, n; sigmoids by tanh, whose weights have a factor of 1/2 unless kept."""

    gates = 3

    def __init__(self, weights: Weights, steps: int, batch: int, keep: bool = False) -> None:
        super().__init__(weights, steps, batch, keep)
        self.m_n = self.empty(steps if keep else 1, self.hidden)

    def forward(self) -> None:
        """As `Loop.forward`; in place of ``a`` the gates are left, in ``m_n`` W_hn h + b_hn."""
        recurrent, add, multiply, tanh = self.recurrent, np.add, np.multiply, np.tanh
        subtract, product, bias_n = np.subtract, self.product, self.bias_n
        scratch = self.empty(self.hidden)
        of_sigmoids, of_n = product[..., : 2 * self.hidden], product[..., 2 * self.hidden :]
        h_t, m_n = self.h[0], self.m_n[0]
        sigmoids = self.a[..., : 2 * self.hidden]
        views = zip(sigmoids, *self.blocks(self.a), self.h[1:], strict=True)
        for t, (s_t, r, z, n, h_next) in enumerate(views):
            if self.keep:
                m_n = self.m_n[t]
            recurrent(h_t, product)
            add(s_t, of_sigmoids, s_t)
            if self.keep:
                multiply(s_t, HALF, s_t)
            tanh(s_t, s_t)
            multiply(s_t, HALF, s_t)
            add(s_t, HALF, s_t)
            add(of_n, bias_n, m_n)
            multiply(m_n, r, scratch)
            add(n, scratch, n)
            tanh(n, n)
            subtract(h_t, n, scratch)
            multiply(scratch, z, scratch)
            h_t = add(scratch, n, h_next)


LOOPS: dict[str, type[Loop]] = {"RNN": Elman, "GRU": Gru, "LSTM": Lstm}
