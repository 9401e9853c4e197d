"""Several modules as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from fastrnn import _check
from fastrnn.layers.module import Module

Self = TypeVar("Self", bound="Parts")


class Parts:
    """Base: what is made of modules, whose parameters are named ``part.name``.

    Parameters
    ----------
    named : mapping of str to Module
        The parts by name.
    """

    def __init__(self, named: Mapping[str, Module]) -> None:
        self._named = tuple(named.items())
        self._modules = tuple(named.values())

    @property
    def modules(self) -> tuple[Module, ...]:
        """The layer, and the read-out and the embedding if there are any."""
        return self._modules

    @property
    def num_parameters(self) -> int:
        """How many numbers the parameters hold."""
        return sum(module.num_parameters for module in self._modules)

    @property
    def training(self) -> bool:
        """Whether every part is in training mode."""
        return all(module.training for module in self._modules)

    def train(self: Self, mode: bool = True) -> Self:
        """Set the mode of every part; return self.

        Parameters
        ----------
        mode : bool
            Whether a layer drops out its own share in ``loss_and_grad``, and a part that is
            called by itself keeps what ``backward`` needs.

        Raises
        ------
        TypeError
            If it is not a bool.
        """
        _check.flag("mode", mode)
        for module in self._modules:
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Return self, its parts no longer in training mode: the same as ``train(False)``."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        for module in self._modules:
            module.zero_grad()

    def invalidate(self) -> None:
        """Have the packed copies of the weights made anew at the next use."""
        for module in self._modules:
            module.invalidate()

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all parameters by name as read-only views, named as in ``state_dict``."""
        return {
            f"{prefix}.{name}": value
            for prefix, module in self._named
            for name, value in module.parameters().items()
        }

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all parameters, named ``rnn.…``, ``readout.…`` and ``embedding.…``."""
        return {name: view.copy() for name, view in self.parameters().items()}

    def load_state_dict(self, state_dict: Mapping[str, np.ndarray]) -> None:
        """Take all parameters from ``state_dict``; all or, on an error, none of them.

        Parameters
        ----------
        state_dict : mapping of str to ndarray
            As returned by :meth:`state_dict`.

        Raises
        ------
        TypeError, ValueError
            If a name is missing or unknown, or a dtype, a shape or a value does not fit.
        """
        parts = {f"{prefix}.": module for prefix, module in self._named}
        own = [prefix + name for prefix, module in parts.items() for name in module._views]
        _check.names("state_dict", state_dict, own)
        checked = [
            (module, module._checked_values(state_dict, prefix)) for prefix, module in parts.items()
        ]
        for module, values in checked:
            module._take(values)
