"""PyTorch: its own modules, and the same equations in its tensor operations.

The second form is a loop that a careful person writes for speed, with buffers reused where no
gradient is needed. ``torch.compile`` is left out: it needs a C++ compiler and unrolls the loop.
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
        """`nn.RNN` fed one-hot rows, and a loop fed an embedding."""
        return [_train_module(problem), _train_loop(problem)]

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
