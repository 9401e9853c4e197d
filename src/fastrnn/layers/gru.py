"""The GRU layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn.layers.recurrent import Recurrent


class GRU(Recurrent):
    r"""Gated recurrent units over whole sequences.

    .. math::

        r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
        z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    Parameters
    ----------
    input_size : int
        Features of one step, or number of different tokens.
    hidden_size : int
        Hidden units.
    num_layers : int
        Layers, each but the first reading the states of the one before.
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
    weight_ih_l0 : ndarray of shape (3 * hidden_size, input_size)
        W_ir, W_iz, W_in, one below the other.
    weight_hh_l0 : ndarray of shape (3 * hidden_size, hidden_size)
        W_hr, W_hz, W_hn likewise.
    bias_ih_l0, bias_hh_l0 : ndarray of shape (3 * hidden_size,)
        Of further layers and of the other direction the same with ``_l1``, …, ``_reverse``.

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type or a size below 1.
    MemoryError
        If the parameters would not fit into the machine's memory.

    References
    ----------
    K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation", arXiv:1406.1078, with the reset gate applied after the product, as
    ``torch.nn.GRU`` has it; names, shapes, order of the gates and initial values are its too.

    Examples
    --------
    >>> import numpy as np, fastrnn
    >>> layer = fastrnn.GRU(3, 5, seed=0)
    >>> output, h_n = layer(np.zeros((7, 2, 3), np.float32))
    >>> output.shape, h_n.shape
    ((7, 2, 5), (1, 2, 5))
    """

    # A row holds n, r, z and m = W_hn h + b_hn.
    _cell, _gates, _row_gates = 2, 3, 4
    _input_blocks = ((0, 2, 1), (1, 0, 2))
    _hidden_blocks = ((1, 0, 3),)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
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
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            recurrent_dropout=recurrent_dropout, layer_norm=layer_norm, init=init, dtype=dtype,
            seed=seed,
        )  # fmt: skip

    def _grad_states(self, grad_h_0: np.ndarray, carry: Any) -> tuple[np.ndarray, ...]:
        grad_h_0 += carry
        return (grad_h_0,)

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
            As :class:`fastrnn.RNN` takes it.
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

        With dh_t all that reaches h_t, and m_t = W_hn h_{t-1} + b_hn,

        .. math::

            dz_n &= dh_t \odot (1 - z_t) \odot (1 - n_t^2), \quad dm = dz_n \odot r_t \\
            dz_r &= dz_n \odot m_t \odot r_t (1 - r_t), \quad
            dz_z = dh_t \odot (h_{t-1} - n_t) \odot z_t (1 - z_t) \\
            dh_{t-1} &\leftarrow dh_t \odot z_t + W_{hr}^T dz_r + W_{hz}^T dz_z + W_{hn}^T dm

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
        """
        grad_x, (grad_h_0,) = self._backpropagate(grad_output, (grad_h_n,), num_threads)
        return grad_x, grad_h_0
