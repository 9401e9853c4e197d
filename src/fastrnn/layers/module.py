"""What layers have in common: named parameters in one arena, gradients in another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from fastrnn import _check, _ops, _threads

Self = TypeVar("Self", bound="Module")

# Weight gradients are split over threads in stripes of this many output units: a cache line
# of float32, so that no two threads write to one.
STRIPE = 16


class Module:
    """Base of layers: parameters, gradients, state dictionaries.

    Parameters are one contiguous buffer and gradients another, so that clipping and an
    optimiser's update are one sweep; by name they are views into them. Parameter views are
    read-only because the compiled loops work on packed copies: assigning to the attribute
    (``layer.weight_hh_l0 = array``) copies the values in and has the copies made anew.

    Attributes
    ----------
    dtype : numpy.dtype
        float32 or float64.
    training : bool
        Whether a call keeps what ``backward`` needs. True at first; see ``train``, ``eval``.
    grad : dict of str to ndarray
        The gradients by parameter name; ``backward`` adds to them, ``zero_grad`` clears them.
    """

    dtype: np.dtype
    training: bool
    grad: dict[str, np.ndarray]
    _views: dict[str, np.ndarray]

    def _make_arena(self, shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype) -> None:
        sizes = [math.prod(shape) for shape in shapes.values()]
        _check.memory("the parameters and their gradients", sum(sizes), 2 * dtype.itemsize)
        self.dtype = dtype
        self.training = True
        self._arena = _ops.empty(sum(sizes), dtype)
        self._grad_arena = _ops.empty(sum(sizes), dtype)
        self._grad_arena[...] = 0
        self._views, self.grad = {}, {}
        start = 0
        for (name, shape), size in zip(shapes.items(), sizes, strict=True):
            self._views[name] = self._arena[start : start + size].reshape(shape)
            self.grad[name] = self._grad_arena[start : start + size].reshape(shape)
            start += size

    def _init_uniform(self, bound: float, seed: Any) -> None:
        """Draw every parameter from U(-bound, bound), as PyTorch does."""
        try:
            rng = np.random.default_rng(seed)
        except (TypeError, ValueError) as error:
            message = f"seed cannot be used, got {_check.describe(seed)}: {error}"
            raise type(error)(message) from None
        for view in self._views.values():
            view[...] = rng.uniform(-bound, bound, view.shape)

    def invalidate(self) -> None:
        """Have the packed copies of the weights made anew at the next use.

        The library calls this after every change of a parameter.
        """

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the parameters by name, as read-only views."""
        return {name: _read_only(view) for name, view in self._views.items()}

    @property
    def num_parameters(self) -> int:
        """How many numbers the parameters hold."""
        return self._arena.size

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters by name."""
        return {name: view.copy() for name, view in self._views.items()}

    def load_state_dict(self, state_dict: Mapping[str, np.ndarray]) -> None:
        """Take the parameters from ``state_dict``; all or, on an error, none of them.

        Parameters
        ----------
        state_dict : mapping of str to ndarray
            As returned by :meth:`state_dict`.

        Raises
        ------
        TypeError, ValueError
            If a name is missing or unknown, or a dtype, a shape or a value does not fit.
        """
        self._take(self._checked_state_dict(state_dict))

    def _checked_state_dict(self, state_dict: Any) -> dict[str, np.ndarray]:
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict must be a mapping, got {_check.describe(state_dict)}")
        missing = [name for name in self._views if name not in state_dict]
        unknown = [name for name in state_dict if name not in self._views]
        if missing or unknown:
            raise ValueError(
                f"state_dict must hold {', '.join(self._views)}; "
                f"missing: {', '.join(missing) or 'none'}; "
                f"unknown: {', '.join(map(str, unknown)) or 'none'}"
            )
        return {name: self._checked(name, state_dict[name]) for name in self._views}

    def _take(self, checked: Mapping[str, np.ndarray]) -> None:
        for name, value in checked.items():
            self._views[name][...] = value
        self.invalidate()

    def _checked(self, name: str, value: Any) -> np.ndarray:
        array = _check.floats(name, value, self.dtype)
        _check.shape(name, array, self._views[name].shape)
        _check.finite(name, array)
        return array

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self._grad_arena[...] = 0

    def train(self: Self, mode: bool = True) -> Self:
        """Have calls keep (or, with False, not keep) what ``backward`` needs; return self."""
        if not isinstance(mode, bool):
            raise TypeError(f"mode must be a bool, got {_check.describe(mode)}")
        self.training = mode
        if not mode:
            self._forget()
        return self

    def eval(self: Self) -> Self:
        """Have calls keep nothing: the same as ``train(False)``; return self."""
        return self.train(False)

    def _forget(self) -> None:
        """Drop what the last call kept."""

    def __getattr__(self, name: str) -> Any:
        views = self.__dict__.get("_views", {})
        if name in views:
            return _read_only(views[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        views = self.__dict__.get("_views", {})
        if name not in views:
            object.__setattr__(self, name, value)
            return
        views[name][...] = self._checked(name, value)
        self.invalidate()


def _read_only(view: np.ndarray) -> np.ndarray:
    view = view.view()
    view.flags.writeable = False
    return view


def product(
    y: np.ndarray,
    x: np.ndarray,
    packed: np.ndarray,
    num_threads: int | None,
    bias: np.ndarray | None = None,
) -> None:
    """Set y to x @ packed + bias over the last dimension, rows split over threads."""
    x2, y2 = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    rows_work = x2.shape[1] * y2.shape[1]

    def rows(start: int, stop: int) -> None:
        _ops.gemm(y2, x2, packed, bias, start, stop)

    threads = _threads.threads_for(len(x2) * rows_work, len(x2), num_threads)
    _threads.run(rows, len(x2), threads)
