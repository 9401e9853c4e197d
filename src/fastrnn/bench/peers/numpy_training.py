"""NumPy's training: the forward loop, the readout, BPTT, and each gradient as one product.

Whatever of the backward step does not depend on later steps is computed for all of them at once, so
that the loop is left with one product and a few multiplications.
"""

from __future__ import annotations

import numpy as np

from fastrnn.bench.peers.gates import by_hand, training_outcome
from fastrnn.bench.peers.numpy_loops import Elman, Gru, Loop, Lstm
from fastrnn.bench.problem import Array, Outcome, Problem


class Training:
    """Loss and gradients of one problem; subclasses know the cell's backward step.

    ``grad_h`` (T, B, H) is dL/dh from the outputs alone. `backward` turns it into ``grad_a``
    (T, B, G H), the gradients of what W_hh h is added to.
    """

    loop_class: type[Loop]

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.weights = by_hand(problem)
        self.weight, self.readout_bias = problem.readout["weight"], problem.readout["bias"]
        self.ids, self.targets = problem.ids.ravel(), problem.targets.ravel()
        self.every = np.arange(len(self.ids))
        self.identity = np.eye(len(self.weight), dtype=np.float32)
        steps, batch = problem.ids.shape
        self.loop = self.loop_class(self.weights, steps, batch, keep=True)
        self.logits = np.empty((len(self.ids), len(self.weight)), np.float32)
        self.grad_h = np.empty_like(self.loop.h[1:])
        self.grad_a = np.empty_like(self.loop.a)
        self.carried = self.loop.empty(self.loop.hidden)

    def call(self) -> tuple[Array, list[Array], list[Array], Array | None]:
        """Return the loss, gradients of layer and readout, and b_hh's if it has its own."""
        loop, count = self.loop, len(self.ids)
        rows = self.weights.weight_ih.T + self.weights.bias
        np.take(rows, self.ids, axis=0, out=loop.a.reshape(count, -1))
        loop.forward()
        loss, of_readout = self._readout()
        self.backward()
        grad_a = self.grad_a.reshape(count, -1)
        grad_weight_hh = grad_a.T @ loop.h[:-1].reshape(count, -1)
        bias_hh = self.to_input(grad_a)
        of_layer = [grad_a.T @ self.identity[self.ids], grad_weight_hh, grad_a.sum(axis=0)]
        return loss, of_layer, of_readout, bias_hh

    def outcome(self) -> Outcome:
        """Return the same, named for the check."""
        loss, of_layer, of_readout, bias_hh = self.call()
        return training_outcome(self.problem, loss, of_layer, of_readout, bias_hh)

    def backward(self) -> None:
        """From ``grad_h`` to ``grad_a``."""
        raise NotImplementedError

    def to_input(self, grad_a: Array) -> Array | None:
        """Turn ``grad_a`` into the input projection's gradient; return b_hh's if it differs."""
        return None

    def _readout(self) -> tuple[Array, list[Array]]:
        """Return the loss, the readout's gradients, and ``grad_h``."""
        count, logits = len(self.ids), self.logits
        output = self.loop.output.reshape(count, -1)
        np.dot(output, self.weight.T, out=logits)
        np.add(logits, self.readout_bias, out=logits)
        np.subtract(logits, logits.max(axis=1, keepdims=True), out=logits)
        right = logits[self.every, self.targets]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        loss = (np.log(total).sum() - right.sum()) / count
        grad_logits = np.divide(logits, total * np.float32(count), out=logits)
        grad_logits[self.every, self.targets] -= np.float32(1 / count)
        np.dot(grad_logits, self.weight, out=self.grad_h.reshape(count, -1))
        return loss, [grad_logits.T @ output, grad_logits.sum(axis=0)]

    def _by_gate(self, array: Array) -> Array:
        """(T, B, G H) as (T, B, G, H)."""
        return array.reshape(*array.shape[:-1], -1, self.loop.hidden)


class ElmanTraining(Training):
    """dL/da = dL/dh (1 - h²)."""

    loop_class = Elman

    def backward(self) -> None:
        """As `Training.backward`."""
        h, slope, carried, weight_hh = self.loop.h[1:], self.grad_a, self.carried, self.weights
        np.multiply(h, h, out=slope)
        np.subtract(np.float32(1), slope, out=slope)
        carried[...] = 0
        dot, recurrent = np.dot, weight_hh.weight_hh
        for grad_t, a_t in zip(self.grad_h[::-1], self.grad_a[::-1], strict=True):
            grad_t += carried
            a_t *= grad_t
            dot(a_t, recurrent, carried)


