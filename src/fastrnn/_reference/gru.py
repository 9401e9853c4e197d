r"""The gated recurrent unit, forward and backward through time.

The update gate z decides how much of the previous state stays, and the reset gate r how much of it
enters the candidate n for the rest. The equations (K. Cho et al., "Learning Phrase Representations
using RNN Encoder-Decoder for Statistical Machine Translation", EMNLP 2014, in PyTorch's form) are

.. math::
    r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
    z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
    n_t &= \tanh (W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
    h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

The paper multiplies h by r before the product with :math:`W_{hn}`; here r multiplies the product,
so that one product gives the recurrent part of all three, and :math:`b_{in}` and :math:`b_{hn}` are
not interchangeable. The parameters hold the three blocks of H rows under each other, in the order
r, z, n.
"""

from __future__ import annotations

import numpy as np

from fastrnn._reference._types import Floats, Gradients, Ids
from fastrnn._reference.projection import input_projection, projection_gradients
from fastrnn._reference.rnn import sigmoid


def _gates(
    x_t: Floats | Ids,
    h_previous: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return r_t, z_t, n_t and W_hn h_{t-1} + b_hn, each of shape (B, H)."""
    a_r, a_z, a_n = np.split(input_projection(x_t, weight_ih) + bias_ih, 3, axis=-1)
    m_r, m_z, m_n = np.split(h_previous @ weight_hh.T + bias_hh, 3, axis=-1)
    r, z = sigmoid(a_r + m_r), sigmoid(a_z + m_z)
    return r, z, np.tanh(a_n + r * m_n), m_n


def gru_step(
    x_t: Floats | Ids,
    h_previous: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
) -> Floats:
    """Return h_t, shape (B, H)."""
    _, z, n, _ = _gates(x_t, h_previous, weight_ih, weight_hh, bias_ih, bias_hh)
    return (1 - z) * n + z * h_previous


def gru_forward(
    x: Floats | Ids,
    h_0: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
) -> Floats:
    r"""Return every state h_0, h_1, ..., h_T of a sequence, shape (T + 1, B, H).

    Parameters
    ----------
    x : (T, B, I) floats, or (T, B) token ids
    h_0 : (B, H), the state before the first step
    weight_ih : (3 H, I)
    weight_hh : (3 H, H)
    bias_ih, bias_hh : (3 H,)

    Notes
    -----
    As in `rnn_forward`, ``h[t + 1]`` is the state after reading ``x[t]``, and the outputs of the
    network are ``h[1:]``.
    """
    h = np.empty((len(x) + 1, *h_0.shape), dtype=h_0.dtype)
    h[0] = h_0
    for t in range(len(x)):
        h[t + 1] = gru_step(x[t], h[t], weight_ih, weight_hh, bias_ih, bias_hh)
    return h


def gru_backward(
    x: Floats | Ids,
    h: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
    grad_output: Floats | None = None,
    grad_h_n: Floats | None = None,
) -> Gradients:
    r"""Propagate gradients back through time.

    For a loss L, walking from the last step to the first, with :math:`\delta_t` the gradient for
    the pre-activations of step t (its three blocks in the order of the gates) and
    :math:`m_t = W_{hn} h_{t-1} + b_{hn}`:

    .. math::
        \partial L / \partial h_t &= g_t
            + z_{t+1} \odot \partial L / \partial h_{t+1} + W_{hh}^T \delta^{hh}_{t+1} \\
        \delta^n_t &= (1 - n_t^2) \odot (1 - z_t) \odot \partial L / \partial h_t \\
        \delta^z_t &= z_t (1 - z_t) \odot (h_{t-1} - n_t) \odot \partial L / \partial h_t \\
        \delta^r_t &= r_t (1 - r_t) \odot m_t \odot \delta^n_t \\
        \delta^{ih}_t &= (\delta^r_t, \delta^z_t, \delta^n_t) \\
        \delta^{hh}_t &= (\delta^r_t, \delta^z_t, r_t \odot \delta^n_t) \\
        \partial L / \partial h_0 &=
            z_1 \odot \partial L / \partial h_1 + W_{hh}^T \delta^{hh}_1

    At the last step the gradient that arrives through the final state takes the place of the terms
    with t + 1. `projection_gradients` has the gradients of x and of the parameters. The gates are
    computed again from the states.

    Parameters
    ----------
    x : (T, B, I) floats, or (T, B) token ids
    h : (T + 1, B, H), what `gru_forward` returned
    weight_ih : (3 H, I)
    weight_hh : (3 H, H)
    bias_ih, bias_hh : (3 H,)
    grad_output : (T, B, H), g_t = the direct gradient of L for output t; None stands for zero
    grad_h_n : (B, H), the gradient of L for the final state; None stands for zero

    Returns
    -------
    Gradients, each of the shape of its argument; ``x`` is None for token ids, which have none.
    """
    seq_len, batch, hidden_size = len(x), *h.shape[1:]
    if grad_output is None:
        grad_output = np.zeros((seq_len, batch, hidden_size), h.dtype)
    if grad_h_n is None:
        grad_h_n = np.zeros((batch, hidden_size), h.dtype)

    delta_ih = np.empty((seq_len, batch, 3 * hidden_size), h.dtype)
    delta_hh = np.empty_like(delta_ih)
    from_the_future = grad_h_n
    for t in reversed(range(seq_len)):
        r, z, n, m = _gates(x[t], h[t], weight_ih, weight_hh, bias_ih, bias_hh)
        grad_h = grad_output[t] + from_the_future
        delta_n = (1 - n * n) * (1 - z) * grad_h
        delta_z = z * (1 - z) * (h[t] - n) * grad_h
        delta_r = r * (1 - r) * m * delta_n
        delta_ih[t] = np.concatenate([delta_r, delta_z, delta_n], axis=-1)
        delta_hh[t] = np.concatenate([delta_r, delta_z, r * delta_n], axis=-1)
        from_the_future = z * grad_h + delta_hh[t] @ weight_hh

    return {
        "h_0": from_the_future,
        **projection_gradients(x, h, delta_ih, delta_hh, weight_ih),
    }
