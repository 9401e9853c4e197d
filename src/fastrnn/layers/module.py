"""What layers have in common: named parameters in one arena, gradients in another."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from fastrnn import _check, _ops, _team, _threads, _update

Self = TypeVar("Self", bound="Module")


class Gradients(Mapping[str, np.ndarray]):
    """Gradients by parameter name: views into one buffer.

    Assigning to a name copies the values in, so that ``grad[name] *= 0.5`` and
    ``grad[name] = array`` both reach the buffer that optimisers read.
    """

    def __init__(self, views: dict[str, np.ndarray]) -> None:
        self._views = views

    def __getitem__(self, name: str) -> np.ndarray:
        return self._views[name]

    def __setitem__(self, name: str, value: Any) -> None:
        view = self._views[name]
        if value is not view:
            array = _check.floats(f"grad[{name!r}]", value, view.dtype)
            _check.shape(f"grad[{name!r}]", array, view.shape)
            view[...] = array

    def __repr__(self) -> str:
        return f"Gradients({self._views})"

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


class Module(ABC):
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
    grad : Gradients
        The gradients by parameter name, views that may be read and written; ``backward`` adds to
        them, ``zero_grad`` clears them.
    """

    # What is given once, at the making: a layer that changed it would misread its own buffers.
    _fixed: ClassVar[frozenset[str]] = frozenset({"dtype"})

    dtype: np.dtype

    def _make_arena(self, shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype) -> None:
        size = sum(math.prod(shape) for shape in shapes.values())
        # Beside both arenas: initial values are drawn in float64.
        _check.memory("the parameters and their gradients", size, 2 * dtype.itemsize + 8)
        self.dtype = dtype
        self._training = True
        self._shapes = dict(shapes)
        self._arena = _ops.empty(size, dtype)
        self._grad_arena = _ops.empty(size, dtype)
        self._grad_arena[...] = 0
        self._make_views()

    def _make_views(self) -> None:
        self._version = 0
        self._packed_now: tuple[int, Any] | None = None
        self._saved: tuple[int, Any] | None = None
        self._views: dict[str, np.ndarray] = {}
        grads: dict[str, np.ndarray] = {}
        start = 0
        for name, shape in self._shapes.items():
            stop = start + math.prod(shape)
            self._views[name] = self._arena[start:stop].reshape(shape)
            grads[name] = self._grad_arena[start:stop].reshape(shape)
            start = stop
        self._grad_views, self._grads = grads, Gradients(grads)

    def __getstate__(self) -> dict[str, Any]:
        # A copy of a view would no longer be a view of the copied arena.
        views = ("_views", "_grad_views", "_grads", "_packed_now", "_saved")
        return {name: value for name, value in self.__dict__.items() if name not in views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in ("_arena", "_grad_arena"):
            aligned = _ops.empty(state[name].shape, self.dtype)
            aligned[...] = state[name]
            self.__dict__[name] = aligned
        self._make_views()

    def _init_uniform(self, bound: float, seed: Any) -> None:
        """Draw every parameter from U(-bound, bound), as PyTorch does."""
        rng = np.random.default_rng(_check.seed("seed", seed))
        for view in self._views.values():
            view[...] = rng.uniform(-bound, bound, view.shape)

    def invalidate(self) -> None:
        """Have the packed copies of the weights made anew at the next use.

        The library calls this after every change of a parameter.
        """
        # Not through __setattr__, which looks for parameters: once per update and module.
        self.__dict__["_version"] += 1
        self.__dict__["_packed_now"] = None

    def _packed(self) -> Any:
        """Return the packed weights, made anew if the parameters have changed.

        The version is read before the weights: what is packed while another thread changes
        them is not used a second time.
        """
        version, kept = self._version, self._packed_now
        if kept is None or kept[0] != version:
            kept = self.__dict__["_packed_now"] = (version, self._pack())
        return kept[1]

    @abstractmethod
    def _pack(self) -> Any:
        """Make the packed copies of the weights."""

    def _join(
        self,
        sweep: _update.UpdateSweep,
        states: tuple[np.ndarray | None, ...],
        previous: np.ndarray | None,
    ) -> Any:
        """Have a sweep update all parameters; return what it packs, for the calls after it."""
        packed = self._packed_of_now()
        sweep.add(self._arena, self._grad_arena, states, previous)
        for name, view in self._views.items():
            if view.ndim == 2:
                sweep.add_weight(view, self._gates_of(name))
        renewed = None if packed is None else self._renewed(packed, sweep)
        sweep.publish(self.__dict__, renewed)
        return renewed

    def _packed_of_now(self) -> Any:
        """Return what is packed of the parameters that there are now, or None."""
        version, packed = self._packed_now or (-1, None)
        return packed if version == self._version else None

    def _renewed(self, packed: Any, sweep: _update.UpdateSweep) -> Any:
        """Return what a sweep is to fill in place of ``packed``, or None."""
        return None

    def _gates_of(self, name: str) -> int:
        """Return how many gates a weight has, whose rows are packed one beside the other."""
        return 1

    def _keep(self, saved: Any) -> None:
        """Keep what ``backward`` needs, if it may be called."""
        if self.training:
            self._saved = (self._version, saved)

    def _kept(self) -> Any:
        """Return what the last call kept for ``backward``."""
        if self._saved is None:
            raise RuntimeError(
                "backward needs a call of the layer in training mode before it; "
                "there was none, or eval() has dropped what it kept (see Module.train)"
            )
        version, saved = self._saved
        if version != self._version:
            raise RuntimeError(
                "backward follows a call of the layer, but the parameters have changed since the "
                "last one; call the layer again"
            )
        return saved

    @property
    def training(self) -> bool:
        """Whether a call keeps what ``backward`` needs."""
        return self._training

    @property
    def grad(self) -> Gradients:
        """The gradients by parameter name."""
        return self._grads

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
        _check.names("state_dict", state_dict, self._views)
        self._take(self._checked_values(state_dict))

    def _checked_values(
        self, state_dict: Mapping[str, np.ndarray], prefix: str = ""
    ) -> dict[str, np.ndarray]:
        """Return the values of all parameters from a mapping that has their names, so prefixed."""
        return {
            name: self._checked(name, state_dict[prefix + name], prefix) for name in self._views
        }

    def _take(self, checked: Mapping[str, np.ndarray]) -> None:
        for name, value in checked.items():
            self._views[name][...] = value
        self.invalidate()

    def _checked(self, name: str, value: Any, prefix: str = "") -> np.ndarray:
        array = _check.floats(prefix + name, value, self.dtype)
        _check.shape(prefix + name, array, self._views[name].shape)
        _check.finite(prefix + name, array)
        return array

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        self._grad_arena[...] = 0

    def train(self: Self, mode: bool = True) -> Self:
        """Have calls keep (or, with False, not keep) what ``backward`` needs; return self."""
        self._training = _check.flag("mode", mode)
        if not mode:
            self._saved = None
        return self

    def eval(self: Self) -> Self:
        """Have calls keep nothing: the same as ``train(False)``; return self."""
        return self.train(False)

    def __getattr__(self, name: str) -> Any:
        views = self.__dict__.get("_views", {})
        if name in views:
            return _read_only(views[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_views", {}):
            self._views[name][...] = self._checked(name, value)
            self.invalidate()
            return
        made = "_views" in self.__dict__
        if name in ("training", "grad") or (made and self._is_fixed(name)):
            raise AttributeError(
                f"{name!r} of {type(self).__name__} cannot be assigned; its parameters "
                f"are {', '.join(self._shapes)}, everything else is given when it is made"
            )
        object.__setattr__(self, name, value)

    def _is_fixed(self, name: str) -> bool:
        return name in self._fixed or name.startswith(("weight", "bias"))


def _read_only(view: np.ndarray) -> np.ndarray:
    view = view.view()
    view.flags.writeable = False
    return view


def add_product(grad: np.ndarray, a: np.ndarray, b: np.ndarray, num_threads: int | None) -> None:
    """Add a^T b to a gradient, its rows split over threads; the columns of a are contiguous."""
    a, row_work = np.ascontiguousarray(a), grad.size
    threads = _threads.threads_for(len(b) * row_work, _team.stripe_count(len(grad)), num_threads)
    for start, stop in _threads.segments(len(b), row_work):
        _ops.gemm_tn(grad, a[start:stop], b[start:stop], threads)


def product(
    y: np.ndarray,
    x: np.ndarray,
    packed: np.ndarray,
    num_threads: int | None,
    bias: np.ndarray | None = None,
    stored: int = 0,
) -> None:
    """Set y to x @ packed + bias over the last dimension, rows split over threads.

    ``stored`` says what ``packed`` is stored as, one of ``_ops.WEIGHTS``.
    """
    x2, y2 = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    rows_work = x2.shape[1] * y2.shape[1]
    threads = _threads.threads_for(len(x2) * rows_work, len(x2), num_threads)
    for segment in _threads.segments(len(x2), rows_work):
        _ops.gemm(y2, x2, packed, bias, *segment, threads, stored)
