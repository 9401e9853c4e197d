"""PyTorch: its own modules, and the same equations in its tensor operations.

The second form is a loop that a careful person writes for speed, with buffers reused where no
gradient is needed. Training has a third, without autograd. ``torch.compile`` is left out: it needs
a C++ compiler and unrolls the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.grid.peers import Contender, returns_array
from benchmarks.grid.problem import Array, Outcome, Problem

NAME = "torch"


def _tensors(arrays: dict[str, Array]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def _module(problem: Problem) -> nn.RNN:
    module = nn.RNN(problem.row.input_size, problem.row.hidden_size)
    module.load_state_dict(_tensors(problem.rnn))
    return module


class Library:
    """PyTorch's way to do each kind of row."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def step(self, problem: Problem) -> list[Contender]:
        """`RNNCell`, and one product of [W_ih W_hh] with [x h]."""
        forms = {"RNNCell": _cell_step(problem), "one gemv": _gemv_step(problem)}
        return [_stepper(form, problem, *functions) for form, functions in forms.items()]

    def seq(self, problem: Problem) -> list[Contender]:
        """`nn.RNN`, and a loop over a hoisted input projection."""
        module = _module(problem)
        x = torch.from_numpy(problem.x)

        def whole() -> Tensor:
            return module(x)[0]

        loop = _loop(problem, x)
        return [
            Contender(NAME, "nn.RNN", whole, returns_array(whole), torch.inference_mode),
            Contender(NAME, "loop", loop, returns_array(loop), torch.inference_mode),
        ]

    batch = seq

    def train(self, problem: Problem) -> list[Contender]:
        """`nn.RNN` fed one-hot rows, a loop fed an embedding, and a loop without autograd."""
        return [_train_module(problem), _train_loop(problem), _ByHand(problem).contender()]

    def gen(self, problem: Problem) -> list[Contender]:
        """One character after the other, drawn by `multinomial` or from the cumulated softmax."""
        bias = torch.from_numpy(problem.bias)
        rows = (torch.from_numpy(problem.rnn["weight_ih_l0"].T.copy()) + bias).unbind(0)
        weight_hh = torch.from_numpy(problem.rnn["weight_hh_l0"])
        readout = torch.from_numpy(problem.readout["weight"])
        readout_bias = torch.from_numpy(problem.readout["bias"])
        addmv, steps = torch.addmv, problem.row.steps

        def generate(draw: Callable[[Tensor, float], int]) -> Array:
            h, token, ids = torch.zeros(problem.row.hidden_size), 0, []
            for u in torch.rand(steps).tolist():
                h = addmv(rows[token], weight_hh, h).tanh_()
                token = draw(torch.softmax(addmv(readout_bias, readout, h), 0), u)
                ids.append(token)
            return np.array(ids)

        def by_multinomial(p: Tensor, u: float) -> int:
            return torch.multinomial(p, 1).item()

        def by_search(p: Tensor, u: float) -> int:
            return min(int(torch.searchsorted(p.cumsum(0), u)), len(readout_bias) - 1)

        torch.manual_seed(0)
        forms = {"multinomial": by_multinomial, "cumsum": by_search}
        contenders = []
        for form, draw in forms.items():
            call = partial(generate, draw)
            outcome = returns_array(call, "ids")
            contenders.append(Contender(NAME, form, call, outcome, torch.inference_mode))
        return contenders


Step = Callable[[Tensor], Tensor]
Reset = Callable[[], None]


def _stepper(form: str, problem: Problem, step: Step, reset: Reset) -> Contender:
    inputs = torch.from_numpy(problem.x).unbind(0)

    def outcome() -> Outcome:
        reset()
        return {"output": np.array([step(x_t).reshape(1, -1).numpy().copy() for x_t in inputs])}

    return Contender(NAME, form, partial(step, inputs[0]), outcome, torch.inference_mode)


def _cell_step(problem: Problem) -> tuple[Step, Reset]:
    cell = nn.RNNCell(problem.row.input_size, problem.row.hidden_size)
    cell.load_state_dict({name[:-3]: value for name, value in _tensors(problem.rnn).items()})
    zero = torch.zeros(1, problem.row.hidden_size)
    h = zero

    def step(x_t: Tensor) -> Tensor:
        nonlocal h
        h = cell(x_t, h)
        return h

    def reset() -> None:
        nonlocal h
        h = zero

    return step, reset


