"""NumPy, written by hand with every product hoisted and every buffer reused."""

from __future__ import annotations

import numpy as np

from benchmarks.grid.peers import Contender, returns_array
from benchmarks.grid.problem import Array, Outcome, Problem

NAME = "numpy"


class Library:
    """NumPy's way to do each kind of row; its BLAS takes its threads from the environment."""

    def __init__(self, threads: int) -> None:
        pass

    def step(self, problem: Problem) -> list[Contender]:
        """One product of [W_ih W_hh b] with [x h 1], and tanh back into its middle."""
        hidden, width = problem.row.hidden_size, problem.row.input_size
        columns = (problem.rnn["weight_ih_l0"], problem.rnn["weight_hh_l0"], problem.bias[:, None])
        product = np.hstack(columns).dot
        seen = np.zeros(width + hidden + 1, np.float32)
        seen[-1] = 1
        x, h = seen[:width], seen[width:-1]
        pre_activation = np.empty(hidden, np.float32)
        tanh = np.tanh

        def step(x_t: Array) -> Array:
            x[:] = x_t
            return tanh(product(seen, pre_activation), h)

        def outcome() -> Outcome:
            h[:] = 0
            return {"output": np.array([[step(x_t).copy()] for x_t in problem.x[:, 0]])}

        x_0 = problem.x[0, 0]
        return [Contender(NAME, "one gemv", lambda: step(x_0), outcome)]

    def seq(self, problem: Problem) -> list[Contender]:
        """Vectors instead of a batch of one: a gemv costs less than a gemm with one row."""
        weight_ih_t = problem.rnn["weight_ih_l0"].T
        recurrent, bias = problem.rnn["weight_hh_l0"].dot, problem.bias
        x = problem.x[:, 0]
        h = np.zeros((len(x) + 1, problem.row.hidden_size), np.float32)
        product = np.empty(problem.row.hidden_size, np.float32)
        tanh = np.tanh

        def call() -> Array:
            a = x @ weight_ih_t
            a += bias
            h_t = h[0]
            for a_t, h_next in zip(a, h[1:], strict=True):
                recurrent(h_t, product)
                a_t += product
                h_t = tanh(a_t, h_next)
            return h[1:, None]

        return [Contender(NAME, "loop of gemv", call, returns_array(call))]

    def batch(self, problem: Problem) -> list[Contender]:
        """The input projection of all steps at once, then one gemm per step."""
        weight_ih_t = problem.rnn["weight_ih_l0"].T
        weight_hh_t = np.ascontiguousarray(problem.rnn["weight_hh_l0"].T)
        forward = _Forward(weight_hh_t, problem)

        def call() -> Array:
            x = problem.x.reshape(-1, problem.row.input_size)
            np.dot(x, weight_ih_t, out=forward.a.reshape(len(x), -1))
            forward.a += problem.bias
            return forward.run()

        return [Contender(NAME, "loop of gemm", call, returns_array(call))]

    def train(self, problem: Problem) -> list[Contender]:
        """BPTT with every gradient of a weight as one product over all steps."""
        return [_train(problem)]

    def gen(self, problem: Problem) -> list[Contender]:
        """Rows of W_ih with the biases folded in, and a search in the cumulated softmax."""
        rows = list(problem.rnn["weight_ih_l0"].T + problem.bias)
        recurrent, readout = problem.rnn["weight_hh_l0"].dot, problem.readout["weight"].dot
        readout_bias = problem.readout["bias"]
        vocabulary = len(readout_bias)
        h = np.empty(problem.row.hidden_size, np.float32)
        a = np.empty_like(h)
        p = np.empty(vocabulary, np.float32)
        rng = np.random.default_rng(0)

        def call() -> Array:
            tanh, add, exp, accumulate = np.tanh, np.add, np.exp, np.add.accumulate
            subtract, largest, search = np.subtract, p.max, p.searchsorted
            h[:] = 0
            token, ids = 0, []
            for u in rng.random(problem.row.steps, np.float32).tolist():
                recurrent(h, a)
                add(a, rows[token], a)
                tanh(a, h)
                readout(h, p)
                add(p, readout_bias, p)
                subtract(p, largest(), p)
                exp(p, p)
                accumulate(p, 0, None, p)
                token = min(int(search(np.float32(u) * p[-1], "right")), vocabulary - 1)
                ids.append(token)
            return np.array(ids)

        return [Contender(NAME, "cumsum", call, returns_array(call, "ids"))]


