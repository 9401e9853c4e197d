"""The benchmark's own promises: wrong results are refused, the estimated limit is what it says."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastrnn.bench import _probe, peers, probe, report, run, timing
from fastrnn.bench.limit import limit_seconds
from fastrnn.bench.peers import contenders, load
from fastrnn.bench.probe import Constants
from fastrnn.bench.problem import Problem, WrongResultError
from fastrnn.bench.rows import GATES, QUICK, ROWS, Row, select

# Round numbers near those of a Zen 5 core: 64 operations per cycle, 48 KiB of L1, 1 MiB of L2.
CONSTANTS = Constants(
    clock_ghz=4.0,
    peak_gflops=256.0,
    vector_bits=512,
    cache_bytes=(48 << 10, 1 << 20, 32 << 20),
    read_gbytes=(512.0, 200.0, 100.0),
)
TAIL = 65 / 4e9

cells = pytest.mark.parametrize("cell", list(GATES))


def test_names_of_rows_are_unique_and_select_by_pattern() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) == 66
    assert select("^seq GRU .* H64$") == [Row("seq", 64, 64, steps=1000, cell="GRU")]


@cells
def test_quick_has_a_row_of_every_kind(cell: str) -> None:
    kinds = [row.kind for row in select(QUICK) if row.cell == cell]
    assert sorted(kinds) == ["batch", "gen", "seq", "step", "train"]


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


@cells
def test_the_limit_of_training_counts_three_products_of_each_kind(cell: str) -> None:
    row = Row("train", hidden_size=256, input_size=65, batch=32, steps=100, cell=cell)
    seconds = 100 * 32 * (6 * GATES[cell] * 256 * 256 + 6 * 256 * 65) / 256e9
    assert limit_seconds(row, CONSTANTS, 1) == pytest.approx(seconds)


# Microseconds worked out by hand from the same model, for one core with these constants.
WORKED_OUT = Constants(4.05, 258.0, 512, (48 << 10, 1 << 20, 32 << 20), (478.0, 200.0, 118.0))


@pytest.mark.parametrize(
    ("name", "microseconds"),
    [
        ("step RNN I16 H16", 0.0203),
        ("step GRU I16 H16", 0.0449),
        ("step LSTM I16 H16", 0.0491),
        ("step GRU I64 H64", 0.524),
        ("step LSTM I64 H256", 8.29),
        ("seq RNN B1 T1000 H256", 1454),
        ("seq GRU B1 T1000 H16", 62.2),
        ("seq GRU B1 T1000 H64", 373),
        ("seq LSTM B1 T1000 H512", 33747),
        ("batch RNN B256 T100 H512", 58525),
        ("batch GRU B16 T100 H128", 914),
        ("batch LSTM B64 T100 H256", 16257),
        ("train RNN B1 T25 H100", 10.7),
        ("train GRU B1 T25 H100", 41.2),
        ("train GRU B32 T100 H256", 15870),
        ("train LSTM B1 T25 H100", 53.1),
        ("train LSTM B256 T100 H256", 165974),
        ("gen RNN H128", 0.57),
        ("gen GRU H512", 25.0),
        ("gen LSTM H64", 0.503),
    ],
)
def test_the_limit_has_the_values_worked_out_for_a_known_machine(
    name: str, microseconds: float
) -> None:
    (row,) = select(f"^{name}$")
    assert 1e6 * limit_seconds(row, WORKED_OUT, 1) == pytest.approx(microseconds, rel=5e-3)


def test_threads_that_share_a_sequence_read_their_part_of_the_weights() -> None:
    (row,) = select("^seq GRU B1 T1000 H256$")
    tail = 1000 * limit_seconds(select("^step GRU I16 H16$")[0], CONSTANTS, 1)
    one, two = (limit_seconds(row, CONSTANTS, threads) for threads in (1, 2))
    assert one / 2 < two < one / 2 + tail
    (step,) = select("^step GRU I64 H256$")
    assert limit_seconds(step, CONSTANTS, 2) == limit_seconds(step, CONSTANTS, 1)


def test_the_probe_reads_every_element_as_often_as_it_says() -> None:
    x = np.arange(1000, dtype=np.float32) % 7
    assert _probe.reads(x, 3) == 3 * x.sum()
    assert _probe.chain(100) == 112
    assert _probe.vector_bits() in (128, 256, 512)
    operations = _probe.multiply_adds(10)
    assert operations == 10 * _probe.multiply_adds(1) > 0


def test_the_probe_measures_a_machine_whose_caches_are_known(monkeypatch) -> None:
    monkeypatch.setattr(probe, "REPEATS", 2)
    monkeypatch.setattr(probe, "_sizes_from_sysfs", lambda: [32 << 10, 1 << 20, 8 << 20])
    constants = probe.measure()
    assert constants.cache_bytes == (32 << 10, 1 << 20, 8 << 20)
    measured = (constants.clock_ghz, constants.peak_gflops, *constants.read_gbytes)
    assert all(0.01 < rate < 1e5 for rate in measured)
    assert f"{constants.vector_bits}-bit" in report.constants_line(constants)


def test_without_known_caches_there_is_no_limit_and_the_grid_says_so(monkeypatch) -> None:
    monkeypatch.setattr(probe, "_sizes_from_sysfs", lambda: [32 << 10, 0, 0])
    said: list[str] = []
    assert run._constants(said.append) is None
    assert said == ["No estimated limit: the sizes of the caches are not known.\n"]
    row = Row("step", 16, 16)
    result = report.Result(row, {"fastrnn": {"stream": 1.0}}, None)
    assert report.Table(["fastrnn"]).line(result).count("–") == 3


SMALL = [
    ("step", 16, 12, 1, 1),
    ("seq", 16, 8, 1, 20),
    ("batch", 16, 8, 3, 20),
    ("train", 16, 65, 1, 20),
    ("train", 16, 65, 3, 20),
]
SMALL_ROWS = [Row(*sizes, cell=cell) for cell in GATES for sizes in SMALL]


@pytest.mark.parametrize("row", SMALL_ROWS, ids=lambda row: f"{row.kind}-{row.cell}-B{row.batch}")
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


class AlwaysZero:
    """A library that is fast and wrong."""

    def step(self, problem: Problem) -> list[peers.Contender]:
        def outcome() -> dict[str, np.ndarray]:
            return {"output": np.zeros((len(problem.x), 1, problem.row.hidden_size))}

        return [peers.Contender("zero", "at once", lambda: pytest.fail("it was timed"), outcome)]


def test_a_wrong_library_stops_the_run_before_it_is_timed() -> None:
    libraries = [load("numpy", 1), AlwaysZero()]
    with pytest.raises(WrongResultError, match=r"step RNN I16 H16: output of zero \(at once\)"):
        run._measure(Row("step", 16, 16), libraries, None, 1, run.QUICK)


def check_every_form(library: str) -> int:
    """Check every form of a library on a small row of each kind and cell; return how many."""
    count = 0
    loaded = load(library, 1)
    drawing = [Row("gen", 64, 65, steps=300, cell=cell) for cell in GATES]
    for row in [*SMALL_ROWS, *drawing]:
        problem = Problem(row)
        for contender in contenders(loaded, problem):
            with contender.context():
                contender.call()
                contender.outcome()  # what is reused must not remember it
                problem.check(contender.who, contender.outcome())
            count += 1
    return count


@pytest.mark.parametrize("library", ["fastrnn", "numpy"])
def test_every_form_is_right_and_remembers_nothing(library: str) -> None:
    assert check_every_form(library) == 18


@pytest.mark.parametrize(
    ("library", "forms"), [("torch", 36), ("jax", 32), ("onnxruntime", 9), ("openvino", 9)]
)
def test_every_form_of_a_peer_is_right_and_remembers_nothing(library: str, forms: int) -> None:
    if peers.missing(library):
        pytest.skip(f"{library} is not installed")
    # In a process of its own: some of them start threads, and warn of forks, from their import on.
    code = f"import test_bench_grid; print(test_bench_grid.check_every_form({library!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == forms


@pytest.mark.parametrize(
    ("cell", "weight", "factor"),
    [
        ("RNN", "weight_hh_l0", 0),  # a cell that forgets
        ("LSTM", "weight_hh_l0", 0),
        ("RNN", "weight_ih_l0", -1),  # one that reads something else
        ("GRU", "weight_ih_l0", -1),
        ("LSTM", "weight_ih_l0", -1),
    ],
)
def test_characters_drawn_from_another_model_are_refused(cell: str, weight: str, factor) -> None:
    row = Row("gen", 64, 65, steps=1000, cell=cell)
    problem, other = Problem(row), Problem(row)
    other.layer[weight] *= np.float32(factor)
    (forgetful,) = contenders(load("numpy", 1), other)
    with pytest.raises(WrongResultError, match="standard deviations"):
        problem.check("numpy", forgetful.outcome())


def test_a_library_that_is_not_installed_is_left_out_with_a_line(monkeypatch) -> None:
    absent = {"onnx"}
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else found(name)
    )
    said: list[str] = []
    assert list(run._load(["onnxruntime", "numpy"], 1, said.append)) == ["fastrnn", "numpy"]
    assert len(said) == 1
    assert said[0].startswith("onnxruntime is left out: ")
    assert "onnx" in said[0]


class Clock:
    """Time that passes as it is asked for, in a process whose other thread works for some of it."""

    def __init__(self, busy: float) -> None:
        self.now, self.busy = 0.0, busy

    def perf_counter(self) -> float:
        self.now += 1e-4
        return self.now

    def process_time(self) -> float:
        return self.now + min(self.now, self.busy)


@pytest.mark.parametrize("busy", [0.0, 0.03, 0.1])
def test_a_contender_waits_for_the_threads_of_the_one_before(monkeypatch, busy) -> None:
    clock = Clock(busy)
    monkeypatch.setattr(timing, "time", clock)
    timing._settle()
    assert max(timing.SETTLE, busy) < clock.now < max(timing.SETTLE, busy) + 3 * timing.LOOK


def test_a_contender_does_not_wait_for_ever_for_threads_that_never_sleep(monkeypatch) -> None:
    clock = Clock(float("inf"))
    monkeypatch.setattr(timing, "time", clock)
    timing._settle()
    assert 0.2 < clock.now < 0.5


def test_a_plot_without_matplotlib_is_refused_before_any_work(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'fastrnn\[plot\]'"):
        run.Files(plot=str(tmp_path / "grid.png")).check()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("limit", [0.5, None])
def test_the_grid_is_drawn_to_a_file_in_the_format_of_its_name(limit, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    results = [
        report.Result(row, {"fastrnn": {"a": 1.0}, "jax": {"a": 2.0, "b": 1.5}}, limit)
        for row in select("^(step|gen)")
    ]
    about = {"cpu": "a CPU", "isa": "baseline", "threads": 1, "date": "2026-01-01T00:00"}
    document = run._document(about, None, run.QUICK, results)
    for name in ("grid.svg", "grid.png"):
        run._draw(str(tmp_path / name), document)
    drawn = (tmp_path / "grid.svg").read_text()
    assert len(drawn) > 10_000
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_the_best_peer_is_the_fastest_form_of_the_fastest_library() -> None:
    forms = {"fastrnn": {"a": 2.0}, "torch": {"a": 9.0, "b": 4.0}, "numpy": {"a": 5.0}}
    result = report.Result(Row("step", 16, 16), forms, 1.0)
    assert (result.best_peer, result.lead, result.over_limit) == ("torch", 2.0, 2.0)
    assert report.summary([result]) == (
        "fastrnn is ahead of every measured peer (torch, numpy) in 1 of 1 rows."
    )
