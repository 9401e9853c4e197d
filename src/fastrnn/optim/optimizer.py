"""What all optimisers share: their modules, their state, and one step.

An update is one compiled sweep over the parameters of all modules, which also makes their packed
copies anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from fastrnn import _check, _equations, _threads, _update
from fastrnn.layers import Module
from fastrnn.layers.packed import Copies
from fastrnn.optim.clipping import norm_and_factor
from fastrnn.optim.modules import Modules, as_modules

# What updating and packing a number takes, in multiply-adds: for Adam 0.7 nanoseconds with
# everything in L2 (75,000 numbers in 51 us), 1.1 beyond it (264,000 in 290 us).
NUMBER_WORK = 128
# And the numbers of a part: of up to 256 columns, a weight's blocks have as many.
PART_NUMBERS = 8192
# What the number of the next update still fits into 64 bits of.
MOST_STEPS = _check.MAX_SEED - 1


def at_least_0(name: str, value: Any) -> float:
    """Return a number that is at least 0."""
    return _check.number(name, value, minimum=0)


class Optimizer(ABC):
    """Base: which modules, the learning rate, and state arrays beside each arena.

    Parameters
    ----------
    modules : Module, Network or list of Module
        Whose parameters are updated; a layer left out is frozen.
    lr : float
        Learning rate, at least 0.

    Notes
    -----
    The learning rate and all other numbers that an optimiser is made with are attributes, which may
    be assigned between steps: ``optimizer.lr = 1e-4``.
    """

    # What it is made with beside modules, in the order in which it is shown, and how it is checked.
    _options: ClassVar[dict[str, Callable[[str, Any], Any]]] = {"lr": at_least_0}
    # Those on which it depends which arrays there are.
    _lasting: ClassVar[tuple[str, ...]] = ()
    # The attributes that are lists of arrays beside the arenas, without their underscore.
    _arrays: ClassVar[tuple[str, ...]] = ()

    def __init__(self, modules: Modules, lr: float) -> None:
        self._modules = as_modules(modules)
        self.lr = lr
        self._steps = 0
        # The last one and the one before it, so that there are packed copies of the weights that
        # there are while the next ones are made.
        self._updates: tuple[Update | None, Update | None] = (None, None)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_updates": (None, None)}

    def __repr__(self) -> str:
        listed = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._options)
        return f"{type(self).__name__}({listed})"

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._options:
            value = self._options[name](name, value)
            self._check_lasting(name, value)
            options = self.__dict__ | {name: value}
            if all(option in options for option in self._options):
                self._check_together(options)
        elif not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(
                f"{name!r} of {type(self).__name__} cannot be assigned; what can be are "
                f"{', '.join(self._options)}"
            )
        object.__setattr__(self, name, value)

    def _check_lasting(self, name: str, value: Any) -> None:
        before = self.__dict__.get(name, value)
        if name in self._lasting and bool(before) != bool(value):
            raise ValueError(
                f"whether there is {name} is settled when an optimiser is made: of one made with "
                f"{name}={before!r} it cannot become {value!r}"
            )

    def _check_together(self, options: Mapping[str, Any]) -> None:
        conflict = self._conflict(options)
        if conflict is not None:
            raise ValueError(conflict)

    def _conflict(self, options: Mapping[str, Any]) -> str | None:
        """Return why options, each of which may be, may not be so together, or None."""
        return None

    @property
    def modules(self) -> tuple[Module, ...]:
        """What it updates."""
        return self._modules

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
                norm, factor = norm_and_factor(update.sweep, max_norm, threads)
            rule = self._rule(self._steps + 1)
            self._steps += 1
            update.sweep.run(rule, factor, threads)
        return norm

    def _prepared(self, previous: list[np.ndarray] | None = None) -> Update:
        """Return an update that is ready to be made: the last but one, if it can be made again."""
        last, spare = self._updates
        if last is None or spare is None or not spare.again_after(last, previous):
            spare = None
            self._updates = last, None  # so that the spare one's memory is there for the next
            spare = Update(self, previous)
        self._updates = spare, last
        return spare

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all that the next update depends on beside weights and gradients.

        Returns
        -------
        dict
            ``lr`` and whatever else it was made with; ``steps``, the number of updates; and
            ``state``: for each running mean, by the name it has in PyTorch and the number of the
            module, an array with an element for each of the module's parameters, such as
            ``"exp_avg.0"``.

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
        options = {name: getattr(self, name) for name in self._options}
        return {**options, "steps": self._steps, "state": state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned; take all of it or, on an error, nothing.

        Raises
        ------
        TypeError, ValueError
            If a name is missing or unknown, or a dtype, a shape or a value does not fit.
        """
        expected = [*self._options, "steps", "state"]
        if not isinstance(state_dict, Mapping) or set(state_dict) != set(expected):
            raise TypeError(
                f"state_dict must be a mapping of {', '.join(expected)}, "
                f"got {_check.describe(state_dict)}"
            )
        options = {name: check(name, state_dict[name]) for name, check in self._options.items()}
        for name, value in options.items():
            self._check_lasting(name, value)
        self._check_together(options)
        steps = _check.integer("steps", state_dict["steps"], 0, MOST_STEPS)
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
        self.__dict__.update(options)
        self._steps = steps
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
    def _rule(self, step: int) -> _equations.Rule:
        """Return the equation of an update, the first of which has the number 1."""

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
        self.sweep = _update.UpdateSweep(len(self._modules), parameters)
        self._packed = [
            module._join(
                self.sweep,
                tuple(getattr(optimizer, f"_{name}")[i] for name in optimizer._arrays),
                None if previous is None else previous[i],
            )
            for i, module in enumerate(self._modules)
        ]
        self._names = [[*vars(copies)] for copies in self._copies()]  # of what is packed
        self.numbers = self.sweep.numbers

    def _copies(self) -> list[Copies]:
        """Return all that has packed copies."""
        return [
            copies
            for packed in self._packed
            if packed is not None
            for copies in (packed if isinstance(packed, list) else [packed])
        ]

    @property
    def is_current(self) -> bool:
        """Whether what it packed is of the weights that there are, and all that is."""
        return self.sweep.is_whole() and all(
            module._packed_of_now() is packed
            for module, packed in zip(self._modules, self._packed, strict=True)
        )

    def again_after(self, last: Update, previous: list[np.ndarray] | None) -> bool:
        """Return whether it can be made once more, and then packs what the last one did."""
        if not last.is_current or self._names != last._names or self._previous is not previous:
            return False
        if not self.sweep.again():
            return False
        for copies in self._copies():
            copies.forget()
        return True
