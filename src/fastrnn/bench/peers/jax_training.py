"""JAX's training: gradients by `value_and_grad`, and backpropagation through time by hand.

By hand, the forward scan also returns what the backward one needs, and gradients of weights are one
product over all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fastrnn.bench.peers.gates import by_hand, training_outcome
from fastrnn.bench.peers.jax_cells import Cell, State, product
from fastrnn.bench.problem import Outcome, Problem

Parameters = dict[str, jax.Array]
LossAndGrad = Callable[[Parameters, jax.Array, jax.Array], tuple[jax.Array, Parameters]]
Trainer = tuple[str, Callable[[], Any], Callable[[], Outcome]]


def trainers(problem: Problem) -> Iterator[Trainer]:
    """Each form's name, call and outcome.

    How many steps XLA sees at once, and where each gate has a product of its own, is what was
    quickest when all combinations were tried.
    """
    cell, batch = problem.row.cell, problem.row.batch
    unroll = 5 if cell == "RNN" and batch > 1 else 1
    forms: dict[str, LossAndGrad] = {
        "value_and_grad": jax.value_and_grad(partial(_loss, cell, False, unroll)),
        "BPTT by hand": partial(_loss_and_grad, cell, batch == 1, unroll),
    }
    for form, function in forms.items():
        yield form, *_trainer(problem, function)


def _trainer(
    problem: Problem, function: LossAndGrad
) -> tuple[Callable[[], Any], Callable[[], Outcome]]:
    weights = by_hand(problem)
    parameters = {
        "weight_ih": jnp.asarray(weights.weight_ih),
        "weight_hh": jnp.asarray(weights.weight_hh),
        "bias": jnp.asarray(weights.bias),
        "bias_n": jnp.asarray(weights.bias_n),
        "readout": jnp.asarray(problem.readout["weight"]),
        "readout_bias": jnp.asarray(problem.readout["bias"]),
    }
    # Vectors where the batch is one, as in inference.
    shape = (-1,) if problem.row.batch == 1 else problem.ids.shape
    ids = jnp.asarray(problem.ids.reshape(shape))
    targets = jnp.asarray(problem.targets.reshape(shape))
    loss_and_grad = jax.jit(function)

    def call() -> tuple[jax.Array, Parameters]:
        return jax.block_until_ready(loss_and_grad(parameters, ids, targets))

    def outcome() -> Outcome:
        loss, grad = call()
        got = {name: np.asarray(value) for name, value in grad.items()}
        bias_hh = None
        if problem.row.cell == "GRU":
            bias_hh = np.concatenate((got["bias"][: -len(got["bias_n"])], got["bias_n"]))
        of_layer = [got[name] for name in ("weight_ih", "weight_hh", "bias")]
        of_readout = [got["readout"], got["readout_bias"]]
        return training_outcome(problem, np.asarray(loss), of_layer, of_readout, bias_hh)

    return call, outcome


def _projection(parameters: Parameters, ids: jax.Array) -> jax.Array:
    return (parameters["weight_ih"].T + parameters["bias"])[ids]


def _loss(
    name: str,
    per_gate: bool,
    unroll: int,
    parameters: Parameters,
    ids: jax.Array,
    targets: jax.Array,
) -> jax.Array:
    cell = Cell(name, parameters["weight_hh"], parameters["bias_n"], per_gate)
    h = cell.scan(_projection(parameters, ids), unroll)
    log_p = jax.nn.log_softmax(h @ parameters["readout"].T + parameters["readout_bias"])
    return -jnp.take_along_axis(log_p, targets[..., None], axis=-1).mean()


def _loss_and_grad(
    name: str,
    per_gate: bool,
    unroll: int,
    parameters: Parameters,
    ids: jax.Array,
    targets: jax.Array,
) -> tuple[jax.Array, Parameters]:
    """Return the loss and every gradient."""
    cell = Cell(name, parameters["weight_hh"], parameters["bias_n"], per_gate)
    states, kept = cell.scan_and_keep(_projection(parameters, ids), unroll)
    h = states[0]
    loss, grad_h, of_readout = _readout(parameters, h, targets)
    backward = {"RNN": _elman_backward, "GRU": _gru_backward, "LSTM": _lstm_backward}[name]
    to_input, to_recurrent = (
        [gate.reshape(ids.size, -1) for gate in gates]
        for gates in backward(cell, states, kept, grad_h.reshape(h.shape), unroll)
    )
    vocabulary, hidden = parameters["readout"].shape
    before = _before(h).reshape(-1, hidden)
    into_rows = partial(jax.ops.segment_sum, segment_ids=ids.ravel(), num_segments=vocabulary)
    return loss, {
        "weight_ih": jnp.concatenate([into_rows(gate).T for gate in to_input]),
        "weight_hh": jnp.concatenate([gate.T @ before for gate in to_recurrent]),
        "bias": jnp.concatenate([gate.sum(axis=0) for gate in to_input]),
        "bias_n": to_recurrent[-1].sum(axis=0),
        **of_readout,
    }


def _readout(
    parameters: Parameters, h: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array, Parameters]:
    """Return the loss, its gradient for h from the outputs alone, and the readout's gradients."""
    weight = parameters["readout"]
    output = h.reshape(-1, weight.shape[1])
    log_p = jax.nn.log_softmax(output @ weight.T + parameters["readout_bias"])
    loss = -jnp.take_along_axis(log_p, targets.reshape(-1, 1), axis=-1).mean()
    right = jax.nn.one_hot(targets.ravel(), len(weight))
    grad_logits = (jnp.exp(log_p) - right) / targets.size
    of_readout = {
        "readout": grad_logits.T @ output,
        "readout_bias": grad_logits.sum(axis=0),
    }
    return loss, grad_logits @ weight, of_readout


