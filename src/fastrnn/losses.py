"""Losses and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _check, _ops

REDUCTIONS = ("mean", "sum")


def cross_entropy(logits: Any, target: Any, reduction: str = "mean") -> tuple[float, np.ndarray]:
    r"""Cross-entropy of the softmax of logits with target ids, fused with its gradient.

    .. math::

        L = \sum_i -\log \mathrm{softmax}(z_i)_{t_i}, \quad
        \partial L / \partial z_i = \mathrm{softmax}(z_i) - \mathrm{onehot}(t_i)

    divided by the number of targets when the reduction is ``"mean"``.

    Parameters
    ----------
    logits : array_like
        float32 or float64, shape (..., classes).
    target : array_like of int
        Ids from 0 to classes - 1, shape (...).
    reduction : {"mean", "sum"}
        Over all targets.

    Returns
    -------
    loss : float
        In nats.
    grad_logits : ndarray
        Its gradient, shaped as logits.

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or shape, an id out of range, no targets or an unknown reduction.

    Examples
    --------
    >>> import numpy as np, fastrnn
    >>> loss, grad = fastrnn.losses.cross_entropy(np.zeros((1, 4)), [2])
    >>> round(loss, 4), grad.tolist()
    (1.3863, [[0.25, 0.25, -0.75, 0.25]])
    """
    _check.choice("reduction", reduction, REDUCTIONS)
    logits = _floats("logits", logits)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits has shape {logits.shape}, expected (..., classes)")
    target = target_ids(target_array(target, logits.shape[:-1]), logits.shape[-1])
    grad = _ops.empty(logits.shape, logits.dtype)
    grad[...] = logits
    scale = 1.0 / target.size if reduction == "mean" else 1.0
    flat = grad.reshape(-1, logits.shape[-1])
    loss = _ops.cross_entropy_grad(flat, target.reshape(-1), scale)
    return loss * scale, grad


def mse(prediction: Any, target: Any, reduction: str = "mean") -> tuple[float, np.ndarray]:
    """Squared error and its gradient: sum (p - t)^2, or its mean over all elements.

    Parameters
    ----------
    prediction : array_like
        float32 or float64, any shape.
    target : array_like
        Of the same shape, and castable to the dtype of prediction without loss.
    reduction : {"mean", "sum"}
        Over all elements.

    Returns
    -------
    loss : float
        In squared units of the prediction.
    grad_prediction : ndarray
        Its gradient, 2 (p - t), divided by their number for the mean.

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or shape, no elements or an unknown reduction.

    Examples
    --------
    >>> import fastrnn
    >>> loss, grad = fastrnn.losses.mse([1.0, 2.0], [0.0, 4.0])
    >>> loss, grad.tolist()
    (2.5, [1.0, -2.0])
    """
    _check.choice("reduction", reduction, REDUCTIONS)
    prediction = _floats("prediction", prediction)
    target = _check.floats("target", target, prediction.dtype)
    _check.shape("target", target, prediction.shape)
    _check.not_empty("target", target)
    difference = prediction - target
    flat = difference.reshape(-1).astype(np.float64)
    scale = 1.0 / target.size if reduction == "mean" else 1.0
    gradient = np.asarray(difference * prediction.dtype.type(2 * scale))
    return float(np.sum(flat * flat)) * scale, gradient


def target_array(target: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return target ids of this shape, of any integer type and value."""
    ids = _check.integers("target", target, "integer ids")
    _check.shape("target", ids, shape)
    return ids


def target_ids(target: np.ndarray, classes: int) -> np.ndarray:
    """Return at least one target id as int64, checked."""
    if target.size == 0:
        raise ValueError(f"target is empty (shape {target.shape}), expected at least one id")
    return _check.token_ids("target", target, classes)


def class_weights(class_weight: Any, classes: int) -> np.ndarray:
    """Return what a target of each class counts, float64 (classes,)."""
    weights = _check.reals("class_weight", class_weight, np.dtype(np.float64))
    _check.shape("class_weight", weights, (classes,))
    if weights.min() < 0:
        raise ValueError(f"class_weight must be at least 0, got {weights.min():g}")
    return weights


def _floats(name: str, value: Any) -> np.ndarray:
    array = _check.as_array(name, value)
    return _check.floats(name, array, _check.float_dtype(f"the dtype of {name}", array.dtype))
