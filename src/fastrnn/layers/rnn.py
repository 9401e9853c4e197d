"""The Elman layer.

A layer checks its input, owns parameters and packed weights, allocates results, and calls the
compiled loops on slices of the batch, one slice a thread.
"""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np

from fastrnn import _check, _loops, _ops, _step, _threads
from fastrnn._step import RNNStream
from fastrnn.layers.module import STRIPE, product
from fastrnn.layers.recurrent import Recurrent, Saved
from fastrnn.trace import Step, Trace


class _Packed:
    """Weights in the layouts the loops want, made when first needed, never changed."""

    def __init__(self, weight_ih: np.ndarray, weight_hh: np.ndarray, bias: np.ndarray) -> None:
        self._weight_ih, self._weight_hh, self.bias = weight_ih, weight_hh, bias

    @cached_property
    def ih(self) -> np.ndarray:
        """For x W_ih^T."""
        return _ops.pack(self._weight_ih.T)

    @cached_property
    def hh(self) -> np.ndarray:
        """For h W_hh^T."""
        return _ops.pack(self._weight_hh.T)

    @cached_property
    def ih_back(self) -> np.ndarray:
        """For dz W_ih."""
        return _ops.pack(self._weight_ih)

    @cached_property
    def hh_back(self) -> np.ndarray:
        """For dz W_hh."""
        return _ops.pack(self._weight_hh)

    @cached_property
    def table(self) -> np.ndarray:
        """Row v is the input projection of token v: W_ih[:, v] + b_ih + b_hh."""
        table = _ops.empty(self._weight_ih.shape[::-1], self._weight_ih.dtype)
        np.add(self._weight_ih.T, self.bias, out=table)
        return table


