"""The affine readout: y = W x + b for every vector x of an array."""

from __future__ import annotations

from typing import TypedDict

from fastrnn._reference._types import Floats


class LinearGradients(TypedDict):
    """What `linear_backward` returns, named as the arguments of `linear_forward`."""

    x: Floats
    weight: Floats
    bias: Floats


def linear_forward(x: Floats, weight: Floats, bias: Floats) -> Floats:
    """Return y = W x + b, shape (..., O), for x (..., I), weight (O, I) and bias (O,)."""
    return x @ weight.T + bias


def linear_backward(x: Floats, weight: Floats, grad_y: Floats) -> LinearGradients:
    r"""Return the gradients of a loss L, given its gradient (..., O) for y.

    .. math::
        \partial L / \partial x = W^T\, \partial L / \partial y, \quad
        \partial L / \partial W = \sum \partial L / \partial y\; x^T, \quad
        \partial L / \partial b = \sum \partial L / \partial y

    The sums run over every axis but the last.
    """
    out_features, in_features = weight.shape
    rows_of_x = x.reshape(-1, in_features)
    rows_of_grad = grad_y.reshape(-1, out_features)
    return {
        "x": grad_y @ weight,
        "weight": rows_of_grad.T @ rows_of_x,
        "bias": rows_of_grad.sum(axis=0),
    }
