r"""What every cell does with its input and its previous state: two affine maps.

All pre-activations of a cell are the rows of

.. math:: W_{ih} x_t + b_{ih} \qquad\text{and}\qquad W_{hh} h_{t-1} + b_{hh}

The Elman cell has H of them, the LSTM 4 H and the GRU 3 H: one block of H rows for each gate, G in
all. A row of a batch is one sequence, so the product :math:`W x_t` of an equation is written
``x_t @ W.T``.
"""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

from fastrnn._reference._types import Floats, Ids, ProjectionGradients


def is_ids(x: Floats | Ids) -> TypeGuard[Ids]:
    """Tell whether x holds token ids (integers) and not features."""
    return x.dtype.kind in "iu"


def input_projection(x: Floats | Ids, weight_ih: Floats) -> Floats:
    r"""Return W_ih x, shape (..., G * H), for features x (..., I) or token ids x (...).

    A token id k stands for the one-hot vector e_k, and W_ih e_k is column k of W_ih.
    """
    if is_ids(x):
        return weight_ih.T[x]
    return x @ weight_ih.T


def projection_gradients(
    x: Floats | Ids,
    h: Floats,
    delta_ih: Floats,
    delta_hh: Floats,
    weight_ih: Floats,
) -> ProjectionGradients:
    r"""Return the gradients of x and of the parameters of both projections.

    With :math:`\delta_t` the gradient of the loss L for a projection at step t,

    .. math::
        \partial L / \partial W_{ih} &= \sum_t \delta^{ih}_t x_t^T, &
        \partial L / \partial b_{ih} &= \sum_t \delta^{ih}_t, &
        \partial L / \partial x_t &= W_{ih}^T \delta^{ih}_t \\
        \partial L / \partial W_{hh} &= \sum_t \delta^{hh}_t h_{t-1}^T, &
        \partial L / \partial b_{hh} &= \sum_t \delta^{hh}_t

    The sums run over the batch as well.

    Parameters
    ----------
    x : (T, B, I) floats, or (T, B) token ids
    h : (T + 1, B, H), every state from h_0 on
    delta_ih, delta_hh : (T, B, G * H)
    weight_ih : (G * H, I)
    """
    steps_and_batch = (0, 1)
    grad_x, grad_weight_ih = None, np.zeros_like(weight_ih)
    if is_ids(x):
        np.add.at(grad_weight_ih.T, x, delta_ih)  # an id that occurs twice counts twice
    else:
        grad_x = delta_ih @ weight_ih
        grad_weight_ih = np.tensordot(delta_ih, x, axes=(steps_and_batch, steps_and_batch))
    return {
        "x": grad_x,
        "weight_ih": grad_weight_ih,
        "weight_hh": np.tensordot(delta_hh, h[:-1], axes=(steps_and_batch, steps_and_batch)),
        "bias_ih": delta_ih.sum(steps_and_batch),
        "bias_hh": delta_hh.sum(steps_and_batch),
    }