class RNN(Recurrent):
    """Elman network over whole sequences.

    .. math:: h_t = f(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    Parameters
    ----------
    input_size : int
        Features of one step, or number of different tokens.
    hidden_size : int
        Hidden units.
    nonlinearity : {"tanh", "relu", "sigmoid", "linear"}
        f. ``"linear"`` is the identity, in which small whole numbers give exact results.
    dtype : {numpy.float32, numpy.float64}
        Of parameters, states and gradients.
    seed : int, optional
        Makes the initial parameters reproducible. They are drawn from
        U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)).

    Attributes
    ----------
    weight_ih_l0 : ndarray of shape (hidden_size, input_size)
    weight_hh_l0 : ndarray of shape (hidden_size, hidden_size)
    bias_ih_l0, bias_hh_l0 : ndarray of shape (hidden_size,)

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type, a size below 1 or an unknown nonlinearity.
    MemoryError
        If the parameters would not fit into the machine's memory.

    References
    ----------
    J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990). Names, shapes and
    initial values are those of ``torch.nn.RNN``.

    Examples
    --------
    >>> import numpy as np, fastrnn
    >>> layer = fastrnn.RNN(3, 5, seed=0)
    >>> output, h_n = layer(np.zeros((7, 2, 3), np.float32))
    >>> output.shape, h_n.shape
    ((7, 2, 5), (1, 2, 5))
    """

    options: ClassVar[tuple[str, ...]] = ("nonlinearity",)
    _fixed = Recurrent._fixed | {"nonlinearity"}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: str = "tanh",
        dtype: Any = np.float32,
        seed: Any = None,
    ) -> None:
        self.input_size = _check.integer("input_size", input_size)
        self.hidden_size = _check.integer("hidden_size", hidden_size)
        self.nonlinearity = _check.choice("nonlinearity", nonlinearity, tuple(_ops.NONLINEARITIES))
        self._f = _ops.NONLINEARITIES[self.nonlinearity]
        hidden, inputs = self.hidden_size, self.input_size
        self._make_arena(
            {
                "weight_ih_l0": (hidden, inputs),
                "weight_hh_l0": (hidden, hidden),
                "bias_ih_l0": (hidden,),
                "bias_hh_l0": (hidden,),
            },
            _check.float_dtype("dtype", dtype),
        )
        self._init_uniform(1 / math.sqrt(hidden), seed)

    def __repr__(self) -> str:
        return (
            f"RNN({self.input_size}, {self.hidden_size}, nonlinearity={self.nonlinearity!r}, "
            f"dtype={self.dtype})"
        )

    def _pack(self) -> _Packed:
        views = self._views
        bias = views["bias_ih_l0"] + views["bias_hh_l0"]
        return _Packed(views["weight_ih_l0"], views["weight_hh_l0"], bias)

    def __call__(
        self, x: Any, h_0: Any = None, *, num_threads: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the layer over whole sequences.

        Parameters
        ----------
        x : array_like
            Floats of shape (seq_len, batch, input_size), or unbatched (seq_len, input_size);
            or token ids, integers of shape (seq_len, batch) or (seq_len,), which stand for
            one-hot rows. NaN and infinity spread as IEEE arithmetic has it. It must not be
            changed between the call and ``backward``, which reads it again.
        h_0 : array_like, optional
            The initial state, shape (1, batch, hidden_size), or (1, hidden_size) when x has no
            batch dimension. Zero unless given.
        num_threads : int, optional
            Threads for this call, at most; default :func:`fastrnn.get_num_threads`.

        Returns
        -------
        output : ndarray
            The state after every step, shape (seq_len, batch, hidden_size) or
            (seq_len, hidden_size); read-only in training mode, since ``backward`` needs it.
        h_n : ndarray
            The state after the last step, shaped as h_0.

        Raises
        ------
        TypeError
            For a dtype that would have to be cast with loss.
        ValueError
            For a wrong shape, an empty sequence or batch, or an id out of range.
        MemoryError
            If the result would not fit into the machine's memory.
        """
        saved = self._forward(x, h_0, num_threads)
        self._keep(saved)
        output, h_n = saved.h[1:], saved.h[-1:].copy()
        if self.training:
            output.flags.writeable = False
        return (output, h_n) if saved.batched else (output[:, 0], h_n[:, 0])

    def _forward(self, x: Any, h_0: Any, num_threads: int | None) -> Saved:
        x, batched = self._checked_input(x)
        steps, batch = x.shape[:2]
        hidden = self.hidden_size
        _check.memory("the output", steps + 1, batch, hidden, self.dtype.itemsize)
        h = _ops.empty((steps + 1, batch, hidden), self.dtype)
        h[0] = 0 if h_0 is None else self._checked_state("h_0", h_0, batch, batched)

        packed = self._packed()
        inputs = x.shape[2] if x.ndim == 3 else 0
        step_work = batch * hidden * (hidden + inputs)
        threads = _threads.threads_for(steps * step_work, batch, num_threads)

        if x.ndim == 3:
            packed_ih, packed_hh = packed.ih, packed.hh

            def rows(t0: int, t1: int, b0: int, b1: int) -> None:
                _loops.rnn_forward(h, x, packed_ih, packed.bias, packed_hh, self._f, t0, t1, b0, b1)
        else:
            table, packed_hh = packed.table, packed.hh

            def rows(t0: int, t1: int, b0: int, b1: int) -> None:
                _loops.rnn_forward_ids(h, x, table, packed_hh, self._f, t0, t1, b0, b1)

        for segment in _threads.segments(steps, step_work):
            _threads.run(partial(rows, *segment), batch, threads)
        return Saved(x, h, batched)

    def backward(
        self, grad_output: Any = None, grad_h_n: Any = None, *, num_threads: int | None = None
    ) -> tuple[np.ndarray | None, np.ndarray]:
        r"""Backpropagate through time from the last call; adds to ``self.grad``.

        With dh_t the gradient that reaches the output of step t,

        .. math::

            dz_t = (dh_t + W_{hh}^T dz_{t+1}) \odot f'(z_t), \quad
            dW_{hh} = \sum_t dz_t h_{t-1}^T, \quad
            dW_{ih} = \sum_t dz_t x_t^T, \quad
            db = \sum_t dz_t

        Parameters
        ----------
        grad_output : array_like, optional
            Gradient of the loss with respect to ``output``, of its shape. Zero unless given.
        grad_h_n : array_like, optional
            Gradient with respect to ``h_n``, of its shape. Zero unless given.
        num_threads : int, optional
            Threads for this call, at most.

        Returns
        -------
        grad_x : ndarray or None
            Gradient with respect to x, of its shape; None when x was token ids.
        grad_h_0 : ndarray
            Gradient with respect to h_0, of its shape.

        Raises
        ------
        RuntimeError
            If there was no call in training mode before.
        TypeError, ValueError
            If neither gradient is given, or one does not have the shape and dtype it must.

        References
        ----------
        P. J. Werbos, "Backpropagation through time: what it does and how to do it",
        Proceedings of the IEEE 78 (1990).
        """
        saved: Saved = self._kept()
        if grad_output is None and grad_h_n is None:
            raise ValueError("grad_output and grad_h_n are both None, expected at least one")
        _, h, batched = saved
        if grad_output is not None:
            expected = h[1:].shape if batched else h[1:, 0].shape
            grad_output = _check.floats("grad_output", grad_output, self.dtype)
            _check.shape("grad_output", grad_output, expected)
            grad_output = grad_output.reshape(h[1:].shape)
        if grad_h_n is not None:
            grad_h_n = self._checked_state("grad_h_n", grad_h_n, h.shape[1], batched)
        dz = self._backward(saved, grad_output, grad_h_n, num_threads)
        grad_h_0 = _ops.empty(h.shape[1:], self.dtype)
        product(grad_h_0, dz[0], self._packed().hh_back, num_threads)
        grad_x = None
        if saved.x.ndim == 3:
            grad_x = _ops.empty(saved.x.shape, self.dtype)
            product(grad_x, dz, self._packed().ih_back, num_threads)
        if batched:
            return grad_x, grad_h_0[None]
        return None if grad_x is None else grad_x[:, 0], grad_h_0

    def _backward(
        self,
        saved: Saved,
        grad_output: np.ndarray | None,
        grad_h_n: np.ndarray | None,
        num_threads: int | None,
    ) -> np.ndarray:
        dz = self._dz(saved.h, grad_output, grad_h_n, num_threads)
        self._weight_grads(saved.x, saved.h, dz, num_threads)
        return dz

    def _dz(
        self,
        h: np.ndarray,
        grad_output: np.ndarray | None,
        grad_h_n: np.ndarray | None,
        num_threads: int | None,
    ) -> np.ndarray:
        """Return the gradients of all pre-activations, (T, B, H): the loop over time."""
        steps, batch, hidden = h.shape[0] - 1, h.shape[1], h.shape[2]
        dz = _ops.empty((steps, batch, hidden), self.dtype)
        if grad_output is None:
            grad_last = grad_h_n
        elif grad_h_n is None:
            grad_last = grad_output[-1]
        else:
            grad_last = grad_output[-1] + grad_h_n
        packed_hh_t = self._packed().hh_back
        step_work = batch * hidden * hidden

        def rows(t0: int, t1: int, b0: int, b1: int) -> None:
            _loops.rnn_backward(dz, h, grad_output, grad_last, packed_hh_t, self._f, t0, t1, b0, b1)

        threads = _threads.threads_for(steps * step_work, batch, num_threads)
        for segment in reversed(_threads.segments(steps, step_work)):
            _threads.run(partial(rows, *segment), batch, threads)
        return dz

    def _weight_grads(
        self, x: np.ndarray, h: np.ndarray, dz: np.ndarray, num_threads: int | None
    ) -> None:
        """Add the products over all steps to the gradients, hidden units split over threads."""
        steps, batch, hidden = dz.shape
        grad_bias = np.zeros(hidden, self.dtype)
        grad_table = None if x.ndim == 3 else np.zeros((self.input_size, hidden), self.dtype)

        def stripe(t0: int, t1: int, first: int, last: int) -> None:
            m0, m1 = first * STRIPE, min(last * STRIPE, hidden)
            _loops.rnn_weight_grads(self.grad["weight_hh_l0"], grad_bias, dz, h, t0, t1, m0, m1)
            if grad_table is None:
                _loops.rnn_input_weight_grads(self.grad["weight_ih_l0"], dz, x, t0, t1, m0, m1)
            else:
                _loops.rnn_table_grads(grad_table, dz, x, t0, t1, m0, m1)

        step_work = batch * hidden * (hidden + (x.shape[2] if x.ndim == 3 else 0))
        stripes = -(-hidden // STRIPE)
        threads = _threads.threads_for(steps * step_work, stripes, num_threads)
        for segment in _threads.segments(steps, step_work):
            _threads.run(partial(stripe, *segment), stripes, threads)
        if grad_table is not None:
            self.grad["weight_ih_l0"] += grad_table.T
        self.grad["bias_ih_l0"] += grad_bias
        self.grad["bias_hh_l0"] += grad_bias

    def _generate(
        self,
        prompt: np.ndarray,
        packed_out: np.ndarray,
        bias_out: np.ndarray,
        tokens: np.ndarray,
        generators: list[np.random.Generator],
        temperature: float,
        top_k: int,
        top_p: float,
    ) -> None:
        samples, classes, packed = len(generators), len(bias_out), self._packed()
        state = _ops.empty((samples, self.hidden_size), self.dtype)
        state[...] = self._forward(prompt[:-1], None, None).h[-1] if len(prompt) > 1 else 0
        _step.generate(
            state,
            _ops.empty(state.shape, self.dtype),
            packed.table,
            packed.hh,
            self._f,
            packed_out,
            bias_out,
            _ops.empty((samples, classes), self.dtype),
            _ops.empty(classes, self.dtype),
            tokens,
            np.full(samples, prompt[-1], np.int64),
            generators,
            temperature,
            top_k,
            top_p,
        )

    def stream(self, batch_size: int = 1) -> RNNStream:
        """Return an object that keeps the state and is fed one step at a time.

        It has the weights that the layer has now: later changes do not reach it. A step returns
        a new array, or writes into one that it is given and then allocates nothing.

        Parameters
        ----------
        batch_size : int
            How many independent sequences it advances together.

        Returns
        -------
        RNNStream
            With ``step(x_t, out=None)``, ``state`` and ``reset(h_0=None)``.

        Raises
        ------
        TypeError, ValueError
            If batch_size is not a positive integer.

        Examples
        --------
        >>> import numpy as np, fastrnn
        >>> stream = fastrnn.RNN(3, 5, seed=0).stream()
        >>> stream.step(np.ones(3, np.float32)).shape
        (5,)
        """
        batch_size = _check.integer("batch_size", batch_size)
        _check.memory("the states", 2 * batch_size, self.hidden_size, self.dtype.itemsize)
        packed = self._packed()
        return RNNStream(packed.ih, packed.bias, packed.hh, packed.table, self._f, batch_size)

    def trace(self, x: Any, h_0: Any = None) -> Trace:
        """Run one sequence step by step for a reader.

        Parameters
        ----------
        x : array_like
            One sequence without batch dimension: floats of shape (seq_len, input_size) or
            token ids of shape (seq_len,).
        h_0 : array_like, optional
            The initial state, shape (1, hidden_size).

        Returns
        -------
        Trace
            Per step: input, previous state, pre-activation, state. Printed, it is a table.

        Raises
        ------
        TypeError, ValueError
            As a call of the layer does.

        Examples
        --------
        >>> import numpy as np, fastrnn
        >>> layer = fastrnn.RNN(1, 1, seed=0)
        >>> len(layer.trace(np.ones((3, 1), np.float32)))
        3
        """
        array = _check.as_array("x", x)
        is_ids = array.dtype.kind in "iu"
        if array.ndim != (1 if is_ids else 2):
            raise ValueError(
                f"x has shape {array.shape}; a trace follows one sequence, of shape "
                f"(seq_len, {self.input_size}), or (seq_len,) if it holds token ids"
            )
        h = self._forward(x, h_0, None).h
        # From each previous state one step of a twin without f: T sequences of length one.
        twin = RNN(
            self.input_size, self.hidden_size, nonlinearity="linear", dtype=self.dtype, seed=0
        )
        twin.load_state_dict(self.state_dict())
        array = array if is_ids else _check.floats("x", x, self.dtype)
        pre_activations = twin._forward(array[None], np.swapaxes(h[:-1], 0, 1), None).h[1]
        inputs = [int(token) for token in array] if is_ids else array.copy()
        return Trace(
            map(Step, inputs, h[:-1, 0], pre_activations, h[1:, 0]),
            name=f"RNN({self.input_size}, {self.hidden_size}), {self.nonlinearity}",
        )

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

    def _checked_state(self, name: str, value: Any, batch: int, batched: bool) -> np.ndarray:
        """Return a state given as (1, B, H), or (1, H) unbatched, as (B, H)."""
        array = _check.floats(name, value, self.dtype)
        hidden = self.hidden_size
        _check.shape(name, array, (1, batch, hidden) if batched else (1, hidden))
        return array.reshape(batch, hidden)
