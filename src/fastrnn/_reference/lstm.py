r"""The long short-term memory, forward and backward through time.

The cell keeps a second state c beside h: a sum, to which the input gate i adds candidates g and
from which the forget gate f takes away. The output gate o decides what of it is shown as h. The
equations (S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997;
the forget gate: F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget", Neural
Computation 12, 2000; in PyTorch's form, without peepholes) are

.. math::
    i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\
    f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
    g_t &= \tanh (W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
    o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
    c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
    h_t &= o_t \odot \tanh(c_t)

The parameters hold the four blocks of H rows under each other, in the order i, f, g, o.
"""

from __future__ import annotations

import numpy as np

from fastrnn._reference import _types
from fastrnn._reference._types import Floats, Ids
from fastrnn._reference.projection import input_projection, projection_gradients
from fastrnn._reference.rnn import sigmoid


class Gradients(_types.Gradients):
    """What BPTT returns, named as the arguments of `lstm_forward`."""

    c_0: Floats


def _gates(
    x_t: Floats | Ids,
    h_previous: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return i_t, f_t, g_t and o_t, each of shape (B, H)."""
    a = input_projection(x_t, weight_ih) + bias_ih + h_previous @ weight_hh.T + bias_hh
    a_i, a_f, a_g, a_o = np.split(a, 4, axis=-1)
    return sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)


def lstm_step(
    x_t: Floats | Ids,
    h_previous: Floats,
    c_previous: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
) -> tuple[Floats, Floats]:
    """Return h_t and c_t, each of shape (B, H)."""
    i, f, g, o = _gates(x_t, h_previous, weight_ih, weight_hh, bias_ih, bias_hh)
    c = f * c_previous + i * g
    return o * np.tanh(c), c


def lstm_forward(
    x: Floats | Ids,
    h_0: Floats,
    c_0: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
) -> tuple[Floats, Floats]:
    r"""Return every state h_0, ..., h_T and every c_0, ..., c_T, each of shape (T + 1, B, H).

    Parameters
    ----------
    x : (T, B, I) floats, or (T, B) token ids
    h_0, c_0 : (B, H), the states before the first step
    weight_ih : (4 H, I)
    weight_hh : (4 H, H)
    bias_ih, bias_hh : (4 H,)

    Notes
    -----
    As in `rnn_forward`, ``h[t + 1]`` and ``c[t + 1]`` are the states after reading ``x[t]``, and
    the outputs of the network are ``h[1:]``.
    """
    h = np.empty((len(x) + 1, *h_0.shape), dtype=h_0.dtype)
    c = np.empty_like(h)
    h[0], c[0] = h_0, c_0
    for t in range(len(x)):
        h[t + 1], c[t + 1] = lstm_step(x[t], h[t], c[t], weight_ih, weight_hh, bias_ih, bias_hh)
    return h, c


def lstm_backward(
    x: Floats | Ids,
    h: Floats,
    c: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
    grad_output: Floats | None = None,
    grad_h_n: Floats | None = None,
    grad_c_n: Floats | None = None,
) -> Gradients:
    r"""Propagate gradients back through time.

    For a loss L, walking from the last step to the first, with :math:`\delta_t` the gradient for
    the pre-activations of step t (its four blocks in the order of the gates):

    .. math::
        \partial L / \partial h_t &= g^{out}_t + W_{hh}^T \delta_{t+1} \\
        \partial L / \partial c_t &= o_t \odot (1 - \tanh^2 c_t) \odot \partial L / \partial h_t
            + f_{t+1} \odot \partial L / \partial c_{t+1} \\
        \delta^i_t &= i_t (1 - i_t) \odot g_t \odot \partial L / \partial c_t \\
        \delta^f_t &= f_t (1 - f_t) \odot c_{t-1} \odot \partial L / \partial c_t \\
        \delta^g_t &= (1 - g_t^2) \odot i_t \odot \partial L / \partial c_t \\
        \delta^o_t &= o_t (1 - o_t) \odot \tanh(c_t) \odot \partial L / \partial h_t \\
        \partial L / \partial h_0 &= W_{hh}^T \delta_1 \\
        \partial L / \partial c_0 &= f_1 \odot \partial L / \partial c_1

    At the last step the gradients that arrive through the final states take the place of the terms
    with t + 1. `projection_gradients` has the gradients of x and of the parameters. The gates are
    computed again from the states.

    Parameters
    ----------
    x : (T, B, I) floats, or (T, B) token ids
    h, c : (T + 1, B, H), what `lstm_forward` returned
    weight_ih : (4 H, I)
    weight_hh : (4 H, H)
    bias_ih, bias_hh : (4 H,)
    grad_output : (T, B, H), the direct gradient of L for every output; None stands for zero
    grad_h_n, grad_c_n : (B, H), the gradients of L for the final states; None stands for zero

    Returns
    -------
    Gradients, each of the shape of its argument; ``x`` is None for token ids, which have none.
    """
    seq_len, batch, hidden_size = len(x), *h.shape[1:]
    if grad_output is None:
        grad_output = np.zeros((seq_len, batch, hidden_size), h.dtype)
    if grad_h_n is None:
        grad_h_n = np.zeros((batch, hidden_size), h.dtype)
    if grad_c_n is None:
        grad_c_n = np.zeros((batch, hidden_size), h.dtype)

    delta = np.empty((seq_len, batch, 4 * hidden_size), h.dtype)
    from_the_future, grad_c = grad_h_n, grad_c_n
    for t in reversed(range(seq_len)):
        i, f, g, o = _gates(x[t], h[t], weight_ih, weight_hh, bias_ih, bias_hh)
        tanh_c = np.tanh(c[t + 1])
        grad_h = grad_output[t] + from_the_future
        grad_c = grad_c + o * (1 - tanh_c * tanh_c) * grad_h
        delta_i = i * (1 - i) * g * grad_c
        delta_f = f * (1 - f) * c[t] * grad_c
        delta_g = (1 - g * g) * i * grad_c
        delta_o = o * (1 - o) * tanh_c * grad_h
        delta[t] = np.concatenate([delta_i, delta_f, delta_g, delta_o], axis=-1)
        from_the_future, grad_c = delta[t] @ weight_hh, f * grad_c

    return {
        "h_0": from_the_future,
        "c_0": grad_c,
        **projection_gradients(x, h, delta, delta, weight_ih),
    }
