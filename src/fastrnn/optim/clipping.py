"""Gradients limited, by their common norm or one by one."""

from __future__ import annotations

import math

import numpy as np

from fastrnn import _check, _update
from fastrnn.optim.modules import Modules, as_modules


def clip_grad_norm(modules: Modules, max_norm: float) -> float:
    """Scale all gradients so that their common Euclidean norm is at most ``max_norm``.

    Parameters
    ----------
    modules : Module, Network or list of Module
    max_norm : float
        Above 0.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    FloatingPointError
        If the norm is not finite; the gradients are left as they are.
    TypeError, ValueError
        For a wrong argument.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, arXiv:1211.5063. As ``torch.nn.utils.clip_grad_norm_``,
    the factor is max_norm / (norm + 1e-6).
    """
    listed = as_modules(modules)
    max_norm = _check.number("max_norm", max_norm, above=0)
    sweep = _update.UpdateSweep(len(listed), 0)
    for module in listed:
        sweep.add(module._arena, module._grad_arena)
    norm, factor = norm_and_factor(sweep, max_norm, 1)
    if factor < 1:
        for module in listed:
            module._grad_arena *= module.dtype.type(factor)
    return norm


def norm_and_factor(
    sweep: _update.UpdateSweep, max_norm: float, threads: int
) -> tuple[float, float]:
    """Return the norm of the gradients and what clipping multiplies them with."""
    norm = sweep.norm(threads)
    if not math.isfinite(norm):
        raise FloatingPointError(
            f"the norm of the gradients is {norm}; look for values that are not finite in what the "
            f"network was given, or try a lower learning rate"
        )
    return norm, min(1.0, max_norm / (norm + 1e-6))


def clip_grad_value(modules: Modules, clip_value: float) -> None:
    """Limit every element of the gradients to [-clip_value, clip_value].

    Parameters
    ----------
    modules : Module, Network or list of Module
    clip_value : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        For a wrong argument.

    References
    ----------
    As ``torch.nn.utils.clip_grad_value_``.
    """
    clip_value = _check.number("clip_value", clip_value, above=0)
    for module in as_modules(modules):
        limit = min(clip_value, float(np.finfo(module.dtype).max))
        np.clip(module._grad_arena, -limit, limit, out=module._grad_arena)