def _gemv_step(problem: Problem) -> tuple[Step, Reset]:
    hidden, width = problem.row.hidden_size, problem.row.input_size
    tensors = _tensors(problem.rnn)
    weight = torch.cat([tensors["weight_ih_l0"], tensors["weight_hh_l0"]], 1)
    bias = torch.from_numpy(problem.bias)
    seen = torch.zeros(width + hidden)
    x, h = seen[:width], seen[width:]
    a = torch.empty(hidden)
    addmv, tanh = torch.addmv, torch.tanh

    def step(x_t: Tensor) -> Tensor:
        x.copy_(x_t[0])
        addmv(bias, weight, seen, out=a)
        return tanh(a, out=h)

    return step, h.zero_


def _loop(problem: Problem, x: Tensor) -> Callable[[], Tensor]:
    tensors = _tensors(problem.rnn)
    bias = torch.from_numpy(problem.bias)
    weight_ih, weight_hh_t = tensors["weight_ih_l0"], tensors["weight_hh_l0"].t()
    h_0 = torch.zeros(problem.row.batch, problem.row.hidden_size)

    def call() -> Tensor:
        a = functional.linear(x, weight_ih, bias)
        h = h_0
        for a_t in a.unbind(0):
            h = a_t.addmm_(h, weight_hh_t).tanh_()
        return a

    return call


def _train_module(problem: Problem) -> Contender:
    module = _module(problem)
    readout = nn.Linear(problem.row.hidden_size, len(problem.readout["bias"]))
    readout.load_state_dict(_tensors(problem.readout))
    identity = torch.eye(problem.row.input_size)
    ids = torch.from_numpy(problem.ids)
    parameters = [*module.parameters(), *readout.parameters()]

    def call() -> Tensor:
        output, _ = module(functional.embedding(ids, identity))
        return _loss_and_gradients(problem, readout, output, parameters)

    def outcome() -> Outcome:
        return _training_outcome(
            loss=call(),
            weight_ih_l0=module.weight_ih_l0.grad,
            weight_hh_l0=module.weight_hh_l0.grad,
            bias_l0=module.bias_ih_l0.grad,
            weight=readout.weight.grad,
            bias=readout.bias.grad,
        )

    return Contender(NAME, "nn.RNN", call, outcome)


def _train_loop(problem: Problem) -> Contender:
    embedding = nn.Parameter(torch.from_numpy(problem.rnn["weight_ih_l0"].T.copy()))
    weight_hh = nn.Parameter(torch.from_numpy(problem.rnn["weight_hh_l0"]))
    bias = nn.Parameter(torch.from_numpy(problem.bias))
    readout = nn.Linear(problem.row.hidden_size, len(problem.readout["bias"]))
    readout.load_state_dict(_tensors(problem.readout))
    ids = torch.from_numpy(problem.ids)
    h_0 = torch.zeros(problem.row.batch, problem.row.hidden_size)
    parameters = [embedding, weight_hh, bias, *readout.parameters()]

    def call() -> Tensor:
        h, output, weight_hh_t = h_0, [], weight_hh.t()
        for a_t in (functional.embedding(ids, embedding) + bias).unbind(0):
            h = torch.addmm(a_t, h, weight_hh_t).tanh()
            output.append(h)
        return _loss_and_gradients(problem, readout, torch.stack(output), parameters)

    def outcome() -> Outcome:
        loss = call()
        assert embedding.grad is not None
        return _training_outcome(
            loss=loss,
            weight_ih_l0=embedding.grad.t(),
            weight_hh_l0=weight_hh.grad,
            bias_l0=bias.grad,
            weight=readout.weight.grad,
            bias=readout.bias.grad,
        )

    return Contender(NAME, "loop", call, outcome)


