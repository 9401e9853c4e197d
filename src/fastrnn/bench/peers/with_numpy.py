"""NumPy, written by hand with every product hoisted and every buffer reused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastrnn.bench.peers import Contender, returns_array
from fastrnn.bench.peers.gates import Weights, by_hand
from fastrnn.bench.peers.numpy_loops import HALF, LOOPS
from fastrnn.bench.peers.numpy_training import TRAININGS
from fastrnn.bench.problem import Array, Outcome, Problem

NAME = "numpy"

Step = Callable[[Array], Array]


class Library:
    """NumPy's way to do each kind of row; its BLAS takes its threads from the environment."""

    def __init__(self, threads: int) -> None:
        pass

    def step(self, problem: Problem) -> list[Contender]:
        """One product of [W_ih W_hh b] with [x h 1]; for a GRU one with each."""
        weights = by_hand(problem, sigmoid_scale=0.5)
        step, reset = STEPPERS[problem.row.cell](weights, problem.row.hidden_size)

        def outcome() -> Outcome:
            reset()
            return {"output": np.array([[step(x_t).copy()] for x_t in problem.x[:, 0]])}

        x_0 = problem.x[0, 0]
        return [Contender(NAME, "gemv", lambda: step(x_0), outcome)]

    def seq(self, problem: Problem) -> list[Contender]:
        """Return the input projection of all steps at once, then one gemv or gemm per step."""
        weights = by_hand(problem, sigmoid_scale=0.5)
        loop = LOOPS[problem.row.cell](weights, len(problem.x), problem.row.batch)
        x = problem.x.reshape(-1, problem.row.input_size)
        weight_ih_t = np.ascontiguousarray(weights.weight_ih.T)
        a = loop.a.reshape(len(x), -1)

        def call() -> Array:
            np.dot(x, weight_ih_t, out=a)
            np.add(a, weights.bias, out=a)
            loop.forward()
            return loop.output

        return [Contender(NAME, "loop", call, returns_array(call))]

    batch = seq

    def train(self, problem: Problem) -> list[Contender]:
        """BPTT with every gradient of a weight as one product over all steps."""
        training = TRAININGS[problem.row.cell](problem)
        return [Contender(NAME, "BPTT by hand", training.call, training.outcome)]

    def gen(self, problem: Problem) -> list[Contender]:
        """Rows of W_ih with the biases folded in, and a search in the cumulated softmax."""
        weights = by_hand(problem, sigmoid_scale=0.5)
        rows = list(np.ascontiguousarray(weights.weight_ih.T) + weights.bias)
        advance, h, reset = ADVANCERS[problem.row.cell](weights, problem.row.hidden_size)
        readout, readout_bias = problem.readout["weight"].dot, problem.readout["bias"]
        vocabulary = len(readout_bias)
        p = np.empty(vocabulary, np.float32)
        rng = np.random.default_rng(0)

        def call() -> Array:
            add, exp, accumulate = np.add, np.exp, np.add.accumulate
            subtract, largest, search = np.subtract, p.max, p.searchsorted
            reset()
            token, ids = 0, []
            for u in rng.random(problem.row.steps, np.float32).tolist():
                advance(rows[token])
                readout(h, p)
                add(p, readout_bias, p)
                subtract(p, largest(), p)
                exp(p, p)
                accumulate(p, 0, None, p)
                token = min(int(search(np.float32(u) * p[-1], "right")), vocabulary - 1)
                ids.append(token)
            return np.array(ids)

        return [Contender(NAME, "cumsum", call, returns_array(call, "ids"))]


Reset = Callable[[], object]


def _lstm_state(hidden: int) -> tuple[Array, Array, Callable[[], Array], Reset]:
    """Return a buffer for pre-activations, h, what goes from the one to the other, and a reset."""
    m, c, h, t = (np.zeros(size, np.float32) for size in (4 * hidden, hidden, hidden, hidden))
    sigmoids, (o, i, f, g) = m[: 3 * hidden], m.reshape(4, hidden)
    tanh, multiply, add = np.tanh, np.multiply, np.add

    def finish() -> Array:
        tanh(m, m)
        multiply(sigmoids, HALF, sigmoids)
        add(sigmoids, HALF, sigmoids)
        multiply(c, f, c)
        multiply(i, g, i)
        add(c, i, c)
        tanh(c, t)
        return multiply(o, t, h)

    def reset() -> None:
        c[:] = h[:] = 0

    return m, h, finish, reset


