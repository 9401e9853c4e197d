"""The grid's own promises: wrong contenders are refused, the estimated limit is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.grid.limit import limit_seconds
from benchmarks.grid.peers import contenders, load
from benchmarks.grid.probe import Constants
from benchmarks.grid.problem import Problem, WrongResultError
from benchmarks.grid.rows import ROWS, Row, select

# Round numbers near those of a Zen 5 core: 64 operations per cycle, 48 KiB of L1, 1 MiB of L2.
CONSTANTS = Constants(
    clock_ghz=4.0,
    peak_gflops=256.0,
    vector_bits=512,
    cache_bytes=(48 << 10, 1 << 20, 32 << 20),
    read_gbytes=(512.0, 200.0, 100.0),
)
TAIL = 65 / 4e9


def test_names_of_rows_are_unique_and_select_by_pattern() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert select("^seq .* H64$") == [Row("seq", 64, 64, steps=1000)]


def test_the_limit_of_a_small_step_is_its_weights_from_l1_and_the_tail() -> None:
    row = Row("step", hidden_size=16, input_size=16)
    assert limit_seconds(row, CONSTANTS, 1) == pytest.approx(2048 / 512e9 + TAIL)


def test_the_limit_of_a_sequence_reads_what_l2_does_not_hold_from_l3() -> None:
    in_l2 = 25 * (1 << 20) // 32
    reading = in_l2 / 200e9 + ((1 << 20) - in_l2) / 100e9
    projection = 2 * 512 * 64 / 256e9
    row = Row("seq", hidden_size=512, input_size=64, steps=10)
    assert limit_seconds(row, CONSTANTS, 1) == pytest.approx(10 * (reading + projection + TAIL))


def test_the_limit_of_a_batch_is_its_arithmetic_shared_by_the_threads() -> None:
    row = Row("batch", hidden_size=128, input_size=64, batch=64, steps=100)
    seconds = 100 * 2 * 64 * 128 * (128 + 64) / 256e9
    assert limit_seconds(row, CONSTANTS, 1) == pytest.approx(seconds)
    assert limit_seconds(row, CONSTANTS, 2) == pytest.approx(seconds / 2)


def test_the_limit_of_training_counts_three_products_of_each_kind() -> None:
    row = Row("train", hidden_size=256, input_size=65, batch=32, steps=100)
    seconds = 100 * 32 * (6 * 256 * 256 + 6 * 256 * 65) / 256e9
    assert limit_seconds(row, CONSTANTS, 1) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "row",
    [
        Row("step", 16, 16),
        Row("seq", 16, 8, steps=20),
        Row("batch", 16, 8, 3, 20),
        Row("train", 16, 65, 3, 20),
    ],
    ids=lambda row: row.kind,
)
def test_a_result_that_is_slightly_off_is_refused(row: Row) -> None:
    problem = Problem(row)
    (contender,) = contenders(load("numpy", 1), problem)
    outcome = contender.outcome()
    problem.check("numpy", outcome)
    for name in outcome:
        right = outcome[name]
        wrong = np.array(right, np.float64)
        wrong.flat[0] += 1e-3 * np.abs(wrong).max()
        with pytest.raises(WrongResultError, match=name):
            problem.check("numpy", outcome | {name: wrong})


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_form_of_training_is_right(library: str, batch: int) -> None:
    pytest.importorskip(library)
    problem = Problem(Row("train", 16, 65, batch, 20))
    for contender in contenders(load(library, 1), problem):
        with contender.context():
            contender.outcome()  # buffers that are reused must not remember it
            problem.check(contender.who, contender.outcome())


def test_characters_drawn_from_another_model_are_refused() -> None:
    row = Row("gen", 64, 65, steps=1000)
    problem, other = Problem(row), Problem(row)
    problem.check("numpy", contenders(load("numpy", 1), problem)[0].outcome())
    other.rnn["weight_hh_l0"] = np.zeros_like(other.rnn["weight_hh_l0"])
    (forgetful,) = contenders(load("numpy", 1), other)
    with pytest.raises(WrongResultError, match="standard deviations"):
        problem.check("numpy", forgetful.outcome())
