"""PyTorch's loops over time, in tensor operations with every buffer reused, without autograd."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastrnn.bench.peers.gates import Weights


class Loop:
    """Buffers of a forward pass of T steps.

    `forward` goes from ``a`` (T, B, G H), the input projection with its bias, to ``h``
    (T + 1, B, H), and overwrites ``a``. For a batch of one it is over vectors: addmv costs less
    than addmm with one row.

    ``keep`` says whether what happens inside a step is kept for a backward pass.
    """

    gates = 1

    def __init__(self, weights: Weights, steps: int, batch: int, keep: bool = False) -> None:
        self.hidden, self.steps, self.keep = weights.weight_hh.shape[1], steps, keep
        self.weight_hh = torch.from_numpy(weights.weight_hh)
        self.lead = (batch,) if batch > 1 else ()
        self.a = self.empty(steps, self.gates * self.hidden)
        self.h = self.empty(steps + 1, self.hidden)
        self.h[0] = 0
        self.output = self.h[1:].view(steps, batch, self.hidden)
        self.a_steps, self.h_steps = self.a.unbind(0), self.h.unbind(0)

    def empty(self, *shape: int) -> Tensor:
        """Return a buffer whose last but one axis is that of the batch, where there is one."""
        return torch.empty(*shape[:-1], *self.lead, shape[-1])

    def kept(self, *shape: int) -> tuple[Tensor, Sequence[Tensor]]:
        """Return a buffer and its part for each step: one for all, unless steps are kept."""
        if self.keep:
            buffer = self.empty(self.steps, *shape)
            return buffer, buffer.unbind(0)
        buffer = self.empty(*shape)
        return buffer, [buffer] * self.steps

    def blocks(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """Return views of H columns each."""
        return tensor.split(self.hidden, -1)

    def forward(self) -> None:
        """Compute h of every step."""
        raise NotImplementedError


class Elman(Loop):
    """h_t = tanh(a_t + W_hh h_{t-1})."""

    def forward(self) -> None:
        """As `Loop.forward`."""
        h, *later = self.h_steps
        tanh, weight_hh_t = torch.tanh, self.weight_hh.t()
        if not self.lead:
            for a_t, h_next in zip(self.a_steps, later, strict=True):
                h = tanh(a_t.addmv_(self.weight_hh, h), out=h_next)
            return
        for a_t, h_next in zip(self.a_steps, later, strict=True):
            h = tanh(a_t.addmm_(h, weight_hh_t), out=h_next)


class Lstm(Loop):
    """Gates o, i, f, g."""

    gates = 4

    def __init__(self, weights: Weights, steps: int, batch: int, keep: bool = False) -> None:
        super().__init__(weights, steps, batch, keep)
        self.c_0 = self.empty(self.hidden).zero_()
        self.c, c_steps = self.kept(self.hidden)
        self.tanh_c, tanh_c_steps = self.kept(self.hidden)
        sigmoids = self.a[..., : 3 * self.hidden].unbind(0)
        gates = (block.unbind(0) for block in self.blocks(self.a))
        of_states = (c_steps, tanh_c_steps, self.h_steps[1:])
        self.views = list(zip(self.a_steps, sigmoids, *gates, *of_states, strict=True))

    def forward(self) -> None:
        """As `Loop.forward`; in place of ``a`` the gates are left."""
        mul, tanh, addmv, weight_hh = torch.mul, torch.tanh, not self.lead, self.weight_hh
        weight_hh_t = weight_hh.t()
        h, c = self.h_steps[0], self.c_0
        for a_t, s_t, o, i, f, g, c_next, tanh_c, h_next in self.views:
            if addmv:
                a_t.addmv_(weight_hh, h)
            else:
                a_t.addmm_(h, weight_hh_t)
            s_t.sigmoid_()
            g.tanh_()
            c = mul(c, f, out=c_next).addcmul_(i, g)
            h = mul(o, tanh(c, out=tanh_c), out=h_next)


class Gru(Loop):
    """Gates r, z, n."""

    gates = 3

    def __init__(self, weights: Weights, steps: int, batch: int, keep: bool = False) -> None:
        super().__init__(weights, steps, batch, keep)
        # W_hh h, with b_hn in n's part; r's and z's biases are in ``a``.
        self.bias = torch.zeros(3 * self.hidden)
        self.bias[2 * self.hidden :] = torch.from_numpy(weights.bias_n)
        self.m, m_steps = self.kept(3 * self.hidden)
        of_sigmoids = [m_t[..., : 2 * self.hidden] for m_t in m_steps]
        of_n = [m_t[..., 2 * self.hidden :] for m_t in m_steps]
        sigmoids = self.a[..., : 2 * self.hidden].unbind(0)
        gates = (block.unbind(0) for block in self.blocks(self.a))
        of_states = (m_steps, of_sigmoids, of_n, self.h_steps[1:])
        self.views = list(zip(sigmoids, *gates, *of_states, strict=True))

    def forward(self) -> None:
        """As `Loop.forward`; in place of ``a`` the gates are left, in ``m`` W_hh h + b_hn."""
        addmm, addmv, lerp, alone = torch.addmm, torch.addmv, torch.lerp, not self.lead
        bias, weight_hh, weight_hh_t = self.bias, self.weight_hh, self.weight_hh.t()
        h = self.h_steps[0]
        for s_t, r, z, n, m_t, of_sigmoids, of_n, h_next in self.views:
            if alone:
                addmv(bias, weight_hh, h, out=m_t)
            else:
                addmm(bias, h, weight_hh_t, out=m_t)
            s_t.add_(of_sigmoids).sigmoid_()
            n.addcmul_(r, of_n).tanh_()
            h = lerp(n, h, z, out=h_next)


LOOPS: dict[str, type[Loop]] = {"RNN": Elman, "GRU": Gru, "LSTM": Lstm}
