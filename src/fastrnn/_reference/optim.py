"""One update of one parameter, with the equations of PyTorch's optimizers.

Every ``…_step`` returns the new parameter and leaves ``param`` and ``grad`` as they were. Its
running averages live in ``state``, a dict that is empty before the first step and belongs to one
parameter. g is the gradient, w the parameter, t = 1, 2, ... the step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn._reference._types import Floats

State = dict[str, Any]


def sgd_step(
    param: Floats,
    grad: Floats,
    state: State,
    *,
    lr: float = 1e-3,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> Floats:
    r"""Gradient descent with momentum.

    .. math::
        g &\leftarrow g + \lambda w \\
        v_1 &= g, \qquad v_t = \mu v_{t-1} + (1 - \tau) g \\
        w &\leftarrow w - \eta\, v_t \quad\text{or, Nesterov,}\quad w - \eta\, (g + \mu v_t)

    Note that the dampening :math:`\tau` is not applied to the first gradient.
    """
    grad = grad + weight_decay * param
    if momentum == 0:
        return param - lr * grad
    if "velocity" not in state:
        state["velocity"] = grad
    else:
        state["velocity"] = momentum * state["velocity"] + (1 - dampening) * grad
    direction = grad + momentum * state["velocity"] if nesterov else state["velocity"]
    return param - lr * direction


def rmsprop_step(
    param: Floats,
    grad: Floats,
    state: State,
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> Floats:
    r"""Gradient descent scaled by a running root mean square of the gradient.

    .. math::
        g &\leftarrow g + \lambda w \\
        s_t &= \alpha s_{t-1} + (1 - \alpha) g^2, \qquad s_0 = 0 \\
        m_t &= \alpha m_{t-1} + (1 - \alpha) g, \qquad m_0 = 0 \\
        u &= g / (\sqrt{s_t} + \epsilon) \quad\text{or, centered,}\quad
             g / (\sqrt{s_t - m_t^2} + \epsilon) \\
        v_t &= \mu v_{t-1} + u, \qquad v_0 = 0 \\
        w &\leftarrow w - \eta\, v_t

    :math:`\epsilon` is added outside the root.
    """
    grad = grad + weight_decay * param
    zero = np.zeros_like(param)
    state["square"] = alpha * state.get("square", zero) + (1 - alpha) * grad * grad
    variance = state["square"]
    if centered:
        state["mean"] = alpha * state.get("mean", zero) + (1 - alpha) * grad
        variance = variance - state["mean"] ** 2
    state["velocity"] = momentum * state.get("velocity", zero) + grad / (np.sqrt(variance) + eps)
    return param - lr * state["velocity"]


def adam_step(
    param: Floats,
    grad: Floats,
    state: State,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Floats:
    r"""Adam (D. P. Kingma and J. Ba, 2015, algorithm 1).

    .. math::
        g &\leftarrow g + \lambda w \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g, \qquad m_0 = 0 \\
        s_t &= \beta_2 s_{t-1} + (1 - \beta_2) g^2, \qquad s_0 = 0 \\
        w &\leftarrow w - \eta\, \frac{m_t / (1 - \beta_1^t)}
                                      {\sqrt{s_t / (1 - \beta_2^t)} + \epsilon}
    """
    grad = grad + weight_decay * param
    beta1, beta2 = betas
    zero = np.zeros_like(param)
    state["step"] = state.get("step", 0) + 1
    state["mean"] = beta1 * state.get("mean", zero) + (1 - beta1) * grad
    state["square"] = beta2 * state.get("square", zero) + (1 - beta2) * grad * grad
    mean = state["mean"] / (1 - beta1 ** state["step"])
    square = state["square"] / (1 - beta2 ** state["step"])
    return param - lr * mean / (np.sqrt(square) + eps)


def adamw_step(
    param: Floats,
    grad: Floats,
    state: State,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
) -> Floats:
    r"""Adam with decoupled weight decay (I. Loshchilov and F. Hutter, 2019).

    .. math:: w \leftarrow (1 - \eta \lambda)\, w

    and then Adam's update with the gradient as it was: the decay never enters the averages.
    """
    return adam_step((1 - lr * weight_decay) * param, grad, state, lr=lr, betas=betas, eps=eps)


def clip_norm(grads: dict[str, Floats], max_norm: float) -> tuple[dict[str, Floats], float]:
    r"""Scale all gradients together so that their common Euclidean norm is at most max_norm.

    .. math:: g \leftarrow g \cdot \min(1,\; \mathrm{max\_norm} / (\lVert g \rVert + 10^{-6}))

    Returns the scaled gradients and the norm that they had. The constant is PyTorch's.
    """
    norm = float(np.sqrt(sum((g * g).sum() for g in grads.values())))
    scale = min(1.0, max_norm / (norm + 1e-6))
    return {name: scale * g for name, g in grads.items()}, norm


def clip_value(grads: dict[str, Floats], clip_value: float) -> dict[str, Floats]:
    """Move every element of every gradient to the nearest of [-clip_value, clip_value]."""
    return {name: np.clip(g, -clip_value, clip_value) for name, g in grads.items()}
