"""Sequences as callers give them, and as the loops take them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrnn import _check
from fastrnn.layers.rows import Rows, rows_of


class Form(NamedTuple):
    """How a caller's sequences lie."""

    steps: int
    batch: int
    batched: bool = True
    batch_first: bool = False
    lengths: np.ndarray | None = None  # of a list of arrays

    def shape(self, *rest: int) -> tuple[int, ...]:
        """Return the shape that an array over all steps has, features ``rest``."""
        if not self.batched:
            return (self.steps, *rest)
        sizes = (self.batch, self.steps) if self.batch_first else (self.steps, self.batch)
        return (*sizes, *rest)

    def given(self, values: np.ndarray) -> Any:
        """Return values (seq_len, batch, …) as the caller's sequences lie."""
        if self.lengths is not None:
            return [values[:n, b] for b, n in enumerate(self.lengths.tolist())]
        if not self.batched:
            return values[:, 0]
        return values.swapaxes(0, 1) if self.batch_first else values

    def taken(self, values: np.ndarray) -> np.ndarray:
        """Return an array over all steps as (seq_len, batch, …)."""
        if not self.batched:
            return values[:, None]
        return values.swapaxes(0, 1) if self.batch_first else values

    def padded(self, name: str, values: Any, rest: tuple[int, ...]) -> Any:
        """Return values as one array over all steps, whatever stands where there is none."""
        if self.lengths is None:
            return values
        if not isinstance(values, (list, tuple)) or len(values) != self.batch:
            raise ValueError(
                f"{name} must be a list of {self.batch} arrays as x is, "
                f"got {_check.describe(values)}"
            )
        arrays = [_check.as_array(f"{name}[{b}]", value) for b, value in enumerate(values)]
        for b, (array, n) in enumerate(zip(arrays, self.lengths.tolist(), strict=True)):
            _check.shape(f"{name}[{b}]", array, (n, *rest))
        return padded(arrays, self.batch_first)


class Inputs(NamedTuple):
    """Sequences ready for the loops."""

    values: np.ndarray  # (N, I), or token ids (N,)
    rows: Rows
    form: Form


def is_list_of_arrays(x: Any) -> bool:
    """Whether x is a list of sequences rather than one array's rows."""
    return (
        isinstance(x, (list, tuple))
        and len(x) > 0
        and all(isinstance(sequence, np.ndarray) for sequence in x)
    )


def padded(arrays: list[np.ndarray], batch_first: bool = False) -> np.ndarray:
    """Return arrays (n_b, …) beside each other, zeros below the shorter ones."""
    steps, rest = max(map(len, arrays)), arrays[0].shape[1:]
    dtype = np.result_type(*arrays)
    together = np.zeros((len(arrays), steps, *rest), dtype)
    for row, array in zip(together, arrays, strict=True):
        row[: len(array)] = array
    return together if batch_first else together.swapaxes(0, 1)


def checked(
    x: Any,
    lengths: Any,
    reset_mask: Any,
    input_size: int,
    tokens: int | None,
    dtype: np.dtype,
    batch_first: bool,
) -> Inputs:
    """Return a layer's input as rows; :class:`fastrnn.RNN` says what it may be.

    With ``tokens`` it is ids of so many and nothing else.
    """
    listed = None
    if is_list_of_arrays(x):
        if lengths is not None:
            raise ValueError("lengths must not be given beside a list of arrays, which have theirs")
        listed, x = _checked_list(x, input_size, batch_first)
    array = _as_array(x)
    is_ids = array.dtype.kind in "iu" and array.ndim in (1, 2)
    if not is_ids and tokens is not None:
        raise ValueError(
            f"x must be integer ids (seq_len, batch) or (seq_len,), which are embedded, "
            f"got {_show(array)}"
        )
    if not is_ids:
        array = _checked_floats(x, array, input_size, dtype)
    if array.size == 0 and listed is None:
        _check.not_empty("x", array)
    batched = array.ndim == (2 if is_ids else 3)
    sizes = array.shape[:2] if batched else (len(array), 1)
    steps, batch = sizes[::-1] if batched and batch_first else sizes
    form = Form(steps, batch, batched, batch_first, listed)
    counts = listed
    if lengths is not None:
        counts = _checked_lengths(lengths, steps, batch)
    fresh = None if reset_mask is None else _checked_mask(reset_mask, form)
    rows = rows_of(steps, batch, counts, fresh)
    values = rows.gather(form.taken(array))
    if is_ids:  # only those that are read need be ids
        return Inputs(_check.token_ids("x", values, tokens or input_size), rows, form)
    return Inputs(np.ascontiguousarray(values), rows, form)


