"""Memory of results is kept for the next of the same size, and never shared or hoarded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from fastrnn import _ops

SIZE = 1 << 20
MOST_KEPT = 1 << 26


def allocated_by(make: Callable[[], object]) -> int:
    """Return how many bytes are in use after it, more than before; NumPy tells of its own."""
    tracemalloc.start()
    try:
        kept_alive = make()
        in_use, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del kept_alive
    return in_use


def test_memory_that_nobody_uses_any_more_is_used_again() -> None:
    first = _ops.empty(SIZE, np.float32)
    assert allocated_by(lambda: _ops.empty(SIZE, np.float32)) > 4 * SIZE
    del first
    assert allocated_by(lambda: _ops.empty(SIZE, np.float32)) < 10_000


def test_memory_is_used_again_for_another_shape_and_dtype_of_as_many_bytes() -> None:
    first = _ops.empty((SIZE // 8, 8), np.float32)
    del first
    assert allocated_by(lambda: _ops.empty((2, SIZE // 4), np.float64)) < 10_000


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
    del first
    too_large = _ops.empty(MOST_KEPT // 4, np.float32)
    del too_large
    assert allocated_by(lambda: _ops.empty(SIZE, np.float32)) < 10_000


def test_what_is_kept_is_bounded_in_bytes() -> None:
    def many_sizes() -> None:
        for megabytes in range(1, 200):
            _ops.empty(megabytes << 18, np.float32)

    assert MOST_KEPT // 2 < allocated_by(many_sizes) < MOST_KEPT + SIZE


def test_what_is_kept_is_bounded_in_number() -> None:
    def many_sizes() -> None:
        for more in range(400):
            _ops.empty((1 << 14) + 16 * more, np.float32)

    assert 64 * (1 << 16) < allocated_by(many_sizes) < 64 * 2 * (1 << 16)


def test_memory_that_cannot_be_had_is_an_error() -> None:
    with pytest.raises(MemoryError):
        _ops.empty(1 << 58, np.float32)