class _Forward:
    """Buffers of a forward pass: pre-activations a (T, B, H) and states h (T + 1, B, H)."""

    def __init__(self, weight_hh_t: Array, problem: Problem) -> None:
        steps, batch, hidden = len(problem.x), problem.row.batch, problem.row.hidden_size
        self.weight_hh_t = weight_hh_t
        self.a = np.empty((steps, batch, hidden), np.float32)
        self.h = np.zeros((steps + 1, batch, hidden), np.float32)
        self.product = np.empty((batch, hidden), np.float32)

    def run(self) -> Array:
        """h_t = tanh(a_t + h_{t-1} W_hhᵀ) for a that holds the input projection."""
        dot, tanh = np.dot, np.tanh
        h_t = self.h[0]
        for a_t, h_next in zip(self.a, self.h[1:], strict=True):
            dot(h_t, self.weight_hh_t, self.product)
            a_t += self.product
            h_t = tanh(a_t, h_next)
        return self.h[1:]


def _train(problem: Problem) -> Contender:
    hidden = problem.row.hidden_size
    weight_ih, weight_hh = problem.rnn["weight_ih_l0"], problem.rnn["weight_hh_l0"]
    weight, readout_bias = problem.readout["weight"], problem.readout["bias"]
    ids, targets = problem.ids.ravel(), problem.targets.ravel()
    count, vocabulary = len(ids), len(readout_bias)
    every = np.arange(count)
    identity = np.eye(vocabulary, dtype=np.float32)
    forward = _Forward(weight_hh.T, problem)
    logits = np.empty((count, vocabulary), np.float32)
    grad_h = np.empty_like(forward.a)
    slope = np.empty_like(forward.a)

    def call() -> Outcome:
        np.take(weight_ih.T + problem.bias, ids, axis=0, out=forward.a.reshape(count, hidden))
        output = forward.run().reshape(count, hidden)

        np.dot(output, weight.T, out=logits)
        np.add(logits, readout_bias, out=logits)
        np.subtract(logits, logits.max(axis=1, keepdims=True), out=logits)
        right = logits[every, targets]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        loss = (np.log(total).sum() - right.sum()) / count
        grad_logits = np.divide(logits, total * np.float32(count), out=logits)
        grad_logits[every, targets] -= np.float32(1 / count)

        np.dot(grad_logits, weight, out=grad_h.reshape(count, hidden))
        np.multiply(forward.h[1:], forward.h[1:], out=slope)
        np.subtract(np.float32(1), slope, out=slope)
        grad_a = _through_time(grad_h, slope, weight_hh).reshape(count, hidden)
        return {
            "loss": loss,
            "weight_ih_l0": grad_a.T @ identity[ids],
            "weight_hh_l0": grad_a.T @ forward.h[:-1].reshape(count, hidden),
            "bias_l0": grad_a.sum(axis=0),
            "weight": grad_logits.T @ output,
            "bias": grad_logits.sum(axis=0),
        }

    return Contender(NAME, "products over all steps", call, call)


def _through_time(grad_h: Array, slope: Array, weight_hh: Array) -> Array:
    """Turn dL/dh from the outputs alone into dL/da of every step, in place."""
    dot = np.dot
    carried = np.zeros_like(grad_h[0])
    for grad_t, slope_t in zip(grad_h[::-1], slope[::-1], strict=True):
        grad_t += carried
        grad_t *= slope_t
        dot(grad_t, weight_hh, carried)
    return grad_h