class _ByHand:
    """BPTT without autograd: buffers reused, gradients of weights as one product over all steps.

    With N = T B positions, `h` has the states (T + 1, B, H), and `grad_a` first dL/dh of every
    step from the outputs alone, then dL/da.
    """

    def __init__(self, problem: Problem) -> None:
        tensors = _tensors({**problem.rnn, **problem.readout})
        self.weight_ih, self.weight_hh = tensors["weight_ih_l0"], tensors["weight_hh_l0"]
        self.bias = torch.from_numpy(problem.bias)
        self.weight, self.readout_bias = tensors["weight"], tensors["bias"]
        self.ids = torch.from_numpy(problem.ids).flatten()
        self.targets = torch.from_numpy(problem.targets).flatten()

        steps, batch = problem.ids.shape
        hidden, vocabulary = problem.row.hidden_size, len(self.readout_bias)
        self.h = torch.zeros(steps + 1, batch, hidden)
        self.output = self.h[1:].view(-1, hidden)
        self.before = self.h[:-1].view(-1, hidden)
        self.grad_a = torch.empty(steps, batch, hidden)
        self.slope = torch.empty(steps, batch, hidden)
        self.rows = torch.empty(vocabulary, hidden)
        self.logits = torch.empty(len(self.ids), vocabulary)
        self.grad_logits = torch.empty(len(self.ids), vocabulary)
        self.one = torch.ones(())
        self.minus = torch.full((len(self.ids), 1), -1 / len(self.ids))
        self.grad = {
            "weight_ih_l0": torch.empty(vocabulary, hidden),  # transposed
            "weight_hh_l0": torch.empty(hidden, hidden),
            "bias_l0": torch.empty(hidden),
            "weight": torch.empty(vocabulary, hidden),
            "bias": torch.empty(vocabulary),
        }
        # Vectors where the batch is one: addmv costs less than addmm with one row.
        self.alone = batch == 1
        of_steps = (self.h, self.slope, self.grad_a)
        if self.alone:
            of_steps = tuple(tensor[:, 0] for tensor in of_steps)
        self.h_steps, self.slopes, self.grads = (tensor.unbind(0) for tensor in of_steps)

    def contender(self) -> Contender:
        def outcome() -> Outcome:
            loss = self.call()
            gradients = self.grad | {"weight_ih_l0": self.grad["weight_ih_l0"].t()}
            return _training_outcome(loss=loss, **gradients)

        return Contender(NAME, "BPTT by hand", self.call, outcome, torch.inference_mode)

    def call(self) -> Tensor:
        torch.add(self.weight_ih.t(), self.bias, out=self.rows)
        torch.index_select(self.rows, 0, self.ids, out=self.output)
        self._forward()
        loss = self._readout()
        torch.addcmul(self.one, self.h[1:], self.h[1:], value=-1, out=self.slope)
        self._backward()
        grad_a = self.grad_a.view_as(self.output)
        self.grad["weight_ih_l0"].zero_().index_add_(0, self.ids, grad_a)
        torch.mm(grad_a.t(), self.before, out=self.grad["weight_hh_l0"])
        torch.sum(grad_a, 0, out=self.grad["bias_l0"])
        return loss

    def _forward(self) -> None:
        """h_t = tanh(a_t + W_hh h_{t-1}) in place of a_t."""
        h, *later = self.h_steps
        if self.alone:
            for a_t in later:
                h = a_t.addmv_(self.weight_hh, h).tanh_()
            return
        weight_hh_t = self.weight_hh.t()
        for a_t in later:
            h = a_t.addmm_(h, weight_hh_t).tanh_()

    def _readout(self) -> Tensor:
        """The loss, the readout's gradients, and dL/dh from the outputs alone."""
        torch.addmm(self.readout_bias, self.output, self.weight.t(), out=self.logits)
        log_p = torch.log_softmax(self.logits, 1, out=self.grad_logits)
        loss = functional.nll_loss(log_p, self.targets)
        grad_logits = log_p.exp_().div_(len(self.ids))
        grad_logits.scatter_add_(1, self.targets[:, None], self.minus)
        torch.mm(grad_logits.t(), self.output, out=self.grad["weight"])
        torch.sum(grad_logits, 0, out=self.grad["bias"])
        torch.mm(grad_logits, self.weight, out=self.grad_a.view_as(self.output))
        return loss

    def _backward(self) -> None:
        """dL/da_t = (dL/dh_t + W_hhᵀ dL/da_{t+1}) (1 - h_t²) in place of dL/dh_t."""
        grad_a = self.grads[-1].mul_(self.slopes[-1])
        earlier = zip(self.grads[-2::-1], self.slopes[-2::-1], strict=True)
        if self.alone:
            weight_hh_t = self.weight_hh.t()
            for grad_t, slope_t in earlier:
                grad_a = grad_t.addmv_(weight_hh_t, grad_a).mul_(slope_t)
            return
        for grad_t, slope_t in earlier:
            grad_a = grad_t.addmm_(grad_a, self.weight_hh).mul_(slope_t)


def _loss_and_gradients(
    problem: Problem, readout: nn.Linear, output: Tensor, parameters: list[nn.Parameter]
) -> Tensor:
    for parameter in parameters:
        parameter.grad = None
    targets = torch.from_numpy(problem.targets)
    loss = functional.cross_entropy(readout(output).flatten(0, 1), targets.flatten())
    loss.backward()
    return loss


def _training_outcome(**tensors: Tensor | None) -> Outcome:
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    return {name: tensor.detach().numpy().copy() for name, tensor in kept.items()}
