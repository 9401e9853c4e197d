"""JAX: every row one jitted function, loops as `lax.scan`, the input projection hoisted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.grid.peers import Contender, returns_array
from benchmarks.grid.problem import Outcome, Problem

NAME = "jax"

# Unrolling this many steps of a training loop helps XLA with a batch and hurts it without.
UNROLL = 5


class Library:
    """JAX's way to do each kind of row; its threads follow the affinity of the process."""

    def __init__(self, threads: int) -> None:
        pass

    def step(self, problem: Problem) -> list[Contender]:
        """A jitted step whose weights are constants, on arrays that JAX owns."""
        weight_ih, weight_hh = problem.rnn["weight_ih_l0"], problem.rnn["weight_hh_l0"]
        bias = problem.bias
        inputs = [jnp.asarray(x_t) for x_t in problem.x[:, 0]]
        zero = h = jnp.zeros(problem.row.hidden_size)

        @jax.jit
        def cell(h: jax.Array, x_t: jax.Array) -> jax.Array:
            return jnp.tanh(weight_ih @ x_t + weight_hh @ h + bias)

        def step(x_t: jax.Array) -> jax.Array:
            nonlocal h
            h = cell(h, x_t)
            return h.block_until_ready()

        def outcome() -> Outcome:
            nonlocal h
            h = zero
            return {"output": np.array([[step(x_t)] for x_t in inputs])}

        return [Contender(NAME, "jit", partial(step, inputs[0]), outcome)]

    def seq(self, problem: Problem) -> list[Contender]:
        """A scan whose weights are constants; vectors where the batch is one."""
        weight_ih_t, weight_hh = problem.rnn["weight_ih_l0"].T, problem.rnn["weight_hh_l0"]
        alone = problem.row.batch == 1
        x = jnp.asarray(problem.x[:, 0] if alone else problem.x)

        def step(h: jax.Array, a_t: jax.Array) -> tuple[jax.Array, jax.Array]:
            h = jnp.tanh(a_t + (weight_hh @ h if alone else h @ weight_hh.T))
            return h, h

        @jax.jit
        def forward(x: jax.Array) -> jax.Array:
            a = x @ weight_ih_t + problem.bias
            return lax.scan(step, jnp.zeros_like(a[0]), a)[1]

        def call() -> jax.Array:
            return forward(x).block_until_ready()

        def outcome() -> Outcome:
            return {"output": np.asarray(call()).reshape(*problem.x.shape[:2], -1)}

        return [Contender(NAME, "scan", call, outcome)]

    batch = seq

    def train(self, problem: Problem) -> list[Contender]:
        """`value_and_grad` of a scan over gathered rows, and the backward scan by hand."""
        unroll = UNROLL if problem.row.batch > 1 else 1
        forms = {
            "value_and_grad": jax.value_and_grad(partial(_loss, unroll=unroll)),
            "BPTT by hand": partial(_loss_and_grad, unroll=unroll),
        }
        return [
            _trainer(f"{form}, unroll={unroll}", problem, function)
            for form, function in forms.items()
        ]

    def gen(self, problem: Problem) -> list[Contender]:
        """One scan over noise drawn beforehand: argmax of logits plus Gumbel noise is a draw."""
        rows = problem.rnn["weight_ih_l0"].T + problem.bias
        weight_hh = problem.rnn["weight_hh_l0"]
        readout, readout_bias = problem.readout["weight"], problem.readout["bias"]
        shape = problem.row.steps, len(readout_bias)
        embed = jnp.asarray(rows)

        def step(carry: Any, noise: jax.Array) -> tuple[Any, jax.Array]:
            h, token = carry
            h = jnp.tanh(embed[token] + weight_hh @ h)
            token = jnp.argmax(readout @ h + readout_bias + noise)
            return (h, token), token

        @jax.jit
        def generate(key: jax.Array) -> jax.Array:
            start = jnp.zeros(problem.row.hidden_size), jnp.int32(0)
            return lax.scan(step, start, jax.random.gumbel(key, shape))[1]

        key = jax.random.key(0)

        def call() -> jax.Array:
            return generate(key).block_until_ready()

        return [Contender(NAME, "scan, Gumbel noise", call, returns_array(call, "ids"))]


