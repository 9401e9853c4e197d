"""PyTorch's training: its module with autograd, and backpropagation through time by hand.

By hand, whatever of the backward step does not depend on later steps is computed for all of them at
once, and gradients of weights are one product over all steps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from fastrnn.bench.peers.gates import by_hand, training_outcome
from fastrnn.bench.peers.torch_loops import Elman, Gru, Loop, Lstm
from fastrnn.bench.problem import Outcome, Problem


def train_module(problem: Problem) -> tuple[Callable[[], Tensor], Callable[[], Outcome]]:
    """Return a call that leaves gradients in the module's parameters, and its outcome."""
    module = getattr(nn, problem.row.cell)(problem.row.input_size, problem.row.hidden_size)
    readout = nn.Linear(problem.row.hidden_size, len(problem.readout["bias"]))
    for part, arrays in ((module, problem.layer), (readout, problem.readout)):
        part.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    identity = torch.eye(problem.row.input_size)
    ids, targets = torch.from_numpy(problem.ids), torch.from_numpy(problem.targets).flatten()
    parameters = dict([*module.named_parameters(), *readout.named_parameters()])

    def call() -> Tensor:
        for parameter in parameters.values():
            parameter.grad = None
        output, _ = module(functional.embedding(ids, identity))
        loss = functional.cross_entropy(readout(output).flatten(0, 1), targets)
        loss.backward()
        return loss

    def outcome() -> Outcome:
        loss = call().detach().numpy().copy()
        return {"loss": loss} | {k: p.grad.numpy().copy() for k, p in parameters.items()}

    return call, outcome