def _before(states: jax.Array) -> jax.Array:
    """Return the state before each step, from those after it."""
    return jnp.concatenate((jnp.zeros_like(states[:1]), states[:-1]))


Gates = Sequence[jax.Array]
# dL/d of the input projection and of W_hh h + b_hh, gate by gate.
Backward = tuple[Gates, Gates]


def _carry(cell: Cell) -> Callable[[Gates], jax.Array]:
    """W_hhᵀ times the gradients of the gates."""
    if not cell.per_gate:
        return lambda gates: product(cell.weight_hh.T, jnp.concatenate(gates, axis=-1))
    weights = cell.blocks(cell.weight_hh.T)

    def carry(gates: Gates) -> jax.Array:
        first, *others = (product(w, gate) for w, gate in zip(weights, gates, strict=True))
        return sum(others, start=first)

    return carry


def _elman_backward(
    cell: Cell, states: State, kept: State, grad_h: jax.Array, unroll: int
) -> Backward:
    def back(carried: jax.Array, of_step: State) -> tuple[jax.Array, jax.Array]:
        grad_t, h_t = of_step
        grad_a = (grad_t + carried) * (1 - h_t * h_t)
        return product(cell.weight_hh.T, grad_a), grad_a

    of_steps = (grad_h, states[0])
    grad_a = lax.scan(back, jnp.zeros_like(grad_h[0]), of_steps, reverse=True, unroll=unroll)[1]
    return [grad_a], [grad_a]


def _lstm_backward(
    cell: Cell, states: State, kept: State, grad_h: jax.Array, unroll: int
) -> Backward:
    carry = _carry(cell)
    (o, i, f, g), (_, c) = kept, states
    tanh_c = jnp.tanh(c)
    from_h = o * (1 - tanh_c * tanh_c)
    factors = (
        tanh_c * o * (1 - o),
        g * i * (1 - i),
        _before(c) * f * (1 - f),
        i * (1 - g * g),
    )

    def back(carried: State, of_step: State) -> tuple[State, Gates]:
        from_later, grad_c = carried
        grad_t, from_h, f, to_o, to_i, to_f, to_g = of_step
        grad_h = grad_t + from_later
        grad_c = grad_c + grad_h * from_h
        gates = (grad_h * to_o, grad_c * to_i, grad_c * to_f, grad_c * to_g)
        return (carry(gates), grad_c * f), gates

    zero = jnp.zeros_like(grad_h[0])
    of_steps = (grad_h, from_h, f, *factors)
    gates = lax.scan(back, (zero, zero), of_steps, reverse=True, unroll=unroll)[1]
    return gates, gates


def _gru_backward(
    cell: Cell, states: State, kept: State, grad_h: jax.Array, unroll: int
) -> Backward:
    carry = _carry(cell)
    r, z, n, m_n = kept
    to_n = (1 - z) * (1 - n * n)
    factors = (to_n * m_n * r * (1 - r), (_before(states[0]) - n) * z * (1 - z), to_n * r)

    def back(carried: jax.Array, of_step: State) -> tuple[jax.Array, tuple[jax.Array, Gates]]:
        grad_t, z, *of_gates = of_step
        grad_h = grad_t + carried
        gates = [grad_h * factor for factor in of_gates]
        return grad_h * z + carry(gates), (grad_h, gates)

    zero, of_steps = jnp.zeros_like(grad_h[0]), (grad_h, z, *factors)
    grad_h, gates = lax.scan(back, zero, of_steps, reverse=True, unroll=unroll)[1]
    return [*gates[:2], grad_h * to_n], gates
