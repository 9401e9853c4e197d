"""What is optimised: a layer, a network, or some layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from fastrnn import _check
from fastrnn.layers import Module
from fastrnn.network import Network

Modules: TypeAlias = Module | Network | Iterable[Module]


def as_modules(modules: Any) -> tuple[Module, ...]:
    """Return the modules that are given in one of these forms."""
    if isinstance(modules, Module):
        return (modules,)
    if isinstance(modules, Network):
        return modules.modules
    listed = tuple(modules) if isinstance(modules, Iterable) else ()
    if not listed or not all(isinstance(module, Module) for module in listed):
        hint = ""
        if any(isinstance(module, Network) for module in listed):
            hint = "; the layers of a Network are its modules"
        elif any(isinstance(part, (str, np.ndarray)) for part in listed):
            hint = "; its parameters are known to a layer or Network itself"
        raise TypeError(
            f"modules must be a layer, a Network or a list of layers, "
            f"got {_check.describe(modules)}{hint}"
        )
    if len({id(module) for module in listed}) < len(listed):
        raise ValueError("modules must be distinct, got one of them twice")
    return listed
