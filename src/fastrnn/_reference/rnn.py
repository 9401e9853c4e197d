r"""The Elman network, forward and backward through time.

The equation (J. L. Elman, "Finding Structure in Time", Cognitive Science 14, 1990, in PyTorch's
notation) is

.. math:: a_t = W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}, \qquad h_t = f(a_t)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastrnn._reference._types import Floats, Gradients, Ids
from fastrnn._reference.projection import input_projection, projection_gradients


def sigmoid(a: Floats) -> Floats:
    """Return 1 / (1 + exp(-a)), computed from exp(-|a|), which cannot overflow."""
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1, e) / (1 + e)


Elementwise = Callable[[Floats], Floats]

ACTIVATION: dict[str, Elementwise] = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": sigmoid,
    "linear": lambda a: a,
}
"""h = f(a)."""

SLOPE: dict[str, Elementwise] = {
    "tanh": lambda h: 1 - h * h,
    "relu": lambda h: (h > 0).astype(h.dtype),  # zero at the kink, as in PyTorch
    "sigmoid": lambda h: h * (1 - h),
    "linear": np.ones_like,
}
"""f'(a), written in terms of h = f(a) so that a need not be kept."""


def rnn_step(
    x_t: Floats | Ids,
    h_previous: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
    nonlinearity: str,
) -> Floats:
    r"""Return h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), shape (B, H)."""
    a = input_projection(x_t, weight_ih) + bias_ih + h_previous @ weight_hh.T + bias_hh
    return ACTIVATION[nonlinearity](a)


def rnn_forward(
    x: Floats | Ids,
    h_0: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    bias_ih: Floats,
    bias_hh: Floats,
    nonlinearity: str,
) -> Floats:
    r"""Return every state h_0, h_1, ..., h_T of a sequence, shape (T + 1, B, H).

    Parameters
    ----------
    x : (T, B, I) floats, or (T, B) token ids
    h_0 : (B, H), the state before the first step
    weight_ih : (H, I)
    weight_hh : (H, H)
    bias_ih, bias_hh : (H,)
    nonlinearity : "tanh", "relu", "sigmoid" or "linear"

    Notes
    -----
    The returned array has one more entry than x has steps: ``h[0]`` is h_0 and ``h[t + 1]`` is the
    state after reading ``x[t]``. The outputs of the network are ``h[1:]``.
    """
    h = np.empty((len(x) + 1, *h_0.shape), dtype=h_0.dtype)
    h[0] = h_0
    for t in range(len(x)):
        h[t + 1] = rnn_step(x[t], h[t], weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity)
    return h


def rnn_backward(
    x: Floats | Ids,
    h: Floats,
    weight_ih: Floats,
    weight_hh: Floats,
    nonlinearity: str,
    grad_output: Floats | None = None,
    grad_h_n: Floats | None = None,
) -> Gradients:
    r"""Propagate gradients back through time (P. J. Werbos, Proceedings of the IEEE 78, 1990).

    For a loss L, walking from the last step to the first, with
    :math:`\delta_t = \partial L / \partial a_t`:

    .. math::
        \partial L / \partial h_t &= g_t + W_{hh}^T \delta_{t+1} \\
        \delta_t &= f'(a_t) \odot \partial L / \partial h_t \\
        \partial L / \partial h_0 &= W_{hh}^T \delta_1

    The last step has no :math:`\delta_{T+1}`: there, the gradient that arrives through the final
    state takes its place. `projection_gradients` has the gradients of x and of the parameters.

    Parameters
    ----------
    x : (T, B, I) floats, or (T, B) token ids
    h : (T + 1, B, H), what `rnn_forward` returned
    weight_ih : (H, I)
    weight_hh : (H, H)
    nonlinearity : "tanh", "relu", "sigmoid" or "linear"
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

    delta = np.empty((seq_len, batch, hidden_size), h.dtype)
    from_the_future = grad_h_n
    for t in reversed(range(seq_len)):
        grad_h = grad_output[t] + from_the_future
        delta[t] = SLOPE[nonlinearity](h[t + 1]) * grad_h
        from_the_future = delta[t] @ weight_hh

    return {"h_0": from_the_future, **projection_gradients(x, h, delta, delta, weight_ih)}