def _gru_state(weights: Weights, hidden: int) -> tuple[Callable[[Array], Array], Array, Reset]:
    """Return the step from an input projection to h, h, and a reset."""
    m, seen, t = (np.zeros(size, np.float32) for size in (3 * hidden, hidden + 1, hidden))
    seen[-1] = 1
    h = seen[:-1]
    bias = np.zeros((3 * hidden, 1), np.float32)
    bias[2 * hidden :, 0] = weights.bias_n
    recurrent = np.hstack((weights.weight_hh, bias)).dot
    sigmoids, (r, z, n) = m[: 2 * hidden], m.reshape(3, hidden)
    of_sigmoids, of_n = slice(2 * hidden), slice(2 * hidden, None)
    tanh, multiply, add, subtract = np.tanh, np.multiply, np.add, np.subtract

    def advance(a: Array) -> Array:
        recurrent(seen, m)
        add(sigmoids, a[of_sigmoids], sigmoids)
        tanh(sigmoids, sigmoids)
        multiply(sigmoids, HALF, sigmoids)
        add(sigmoids, HALF, sigmoids)
        multiply(n, r, n)
        add(n, a[of_n], n)
        tanh(n, n)
        subtract(h, n, t)
        multiply(t, z, t)
        return add(t, n, h)

    def reset() -> None:
        h[:] = 0

    return advance, h, reset


def _beside_input(weights: Weights, hidden: int) -> tuple[Array, Array, Callable]:
    """[x h 1], x as a view of it, and its product with [W_ih W_hh b]."""
    columns = (weights.weight_ih, weights.weight_hh, weights.bias[:, None])
    width = weights.weight_ih.shape[1]
    seen = np.zeros(width + hidden + 1, np.float32)
    seen[-1] = 1
    return seen, seen[:width], np.hstack(columns).dot


def _elman_step(weights: Weights, hidden: int) -> tuple[Step, Reset]:
    seen, x, product = _beside_input(weights, hidden)
    h, m = seen[len(x) : -1], np.empty(hidden, np.float32)
    tanh = np.tanh

    def step(x_t: Array) -> Array:
        x[:] = x_t
        return tanh(product(seen, m), h)

    return step, lambda: h.fill(0)


def _lstm_step(weights: Weights, hidden: int) -> tuple[Step, Reset]:
    seen, x, product = _beside_input(weights, hidden)
    before = seen[len(x) : -1]
    m, h, finish, reset = _lstm_state(hidden)

    def step(x_t: Array) -> Array:
        x[:] = x_t
        before[:] = h
        product(seen, m)
        return finish()

    return step, reset


def _gru_step(weights: Weights, hidden: int) -> tuple[Step, Reset]:
    advance, _, reset = _gru_state(weights, hidden)
    projection = np.hstack((weights.weight_ih, weights.bias[:, None])).dot
    seen = np.ones(weights.weight_ih.shape[1] + 1, np.float32)
    x, a = seen[:-1], np.empty(3 * hidden, np.float32)

    def step(x_t: Array) -> Array:
        x[:] = x_t
        return advance(projection(seen, a))

    return step, reset


Advancer = tuple[Callable[[Array], Array], Array, Reset]


def _elman_advance(weights: Weights, hidden: int) -> Advancer:
    h, m = np.zeros((2, hidden), np.float32)
    recurrent, tanh, add = weights.weight_hh.dot, np.tanh, np.add

    def advance(a: Array) -> Array:
        recurrent(h, m)
        add(m, a, m)
        return tanh(m, h)

    return advance, h, lambda: h.fill(0)


def _lstm_advance(weights: Weights, hidden: int) -> Advancer:
    m, h, finish, reset = _lstm_state(hidden)
    recurrent, add = weights.weight_hh.dot, np.add

    def advance(a: Array) -> Array:
        recurrent(h, m)
        add(m, a, m)
        return finish()

    return advance, h, reset


STEPPERS = {"RNN": _elman_step, "GRU": _gru_step, "LSTM": _lstm_step}
ADVANCERS = {"RNN": _elman_advance, "GRU": _gru_state, "LSTM": _lstm_advance}
