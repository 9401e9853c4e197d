"""PyTorch: its own modules, and the same equations in its tensor operations.

The second form is a loop that a careful person writes for speed, with buffers reused where no
gradient is needed. ``torch.compile`` is left out: it needs a C++ compiler and unrolls the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastrnn.bench.peers import Contender, returns_array
from fastrnn.bench.peers.gates import Weights, by_hand
from fastrnn.bench.peers.torch_loops import LOOPS
from fastrnn.bench.peers.torch_training import ByHand, train_module
from fastrnn.bench.problem import Array, Outcome, Problem

NAME = "torch"


class Library:
    """PyTorch's way to do each kind of row."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def step(self, problem: Problem) -> list[Contender]:
        """PyTorch's function for one step, and the fewest operations on vectors."""
        hand = STEPPERS[problem.row.cell](by_hand(problem), problem.row.hidden_size)
        forms = {"cell function": _cell_function(problem), "gemv": hand}
        return [_stepper(form, problem, *functions) for form, functions in forms.items()]

    def seq(self, problem: Problem) -> list[Contender]:
        """PyTorch's module, and a loop over a hoisted input projection."""
        module = getattr(nn, problem.row.cell)(problem.row.input_size, problem.row.hidden_size)
        module.load_state_dict({k: torch.from_numpy(v) for k, v in problem.layer.items()})
        x = torch.from_numpy(problem.x)

        def whole() -> Tensor:
            return module(x)[0]

        loop = _loop(problem)
        return [
            Contender(NAME, "module", whole, returns_array(whole), torch.inference_mode),
            Contender(NAME, "loop", loop, returns_array(loop), torch.inference_mode),
        ]

    batch = seq

    def train(self, problem: Problem) -> list[Contender]:
        """PyTorch's module with autograd, and BPTT without it."""
        hand = ByHand.of(problem)
        call, outcome = train_module(problem)
        return [
            Contender(NAME, "autograd", call, outcome),
            Contender(NAME, "BPTT by hand", hand.call, hand.outcome, torch.inference_mode),
        ]

    def gen(self, problem: Problem) -> list[Contender]:
        """One character after the other, drawn by `multinomial` or from the cumulated softmax."""
        weights = by_hand(problem)
        rows = torch.from_numpy(np.ascontiguousarray(weights.weight_ih.T) + weights.bias).unbind(0)
        advance, reset = ADVANCERS[problem.row.cell](weights, problem.row.hidden_size)
        readout = torch.from_numpy(problem.readout["weight"])
        readout_bias = torch.from_numpy(problem.readout["bias"])
        addmv, steps = torch.addmv, problem.row.steps

        def generate(draw: Callable[[Tensor, float], int]) -> Array:
            reset()
            token, ids = 0, []
            for u in torch.rand(steps).tolist():
                h = advance(rows[token])
                token = draw(torch.softmax(addmv(readout_bias, readout, h), 0), u)
                ids.append(token)
            return np.array(ids)

        def by_multinomial(p: Tensor, u: float) -> int:
            return int(torch.multinomial(p, 1).item())

        def by_search(p: Tensor, u: float) -> int:
            return min(int(torch.searchsorted(p.cumsum(0), u)), len(readout_bias) - 1)

        torch.manual_seed(0)
        contenders = []
        for form, draw in {"multinomial": by_multinomial, "cumsum": by_search}.items():
            call = partial(generate, draw)
            outcome = returns_array(call, "ids")
            contenders.append(Contender(NAME, form, call, outcome, torch.inference_mode))
        return contenders


Step = Callable[[Tensor], Tensor]
Reset = Callable[[], object]


def _stepper(form: str, problem: Problem, step: Step, reset: Reset) -> Contender:
    inputs = torch.from_numpy(problem.x).unbind(0)
    if form == "gemv":
        inputs = [x_t[0] for x_t in inputs]

    def outcome() -> Outcome:
        reset()
        return {"output": np.array([step(x_t).reshape(1, -1).numpy().copy() for x_t in inputs])}

    return Contender(NAME, form, partial(step, inputs[0]), outcome, torch.inference_mode)


def _loop(problem: Problem) -> Callable[[], Tensor]:
    weights = by_hand(problem)
    loop = LOOPS[problem.row.cell](weights, len(problem.x), problem.row.batch)
    x = torch.from_numpy(problem.x).flatten(0, 1)
    bias, weight_ih_t = torch.from_numpy(weights.bias), torch.from_numpy(weights.weight_ih).t()
    a = loop.a.view(len(x), -1)

    def call() -> Tensor:
        torch.addmm(bias, x, weight_ih_t, out=a)
        loop.forward()
        return loop.output

    return call