def _as_array(x: Any) -> np.ndarray:
    try:
        return _check.as_array("x", x)
    except ValueError as error:
        if not isinstance(x, (list, tuple)):
            raise
        hint = "sequences of several lengths are a list of arrays, one for each"
        raise ValueError(f"{error}; {hint}") from None


def _checked_list(x: Any, input_size: int, batch_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths of arrays (n_b, I) or ids (n_b,), and all of them padded."""
    first = x[0]
    ids = first.dtype.kind in "iu" and first.ndim == 1
    for b, array in enumerate(x):
        _check.as_array(f"x[{b}]", array)
        if ids and (array.ndim != 1 or array.dtype.kind not in "iu"):
            raise ValueError(
                f"x[{b}] must be integer ids (seq_len,) as x[0] is, got {_show(array)}"
            )
        if not ids and (array.ndim != 2 or array.dtype.kind in "iu"):
            raise ValueError(
                f"x[{b}] must be floats (seq_len, {input_size}) or integer ids (seq_len,), "
                f"got {_show(array)}"
            )
        if not ids and array.shape[1] != input_size:
            raise ValueError(
                f"x[{b}] has {array.shape[1]} features, expected input_size = {input_size}"
            )
    arrays = [_as_int64(f"x[{b}]", array) for b, array in enumerate(x)] if ids else list(x)
    return np.array([len(array) for array in x], np.int64), padded(arrays, batch_first)


def _as_int64(name: str, ids: np.ndarray) -> np.ndarray:
    """Return ids of any integer type as one, so that arrays of several need no common one."""
    if ids.size:
        _check.integer(f"the largest of {name}", int(ids.max()), -(2**63), 2**63 - 1)
    return ids.astype(np.int64)


def _show(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _checked_floats(x: Any, array: np.ndarray, input_size: int, dtype: np.dtype) -> np.ndarray:
    if array.ndim not in (2, 3):
        raise ValueError(
            f"x has shape {array.shape}, expected (seq_len, batch, {input_size}) or "
            f"(seq_len, {input_size}), or integer ids (seq_len, batch) or (seq_len,)"
        )
    array = _check.floats("x", x, dtype)
    if array.shape[-1] != input_size:
        raise ValueError(
            f"x has {array.shape[-1]} features (shape {array.shape}), "
            f"expected input_size = {input_size}"
        )
    return array


def _checked_lengths(lengths: Any, steps: int, batch: int) -> np.ndarray:
    """Return how many steps each sequence has, int64 (batch,)."""
    array = _check.integers("lengths", lengths)
    _check.shape("lengths", array, (batch,))
    for extreme in (array.min(), array.max()):
        _check.integer("every length", int(extreme), 0, steps)
    return array.astype(np.int64)


def _checked_mask(reset_mask: Any, form: Form) -> np.ndarray:
    """Return where states start afresh, (seq_len, batch)."""
    array = _check.as_array("reset_mask", reset_mask)
    if array.dtype != np.bool_:
        raise TypeError(f"reset_mask must hold booleans, got dtype {array.dtype}")
    _check.shape("reset_mask", array, form.shape())
    return form.taken(array)
