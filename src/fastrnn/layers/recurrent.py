"""What all recurrent layers share: buffers, threads, and the gradients that are products.

A layer checks its input, owns parameters and packed weights, allocates results, and calls the
compiled loops, whose work threads share: rows of the batch, or units of a single sequence. A cell
adds its equations' names, how a row of its pre-activations is laid out, and its call.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastrnn import _check, _loops, _ops, _team, _threads
from fastrnn._generate import Decoder
from fastrnn._step import Stream
from fastrnn.layers.module import Module, product
from fastrnn.layers.packed import Blocks, Packed
from fastrnn.layers.workspace import FRESH, Workspace


class Saved(NamedTuple):
    """What backward needs of a call: the inputs, all states, and gates if the cell has them."""

    x: np.ndarray  # (T, B, I), or token ids (T, B)
    h: np.ndarray  # (T + 1, B, H)
    c: np.ndarray | None  # (T + 1, B, H)
    gates: np.ndarray | None  # (T, B, 4 H)
    batched: bool

    @property
    def final(self) -> tuple[np.ndarray, ...]:
        """Copies of the final states, (1, B, H) each, or (1, H) of an unbatched call."""
        states = [self.h] if self.c is None else [self.h, self.c]
        return tuple((s[-1:] if self.batched else s[-1:, 0]).copy() for s in states)


class Recurrent(Module):
    """Base of the recurrent layers.

    Attributes
    ----------
    input_size, hidden_size : int
    options : tuple of str
        Names of the keyword arguments that this cell takes beside ``dtype`` and ``seed``.
    state_names : tuple of str
        Names of the parts of the initial state.
    """

    input_size: int
    hidden_size: int
    options: ClassVar[tuple[str, ...]] = ()
    state_names: ClassVar[tuple[str, ...]] = ("h_0",)
    _fixed = Module._fixed | {"input_size", "hidden_size"}

    _cell: ClassVar[int]
    _gates: ClassVar[int]  # of W_hh, in units of hidden_size
    _row_gates: ClassVar[int]  # of a row of pre-activations, likewise
    _input_blocks: ClassVar[Blocks]  # where the gates of W_ih stand in such a row
    _hidden_blocks: ClassVar[Blocks]  # and those of W_hh
    _f = 0

    def __init__(self, input_size: int, hidden_size: int, *, dtype: Any, seed: Any) -> None:
        self.input_size = _check.integer("input_size", input_size)
        self.hidden_size = _check.integer("hidden_size", hidden_size)
        rows = self._gates * self.hidden_size
        self._make_arena(
            {
                "weight_ih_l0": (rows, self.input_size),
                "weight_hh_l0": (rows, self.hidden_size),
                "bias_ih_l0": (rows,),
                "bias_hh_l0": (rows,),
            },
            _check.float_dtype("dtype", dtype),
        )
        self._init_uniform(1 / math.sqrt(self.hidden_size), seed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.input_size}, {self.hidden_size}, dtype={self.dtype})"

    @abstractmethod
    def _bias_row(self) -> np.ndarray:
        """Return the biases as a row of pre-activations has them before any product."""

    def _pack(self) -> Packed:
        return Packed(self._views, self._input_blocks, self._bias_row())

    def _call(self, x: Any, state: Any, num_threads: int | None) -> tuple[np.ndarray, Any]:
        with _threads.call:
            saved = self._forward(x, state, num_threads, keep=self.training)
        self._keep(saved)
        output = saved.h[1:]
        if self.training:
            output.flags.writeable = False
        return output if saved.batched else output[:, 0], self._state_of(saved.final)

    def _state_of(self, parts: tuple[np.ndarray, ...]) -> Any:
        """Return a state in the form in which the layer takes it."""
        return parts if len(self.state_names) > 1 else parts[0]

    def _forward(
        self,
        x: Any,
        state: Any,
        num_threads: int | None,
        *,
        keep: bool,
        workspace: Workspace = FRESH,
    ) -> Saved:
        """Check x and the state, run over all steps; ``keep`` what backward needs."""
        x, batched = self._checked_input(x)
        steps, batch = x.shape[:2]
        hidden, width = self.hidden_size, self._row_gates * self.hidden_size
        kept = len(self.state_names) + (self._row_gates if self._has_gates and keep else 0)
        _check.memory("the output", steps + 1, batch, kept * hidden, self.dtype.itemsize)
        initial = self._checked_states(state, batch, batched)
        is_dense, columns = x.ndim == 3, self._gates * hidden
        step_work = batch * columns * (hidden + (x.shape[2] if is_dense else 0))
        parts = self._step_parts(batch)
        threads = _threads.threads_for(steps * step_work, parts, num_threads)

        h = workspace.take("h", (steps + 1, batch, hidden), self.dtype)
        h[0] = initial[0]
        c = gates = projection = None
        if self._has_gates and keep:
            gates = workspace.take("gates", (steps, batch, width), self.dtype)
        if len(self.state_names) > 1:
            c = workspace.take("c", (steps + 1 if keep else 1, batch, hidden), self.dtype)
            c[0] = initial[1]
        together = _loops.projection_steps(steps, batch, width * self.dtype.itemsize, threads)
        if is_dense and together:
            projection = _ops.empty((together, batch, width), self.dtype)

        packed = self._packed()
        loop = partial(
            _loops.forward, self._cell, self._f, h, c, gates,
            x if is_dense else None,
            None if is_dense else x,
            packed.ih if projection is not None else None,
            packed.ih_gates if is_dense and projection is None else None,
            packed.bias,
            None if is_dense else packed.token_rows,
            packed.hh, projection, columns,
        )  # fmt: skip
        for segment in _threads.segments(steps, step_work):
            loop(*segment, threads)
        return Saved(x, h, c, gates, batched)

    def _step_parts(self, batch: int) -> int:
        """Return in how many parts a step can be shared by threads."""
        work = self._gates * self.hidden_size**2
        return _threads.step_parts(batch, work, _ops.unit_blocks(self.hidden_size, self.dtype))

    @property
    def _has_gates(self) -> bool:
        """Whether a row of pre-activations is kept beside the state."""
        return self._row_gates > 1

    def _backpropagate(
        self, grad_output: Any, grad_states: tuple[Any, ...], num_threads: int | None
    ) -> tuple[np.ndarray | None, tuple[np.ndarray, ...]]:
        """Backpropagate from the last call; return the gradients of x and of the state's parts.

        ``grad_states`` are the gradients with respect to the final state's parts.
        """
        saved: Saved = self._kept()
        names = ["grad_" + name.replace("_0", "_n") for name in self.state_names]
        if grad_output is None and all(grad is None for grad in grad_states):
            listed, all_of = (
                ", ".join(["grad_output", *names[:-1]]),
                "both" if len(names) == 1 else "all",
            )
            raise ValueError(f"{listed} and {names[-1]} are {all_of} None, expected at least one")
        h, batched = saved.h, saved.batched
        if grad_output is not None:
            expected = h[1:].shape if batched else h[1:, 0].shape
            grad_output = _check.floats("grad_output", grad_output, self.dtype)
            _check.shape("grad_output", grad_output, expected)
            grad_output = grad_output.reshape(h[1:].shape)
        grads = [
            None if grad is None else self._checked_state(name, grad, h.shape[1], batched)
            for name, grad in zip(names, grad_states, strict=True)
        ]
        hidden, grad_x = self.hidden_size, None
        with _threads.call:
            dz, carry = self._backward(saved, grad_output, *grads, num_threads=num_threads)
            packed = self._packed()
            grad_h_0 = _ops.empty(h.shape[1:], self.dtype)
            product(grad_h_0, dz[0][:, -self._gates * hidden :], packed.hh_back, num_threads)
            if saved.x.ndim == 3:
                grad_x = _ops.empty(saved.x.shape, self.dtype)
                product(grad_x, dz[..., : self._gates * hidden], packed.ih_back, num_threads)
        grad_parts = self._grad_states(grad_h_0, carry)
        if batched:
            return grad_x, tuple(grad[None] for grad in grad_parts)
        return None if grad_x is None else grad_x[:, 0], grad_parts

    def _grad_states(self, grad_h_0: np.ndarray, carry: Any) -> tuple[np.ndarray, ...]:
        """Return the gradients of the initial state's parts.

        ``grad_h_0`` is what came through W_hh, ``carry`` what came past it.
        """
        return (grad_h_0,)

    def _backward(
        self,
        saved: Saved,
        grad_output: np.ndarray | None,
        grad_h_n: np.ndarray | None,
        grad_c_n: np.ndarray | None = None,
        *,
        num_threads: int | None,
        workspace: Workspace = FRESH,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Add to the gradients of the parameters; return dz (T, B, width) and the carry.

        grad_output is (T, B, H), the others (B, H), contiguous. In a workspace that is not FRESH,
        dz takes the place of the gates in ``saved``.
        """
        dz, carry = self._dz(saved, grad_output, grad_h_n, grad_c_n, num_threads, workspace)
        self._parameter_grads(saved.x, saved.h, dz, num_threads)
        return dz, carry

    def _dz(
        self,
        saved: Saved,
        grad_output: np.ndarray | None,
        grad_h_n: np.ndarray | None,
        grad_c_n: np.ndarray | None,
        num_threads: int | None,
        workspace: Workspace,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the gradients of all pre-activations, and the carry: the loop over time."""
        h, gates = saved.h, saved.gates
        steps, batch, hidden = h.shape[0] - 1, h.shape[1], h.shape[2]
        width = self._row_gates * hidden
        dz = None if workspace is FRESH else gates
        if dz is None:
            dz = workspace.take("dz", (steps, batch, width), self.dtype)
        carry = None
        if self._has_gates:
            carry = _ops.empty((batch, hidden), self.dtype)
            carry[...] = 0 if grad_c_n is None else grad_c_n
        if grad_output is None:
            grad_last = grad_h_n
        elif grad_h_n is None:
            grad_last = grad_output[-1]
        else:
            grad_last = grad_output[-1] + grad_h_n
        loop = partial(
            _loops.backward, self._cell, self._f, dz, carry, h, saved.c, gates, grad_output,
            grad_last, self._packed().hh_back,
        )  # fmt: skip
        step_work = batch * self._gates * hidden * hidden
        parts = self._step_parts(batch)
        threads = _threads.threads_for(steps * step_work, parts, num_threads)
        for segment in reversed(_threads.segments(steps, step_work)):
            loop(*segment, threads)
        return dz, carry

    def _parameter_grads(
        self, x: np.ndarray, h: np.ndarray, dz: np.ndarray, num_threads: int | None
    ) -> None:
        """Add the products over all steps to the gradients, units of dz shared by threads."""
        steps, batch, width = dz.shape
        hidden, grad = self.hidden_size, self.grad
        columns = self._gates * hidden
        sums = np.zeros(width, self.dtype)
        token_grads = None if x.ndim == 3 else np.zeros((self.input_size, columns), self.dtype)

        loop = partial(
            _loops.parameter_grads, sums, token_grads, grad["weight_ih_l0"], grad["weight_hh_l0"],
            dz, x if token_grads is None else None, None if token_grads is None else x, h,
            self._input_blocks, self._hidden_blocks,
        )  # fmt: skip
        step_work = batch * columns * (hidden + (x.shape[2] if x.ndim == 3 else 0))
        threads = _threads.threads_for(steps * step_work, _team.stripe_count(hidden), num_threads)
        for segment in _threads.segments(steps, step_work):
            loop(*segment, threads)
        for name, blocks in ("ih", self._input_blocks), ("hh", self._hidden_blocks):
            for row, block, n in blocks:
                rows, at = slice(row * hidden, (row + n) * hidden), block * hidden
                grad[f"bias_{name}_l0"][at : at + n * hidden] += sums[rows]
                if name == "ih" and token_grads is not None:
                    part = grad["weight_ih_l0"][at : at + n * hidden]
                    _ops.add_transposed(part, part, token_grads[:, rows])

    def _decoder(
        self,
        prompt: np.ndarray,
        rows: int,
        packed_out: np.ndarray,
        bias_out: np.ndarray,
        stored: int,
    ) -> Decoder:
        """Return what reads and continues rows of tokens, all after the prompt but its last token.

        ``prompt`` are ids (prompt_len,); the read-out's weight is packed and stored as W_hh is.
        """
        packed = self._packed()
        return Decoder(
            self._cell, self._f, stored, tuple(self._state_after(prompt[:-1], stored)),
            packed.token_rows, packed.hh_stored(stored), packed_out, bias_out, self.hidden_size,
            rows,
        )  # fmt: skip

    def _state_after(self, ids: np.ndarray, stored: int) -> Iterable[Any]:
        """Return the parts of the state after ids (T,), which may be none."""
        if len(ids) == 0:
            return [0.0] * len(self.state_names)
        if not stored:
            return [part[0] for part in self._forward(ids, None, None, keep=False).final]
        stream = self._stream(1, stored)
        for token in ids:
            stream.step(token)
        state = stream.state
        return [part[0] for part in (state if isinstance(state, tuple) else (state,))]

    def stream(self, batch_size: int = 1, weights: str | None = None) -> Stream:
        """Return an object that keeps the state and is fed one step at a time.

        It has the weights that the layer has now: later changes do not reach it. A step returns
        a new array, or writes into one that it is given and then allocates nothing.

        Parameters
        ----------
        batch_size : int
            How many independent sequences it advances together.
        weights : {"float32", "bfloat16", "int8"}, optional
            What its copies of W_ih and W_hh are stored as; as the layer has them unless given.
            Smaller ones make steps faster whose time is that of reading weights: few sequences
            and hidden_size 256 or more. ``"bfloat16"`` keeps 8 significant bits; ``"int8"``
            rounds each row of a weight to multiples of its largest absolute value / 127. Biases,
            states and sums stay float32, so that states of any size are as they are in a layer
            with the rounded weights. Token ids take their rows of W_ih as the layer has it.

        Returns
        -------
        Stream
            With ``step(x_t, out=None)``, ``state`` and ``reset(state=None)``.

        Raises
        ------
        TypeError, ValueError
            If batch_size is not a positive integer, or weights are none of these, or given for
            a float64 layer.

        Examples
        --------
        >>> import numpy as np, fastrnn
        >>> stream = fastrnn.RNN(3, 5, seed=0).stream()
        >>> stream.step(np.ones(3, np.float32)).shape
        (5,)
        """
        batch_size = _check.integer("batch_size", batch_size)
        numbers = 3 * self.hidden_size + self._row_gates * self.hidden_size
        _check.memory("the states", batch_size, numbers, self.dtype.itemsize)
        return self._stream(batch_size, _check.weights("weights", weights, self.dtype))

    def _stream(self, batch_size: int, stored: int) -> Stream:
        packed = self._packed()
        return Stream(
            self._cell, self._f, stored, packed.ih_stored(stored), packed.bias,
            packed.hh_stored(stored), packed.token_rows, self._gates * self.hidden_size,
            self.hidden_size, batch_size,
        )  # fmt: skip

    def _checked_input(self, x: Any) -> tuple[np.ndarray, bool]:
        """Return x as (T, B, I) floats or (T, B) ids, and whether it had a batch dimension."""
        array = _check.as_array("x", x)
        if array.dtype.kind in "iu" and array.ndim in (1, 2):
            ids = _check.token_ids("x", array, self.input_size)
            _check.not_empty("x", ids)
            return ids.reshape(len(ids), -1), array.ndim == 2
        if array.ndim not in (2, 3):
            raise ValueError(
                f"x has shape {array.shape}, expected (seq_len, batch, {self.input_size}) or "
                f"(seq_len, {self.input_size}), or integer ids (seq_len, batch) or (seq_len,)"
            )
        array = _check.floats("x", x, self.dtype)
        if array.shape[-1] != self.input_size:
            raise ValueError(
                f"x has {array.shape[-1]} features (shape {array.shape}), "
                f"expected input_size = {self.input_size}"
            )
        _check.not_empty("x", array)
        batched = array.ndim == 3
        return array if batched else array[:, None], batched

    def _checked_states(self, value: Any, batch: int, batched: bool) -> list[Any]:
        """Return the parts of an initial state as (B, H), or zeros."""
        parts = _check.state("state", value, self.state_names)
        if parts is None:
            return [0] * len(self.state_names)
        return [
            self._checked_state(name, part, batch, batched)
            for name, part in zip(self.state_names, parts, strict=True)
        ]

    def _checked_state(self, name: str, value: Any, batch: int, batched: bool) -> np.ndarray:
        """Return a state given as (1, B, H), or (1, H) unbatched, as (B, H)."""
        array = _check.floats(name, value, self.dtype)
        hidden = self.hidden_size
        _check.shape(name, array, (1, batch, hidden) if batched else (1, hidden))
        return array.reshape(batch, hidden)
