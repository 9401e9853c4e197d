"""Memory of results is kept for the next of the same size, and never shared or hoarded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from fastrnn import _ops

SIZE = 1 << 20
MOST_KEPT = 1 << 26


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_that_nobody_uses_any_more_is_used_again() -> None:
    first = _ops.empty(SIZE, np.float32)
    where = address(first)
    del first
    assert address(_ops.empty(SIZE, np.float32)) == where


def test_memory_is_used_again_for_another_shape_and_dtype_of_as_many_bytes() -> None:
    first = _ops.empty((SIZE // 8, 8), np.float32)
    where = address(first)
    del first
    again = _ops.empty((2, SIZE // 4), np.float64)
    assert address(again) == where
    assert again.shape == (2, SIZE // 4)
    assert again.dtype == np.float64


@pytest.mark.parametrize("view", [lambda a: a[5:], lambda a: a.reshape(4, -1).T, memoryview])
def test_memory_is_not_used_again_while_a_view_of_it_lives(
    view: Callable[[np.ndarray], object],
) -> None:
    first = _ops.empty(SIZE, np.float32)
    first[:] = 7
    alive = view(first)
    del first
    others = [_ops.empty(SIZE, np.float32) for _ in range(3)]
    for other in others:
        other[:] = 1
    assert np.all(np.asarray(alive) == 7)


def test_arrays_that_live_at_once_do_not_overlap() -> None:
    arrays = [_ops.empty(SIZE, np.float32) for _ in range(8)]
    for number, array in enumerate(arrays):
        array[:] = number
    assert [set(array) for array in arrays] == [{number} for number in range(8)]


def test_memory_too_large_to_be_kept_displaces_nothing() -> None:
    first = _ops.empty(SIZE, np.float32)
    where = address(first)
    del first
    too_large = _ops.empty(MOST_KEPT // 4, np.float32)
    del too_large
    assert address(_ops.empty(SIZE, np.float32)) == where


def test_what_is_kept_is_bounded() -> None:
    tracemalloc.start()  # NumPy tells it of what it allocates
    try:
        for megabytes in range(1, 200):
            _ops.empty(megabytes << 18, np.float32)
        in_use, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert MOST_KEPT // 2 < in_use < MOST_KEPT + SIZE


def test_memory_that_cannot_be_had_is_an_error() -> None:
    with pytest.raises(MemoryError):
        _ops.empty(1 << 58, np.float32)