class ByHand:
    """Loss and gradients of one problem; subclasses know the cell's backward step.

    ``grad_h`` (T, B, H) is dL/dh from the outputs alone. `backward` turns it into ``grad_a``
    (T, B, G H), the gradients of what W_hh h is added to.
    """

    loop_class: type[Loop]
    bias_hh: Tensor | None = None  # its gradient, where it is not that of b_ih

    @staticmethod
    def of(problem: Problem) -> ByHand:
        """Return the subclass for the problem's cell."""
        classes: dict[str, type[ByHand]] = {"RNN": OfElman, "GRU": OfGru, "LSTM": OfLstm}
        return classes[problem.row.cell](problem)

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        weights = by_hand(problem)
        self.weight_ih, self.bias = map(torch.from_numpy, (weights.weight_ih, weights.bias))
        self.weight, self.readout_bias = map(torch.from_numpy, problem.readout.values())
        self.ids = torch.from_numpy(problem.ids).flatten()
        self.targets = torch.from_numpy(problem.targets).flatten()
        steps, batch = problem.ids.shape
        loop = self.loop_class(weights, steps, batch, keep=True)
        self.loop = loop
        self.grad_h, self.grad_a = torch.empty_like(loop.h[1:]), torch.empty_like(loop.a)
        self.rows = torch.empty(self.weight_ih.t().shape)
        self.logits = torch.empty(len(self.ids), len(self.weight))
        self.grad_logits = torch.empty_like(self.logits)
        self.one = torch.ones(())
        self.minus = torch.full((len(self.ids), 1), -1 / len(self.ids))
        self.grad_readout = torch.empty_like(self.weight), torch.empty_like(self.readout_bias)
        self.grad_weight_ih_t = torch.empty_like(self.rows)
        self.grad_weight_hh = torch.empty_like(loop.weight_hh)
        self.grad_bias = torch.empty_like(self.bias)

    def call(self) -> Tensor:
        """Return the loss, and leave every gradient in its buffer."""
        loop, count = self.loop, len(self.ids)
        torch.add(self.weight_ih.t(), self.bias, out=self.rows)
        torch.index_select(self.rows, 0, self.ids, out=loop.a.view(count, -1))
        loop.forward()
        loss = self._readout()
        self.backward()
        grad_a = self.grad_a.view(count, -1)
        torch.mm(grad_a.t(), loop.h[:-1].view(count, -1), out=self.grad_weight_hh)
        self.to_input(grad_a)
        self.grad_weight_ih_t.zero_().index_add_(0, self.ids, grad_a)
        torch.sum(grad_a, 0, out=self.grad_bias)
        return loss

    def outcome(self) -> Outcome:
        """Return the same, named for the check."""
        loss = self.call().numpy()
        of_layer = (self.grad_weight_ih_t.t(), self.grad_weight_hh, self.grad_bias)
        return training_outcome(
            self.problem,
            loss,
            [tensor.numpy().copy() for tensor in of_layer],
            [tensor.numpy().copy() for tensor in self.grad_readout],
            None if self.bias_hh is None else self.bias_hh.numpy().copy(),
        )

    def backward(self) -> None:
        """From ``grad_h`` to ``grad_a``."""
        raise NotImplementedError

    def to_input(self, grad_a: Tensor) -> None:
        """Turn ``grad_a`` into the input projection's gradient; keep b_hh's if it differs."""

    def _readout(self) -> Tensor:
        """Return the loss, the readout's gradients, and ``grad_h``."""
        output, count = self.loop.output.flatten(0, 1), len(self.ids)
        torch.addmm(self.readout_bias, output, self.weight.t(), out=self.logits)
        log_p = torch.log_softmax(self.logits, 1, out=self.grad_logits)
        loss = functional.nll_loss(log_p, self.targets)
        grad_logits = log_p.exp_().div_(count)
        grad_logits.scatter_add_(1, self.targets[:, None], self.minus)
        weight, bias = self.grad_readout
        torch.mm(grad_logits.t(), output, out=weight)
        torch.sum(grad_logits, 0, out=bias)
        torch.mm(grad_logits, self.weight, out=self.grad_h.view(count, -1))
        return loss

    def _carry(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return what adds W_hhᵀ times a gradient of a later step to a gradient of h, in place."""
        weight_hh, weight_hh_t = self.loop.weight_hh, self.loop.weight_hh.t()
        if not self.loop.lead:
            return lambda grad_t, later: grad_t.addmv_(weight_hh_t, later)
        return lambda grad_t, later: grad_t.addmm_(later, weight_hh)

    def _by_gate(self, tensor: Tensor) -> Tensor:
        """(T, B, G H) as (T, B, G, H)."""
        return tensor.unflatten(-1, (-1, self.loop.hidden))


def _backwards(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Return views of each step, the last one first."""
    return list(zip(*(tensor.unbind(0)[::-1] for tensor in tensors), strict=True))


class OfElman(ByHand):
    """dL/da = dL/dh (1 - h²)."""

    loop_class = Elman

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.views = _backwards(self.grad_h, self.grad_a)

    def backward(self) -> None:
        """As `ByHand.backward`."""
        h, carry = self.loop.h[1:], self._carry()
        torch.addcmul(self.one, h, h, value=-1, out=self.grad_a)
        (grad_t, a_t), *earlier = self.views
        a_t.mul_(grad_t)
        for grad_t, earlier_a in earlier:
            a_t = earlier_a.mul_(carry(grad_t, a_t))


class OfLstm(ByHand):
    """dL/dc = dL/dh o (1 - tanh² c) + f' dL/dc', and every gate's gradient a multiple of one."""

    loop_class = Lstm
    loop: Lstm

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.from_h = torch.empty_like(self.grad_h)
        self.grad_c, self.carried_c = self.loop.empty(2, self.loop.hidden).unbind(0)
        of_o, forget = self.loop.blocks(self.grad_a)[0], self.loop.blocks(self.loop.a)[2]
        of_others = self._by_gate(self.grad_a)[..., 1:, :]
        self.views = _backwards(self.grad_h, self.grad_a, of_o, of_others, self.from_h, forget)

    def backward(self) -> None:
        """As `ByHand.backward`."""
        self._factors()
        grad_c, carried_c, carry = self.grad_c, self.carried_c.zero_(), self._carry()
        addcmul, mul, grad_c_rows = torch.addcmul, torch.mul, self.grad_c.unsqueeze(-2)
        later = None
        for grad_t, a_t, o_t, others_t, from_h, f_t in self.views:
            if later is not None:
                carry(grad_t, later)
            addcmul(carried_c, grad_t, from_h, out=grad_c)
            o_t.mul_(grad_t)
            others_t.mul_(grad_c_rows)
            mul(grad_c, f_t, out=carried_c)
            later = a_t

    def _factors(self) -> None:
        """Make ``grad_a`` dL/da over dL/dh (o) or dL/dc, ``from_h`` dL/dc over dL/dh."""
        loop, one = self.loop, self.one
        o, i, _, g = loop.blocks(loop.a)
        to_o, to_i, to_f, to_g = loop.blocks(self.grad_a)
        torch.addcmul(loop.a, loop.a, loop.a, value=-1, out=self.grad_a)  # s (1 - s)
        to_o.mul_(loop.tanh_c)
        to_i.mul_(g)
        to_f[1:].mul_(loop.c[:-1])
        to_f[0] = 0
        torch.addcmul(one, g, g, value=-1, out=to_g).mul_(i)
        torch.addcmul(one, loop.tanh_c, loop.tanh_c, value=-1, out=self.from_h).mul_(o)


class OfGru(ByHand):
    """Every gate's gradient is a multiple of dL/dh."""

    loop_class = Gru
    loop: Gru

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.to_n = torch.empty_like(self.grad_h)
        self.bias_hh = torch.empty_like(self.bias)
        z = self.loop.blocks(self.loop.a)[1]
        self.views = _backwards(self.grad_h, self.grad_a, self._by_gate(self.grad_a), z)

    def backward(self) -> None:
        """As `ByHand.backward`; ``grad_h`` becomes dL/dh."""
        self._factors()
        carry = self._carry()
        (grad_t, a_t, gates_t, z_t), *earlier = self.views
        gates_t.mul_(grad_t.unsqueeze(-2))
        later, later_a, later_z = grad_t, a_t, z_t
        for grad_t, a_t, gates_t, z_t in earlier:
            carry(grad_t, later_a).addcmul_(later, later_z)
            gates_t.mul_(grad_t.unsqueeze(-2))
            later, later_a, later_z = grad_t, a_t, z_t

    def to_input(self, grad_a: Tensor) -> None:
        """As `ByHand.to_input`: n's part of ``grad_a`` is r times that of the projection."""
        torch.sum(grad_a, 0, out=self.bias_hh)
        n = grad_a[:, 2 * self.loop.hidden :]
        torch.mul(self.grad_h.view(n.shape), self.to_n.view(n.shape), out=n)

    def _factors(self) -> None:
        """Make ``grad_a`` dL/d(W_hh h + b_hh) over dL/dh, ``to_n`` that of n's projection."""
        loop = self.loop
        r, z, n = loop.blocks(loop.a)
        m_n = loop.blocks(loop.m)[2]
        to_r, to_z, to_m = loop.blocks(self.grad_a)
        torch.addcmul(loop.a, loop.a, loop.a, value=-1, out=self.grad_a)  # s (1 - s)
        torch.addcmul(self.one, n, n, value=-1, out=self.to_n)
        self.to_n.addcmul_(self.to_n, z, value=-1)
        to_r.mul_(self.to_n).mul_(m_n)
        to_z.mul_(torch.sub(loop.h[:-1], n, out=m_n))
        torch.mul(self.to_n, r, out=to_m)
