"""The Elman layer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastrnn import _check, _ops
from fastrnn.layers.recurrent import Recurrent
from fastrnn.trace import Step, Trace


class RNN(Recurrent):
    """Elman network over whole sequences.

    .. math:: h_t = f(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    Parameters
    ----------
    input_size : int
        Features of one step, or number of different tokens.
    hidden_size : int
        Hidden units.
    num_layers : int
        Layers, each but the first reading the states of the one before.
    nonlinearity : {"tanh", "relu", "sigmoid", "linear"}
        f. ``"linear"`` is the identity, in which small whole numbers give exact results.
    bias : bool
        Whether there are b_ih and b_hh.
    batch_first : bool
        Whether batches are (batch, seq_len, features) in place of (seq_len, batch, features);
        states are as they are.
    dropout : float
        In [0, 1): the share of each layer's outputs that the next one does not see in training mode
        (see ``train``), the rest being scaled up.
    bidirectional : bool
        Whether each layer has a second direction, which reads sequences from their end; outputs
        are both states beside each other.
    recurrent_dropout : float
        In [0, 1): the share of the state that W_hh does not see in training mode, the same for all
        steps of a sequence (Y. Gal and Z. Ghahramani, arXiv:1512.05287).
    layer_norm : bool
        Whether W_ih x and W_hh h are normalised before biases are added
        (J. Ba, J. Kiros and G. Hinton, arXiv:1607.06450), with gains ``weight_norm_ih_l0`` and
        ``weight_norm_hh_l0``.
    init : {"uniform", "one_hot", "glorot", "orthogonal", "identity"}
        Initial parameters: all U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)); these, but for token
        ids the first layer's W_ih from N(0, 1/4); or W_ih Glorot-uniform gate by gate, zero biases,
        and each gate of W_hh Glorot-uniform, orthogonal or the identity.
    dtype : {numpy.float32, numpy.float64}
        Of parameters, states and gradients.
    seed : int, optional
        Makes initial parameters and dropout reproducible.

    Attributes
    ----------
    output_size : int
        Features of the output.
    weight_ih_l0 : ndarray of shape (hidden_size, input_size)
    weight_hh_l0 : ndarray of shape (hidden_size, hidden_size)
    bias_ih_l0, bias_hh_l0 : ndarray of shape (hidden_size,)
        Of further layers and of the other direction the same with ``_l1``, …, ``_reverse``.

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

    _cell, _gates, _row_gates = 0, 1, 1
    _input_blocks = _hidden_blocks = ((0, 0, 1),)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        recurrent_dropout: float = 0.0,
        layer_norm: bool = False,
        init: str = "uniform",
        dtype: Any = np.float32,
        seed: Any = None,
    ) -> None:
        self.nonlinearity = _check.choice("nonlinearity", nonlinearity, tuple(_ops.NONLINEARITIES))
        self._f = _ops.NONLINEARITIES[self.nonlinearity]
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            recurrent_dropout=recurrent_dropout, layer_norm=layer_norm, init=init, dtype=dtype,
            seed=seed,
        )  # fmt: skip

    def __call__(
        self,
        x: Any,
        h_0: Any = None,
        *,
        lengths: Any = None,
        reset_mask: Any = None,
        num_threads: int | None = None,
    ) -> tuple[Any, np.ndarray]:
        """Run the layer over whole sequences.

        Parameters
        ----------
        x : array_like
            Floats of shape (seq_len, batch, input_size), or unbatched (seq_len, input_size);
            or token ids, integers of shape (seq_len, batch) or (seq_len,), which stand for
            one-hot rows; or a list of arrays, one for each sequence, (seq_len, input_size) or
            (seq_len,), which may differ in length. With ``batch_first`` batches are (batch,
            seq_len, …). NaN and infinity spread as IEEE arithmetic has it. It must not be
            changed between the call and ``backward``, which reads it again.
        h_0 : array_like, optional
            The initial state, shape (num_layers * num_directions, batch, hidden_size), without
            batch when x has none. Zero unless given.
        lengths : array_like of int, optional
            How many steps each sequence has, (batch,), in any order and 0 if it likes: what stands
            beyond is never read, its output is zero, and a final state is that after the
            sequence's own last step.
        reset_mask : array_like of bool, optional
            Where a state starts from zero, before the step: (seq_len, batch) or (seq_len,), laid
            out as x. The other direction of a bidirectional layer starts afresh at the step before.
        num_threads : int, optional
            Threads for this call, at most; default :func:`fastrnn.get_num_threads`.

        Returns
        -------
        output : ndarray
            The last layer's state after every step, shape (seq_len, batch, output_size) or as x
            lies, with ``output_size`` = num_directions * hidden_size; read-only in training mode,
            since ``backward`` needs it.
        h_n : ndarray
            The state after each sequence's last step, shaped as h_0.

        Raises
        ------
        TypeError
            For a dtype that would have to be cast with loss.
        ValueError
            For a wrong shape, an empty array (sequences of a list may be), or an id out of range.
        MemoryError
            If the result would not fit into the machine's memory.
        """
        return self._call(x, h_0, lengths, reset_mask, num_threads)

    def backward(
        self, grad_output: Any = None, grad_h_n: Any = None, *, num_threads: int | None = None
    ) -> tuple[Any, np.ndarray]:
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
        grad_x, (grad_h_0,) = self._backpropagate(grad_output, (grad_h_n,), num_threads)
        return grad_x, grad_h_0

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
        if len(self._sweeps) > 1:
            raise ValueError(f"a trace follows one layer in one direction, not those of {self!r}")
        h = self._forward(x, h_0, None, keep=False).sweeps[0].h
        # From each previous state one step of a twin without f: T sequences of length one.
        twin = RNN(
            self.input_size, self.hidden_size, nonlinearity="linear", bias=self.bias,
            layer_norm=self.layer_norm, dtype=self.dtype, seed=0,
        )  # fmt: skip
        twin.load_state_dict(self.state_dict())
        array = array if is_ids else _check.floats("x", x, self.dtype)
        run = twin._forward(array[None], h[None, :-1], None, keep=False)
        pre_activations = twin._features(run)
        inputs = [int(token) for token in array] if is_ids else array.copy()
        return Trace(
            map(Step, inputs, h[:-1], pre_activations, h[1:]),
            name=f"RNN({self.input_size}, {self.hidden_size}), {self.nonlinearity}",
        )
