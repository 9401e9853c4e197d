"""A stream gives step by step what its layer gives for the whole sequence."""

from __future__ import annotations

import contextlib
import copy
import pickle
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from oracles.implementations import (
    CELLS,
    KINDS,
    LAYERS,
    STATES,
    by_name,
    compiled_layer,
    compiled_pass,
    make_case,
    reference_states,
)
from oracles.sweeps import DTYPES, floats_and_ids
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import _team


@floats_and_ids
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [1, 2, 3, 17])
@pytest.mark.parametrize("hidden_size", [1, 7, 16, 33, 65])
def test_its_states_are_those_of_the_reference(
    hidden_size: int, batch: int, dtype: Any, ids: bool
) -> None:
    for kind in KINDS:
        case = make_case(11, (5, batch, 3, hidden_size), kind, dtype, ids=ids)
        expected = reference_states(case)
        stream = compiled_layer(case).stream(batch_size=batch)
        stream.reset(case.state)
        for t, x_t in enumerate(case.x):
            assert_within(stream.step(x_t), expected["h"][t + 1], rounding(dtype))
            for name, value in by_name(case.cell, stream.state, "{}").items():
                assert_within(value[0], expected[name][t + 1], rounding(dtype))


@floats_and_ids
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [1, 3, 17])
@pytest.mark.parametrize("kind", KINDS)
def test_its_states_have_the_bits_of_a_whole_sequence(
    kind: str, batch: int, dtype: Any, ids: bool
) -> None:
    case = make_case(12, (5, batch, 33, 65), kind, dtype, ids=ids)
    whole = compiled_pass(case)
    stream = compiled_layer(case).stream(batch_size=batch)
    stream.reset(case.state)
    np.testing.assert_array_equal([stream.step(x_t) for x_t in case.x], whole["output"])
    for name, value in by_name(case.cell, stream.state, "{}_n").items():
        np.testing.assert_array_equal(value, whole[name])


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_longer_than_one_chunk_of_projections_gives_the_same_bits(cell: str) -> None:
    layer = LAYERS[cell](3, 97, seed=0)
    x = np.random.default_rng(0).normal(size=(1500, 3)).astype(np.float32)
    stream = layer.stream()
    output, _ = layer(x)
    assert output.nbytes > 2 * 2**18
    np.testing.assert_array_equal(output, [stream.step(x_t) for x_t in x])


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_from_zero_and_returns_to_it(kind: str) -> None:
    case = make_case(12, (4, 1, 3, 5), kind, with_state=False)
    expected = compiled_pass(case)["output"][:, 0]
    stream = compiled_layer(case).stream()
    for _ in range(2):
        assert all(not part.any() for part in by_name(case.cell, stream.state, "{}").values())
        np.testing.assert_array_equal([stream.step(x_t) for x_t in case.x[:, 0]], expected)
        stream.reset()


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_from_the_state_that_it_told(kind: str) -> None:
    case = make_case(13, (6, 2, 3, 17), kind)
    first, second = (compiled_layer(case).stream(batch_size=2) for _ in range(2))
    first.reset(case.state)
    for x_t in case.x[:3]:
        first.step(x_t)
    second.reset(first.state)
    for x_t in case.x[3:]:
        np.testing.assert_array_equal(first.step(x_t), second.step(x_t))


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_that_it_tells_is_a_copy(kind: str) -> None:
    case = make_case(14, (2, 2, 3, 5), kind)
    stream = compiled_layer(case).stream(batch_size=2)
    stream.reset(case.state)
    told = stream.state
    before = by_name(case.cell, told, "{}")
    for part in told if case.cell == "lstm" else (told,):
        part[...] = 9
    for name, value in by_name(case.cell, stream.state, "{}").items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_where_it_is_told_to(kind: str) -> None:
    case = make_case(15, (4, 3, 5, 17), kind)
    expected = compiled_pass(case)["output"]
    stream = compiled_layer(case).stream(batch_size=3)
    stream.reset(case.state)
    out = np.empty(expected.shape[1:])
    for x_t, h_t in zip(case.x, expected, strict=True):
        assert stream.step(x_t, out=out) is out
        np.testing.assert_array_equal(out, h_t)


@pytest.mark.parametrize("cell", CELLS)
def test_it_keeps_the_weights_that_its_layer_had(cell: str) -> None:
    layer = LAYERS[cell](3, 5, seed=0)
    stream, x_t = layer.stream(), np.ones(3, np.float32)
    expected = layer.stream().step(x_t)
    layer.bias_ih_l0 = layer.bias_ih_l0 + 1
    np.testing.assert_array_equal(stream.step(x_t), expected)
    assert not np.array_equal(layer.stream().step(x_t), expected)
    assert len(by_name(cell, stream.state, "{}")) == len(STATES[cell])


