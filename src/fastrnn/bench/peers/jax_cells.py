"""The cells in JAX: one step, from the input projection with its bias and the state to the state.

Gates are kept in arrays of their own, or XLA's loops over the elements of a step run into slices
and take several times as long; for the same reason sigmoid is written in terms of tanh. Whether one
product for all gates or one for each is quicker depends on the sizes: both are tried.

Vectors stand for a batch of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fastrnn.bench.rows import GATES

# h, and for an LSTM c.
State = tuple[jax.Array, ...]
# What one step gives: the next state, and what its backward step needs besides.
Inside = Callable[[State, Sequence[jax.Array]], tuple[State, tuple[jax.Array, ...]]]


@dataclass(frozen=True)
class Cell:
    """One of the three cells with its weights, traced or constant.

    Attributes
    ----------
    name : "RNN", "GRU" or "LSTM"
    weight_hh : (G H, H)
    bias_n : (H,) a GRU's b_hn
    per_gate : whether each gate has a product of its own
    """

    name: str
    weight_hh: Any
    bias_n: Any
    per_gate: bool

    @property
    def hidden(self) -> int:
        """H."""
        return int(self.weight_hh.shape[1])

    def blocks(self, array: Any) -> list[jax.Array]:
        """Return the gates' parts of the last axis."""
        return jnp.split(array, GATES[self.name], axis=-1)

    def zero_state(self, *lead: int) -> State:
        """Return the state before the first step."""
        zero = jnp.zeros((*lead, self.hidden), jnp.float32)
        return (zero, zero) if self.name == "LSTM" else (zero,)

    def scan(self, a: jax.Array, unroll: int = 1) -> jax.Array:
        """Return h after every step of the projection ``a``."""
        inside = self.inside()

        def step(state: State, a_t: Any) -> tuple[State, jax.Array]:
            state, _ = inside(state, a_t)
            return state, state[0]

        return self._scanned(step, a, unroll)

    def scan_and_keep(self, a: jax.Array, unroll: int) -> tuple[State, tuple[jax.Array, ...]]:
        """Return the states after every step, and what their backward steps need besides."""
        inside = self.inside()

        def step(state: State, a_t: Any) -> tuple[State, tuple[State, tuple[jax.Array, ...]]]:
            state, kept = inside(state, a_t)
            return state, (state, kept)

        return self._scanned(step, a, unroll)

    def _scanned(self, step: Any, a: jax.Array, unroll: int) -> Any:
        start = self.zero_state(*a.shape[1:-1])
        return lax.scan(step, start, tuple(self.blocks(a)), unroll=unroll)[1]

    def inside(self) -> Inside:
        """One step on the gates' parts of the input projection."""
        return {"RNN": self._elman, "GRU": self._gru, "LSTM": self._lstm}[self.name]()

    def recurrent(self) -> Callable[[jax.Array], Sequence[jax.Array]]:
        """W_hh h, gate by gate."""
        if self.per_gate:
            weights = jnp.split(self.weight_hh, GATES[self.name])
            return lambda h: [product(weight, h) for weight in weights]
        return lambda h: lax.optimization_barrier(self.blocks(product(self.weight_hh, h)))

    def _elman(self) -> Inside:
        def inside(state: State, a_t: Sequence[jax.Array]) -> tuple[State, tuple[jax.Array, ...]]:
            return (jnp.tanh(a_t[0] + product(self.weight_hh, state[0])),), ()

        return inside

    def _gru(self) -> Inside:
        recurrent = self.recurrent()

        def inside(state: State, a_t: Sequence[jax.Array]) -> tuple[State, tuple[jax.Array, ...]]:
            (h,) = state
            m_r, m_z, m_n = recurrent(h)
            a_r, a_z, a_n = a_t
            r, z, m_n = sigmoid(a_r + m_r), sigmoid(a_z + m_z), m_n + self.bias_n
            n = jnp.tanh(a_n + r * m_n)
            return (n + z * (h - n),), (r, z, n, m_n)

        return inside

    def _lstm(self) -> Inside:
        recurrent = self.recurrent()

        def inside(state: State, a_t: Sequence[jax.Array]) -> tuple[State, tuple[jax.Array, ...]]:
            h, c = state
            *gates, a_g = (a + m for a, m in zip(a_t, recurrent(h), strict=True))
            o, i, f = map(sigmoid, gates)
            g = jnp.tanh(a_g)
            c = f * c + i * g
            return (o * jnp.tanh(c), c), (o, i, f, g)

        return inside


def forms(cell: str) -> dict[str, bool]:
    """Return the forms to try, and whether each gate has its own product in it."""
    return {"": False} if cell == "RNN" else {", one product": False, ", a product a gate": True}


def product(weight: Any, vectors: jax.Array) -> jax.Array:
    """W v for a vector, V Wᵀ for the rows of a batch."""
    return weight @ vectors if vectors.ndim == 1 else vectors @ weight.T


def sigmoid(a: jax.Array) -> jax.Array:
    """Return the logistic function by tanh, which XLA computes in vectors."""
    return 0.5 * jnp.tanh(0.5 * a) + 0.5
