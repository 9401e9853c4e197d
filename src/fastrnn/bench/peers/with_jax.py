"""JAX: every row one jitted function, loops as `lax.scan`, the input projection hoisted."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fastrnn.bench.peers import Contender, returns_array
from fastrnn.bench.peers.gates import by_hand
from fastrnn.bench.peers.jax_cells import Cell, State, forms
from fastrnn.bench.peers.jax_training import trainers
from fastrnn.bench.problem import Outcome, Problem

NAME = "jax"


class Library:
    """JAX's way to do each kind of row; its threads follow the affinity of the process."""

    def __init__(self, threads: int) -> None:
        # A call that runs on the caller's thread saves it the way to another and back.
        jax.config.update("jax_cpu_enable_async_dispatch", False)

    def step(self, problem: Problem) -> list[Contender]:
        """Return a jitted step whose weights are constants, on arrays that JAX owns."""
        return [
            _stepper(problem, form, per_gate) for form, per_gate in forms(problem.row.cell).items()
        ]

    def seq(self, problem: Problem) -> list[Contender]:
        """Return a scan whose weights are constants; vectors where the batch is one."""
        return [
            _scanner(problem, form, per_gate) for form, per_gate in forms(problem.row.cell).items()
        ]

    batch = seq

    def train(self, problem: Problem) -> list[Contender]:
        """`value_and_grad` of a scan over gathered rows, and the backward scan by hand."""
        return [Contender(NAME, *form) for form in trainers(problem)]

    def gen(self, problem: Problem) -> list[Contender]:
        """One scan over noise drawn beforehand: argmax of logits plus Gumbel noise is a draw."""
        return [
            _generator(problem, form, per_gate)
            for form, per_gate in forms(problem.row.cell).items()
        ]


def _stepper(problem: Problem, form: str, per_gate: bool) -> Contender:
    weights = by_hand(problem)
    cell = Cell(problem.row.cell, weights.weight_hh, weights.bias_n, per_gate)
    inputs = [jnp.asarray(x_t) for x_t in problem.x[:, 0]]
    zero = state = cell.zero_state()

    @jax.jit
    def whole(state: State, x_t: jax.Array) -> State:
        return cell.inside()(state, cell.blocks(weights.weight_ih @ x_t + weights.bias))[0]

    def step(x_t: jax.Array) -> jax.Array:
        nonlocal state
        state = whole(state, x_t)
        return state[0].block_until_ready()

    def outcome() -> Outcome:
        nonlocal state
        state = zero
        return {"output": np.array([[step(x_t)] for x_t in inputs])}

    return Contender(NAME, f"jit{form}", partial(step, inputs[0]), outcome)


def _scanner(problem: Problem, form: str, per_gate: bool) -> Contender:
    weights = by_hand(problem)
    cell = Cell(problem.row.cell, weights.weight_hh, weights.bias_n, per_gate)
    x = jnp.asarray(problem.x[:, 0] if problem.row.batch == 1 else problem.x)

    @jax.jit
    def forward(x: jax.Array) -> jax.Array:
        return cell.scan(x @ weights.weight_ih.T + weights.bias)

    def call() -> jax.Array:
        return forward(x).block_until_ready()

    def outcome() -> Outcome:
        return {"output": np.asarray(call()).reshape(*problem.x.shape[:2], -1)}

    return Contender(NAME, f"scan{form}", call, outcome)


def _generator(problem: Problem, form: str, per_gate: bool) -> Contender:
    weights = by_hand(problem)
    cell = Cell(problem.row.cell, weights.weight_hh, weights.bias_n, per_gate)
    readout, readout_bias = problem.readout["weight"], problem.readout["bias"]
    shape = problem.row.steps, len(readout_bias)
    rows = tuple(cell.blocks(jnp.asarray(weights.weight_ih.T + weights.bias)))
    inside = cell.inside()

    def step(carry: Any, noise: jax.Array) -> tuple[Any, jax.Array]:
        state, token = carry
        state = inside(state, [row[token] for row in rows])[0]
        token = jnp.argmax(readout @ state[0] + readout_bias + noise)
        return (state, token), token

    @jax.jit
    def generate(key: jax.Array) -> jax.Array:
        start = cell.zero_state(), jnp.int32(0)
        return lax.scan(step, start, jax.random.gumbel(key, shape))[1]

    key = jax.random.key(0)

    def call() -> jax.Array:
        return generate(key).block_until_ready()

    return Contender(NAME, f"scan{form}", call, returns_array(call, "ids"))
