"""Losses over the last axis, each with its gradient."""

from __future__ import annotations

import numpy as np

from fastrnn._reference._types import Floats, Ids


def softmax(logits: Floats) -> Floats:
    r"""Return p_k = exp(z_k) / sum_j exp(z_j) over the last axis.

    The largest logit is subtracted first: p does not change, and exp cannot overflow.
    """
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(logits: Floats) -> Floats:
    r"""Return log p_k = z_k - log sum_j exp(z_j), which stays finite where p_k rounds to zero."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def cross_entropy(logits: Floats, target: Ids, reduction: str = "mean") -> tuple[float, Floats]:
    r"""Return L = -log p_target in nats, summed or averaged over the N positions, and dL/dlogits.

    .. math:: \partial L / \partial z_k = p_k - [k = \mathrm{target}]

    divided by N for the mean. Shapes: logits (..., C), target (...), the gradient (..., C).
    """
    chosen = target[..., np.newaxis]
    loss = -np.take_along_axis(log_softmax(logits), chosen, axis=-1).sum()
    grad = softmax(logits)
    np.put_along_axis(grad, chosen, np.take_along_axis(grad, chosen, axis=-1) - 1, axis=-1)
    n = _divisor(target.size, reduction)
    return float(loss / n), grad / n


def mse(prediction: Floats, target: Floats, reduction: str = "mean") -> tuple[float, Floats]:
    r"""Return L = sum (prediction - target)^2 or its mean over all N elements, and dL/dprediction.

    .. math:: \partial L / \partial y = 2 (y - \mathrm{target})

    divided by N for the mean.
    """
    difference = prediction - target
    n = _divisor(difference.size, reduction)
    return float((difference * difference).sum() / n), 2 * difference / n


def _divisor(count: int, reduction: str) -> int:
    if reduction == "mean":
        return count
    if reduction == "sum":
        return 1
    raise ValueError(f"reduction is mean or sum; it was {reduction!r}")