class LstmTraining(Training):
    """dL/dc = dL/dh o (1 - tanh² c) + f' dL/dc', and every gate's gradient a multiple of one."""

    loop_class = Lstm
    loop: Lstm

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.from_h = np.empty_like(self.grad_h)
        self.grad_c, self.carried_c = (np.empty_like(self.carried) for _ in range(2))

    def backward(self) -> None:
        """As `Training.backward`."""
        self._factors()
        carried, carried_c, grad_c = self.carried, self.carried_c, self.grad_c
        carried[...] = carried_c[...] = 0
        forget = self.loop.blocks(self.loop.a)[2]
        of_o, _, _, _ = self.loop.blocks(self.grad_a)
        of_others = self._by_gate(self.grad_a)[..., 1:, :]
        grad_c_rows = grad_c[..., np.newaxis, :]
        dot, multiply, add, weight_hh = np.dot, np.multiply, np.add, self.weights.weight_hh
        views = (self.grad_h, self.grad_a, of_o, of_others, self.from_h, forget)
        backwards = (view[::-1] for view in views)
        for grad_t, a_t, o_t, others_t, from_h, f_t in zip(*backwards, strict=True):
            add(grad_t, carried, grad_t)
            multiply(grad_t, from_h, grad_c)
            add(grad_c, carried_c, grad_c)
            multiply(o_t, grad_t, o_t)
            multiply(others_t, grad_c_rows, others_t)
            multiply(grad_c, f_t, carried_c)
            dot(a_t, weight_hh, carried)

    def _factors(self) -> None:
        """Make ``grad_a`` dL/da over dL/dh (o) or dL/dc, ``from_h`` dL/dc over dL/dh."""
        loop, one = self.loop, np.float32(1)
        o, i, _, g = loop.blocks(loop.a)
        to_o, to_i, to_f, to_g = loop.blocks(self.grad_a)
        np.subtract(one, loop.a, out=self.grad_a)
        np.multiply(self.grad_a, loop.a, out=self.grad_a)  # s (1 - s) for the sigmoids
        to_o *= loop.tanh_c
        to_i *= g
        to_f *= loop.c[:-1]
        np.multiply(g, g, out=to_g)
        np.subtract(one, to_g, out=to_g)
        to_g *= i
        np.multiply(loop.tanh_c, loop.tanh_c, out=self.from_h)
        np.subtract(one, self.from_h, out=self.from_h)
        self.from_h *= o


class GruTraining(Training):
    """Every gate's gradient is a multiple of dL/dh."""

    loop_class = Gru
    loop: Gru

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.to_n = np.empty_like(self.grad_h)

    def backward(self) -> None:
        """As `Training.backward`; ``grad_h`` becomes dL/dh."""
        self._factors()
        carried, weight_hh = self.carried, self.weights.weight_hh
        carried[...] = 0
        _, z, _ = self.loop.blocks(self.loop.a)
        views = (self.grad_h, self.grad_a, self._by_gate(self.grad_a), z)
        backwards = (view[::-1] for view in views)
        scratch = np.zeros_like(carried)
        dot, multiply, add = np.dot, np.multiply, np.add
        for grad_t, a_t, gates_t, z_t in zip(*backwards, strict=True):
            add(grad_t, carried, grad_t)
            add(grad_t, scratch, grad_t)
            multiply(gates_t, grad_t[..., np.newaxis, :], gates_t)
            dot(a_t, weight_hh, carried)
            multiply(grad_t, z_t, scratch)

    def to_input(self, grad_a: Array) -> Array:
        """As `Training.to_input`: n's part of ``grad_a`` is r times that of the projection."""
        bias_hh = grad_a.sum(axis=0)
        n = grad_a[:, 2 * self.loop.hidden :]
        np.multiply(self.grad_h.reshape(n.shape), self.to_n.reshape(n.shape), out=n)
        return bias_hh

    def _factors(self) -> None:
        """Make ``grad_a`` dL/d(W_hh h + b_hh) over dL/dh, ``to_n`` that of n's projection."""
        loop, one = self.loop, np.float32(1)
        r, z, n = loop.blocks(loop.a)
        to_r, to_z, to_m = loop.blocks(self.grad_a)
        np.subtract(one, loop.a, out=self.grad_a)
        np.multiply(n, n, out=self.to_n)
        np.subtract(one, self.to_n, out=self.to_n)
        self.to_n *= to_z  # still 1 - z
        np.multiply(self.to_n, r, out=to_m)
        to_r *= to_m  # (1 - r) r times to_n
        to_r *= loop.m_n
        to_z *= z
        np.subtract(loop.h[:-1], n, out=loop.m_n)
        to_z *= loop.m_n


TRAININGS: dict[str, type[Training]] = {
    "RNN": ElmanTraining,
    "GRU": GruTraining,
    "LSTM": LstmTraining,
}