Parameters = dict[str, jax.Array]
LossAndGrad = Callable[[Parameters, jax.Array, jax.Array], tuple[jax.Array, Parameters]]


def _trainer(form: str, problem: Problem, function: LossAndGrad) -> Contender:
    parameters = {
        "weight_ih_l0": jnp.asarray(problem.rnn["weight_ih_l0"]),
        "weight_hh_l0": jnp.asarray(problem.rnn["weight_hh_l0"]),
        "bias_l0": jnp.asarray(problem.bias),
        "weight": jnp.asarray(problem.readout["weight"]),
        "bias": jnp.asarray(problem.readout["bias"]),
    }
    # Vectors where the batch is one, as in `seq`.
    shape = (-1,) if problem.row.batch == 1 else problem.ids.shape
    ids = jnp.asarray(problem.ids.reshape(shape))
    targets = jnp.asarray(problem.targets.reshape(shape))
    loss_and_grad = jax.jit(function)

    def call() -> tuple[jax.Array, Parameters]:
        return jax.block_until_ready(loss_and_grad(parameters, ids, targets))

    def outcome() -> Outcome:
        loss, grad = call()
        return {"loss": np.asarray(loss)} | {k: np.asarray(v) for k, v in grad.items()}

    return Contender(NAME, form, call, outcome)


def _states(parameters: Parameters, ids: jax.Array, unroll: int) -> jax.Array:
    """h of every step, of shape (T, B, H), or (T, H) for ids of shape (T,)."""
    weight_hh_t = parameters["weight_hh_l0"].T

    def step(h: jax.Array, a_t: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh(a_t + h @ weight_hh_t)
        return h, h

    a = (parameters["weight_ih_l0"].T + parameters["bias_l0"])[ids]
    return lax.scan(step, jnp.zeros_like(a[0]), a, unroll=unroll)[1]


def _loss(parameters: Parameters, ids: jax.Array, targets: jax.Array, unroll: int) -> jax.Array:
    h = _states(parameters, ids, unroll)
    log_p = jax.nn.log_softmax(h @ parameters["weight"].T + parameters["bias"])
    return -jnp.take_along_axis(log_p, targets[..., None], axis=-1).mean()


def _loss_and_grad(
    parameters: Parameters, ids: jax.Array, targets: jax.Array, unroll: int
) -> tuple[jax.Array, Parameters]:
    """The loss and every gradient, those of weights as one product over all steps."""
    weight_hh, weight = parameters["weight_hh_l0"], parameters["weight"]
    vocabulary, hidden = weight.shape
    h = _states(parameters, ids, unroll)
    output = h.reshape(-1, hidden)
    log_p = jax.nn.log_softmax(output @ weight.T + parameters["bias"])
    right = jax.nn.one_hot(targets.ravel(), vocabulary)
    loss = -jnp.take_along_axis(log_p, targets.reshape(-1, 1), axis=-1).mean()
    grad_logits = (jnp.exp(log_p) - right) / ids.size

    def back(grad_a: jax.Array, of_step: Any) -> tuple[jax.Array, jax.Array]:
        grad_t, h_t = of_step
        grad_a = (grad_t + grad_a @ weight_hh) * (1 - h_t * h_t)
        return grad_a, grad_a

    h_0 = jnp.zeros_like(h[:1])
    grad_h = (grad_logits @ weight).reshape(h.shape)
    _, grad_a = lax.scan(back, h_0[0], (grad_h, h), reverse=True, unroll=unroll)
    grad_a = grad_a.reshape(-1, hidden)
    before = jnp.concatenate((h_0, h[:-1])).reshape(-1, hidden)
    return loss, {
        "weight_ih_l0": jax.ops.segment_sum(grad_a, ids.ravel(), vocabulary).T,
        "weight_hh_l0": grad_a.T @ before,
        "bias_l0": grad_a.sum(axis=0),
        "weight": grad_logits.T @ output,
        "bias": grad_logits.sum(axis=0),
    }
