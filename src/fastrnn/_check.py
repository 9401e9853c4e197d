"""The one gate for what users pass in: types, values, dtypes, shapes, sizes.

Every function returns the checked value in the form the library works with or
raises ``TypeError`` (wrong type or dtype) or ``ValueError`` (wrong value or shape)
with a sentence naming the argument, what it was and what was expected.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from fastrnn import _ops

FLOAT_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))

# Above this a dimension is a mistake rather than a model; it also keeps every product of
# two dimensions and an item size inside 64 bits.
MAX_SIZE = 2**31 - 1

# A seed is stored in model files, and other programs' integers end here.
MAX_SEED = 2**63 - 1


def describe(value: object) -> str:
    """Say what ``value`` is, briefly enough for an error message."""
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = "a huge number"
    if len(text) > 60:
        text = text[:57] + "..."
    return f"{text} ({type(value).__name__})"


def integer(name: str, value: Any, minimum: int = 1, maximum: int = MAX_SIZE) -> int:
    """Return ``value`` as an int in [minimum, maximum]; booleans and floats are refused."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer, got {describe(value)}")
    try:
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {describe(value)}") from None
    if not minimum <= result <= maximum:
        shown = result if abs(result) < 2**128 else "a number beyond 2**128"
        raise ValueError(f"{name} must be between {minimum} and {maximum}, got {shown}")
    return result


def seed(name: str, value: Any) -> int | None:
    """Return a seed for random numbers: an integer from 0 to 2**63 - 1, or None for a new one."""
    return None if value is None else integer(name, value, 0, MAX_SEED)


def flag(name: str, value: Any) -> bool:
    """Return ``value`` as a bool; anything but True and False is refused."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {describe(value)}")
    return bool(value)


def callbacks(name: str, value: Any) -> None:
    """Require a list or tuple of functions."""
    if not isinstance(value, (list, tuple)) or not all(map(callable, value)):
        raise TypeError(f"{name} must be a list of functions, got {describe(value)}")


def path(name: str, value: Any) -> str:
    """Return a file's path as a string."""
    try:
        result = os.fsdecode(value)
    except TypeError:
        raise TypeError(f"{name} must be a path, got {describe(value)}") from None
    if not result or "\0" in result:
        raise ValueError(f"{name} must be a path, got {describe(value)}")
    return result