@pytest.mark.parametrize(
    ("batch_size", "x_t"),
    [
        (1, np.ones(3, np.float32)),
        (3, np.ones((3, 3), np.float32)),
        (1, 2),
        (3, np.array([0, 1, 2])),
    ],
    ids=["floats", "batch of floats", "id", "batch of ids"],
)
@pytest.mark.parametrize("cell", CELLS)
def test_it_allocates_nothing_when_told_where_to_write(
    cell: str, batch_size: int, x_t: Any
) -> None:
    stream = LAYERS[cell](3, 500, seed=0).stream(batch_size)
    out = np.empty(500 if batch_size == 1 else (batch_size, 500), np.float32)
    taken = []
    tracemalloc.start()
    try:
        for _ in range(200):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            stream.step(x_t, out=out)
            _, peak = tracemalloc.get_traced_memory()
            taken.append(peak - before)
    finally:
        tracemalloc.stop()
    # What another thread or the collector takes is in a few steps, and is less than is lost here
    # if every step leaves something.
    assert np.median(taken) < out.nbytes / 2
    assert before < 20 * out.nbytes


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize("ids", [False, True], ids=["floats", "ids"])
@pytest.mark.parametrize("kind", KINDS)
def test_threads_that_share_its_sequences_give_the_same_bits(kind: str, ids: bool) -> None:
    case = make_case(16, (4, 300, 3, 97), kind, np.float32, ids=ids)  # enough to be shared

    def steps(threads: int) -> np.ndarray:
        fastrnn.set_num_threads(threads)
        try:
            stream = compiled_layer(case).stream(batch_size=300)
            return np.array([stream.step(x_t) for x_t in np.repeat(case.x, 3, axis=0)])
        finally:
            fastrnn.set_num_threads(None)

    expected, helped = steps(1), _team.helped()
    for _ in range(100):
        np.testing.assert_array_equal(steps(3), expected)
        if _team.helped() > helped:
            return
    pytest.fail("no other thread helped in 100 turns")


@pytest.fixture
def threads_alternate_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    fastrnn.set_num_threads(1)
    yield
    fastrnn.set_num_threads(None)
    sys.setswitchinterval(before)


@contextlib.contextmanager
def may_be_refused() -> Iterator[None]:
    """Let pass that another thread is in the stream, and no other error."""
    try:
        yield
    except RuntimeError as error:
        if "another thread is using this stream" not in str(error):
            raise


@pytest.mark.usefixtures("threads_alternate_often")
@pytest.mark.parametrize("hidden_size", [16, 1024], ids=["with the GIL", "without the GIL"])
def test_of_two_threads_in_one_stream_each_is_refused_or_makes_a_whole_step(
    hidden_size: int,
) -> None:
    layer = fastrnn.LSTM(10, hidden_size, num_layers=2, seed=0)
    stream, ends = layer.stream(), time.monotonic() + 1.0
    made = [0, 0]

    def work(number: int) -> None:
        while time.monotonic() < ends:
            with may_be_refused(), pytest.raises(ValueError, match="between 0 and 9"):
                stream.step(10**12)
            with may_be_refused():
                stream.step(3)
                made[number] += 1
            if number:
                with may_be_refused():
                    assert all(np.isfinite(part).all() for part in stream.state)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    alone = layer.stream()
    for _ in range(sum(made)):
        alone.step(3)
    for got, wanted in zip(stream.state, alone.state, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert any(made)


@pytest.fixture
def the_gil_is_never_taken_away() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(100)
    fastrnn.set_num_threads(2)
    yield
    fastrnn.set_num_threads(None)
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("the_gil_is_never_taken_away")
def test_a_long_step_uses_threads_and_lets_other_python_threads_run() -> None:
    stream = fastrnn.LSTM(64, 512, seed=0).stream(batch_size=64)
    x_t = np.ones((64, 64), np.float32)
    turns, is_over = [0], threading.Event()

    def count() -> None:
        while not is_over.is_set():
            turns[0] += 1
            time.sleep(0)  # gives the GIL back

    thread = threading.Thread(target=count)
    thread.start()
    helped = _team.helped()
    released = False
    try:
        for _ in range(100):
            before = turns[0]
            stream.step(x_t)
            released = released or turns[0] > before
            if released and _team.helped() > helped:
                break
    finally:
        is_over.set()
        thread.join()
    assert released
    assert _team.helped() > helped


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_says_how_to_copy_it(copied: Any) -> None:
    with pytest.raises(TypeError, match=r"other.reset\(stream.state\)"):
        copied(fastrnn.GRU(3, 5).stream())


@pytest.mark.parametrize(
    ("batch_size", "x", "error", "message"),
    [
        (1, 3, ValueError, "x must be between 0 and 2, got 3"),
        (1, -1, ValueError, "x must be between 0 and 2, got -1"),
        (1, 2**70, ValueError, "x must be between 0 and 2"),
        (1, True, TypeError, "bool"),
        (2, 1, ValueError, "shape"),
        (2, np.array([0, 3]), ValueError, "3"),
        (2, np.array([0, 1, 2]), ValueError, "shape"),
    ],
)
def test_ids_out_of_range_are_refused_and_change_nothing(
    batch_size: int, x: Any, error: type[Exception], message: str
) -> None:
    stream = fastrnn.GRU(3, 5, seed=0).stream(batch_size)
    before = stream.state
    with pytest.raises(error, match=message):
        stream.step(x)
    np.testing.assert_array_equal(stream.state, before)


@pytest.mark.parametrize("shape", [(2, 5), (4, 5), (3, 4), (3, 6), (5,), (15,), (1, 3, 5)])
def test_an_out_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    stream, out = fastrnn.GRU(2, 5, seed=0).stream(3), np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match="out"):
        stream.step(np.ones((3, 2), np.float32), out)
    assert not out.any()
    assert not stream.state.any()
