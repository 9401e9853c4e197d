"""The LSTM layer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastrnn import _check
from fastrnn.layers.recurrent import Recurrent

State = tuple[np.ndarray, np.ndarray]


class LSTM(Recurrent):
    r"""Long short-term memory over whole sequences.

    .. math::

        i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \tanh(c_t)

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
    proj_size : int
        If not 0, the states that are put out and fed back are h_t = W_hr (o_t * tanh(c_t)), of this
        size, below hidden_size (H. Sak et al., arXiv:1402.1128).
    recurrent_dropout : float
        In [0, 1): the share of the state that W_hh does not see in training mode, the same for all
        steps of a sequence (Y. Gal and Z. Ghahramani, arXiv:1512.05287).
    layer_norm : bool
        Whether W_ih x and W_hh h are normalised before biases are added, and c before it is shown
        (J. Ba, J. Kiros and G. Hinton, arXiv:1607.06450), with gains ``weight_norm_ih_l0`` and
        ``weight_norm_hh_l0``, and ``weight_norm_c_l0`` and ``bias_norm_c_l0`` of c.
    init : {"uniform", "one_hot", "glorot", "orthogonal", "identity"}
        Initial parameters: all U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)); these, but for token
        ids the first layer's W_ih from N(0, 1/4); or W_ih Glorot-uniform gate by gate, zero biases,
        and each gate of W_hh Glorot-uniform, orthogonal or the identity.
    forget_bias : float, optional
        Value of b_if + b_hf at first; 1 lets the cell keep what it holds (R. Jozefowicz et al.,
        ICML 2015).
    dtype : {numpy.float32, numpy.float64}
        Of parameters, states and gradients.
    seed : int, optional
        Makes initial parameters and dropout reproducible.

    Attributes
    ----------
    output_size : int
        Features of the output.
    weight_ih_l0 : ndarray of shape (4 * hidden_size, input_size)
        W_ii, W_if, W_ig, W_io, one below the other.
    weight_hh_l0 : ndarray of shape (4 * hidden_size, hidden_size)
        W_hi, W_hf, W_hg, W_ho likewise.
    weight_hr_l0 : ndarray of shape (proj_size, hidden_size)
        Only with ``proj_size``; W_hh then has ``proj_size`` columns.
    bias_ih_l0, bias_hh_l0 : ndarray of shape (4 * hidden_size,)
        Of further layers and of the other direction the same with ``_l1``, …, ``_reverse``.

    Raises
    ------
    TypeError, ValueError
        For an argument of the wrong type or a size below 1.
    MemoryError
        If the parameters would not fit into the machine's memory.

    References
    ----------
    S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); with
    the forget gate of F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget", Neural
    Computation 12 (2000). Names, shapes, order of the gates and initial values are those of
    ``torch.nn.LSTM``.

    Examples
    --------
    >>> import numpy as np, fastrnn
    >>> layer = fastrnn.LSTM(3, 5, seed=0)
    >>> output, (h_n, c_n) = layer(np.zeros((7, 2, 3), np.float32))
    >>> output.shape, h_n.shape, c_n.shape
    ((7, 2, 5), (1, 2, 5), (1, 2, 5))
    """

    options: ClassVar[tuple[str, ...]] = ("forget_bias",)
    state_names: ClassVar[tuple[str, ...]] = ("h_0", "c_0")
    _fixed: ClassVar[frozenset[str]] = Recurrent._fixed | {"forget_bias", "proj_size"}

    _cell, _gates, _row_gates = 1, 4, 4
    _input_blocks = _hidden_blocks = ((0, 0, 4),)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        recurrent_dropout: float = 0.0,
        layer_norm: bool = False,
        init: str = "uniform",
        forget_bias: float | None = None,
        dtype: Any = np.float32,
        seed: Any = None,
    ) -> None:
        self.forget_bias = (
            None if forget_bias is None else _check.number("forget_bias", forget_bias)
        )
        self.proj_size = _check.integer("proj_size", proj_size, 0)
        if self.proj_size >= _check.integer("hidden_size", hidden_size):
            raise ValueError(
                f"proj_size must be below hidden_size = {hidden_size}, got {self.proj_size}"
            )
        self._projects = self.proj_size > 0
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            recurrent_dropout=recurrent_dropout, layer_norm=layer_norm, init=init, dtype=dtype,
            seed=seed,
        )  # fmt: skip
        if self.forget_bias is not None:
            self._set_forget_bias(self.forget_bias)

    def _changed_options(self) -> dict[str, Any]:
        projected = {"proj_size": self.proj_size} if self.proj_size else {}
        return projected | super()._changed_options()

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The last dimensions of h and c."""
        return self.proj_size or self.hidden_size, self.hidden_size

    def _set_forget_bias(self, value: float) -> None:
        if not self.bias:
            raise ValueError(f"forget_bias needs bias=True, got forget_bias={value:g}")
        gate = slice(self.hidden_size, 2 * self.hidden_size)
        for sweep in self._sweeps:
            self._views["bias_ih" + sweep.suffix][gate] = value
            self._views["bias_hh" + sweep.suffix][gate] = 0

    def _grad_states(self, grad_h_0: np.ndarray, carry: Any) -> tuple[np.ndarray, ...]:
        return grad_h_0, carry

    def __call__(
        self,
        x: Any,
        state: Any = None,
        *,
        lengths: Any = None,
        reset_mask: Any = None,
        num_threads: int | None = None,
    ) -> tuple[Any, State]:
        """Run the layer over whole sequences.

        Parameters
        ----------
        x : array_like
            As :class:`fastrnn.RNN` takes it.
        state : tuple of two array_like, optional
            The initial state (h_0, c_0), each of shape (num_layers * num_directions, batch,
            hidden_size), h_0 with ``proj_size`` in its place if there is one, without batch when x
            has none. Zero unless given.
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
            The last layer's h_t of every step, shape (seq_len, batch, output_size) or as x lies,
            with ``output_size`` = num_directions * (``proj_size`` or hidden_size); read-only in
            training mode, since ``backward`` needs it.
        (h_n, c_n) : tuple of ndarray
            The state after each sequence's last step, shaped as the initial one.

        Raises
        ------
        TypeError
            For a dtype that would have to be cast with loss, or a state that is no pair.
        ValueError
            For a wrong shape, an empty array (sequences of a list may be), or an id out of range.
        MemoryError
            If the result would not fit into the machine's memory.
        """
        return self._call(x, state, lengths, reset_mask, num_threads)

    def backward(
        self,
        grad_output: Any = None,
        grad_h_n: Any = None,
        grad_c_n: Any = None,
        *,
        num_threads: int | None = None,
    ) -> tuple[Any, State]:
        r"""Backpropagate through time from the last call; adds to ``self.grad``.

        With dh_t and dc_t all that reaches h_t and c_t,

        .. math::

            dc_t &\leftarrow dc_t + dh_t \odot o_t \odot (1 - \tanh^2 c_t), \quad
            dc_{t-1} = dc_t \odot f_t \\
            dz_i &= dc_t \odot g_t \odot i_t (1 - i_t), \quad
            dz_f = dc_t \odot c_{t-1} \odot f_t (1 - f_t) \\
            dz_g &= dc_t \odot i_t \odot (1 - g_t^2), \quad
            dz_o = dh_t \odot \tanh(c_t) \odot o_t (1 - o_t) \\
            dh_{t-1} &\leftarrow W_{hh}^T dz_t

        Parameters
        ----------
        grad_output : array_like, optional
            Gradient of the loss with respect to ``output``, of its shape. Zero unless given.
        grad_h_n, grad_c_n : array_like, optional
            Gradients with respect to ``h_n`` and ``c_n``, of their shapes. Zero unless given.
        num_threads : int, optional
            Threads for this call, at most.

        Returns
        -------
        grad_x : ndarray or None
            Gradient with respect to x, of its shape; None when x was token ids.
        (grad_h_0, grad_c_0) : tuple of ndarray
            Gradients with respect to the initial state, of its shapes.

        Raises
        ------
        RuntimeError
            If there was no call in training mode before.
        TypeError, ValueError
            If no gradient is given, or one does not have the shape and dtype it must.

        References
        ----------
        K. Greff et al., "LSTM: a search space odyssey", IEEE TNNLS 28 (2017), section II.
        """
        grad_x, (grad_h_0, grad_c_0) = self._backpropagate(
            grad_output, (grad_h_n, grad_c_n), num_threads
        )
        return grad_x, (grad_h_0, grad_c_0)