def _cell_function(problem: Problem) -> tuple[Step, Reset]:
    """`nn.RNNCell` and its kind, without the module around the function."""
    functions = {"RNN": torch.rnn_tanh_cell, "GRU": torch.gru_cell, "LSTM": torch.lstm_cell}
    function = functions[problem.row.cell]
    parameters = [torch.from_numpy(value) for value in problem.layer.values()]
    zero = torch.zeros(1, problem.row.hidden_size)
    start: Any = zero
    if problem.row.cell == "LSTM":
        start = (zero, zero)
    state = start

    def step(x_t: Tensor) -> Tensor:
        nonlocal state
        state = function(x_t, state, *parameters)
        return state

    def lstm_step(x_t: Tensor) -> Tensor:
        return step(x_t)[0]

    def reset() -> None:
        nonlocal state
        state = start

    return (lstm_step if problem.row.cell == "LSTM" else step), reset


def _beside_input(weights: Weights, hidden: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[W_ih W_hh], a buffer for [x h], and its two parts."""
    weight = torch.from_numpy(np.hstack((weights.weight_ih, weights.weight_hh)))
    seen = torch.zeros(weight.shape[1])
    return weight, seen, seen[:-hidden], seen[-hidden:]


def _elman_step(weights: Weights, hidden: int) -> tuple[Step, Reset]:
    weight, seen, x, h = _beside_input(weights, hidden)
    bias, a = torch.from_numpy(weights.bias), torch.empty(hidden)
    addmv, tanh = torch.addmv, torch.tanh

    def step(x_t: Tensor) -> Tensor:
        x.copy_(x_t)
        return tanh(addmv(bias, weight, seen, out=a), out=h)

    return step, h.zero_


def _lstm_step(weights: Weights, hidden: int) -> tuple[Step, Reset]:
    weight, seen, x, h = _beside_input(weights, hidden)
    bias = torch.from_numpy(weights.bias)
    a, finish, reset = _lstm_state(hidden, h)
    addmv = torch.addmv

    def step(x_t: Tensor) -> Tensor:
        x.copy_(x_t)
        addmv(bias, weight, seen, out=a)
        return finish()

    return step, reset


def _gru_step(weights: Weights, hidden: int) -> tuple[Step, Reset]:
    advance, reset = _gru_advance(weights, hidden)
    bias, weight_ih = torch.from_numpy(weights.bias), torch.from_numpy(weights.weight_ih)
    addmv = torch.addmv
    a = torch.empty(3 * hidden)

    def step(x_t: Tensor) -> Tensor:
        return advance(addmv(bias, weight_ih, x_t, out=a))

    return step, reset


def _lstm_state(hidden: int, h: Tensor) -> tuple[Tensor, Callable[[], Tensor], Reset]:
    """Return a buffer for pre-activations, what goes on from there to h, and a reset."""
    a, c, tanh_c = torch.empty(4 * hidden), torch.zeros(hidden), torch.empty(hidden)
    sigmoids, (o, i, f, g) = a[: 3 * hidden], a.split(hidden)
    mul, tanh = torch.mul, torch.tanh

    def finish() -> Tensor:
        sigmoids.sigmoid_()
        g.tanh_()
        c.mul_(f).addcmul_(i, g)
        return mul(o, tanh(c, out=tanh_c), out=h)

    def reset() -> None:
        c.zero_()
        h.zero_()

    return a, finish, reset


def _elman_advance(weights: Weights, hidden: int) -> tuple[Step, Reset]:
    weight_hh = torch.from_numpy(weights.weight_hh)
    h, a = torch.zeros(hidden), torch.empty(hidden)
    addmv, tanh = torch.addmv, torch.tanh
    return (lambda row: tanh(addmv(row, weight_hh, h, out=a), out=h)), h.zero_


def _lstm_advance(weights: Weights, hidden: int) -> tuple[Step, Reset]:
    weight_hh = torch.from_numpy(weights.weight_hh)
    h = torch.zeros(hidden)
    a, finish, reset = _lstm_state(hidden, h)
    addmv = torch.addmv

    def advance(row: Tensor) -> Tensor:
        addmv(row, weight_hh, h, out=a)
        return finish()

    return advance, reset


def _gru_advance(weights: Weights, hidden: int) -> tuple[Step, Reset]:
    weight_hh = torch.from_numpy(weights.weight_hh)
    bias = torch.zeros(3 * hidden)
    bias[2 * hidden :] = torch.from_numpy(weights.bias_n)
    h, m = torch.zeros(hidden), torch.empty(3 * hidden)
    sigmoids, m_n = m[: 2 * hidden], m[2 * hidden :]
    r, z = sigmoids.split(hidden)
    addmv, addcmul, lerp = torch.addmv, torch.addcmul, torch.lerp

    def advance(a: Tensor) -> Tensor:
        addmv(bias, weight_hh, h, out=m)
        sigmoids.add_(a[: 2 * hidden]).sigmoid_()
        n = addcmul(a[2 * hidden :], r, m_n).tanh_()
        return lerp(n, h, z, out=h)

    return advance, h.zero_


STEPPERS = {"RNN": _elman_step, "GRU": _gru_step, "LSTM": _lstm_step}
ADVANCERS = {"RNN": _elman_advance, "GRU": _gru_advance, "LSTM": _lstm_advance}
