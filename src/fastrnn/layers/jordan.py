"""The Jordan layer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastrnn import _check, _ops
from fastrnn.layers.recurrent import Recurrent


class Jordan(Recurrent):
    r"""Jordan network over whole sequences: what is fed back is the previous output.

    .. math::

        h_t &= f(W_{ih} x_t + b_{ih} + W_{hh} y_{t-1} + b_{hh}) \\
        y_t &= g(W_{ho} h_t + b_{ho})

    Parameters
    ----------
    input_size : int
        Features of one step, or number of different tokens.
    hidden_size : int
        Hidden units.
    output_size : int
        Outputs, and so units of the context.
    nonlinearity, output : {"tanh", "relu", "sigmoid", "linear"}
        f and g.
    bias : bool
        Whether there are b_ih, b_hh and b_ho.
    batch_first : bool
        Whether batches are (batch, seq_len, features) in place of (seq_len, batch, features).
    recurrent_dropout : float
        In [0, 1): the share of the context that W_hh does not see in training mode, the same for
        all steps of a sequence.
    layer_norm : bool
        Whether W_ih x and W_hh y are normalised before biases are added, with gains
        ``weight_norm_ih_l0`` and ``weight_norm_hh_l0``.
    init : {"uniform", "one_hot", "glorot", "orthogonal", "identity"}
        As for :class:`fastrnn.RNN`; ``"orthogonal"`` and ``"identity"`` have ones on W_hh's
        diagonal or orthonormal rows or columns where it is not square.
    dtype : {numpy.float32, numpy.float64}
        Of parameters, states and gradients.
    seed : int, optional
        Makes initial parameters and dropout reproducible.

    Attributes
    ----------
    weight_ih_l0 : ndarray of shape (hidden_size, input_size)
    weight_hh_l0 : ndarray of shape (hidden_size, output_size)
    weight_ho_l0 : ndarray of shape (output_size, hidden_size)
    bias_ih_l0, bias_hh_l0 : ndarray of shape (hidden_size,)
    bias_ho_l0 : ndarray of shape (output_size,)

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type, a size below 1 or an unknown nonlinearity.
    MemoryError
        If the parameters would not fit into the machine's memory.

    References
    ----------
    M. I. Jordan, "Serial order: a parallel distributed processing approach", ICS report 8604,
    University of California, San Diego (1986).

    Examples
    --------
    >>> import numpy as np, fastrnn
    >>> layer = fastrnn.Jordan(3, 5, 2, seed=0)
    >>> output, y_n = layer(np.zeros((7, 4, 3), np.float32))
    >>> output.shape, y_n.shape
    ((7, 4, 2), (1, 4, 2))
    """

    options: ClassVar[tuple[str, ...]] = ("nonlinearity", "output")
    state_names: ClassVar[tuple[str, ...]] = ("y_0",)
    _fixed: ClassVar[frozenset[str]] = Recurrent._fixed | {"nonlinearity", "output"}

    _cell, _gates, _row_gates = 0, 1, 1
    _input_blocks = _hidden_blocks = ((0, 0, 1),)
    _projects, _out = True, "ho"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        nonlinearity: str = "tanh",
        output: str = "linear",
        bias: bool = True,
        batch_first: bool = False,
        recurrent_dropout: float = 0.0,
        layer_norm: bool = False,
        init: str = "uniform",
        dtype: Any = np.float32,
        seed: Any = None,
    ) -> None:
        functions = tuple(_ops.NONLINEARITIES)
        self.nonlinearity = _check.choice("nonlinearity", nonlinearity, functions)
        self.output = _check.choice("output", output, functions)
        self._f = _ops.NONLINEARITIES[self.nonlinearity]
        self._output_f = _ops.NONLINEARITIES[self.output]
        self._context = _check.integer("output_size", output_size)
        self._out_bias = bias
        super().__init__(
            input_size, hidden_size, 1, bias, batch_first, 0.0, False,
            recurrent_dropout=recurrent_dropout, layer_norm=layer_norm, init=init, dtype=dtype,
            seed=seed,
        )  # fmt: skip

    def __repr__(self) -> str:
        sizes = f"Jordan({self.input_size}, {self.hidden_size}, "
        return super().__repr__().replace(sizes, f"{sizes}{self.output_size}, ", 1)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The last dimension of y."""
        return (self._context,)

    def __call__(
        self,
        x: Any,
        y_0: Any = None,
        *,
        lengths: Any = None,
        reset_mask: Any = None,
        num_threads: int | None = None,
    ) -> tuple[Any, np.ndarray]:
        """Run the layer over whole sequences.

        Parameters
        ----------
        x, lengths, reset_mask, num_threads
            As :class:`fastrnn.RNN` takes them.
        y_0 : array_like, optional
            The initial context, shape (1, batch, output_size), or (1, output_size) when x has no
            batch dimension. Zero unless given.

        Returns
        -------
        output : ndarray
            y_t of every step, shape (seq_len, batch, output_size) or (seq_len, output_size);
            read-only in training mode, since ``backward`` needs it.
        y_n : ndarray
            The last output, shaped as y_0.

        Raises
        ------
        TypeError, ValueError, MemoryError
            As :class:`fastrnn.RNN` does.
        """
        return self._call(x, y_0, lengths, reset_mask, num_threads)

    def backward(
        self, grad_output: Any = None, grad_y_n: Any = None, *, num_threads: int | None = None
    ) -> tuple[Any, np.ndarray]:
        r"""Backpropagate through time from the last call; adds to ``self.grad``.

        With dy_t the gradient that reaches the output of step t,

        .. math::

            da_t = (dy_t + W_{hh}^T dz_{t+1}) \odot g'(a_t), \quad
            dz_t = W_{ho}^T da_t \odot f'(z_t)

        and the gradients of the parameters are the sums of dz_t x_t^T, dz_t y_{t-1}^T, dz_t,
        da_t h_t^T and da_t.

        Parameters
        ----------
        grad_output, grad_y_n : array_like, optional
            Gradients of the loss with respect to ``output`` and ``y_n``, of their shapes. Zero
            unless given.
        num_threads : int, optional
            Threads for this call, at most.

        Returns
        -------
        grad_x : ndarray or None
            Gradient with respect to x, of its shape; None when x was token ids.
        grad_y_0 : ndarray
            Gradient with respect to y_0, of its shape.

        Raises
        ------
        RuntimeError
            If there was no call in training mode before.
        TypeError, ValueError
            If neither gradient is given, or one does not have the shape and dtype it must.
        """
        grad_x, (grad_y_0,) = self._backpropagate(grad_output, (grad_y_n,), num_threads)
        return grad_x, grad_y_0
