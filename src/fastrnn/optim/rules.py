"""Optimisers in PyTorch's equations and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from fastrnn import _check, _equations
from fastrnn.optim.modules import Modules
from fastrnn.optim.optimizer import Optimizer, at_least_0


class SGD(Optimizer):
    r"""Gradient descent with momentum.

    .. math::

        g \leftarrow g + \lambda \theta, \quad b \leftarrow \mu b + (1 - \tau) g
        \ (b \leftarrow g \text{ at first}), \quad \theta \leftarrow \theta - \gamma b

    and with Nesterov's, g + mu b in place of b.

    Parameters
    ----------
    modules : Module, Network or list of Module
    lr : float
    momentum, dampening, weight_decay : float
        mu, tau and lambda.
    nesterov : bool
        Needs momentum above 0 and no dampening.

    Raises
    ------
    TypeError, ValueError
        For a value out of its range.

    References
    ----------
    Equations and defaults are those of ``torch.optim.SGD``.

    Examples
    --------
    >>> import fastrnn
    >>> layer = fastrnn.RNN(2, 3, seed=0)
    >>> optimizer = fastrnn.optim.SGD(layer, lr=0.1, momentum=0.9)
    >>> optimizer.step()
    >>> optimizer
    SGD(lr=0.1, momentum=0.9, dampening=0.0, weight_decay=0.0, nesterov=False)
    """

    _arrays = ("momentum_buffer",)
    _options: ClassVar = {
        **Optimizer._options,
        "momentum": at_least_0,
        "dampening": _check.number,
        "weight_decay": at_least_0,
        "nesterov": _check.flag,
    }
    _lasting = ("momentum", "nesterov")

    def __init__(
        self,
        modules: Modules,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(modules, lr)
        self.momentum, self.dampening = momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov
        self._momentum_buffer = self._zeros(self.momentum != 0)

    def _conflict(self, options: Mapping[str, Any]) -> str | None:
        momentum, dampening = options["momentum"], options["dampening"]
        if not options["nesterov"] or (momentum > 0 and dampening == 0):
            return None
        return (
            f"nesterov needs momentum above 0 and dampening 0, "
            f"got momentum={momentum:g} and dampening={dampening:g}"
        )

    def _rule(self, step: int) -> _equations.Rule:
        return _equations.sgd(
            self.lr, self.momentum, self.dampening, self.weight_decay, self.nesterov,
            step == 1,
        )  # fmt: skip


class RMSprop(Optimizer):
    r"""Divide the gradient by a running root mean square of it.

    .. math::

        g \leftarrow g + \lambda \theta, \quad v \leftarrow \alpha v + (1 - \alpha) g^2,
        \quad \theta \leftarrow \theta - \gamma g / (\sqrt{v} + \epsilon)

    centered: v less the square of a running mean of g; with momentum, the quotient is
    accumulated in b = mu b + quotient, which is the update.

    Parameters
    ----------
    modules : Module, Network or list of Module
    lr, alpha, eps, weight_decay, momentum : float
    centered : bool

    Raises
    ------
    TypeError, ValueError
        For a value out of its range.

    References
    ----------
    T. Tieleman and G. Hinton, lecture 6.5, 2012; centered: A. Graves, arXiv:1308.0850.
    Equations and defaults are those of ``torch.optim.RMSprop``.
    """

    _arrays = ("square_avg", "grad_avg", "momentum_buffer")
    _options: ClassVar = {
        **Optimizer._options,
        "alpha": at_least_0,
        "eps": at_least_0,
        "weight_decay": at_least_0,
        "momentum": at_least_0,
        "centered": _check.flag,
    }
    _lasting = ("momentum", "centered")

    def __init__(
        self,
        modules: Modules,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(modules, lr)
        self.alpha, self.eps, self.weight_decay = alpha, eps, weight_decay
        self.momentum, self.centered = momentum, centered
        self._square_avg = self._zeros()
        self._grad_avg = self._zeros(self.centered)
        self._momentum_buffer = self._zeros(self.momentum != 0)

    def _rule(self, step: int) -> _equations.Rule:
        return _equations.rmsprop(self.lr, self.alpha, self.eps, self.weight_decay, self.momentum)


def _two_below_1(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} must be two numbers, got {_check.describe(value)}")
    return (
        _check.number(f"{name}[0]", value[0], minimum=0, below=1),
        _check.number(f"{name}[1]", value[1], minimum=0, below=1),
    )


class Adam(Optimizer):
    r"""Adam, with weight decay added to the gradient.

    .. math::

        g \leftarrow g + \lambda \theta, \quad
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        \theta \leftarrow \theta - \gamma
        \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    modules : Module, Network or list of Module
    lr : float
    betas : tuple of two float
        In [0, 1).
    eps, weight_decay : float

    Raises
    ------
    TypeError, ValueError
        For a value out of its range.

    References
    ----------
    D. P. Kingma and J. Ba, arXiv:1412.6980. Defaults are those of ``torch.optim.Adam``.
    """

    _arrays = ("exp_avg", "exp_avg_sq")
    _options: ClassVar = {
        **Optimizer._options,
        "betas": _two_below_1,
        "eps": at_least_0,
        "weight_decay": at_least_0,
    }
    _decoupled = False

    def __init__(
        self,
        modules: Modules,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(modules, lr)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self._exp_avg = self._zeros()
        self._exp_avg_sq = self._zeros()

    def _rule(self, step: int) -> _equations.Rule:
        return _equations.adam(
            self.lr, *self.betas, self.eps, self.weight_decay, self._decoupled, step
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: theta is first multiplied by 1 - lr * weight_decay.

    Parameters
    ----------
    modules, lr, betas, eps
        As for :class:`Adam`.
    weight_decay : float

    References
    ----------
    I. Loshchilov and F. Hutter, arXiv:1711.05101. Defaults are those of ``torch.optim.AdamW``.
    """

    _decoupled = True

    def __init__(
        self,
        modules: Modules,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(modules, lr, betas, eps, weight_decay)


# By the name that fit() and the command line take.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