def number(
    name: str,
    value: Any,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    *,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return ``value`` as a finite float in [minimum, maximum], strictly above/below if given."""
    result = value if type(value) is float else _as_float(name, value)
    if not math.isfinite(result):
        raise ValueError(f"{name} must be finite, got {result}")
    if above is not None and result <= above:
        raise ValueError(f"{name} must be greater than {above:g}, got {result:g}")
    if below is not None and result >= below:
        raise ValueError(f"{name} must be less than {below:g}, got {result:g}")
    if result < minimum:
        raise ValueError(f"{name} must be at least {minimum:g}, got {result:g}")
    if result > maximum:
        raise ValueError(f"{name} must be at most {maximum:g}, got {result:g}")
    return result


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``options``."""
    if isinstance(value, str) and value in options:
        return value
    listed = ", ".join(repr(option) for option in options)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {listed}, got {describe(value)}")
    raise ValueError(f"{name} must be one of {listed}, got {value!r}")


def weights(name: str, value: Any, dtype: np.dtype[Any]) -> int:
    """Return what a step of a layer of ``dtype`` shall store weights as, of ``_ops.WEIGHTS``.

    None is as the layer has them. Only those of a float32 layer can be stored smaller.
    """
    if value is None:
        return 0
    stored = choice(name, value, tuple(_ops.WEIGHTS))
    if dtype != np.float32:
        raise ValueError(
            f"{name} must not be given for a layer of dtype {dtype}, got {stored!r}; "
            f"only float32 weights can be stored smaller"
        )
    return _ops.WEIGHTS[stored]


def float_dtype(name: str, value: Any) -> np.dtype[Any]:
    """Return ``value`` as ``dtype('float32')`` or ``dtype('float64')``."""
    try:
        dtype = np.dtype(object if value is None else value)
    except TypeError:
        raise TypeError(f"{name} must be float32 or float64, got {describe(value)}") from None
    if dtype not in FLOAT_DTYPES:
        raise TypeError(f"{name} must be float32 or float64, got {dtype}")
    return dtype


def names(name: str, value: Any, expected: Collection[str]) -> None:
    """Check that ``value`` is a mapping of exactly these names."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, got {describe(value)}")
    missing = [one for one in expected if one not in value]
    unknown = [str(one) for one in value if one not in expected]
    if missing or unknown:
        raise ValueError(
            f"{name} must hold {', '.join(expected)}; missing: {', '.join(missing) or 'none'}; "
            f"unknown: {', '.join(unknown) or 'none'}"
        )


def floats(name: str, value: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """Return ``value`` as a C-contiguous array of ``dtype``, copying only when it must.

    A cast is made only when it loses nothing (float16 to float32, float32 to float64). Python's
    own floats, alone or in lists, have no dtype to lose and are rounded.
    """
    array = as_array(name, value)
    if isinstance(value, (list, tuple, float)) and array.dtype == np.float64:
        return np.asarray(array, dtype=dtype, order="C")
    if array.dtype.kind != "f" or not np.can_cast(array.dtype, dtype, "safe"):
        raise TypeError(
            f"{name} has dtype {array.dtype}, expected {dtype}; "
            f"convert it explicitly, for example by .astype('{dtype}')"
        )
    return np.asarray(array, dtype=dtype, order="C")


def reals(name: str, value: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """Return a user's data series as finite numbers of ``dtype``.

    Unlike :func:`floats` this takes integers and rounds to ``dtype``: it is for data that
    enters an estimator, whose scaling chooses the precision, not for tensors. Numbers that
    ``dtype`` cannot hold, NaN and infinity are refused.
    """
    array = as_array(name, value)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got {describe(array)}")
    with np.errstate(over="ignore"):
        result = np.asarray(array, dtype=dtype, order="C")
    finite(name, result)
    return result


def finite(name: str, array: np.ndarray) -> None:
    """Refuse NaN and infinity, saying where the first one is."""
    bad = ~np.isfinite(array)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        at = where[0] if len(where) == 1 else where
        raise ValueError(
            f"{name} must be finite, got {array[where]} at index {at} "
            f"({int(bad.sum())} of {array.size} values are not finite)"
        )


def integers(name: str, value: Any, meaning: str = "integers") -> np.ndarray:
    """Return an array of any integer type; an empty list is of none, and taken for one."""
    array = as_array(name, value)
    if not array.size and isinstance(value, (list, tuple, range)):
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold {meaning}, got {describe(array)}")
    return array


def token_ids(name: str, value: np.ndarray, size: int) -> np.ndarray:
    """Return a copy of integer ids as C-contiguous int64 in [0, size).

    What the program writes to its own array while a loop runs would reach beyond arrays.
    """
    ids = np.array(value, dtype=np.int64, order="C")
    if not _ops.are_ids(ids, size):
        low, high = value.min(), value.max()
        raise ValueError(
            f"{name} must hold ids from 0 to {size - 1}, got {low if low < 0 else high}"
        )
    return ids


def shape(name: str, array: np.ndarray, expected: tuple[int, ...]) -> None:
    """Require exactly this shape."""
    if array.shape != expected:
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}")


def not_empty(name: str, array: np.ndarray) -> None:
    """Require at least one element in every dimension."""
    if array.size == 0:
        raise ValueError(
            f"{name} is empty (shape {array.shape}); every dimension must be at least 1"
        )


def memory(what: str, *counts_and_itemsize: int) -> None:
    """Refuse a buffer larger than the machine's memory before it is allocated."""
    needed = math.prod(map(int, counts_and_itemsize))
    available = _physical_memory()
    if needed > available:
        raise MemoryError(
            f"{what} would take {needed / 2**30:,.1f} GiB, "
            f"more than the {available / 2**30:,.1f} GiB of memory in this machine"
        )


def as_array(name: str, value: Any) -> np.ndarray:
    """Return ``value`` as an array of numbers, of whatever dtype it has; no copy of an array."""
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise ValueError(f"{name} has masked values, expected an array without")
        value = value.data
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} cannot be read as an array: {error}") from None
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{name} must hold numbers, got {describe(value)}")
    return array


def _as_float(name: str, value: Any) -> float:
    try:
        is_scalar = np.ndim(value) == 0
    except ValueError:
        is_scalar = False
    if isinstance(value, (bool, np.bool_, str, bytes)) or not is_scalar:
        raise TypeError(f"{name} must be a number, got {describe(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {describe(value)}") from None


@cache
def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 2**40


def state(name: str, value: Any, parts: Sequence[str]) -> Sequence[Any] | None:
    """Return the parts of a recurrent state: ``value`` itself if there is one, else a pair's."""
    if value is None:
        return None
    is_pair = isinstance(value, (tuple, list)) and len(value) == len(parts)
    if len(parts) == 1:
        if isinstance(value, tuple):
            raise TypeError(f"{parts[0]} must be one array, got a tuple of {len(value)}")
        return (value,)
    if not is_pair:
        raise TypeError(f"{name} must be a tuple ({', '.join(parts)}), got {describe(value)}")
    return value


def named_state(value: Any, parts: Sequence[str]) -> list[tuple[str, Any]] | None:
    """Return the parts of an argument ``state``, each beside what a message calls it."""
    names = parts if len(parts) > 1 else ("state",)
    given = state("state", value, names)
    return None if given is None else list(zip(names, given, strict=True))
