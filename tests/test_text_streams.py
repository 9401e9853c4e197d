"""Training walks a text in parallel streams, from any step on, whatever the text is kept in."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.corpus import streams as module
from fastrnn.corpus.streams import Streams

sizes = st.integers(1, 12)


def test_streams_are_contiguous_and_each_target_is_the_next_id() -> None:
    streams = Streams.split(np.arange(100), 4, 8)
    assert (streams.batch_size, streams.stream_len) == (4, 24)
    inputs, targets, first = next(streams.walk(24))
    np.testing.assert_array_equal(inputs.T, np.arange(96).reshape(4, 24))
    np.testing.assert_array_equal(targets, inputs + 1)
    assert first


@pytest.mark.parametrize(("length", "count"), [(65, 1), (128, 1), (129, 2), (2049, 32), (9999, 32)])
def test_a_short_text_is_cut_into_fewer_streams_of_a_window_at_least(length, count) -> None:
    streams = Streams.split(np.zeros(length, np.int64), 32, 64)
    assert streams.batch_size == count
    assert streams.stream_len >= 64


@given(st.integers(2, 200), sizes, sizes)
def test_a_pass_reads_every_stream_once_in_chunks(length: int, batch: int, seq_len: int) -> None:
    ids = np.arange(max(length, seq_len + 1))
    streams = Streams.split(ids, batch, seq_len)
    count = streams.chunk_count(seq_len)
    chunks = list(islice(streams.walk(seq_len), 2 * count))
    assert [first for *_, first in chunks] == ([True] + [False] * (count - 1)) * 2
    for half in (chunks[:count], chunks[count:]):
        whole = np.concatenate([inputs for inputs, *_ in half])
        np.testing.assert_array_equal(whole.T.ravel(), ids[: whole.size])
        assert whole.shape == (streams.stream_len, streams.batch_size)
    assert {len(inputs) for inputs, *_ in chunks[: count - 1]} <= {seq_len}
    for steps in range(2 * count + 1):
        seen = sum(targets.size for _, targets, _ in chunks[:steps])
        assert streams.target_count(steps, seq_len) == seen


@pytest.mark.parametrize("block", [1, 100, 2**18])
@given(first_step=st.integers(0, 50), batch=sizes, seq_len=sizes)
def test_a_walk_begins_at_any_step(block: int, first_step: int, batch: int, seq_len: int) -> None:
    streams = Streams.split(np.arange(150), batch, seq_len)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        late = list(islice(streams.walk(seq_len, first_step), 20))
    on_time = list(islice(streams.walk(seq_len), first_step, first_step + 20))
    for one, other in zip(late, on_time, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
        assert one[2] == other[2]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_chunks_are_contiguous_int64_whatever_the_ids_are_kept_as(dtype) -> None:
    for inputs, targets, _ in islice(Streams.split(np.arange(99, dtype=dtype), 4, 5).walk(5), 9):
        for part in (inputs, targets):
            assert part.dtype == np.int64
            assert part.flags.c_contiguous


class Watched:
    """A million ids that are made when they are read, and how many that was."""

    read = 0

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, piece: slice) -> np.ndarray:
        self.read += piece.stop - piece.start
        return np.arange(piece.start, piece.stop)


@pytest.mark.parametrize("first_step", [0, 100, 10**6])
def test_no_more_is_read_than_a_block(first_step: int) -> None:
    ids = Watched()
    walk = Streams.split(ids, 32, 64).walk(64, first_step)
    for _ in range(3):
        next(walk)
    assert 0 < ids.read < 2**18 + 100
