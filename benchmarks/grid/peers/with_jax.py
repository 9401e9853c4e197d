"""JAX: every row one jitted function, loops as `lax.scan`, the input projection hoisted."""

from __future__ import annotations

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
        """`value_and_grad` of a scan over gathered rows."""
        unroll = UNROLL if problem.row.batch > 1 else 1
        parameters = jax.tree.map(jnp.asarray, {**problem.rnn, **problem.readout})
        del parameters["bias_hh_l0"]
        parameters["bias_ih_l0"] = jnp.asarray(problem.bias)
        ids, targets = jnp.asarray(problem.ids), jnp.asarray(problem.targets)
        loss_and_grad = jax.jit(jax.value_and_grad(partial(_loss, unroll=unroll)))

        def call() -> Any:
            return jax.block_until_ready(loss_and_grad(parameters, ids, targets))

        def outcome() -> Outcome:
            loss, grad = call()
            grad["bias_l0"] = grad.pop("bias_ih_l0")
            return {"loss": np.asarray(loss)} | {k: np.asarray(v) for k, v in grad.items()}

        return [Contender(NAME, f"scan, unroll={unroll}", call, outcome)]

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


def _loss(parameters: dict[str, Any], ids: jax.Array, targets: jax.Array, unroll: int) -> jax.Array:
    weight_hh_t = parameters["weight_hh_l0"].T

    def step(h: jax.Array, a_t: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = jnp.tanh(a_t + h @ weight_hh_t)
        return h, h

    a = parameters["weight_ih_l0"].T[ids] + parameters["bias_ih_l0"]
    _, h = lax.scan(step, jnp.zeros_like(a[0]), a, unroll=unroll)
    logits = h @ parameters["weight"].T + parameters["bias"]
    log_p = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, targets[..., None], axis=-1).mean()
