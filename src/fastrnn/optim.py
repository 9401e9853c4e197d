"""Optimisers in PyTorch's equations and defaults, and gradient clipping.

Each update is one compiled sweep over the parameters of all modules, which also makes their packed
copies anew.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np

from fastrnn import _check, _threads, _update
from fastrnn.layers import Module
from fastrnn.network import Network

Modules: TypeAlias = Module | Network | Iterable[Module]

# What updating and packing a number takes, in multiply-adds: for Adam 0.7 nanoseconds with
# everything in L2 (75,000 numbers in 51 us), 1.1 beyond it (264,000 in 290 us).
NUMBER_WORK = 128
# And the numbers of a part: a weight's blocks have up to so many.
PART_NUMBERS = 8192


def _as_modules(modules: Any) -> tuple[Module, ...]:
    if isinstance(modules, Module):
        return (modules,)
    if isinstance(modules, Network):
        return modules.modules
    listed = tuple(modules) if isinstance(modules, Iterable) else ()
    if not listed or not all(isinstance(module, Module) for module in listed):
        raise TypeError(
            f"modules must be a layer, a Network or a list of layers, "
            f"got {_check.describe(modules)}"
        )
    if len({id(module) for module in listed}) < len(listed):
        raise ValueError("modules must be distinct, got one of them twice")
    return listed


class Optimizer(ABC):
    """Base: which modules, the learning rate, and state arrays beside each arena.

    Parameters
    ----------
    modules : Module, Network or list of Module
        Whose parameters are updated; a layer left out is frozen.
    lr : float
        Learning rate, at least 0; may be assigned between steps.
    """

    # The attributes that are lists of arrays beside the arenas, without their underscore.
    _arrays: ClassVar[tuple[str, ...]] = ()

    def __init__(self, modules: Modules, lr: float) -> None:
        self.modules = _as_modules(modules)
        self.lr = lr
        self._steps = 0
        self._update: Update | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_update": None}

    def __repr__(self) -> str:
        given = {"lr": vars(self).get("_lr")} | vars(self)
        shown = [name for name in given if name != "modules" and not name.startswith("_")]
        listed = ", ".join(f"{name}={given[name]!r}" for name in shown)
        return f"{type(self).__name__}({listed})"

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = _check.number("lr", value, minimum=0)

    @property
    def steps(self) -> int:
        """How many times :meth:`step` was called."""
        return self._steps

    def zero_grad(self) -> None:
        """Set the gradients of all modules to zero."""
        for module in self.modules:
            module.zero_grad()

    def step(self, *, max_norm: float | None = None) -> float | None:
        """Update all parameters from their gradients, clipped if a norm is given.

        Parameters
        ----------
        max_norm : float, optional
            Above 0: update as after :func:`clip_grad_norm`, in one sweep. The gradients
            themselves stay as they are.

        Returns
        -------
        float or None
            The norm before clipping, if ``max_norm`` is given.

        Raises
        ------
        FloatingPointError
            If that norm is not finite; nothing is updated then.
        TypeError, ValueError
            For a wrong argument.

        Examples
        --------
        >>> import fastrnn
        >>> layer = fastrnn.RNN(2, 3, seed=0)
        >>> optimizer = fastrnn.optim.SGD(layer, lr=0.1)
        >>> layer.grad["bias_ih_l0"] = [3.0, 4.0, 0.0]
        >>> before = layer.bias_ih_l0.copy()
        >>> optimizer.step(max_norm=1.0)
        5.0
        >>> (before - layer.bias_ih_l0).round(4)
        array([0.06, 0.08, 0.  ], dtype=float32)
        """
        if max_norm is not None:
            max_norm = _check.number("max_norm", max_norm, above=0)
        return self._make(self._prepared(), max_norm)

    def _make(
        self, update: Update, max_norm: float | None, num_threads: int | None = None
    ) -> float | None:
        norm, factor, numbers = None, 1.0, update.numbers
        with _threads.call:
            threads = _threads.threads_for(
                NUMBER_WORK * numbers, max(1, numbers // PART_NUMBERS), num_threads
            )
            if max_norm is not None:
                norm, factor = _norm_and_factor(update.sweep, max_norm, threads)
            self._steps += 1
            update.make(self._rule(), factor, threads)
        return norm

    def _prepared(self, previous: list[np.ndarray] | None = None) -> Update:
        """Return an update that is ready to be made: the last one, if it can be made again."""
        if self._update is None or not self._update.again(previous):
            self._update = None  # so that its memory is there for the next
            self._update = Update(self, previous)
        return self._update

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all that the next update depends on beside weights and gradients.

        Returns
        -------
        dict
            ``lr``; ``steps``, the number of updates; and ``state``: for each running mean, by the
            name it has in PyTorch and the number of the module, an array with an element for each
            of the module's parameters, such as ``"exp_avg.0"``.

        Examples
        --------
        >>> import fastrnn
        >>> layer = fastrnn.RNN(2, 3, seed=0)
        >>> optimizer = fastrnn.optim.Adam(layer)
        >>> optimizer.step()
        >>> state = optimizer.state_dict()
        >>> state["steps"], sorted(state["state"])
        (1, ['exp_avg.0', 'exp_avg_sq.0'])
        >>> fastrnn.optim.Adam(layer).load_state_dict(state)
        """
        state = {name: array.copy() for name, array in self._state().items()}
        return {"lr": self.lr, "steps": self._steps, "state": state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned; take all of it or, on an error, nothing.

        Raises
        ------
        TypeError, ValueError
            If a name is missing or unknown, or a dtype, a shape or a value does not fit.
        """
        expected = {"lr", "steps", "state"}
        if not isinstance(state_dict, Mapping) or set(state_dict) != expected:
            raise TypeError(
                f"state_dict must be a mapping of {', '.join(sorted(expected))}, "
                f"got {_check.describe(state_dict)}"
            )
        lr = _check.number("lr", state_dict["lr"], minimum=0)
        steps = _check.integer("steps", state_dict["steps"], 0, _check.MAX_SEED)
        own, given = self._state(), state_dict["state"]
        if not isinstance(given, Mapping):
            raise TypeError(f"state must be a mapping, got {_check.describe(given)}")
        if set(given) != set(own):
            raise ValueError(
                f"state must hold {', '.join(own) or 'nothing'}, "
                f"got {', '.join(map(str, given)) or 'nothing'}"
            )
        for name, array in own.items():
            value = _check.as_array(name, given[name])
            if value.dtype != array.dtype:
                raise TypeError(f"{name} has dtype {value.dtype}, expected {array.dtype}")
            _check.shape(name, value, array.shape)
        self.lr, self._steps = lr, steps
        for name, array in own.items():
            np.copyto(array, given[name])

    def _state(self) -> dict[str, np.ndarray]:
        return {
            f"{name}.{index}": array
            for name in self._arrays
            for index, array in enumerate(getattr(self, f"_{name}"))
            if array is not None
        }

    @abstractmethod
    def _rule(self) -> _update.Rule:
        """Return the equation of the update that is the ``steps``-th."""

    def _zeros(self, wanted: bool = True) -> list[np.ndarray | None]:
        """Return an array of zeros beside each arena, or None for each."""
        return [np.zeros_like(module._arena) if wanted else None for module in self.modules]


class Update:
    """An update of modules, prepared and then made, once or more often.

    Parameters
    ----------
    optimizer : Optimizer
    previous : list of ndarray, optional
        Takes the parameters from before, of each module; whether those after it are finite is
        then looked at, too.
    """

    def __init__(self, optimizer: Optimizer, previous: list[np.ndarray] | None = None) -> None:
        self._modules, self._previous = optimizer.modules, previous
        parameters = sum(len(module._shapes) for module in self._modules)
        self.sweep = _update.Sweep(len(self._modules), parameters)
        self._packed = [
            module._join(
                self.sweep,
                tuple(getattr(optimizer, f"_{name}")[i] for name in optimizer._arrays),
                None if previous is None else previous[i],
            )
            for i, module in enumerate(self._modules)
        ]
        self.numbers = self.sweep.numbers

    def again(self, previous: list[np.ndarray] | None) -> bool:
        """Return whether it can be made once more, from its beginning."""
        return (
            self.sweep.again()
            and self._previous is previous
            and all(
                module._packed_of_now() is packed
                for module, packed in zip(self._modules, self._packed, strict=True)
            )
        )

    def make(self, rule: _update.Rule, factor: float, threads: int) -> None:
        """Update all parameters, with gradients times a factor."""
        try:
            self.sweep.run(rule, factor, threads)
        finally:
            for module in self._modules:
                module.invalidate()
        for module, packed in zip(self._modules, self._packed, strict=True):
            module._take_packed(packed)


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
        self.momentum = _check.number("momentum", momentum, minimum=0)
        self.dampening = _check.number("dampening", dampening)
        self.weight_decay = _check.number("weight_decay", weight_decay, minimum=0)
        self.nesterov = _check.flag("nesterov", nesterov)
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(
                f"nesterov needs momentum above 0 and dampening 0, "
                f"got momentum={self.momentum:g} and dampening={self.dampening:g}"
            )
        self._momentum_buffer = self._zeros(self.momentum != 0)

    def _rule(self) -> _update.Rule:
        return _update.sgd(
            self.lr, self.momentum, self.dampening, self.weight_decay, self.nesterov,
            self._steps == 1,
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
        self.alpha = _check.number("alpha", alpha, minimum=0)
        self.eps = _check.number("eps", eps, minimum=0)
        self.weight_decay = _check.number("weight_decay", weight_decay, minimum=0)
        self.momentum = _check.number("momentum", momentum, minimum=0)
        self.centered = _check.flag("centered", centered)
        self._square_avg = self._zeros()
        self._grad_avg = self._zeros(self.centered)
        self._momentum_buffer = self._zeros(self.momentum != 0)

    def _rule(self) -> _update.Rule:
        return _update.rmsprop(self.lr, self.alpha, self.eps, self.weight_decay, self.momentum)


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
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas must be two numbers, got {_check.describe(betas)}")
        self.betas = (
            _check.number("betas[0]", betas[0], minimum=0, below=1),
            _check.number("betas[1]", betas[1], minimum=0, below=1),
        )
        self.eps = _check.number("eps", eps, minimum=0)
        self.weight_decay = _check.number("weight_decay", weight_decay, minimum=0)
        self._exp_avg = self._zeros()
        self._exp_avg_sq = self._zeros()

    def _rule(self) -> _update.Rule:
        return _update.adam(
            self.lr, *self.betas, self.eps, self.weight_decay, self._decoupled, self._steps
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
    listed = _as_modules(modules)
    max_norm = _check.number("max_norm", max_norm, above=0)
    sweep = _update.Sweep(len(listed), 0)
    for module in listed:
        sweep.add(module._arena, module._grad_arena)
    norm, factor = _norm_and_factor(sweep, max_norm, 1)
    if factor < 1:
        for module in listed:
            module._grad_arena *= module.dtype.type(factor)
    return norm


def _norm_and_factor(sweep: _update.Sweep, max_norm: float, threads: int) -> tuple[float, float]:
    """Return the norm of the gradients and what clipping multiplies them with."""
    norm = sweep.norm(threads)
    if not math.isfinite(norm):
        raise FloatingPointError(f"the norm of the gradients is {norm}; try a lower learning rate")
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
    for module in _as_modules(modules):
        limit = min(clip_value, float(np.finfo(module.dtype).max))
        np.clip(module._grad_arena, -limit, limit, out=module._grad_arena)
