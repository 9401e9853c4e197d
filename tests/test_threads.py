"""Calls from, into and across threads and processes behave."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from oracles.implementations import CELLS, GATED_CELLS, LAYERS, by_name

import fastrnn
from fastrnn import _team, _threads
from fastrnn.layers import sweep
from fastrnn.layers.rows import Rows
from fastrnn.sampling import beam_ids, generate_ids
from fastrnn.scoring import log_probs

every_cell = pytest.mark.parametrize("cell", CELLS)


def train_step(threads: int, cell: str = "rnn", batch: int = 13) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    net = fastrnn.Network(LAYERS[cell](7, 33, seed=0), fastrnn.Linear(33, 7, seed=1))
    ids, targets = rng.integers(0, 7, (2, 40, batch))
    loss, state = net.loss_and_grad(ids, targets, num_threads=threads)
    final = by_name(cell, state, "{}").values()
    return [np.array(loss), *final, *net.layer.grad.values(), *net.readout.grad.values()]


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize("batch", [13, 17])
@every_cell
def test_any_number_of_threads_gives_the_same_bits(cell: str, batch: int) -> None:
    expected = train_step(1, cell, batch)
    for threads in (2, 3, 5, 8):
        for got, wanted in zip(train_step(threads, cell, batch), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize("batch", [1, 17])
@every_cell
def test_several_python_threads_may_call_at_once(cell: str, batch: int) -> None:
    layer = LAYERS[cell](5, 80, seed=0).eval()
    rngs = [np.random.default_rng(i) for i in range(8)]
    inputs = [rng.normal(size=(50, batch, 5)).astype(np.float32) for rng in rngs]
    expected = [layer(x, num_threads=1)[0] for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda x: layer(x, num_threads=3)[0], inputs * 5))
    for got, wanted in zip(results, expected * 5, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize("given", ["floats", "ids", "lengths", "reset_mask"])
@pytest.mark.parametrize("batch", [1, 2, 3, 7, 15, 16])
@every_cell
def test_threads_that_share_units_or_sequences_give_the_same_bits(
    cell: str, batch: int, given: str
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, batch, 5)).astype(np.float32)
    if given == "ids":
        x = rng.integers(0, 5, (30, batch))
    options = {
        "lengths": {"lengths": rng.integers(1, 31, batch)},
        "reset_mask": {"reset_mask": rng.random((30, batch)) < 0.1},
    }.get(given, {})

    def there_and_back(threads: int) -> list[np.ndarray]:
        layer = LAYERS[cell](5, 97, seed=0)
        output, state = layer(x, num_threads=threads, **options)
        layer.backward(np.ones_like(output), num_threads=threads)
        return [output, *by_name(cell, state, "{}").values(), *layer.grad.values()]

    expected = there_and_back(1)
    for threads in (2, 3, 5):
        for got, wanted in zip(there_and_back(threads), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("batch", "options"), [(1, {}), (1, {"lengths": [299]}), (15, {})])
def test_threads_share_the_units_of_few_sequences_there_and_back(
    batch: int, options: dict[str, Any]
) -> None:
    layer = fastrnn.LSTM(5, 300, seed=0)
    x = np.random.default_rng(0).normal(size=(300, batch, 5)).astype(np.float32)

    def gradient(threads: int) -> tuple[np.ndarray, int, int]:
        before = _team.turns_helped()
        output, _ = layer(x, num_threads=threads, **options)
        between = _team.turns_helped()
        grad_x, _ = layer.backward(np.ones_like(output), num_threads=threads)
        return grad_x, between - before, _team.turns_helped() - between

    expected, *helped = gradient(1)
    assert helped == [0, 0]
    both = [False, False]
    for _ in range(100):
        got, *helped = gradient(2)
        np.testing.assert_array_equal(got, expected)
        both = [had or now > 0 for had, now in zip(both, helped, strict=True)]
        if all(both):
            return
    pytest.fail(f"(forward, backward) shared in 100 calls: {both}")


@pytest.mark.usefixtures("always_split")
@pytest.mark.parametrize("batch", [16, 31])
@every_cell
def test_threads_that_share_units_of_many_weights_give_the_same_bits(
    monkeypatch, cell: str, batch: int
) -> None:
    monkeypatch.setattr(sweep, "FAR_WEIGHTS", 0)
    layer = LAYERS[cell](5, 97, seed=0)
    x = np.random.default_rng(0).normal(size=(20, batch, 5)).astype(np.float32)
    assert layer._sweeps[0]._threads(Rows(20, batch), 97 * 97, 2)[1]

    def there_and_back(threads: int) -> list[np.ndarray]:
        layer.zero_grad()
        output, state = layer(x, num_threads=threads)
        grad_x, _ = layer.backward(np.ones_like(output), num_threads=threads)
        return [output, grad_x, *by_name(cell, state, "{}").values(), *layer.grad.values()]

    expected = [part.copy() for part in there_and_back(1)]
    for threads in (2, 3):
        for got, wanted in zip(there_and_back(threads), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("hidden", "batch", "threads", "shared"),
    [
        (64, 12, 2, (2, True)),
        (64, 12, 16, (12, False)),
        (384, 16, 2, (2, False)),
        (512, 16, 2, (2, True)),
        (512, 31, 2, (2, True)),
        (512, 32, 2, (2, False)),
        (512, 20, 20, (20, False)),
    ],
)
def test_units_are_shared_of_a_dozen_sequences_or_many_weights_where_as_many_threads_can(
    hidden: int, batch: int, threads: int, shared: tuple[int, bool]
) -> None:
    layer = fastrnn.GRU(64, hidden, seed=0)
    row_work = 3 * hidden * (64 + hidden)
    assert layer._sweeps[0]._threads(Rows(1000, batch), row_work, threads) == shared


ON_ONE_PROCESSOR = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # threads started from now on inherit it
import numpy as np, fastrnn
from fastrnn import _threads
layer = fastrnn.LSTM(5, 300, seed=0).eval()
x = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
one, two, five = (layer(x, num_threads=threads)[0] for threads in (1, 2, 5))
threads = [int(thread) for thread in os.listdir("/proc/self/task")]
assert _threads._workers == 4
assert all(len(os.sched_getaffinity(thread)) == 1 for thread in threads)
np.testing.assert_array_equal(two, one)
np.testing.assert_array_equal(five, one)
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"),
    reason="ties threads to a processor and reads in /proc that all of them are",
)
def test_threads_that_have_one_processor_share_a_sequence_all_the_same() -> None:
    subprocess.run([sys.executable, "-c", ON_ONE_PROCESSOR], check=True, timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.usefixtures("always_split")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes_the_same() -> None:
    expected = train_step(3)
    child = os.fork()
    if child == 0:
        same = all(
            np.array_equal(got, wanted) for got, wanted in zip(train_step(3), expected, strict=True)
        )
        os._exit(0 if same else 1)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the forked child hung")


@pytest.mark.unsanitized
@every_cell
def test_other_python_threads_run_during_a_call(cell: str) -> None:
    layer = LAYERS[cell](64, 512, seed=0).eval()
    x = np.zeros((300, 16, 64), np.float32)
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=tick)
    thread.start()
    while ticks == 0:
        time.sleep(0.001)
    before = ticks
    layer(x, num_threads=1)
    during = ticks - before
    stop.set()
    thread.join()
    assert during >= 3


def test_nothing_spins_after_a_call() -> None:
    layer = fastrnn.RNN(64, 256, seed=0).eval()
    layer(np.zeros((200, 32, 64), np.float32), num_threads=2)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1


@every_cell
def test_the_floating_point_mode_is_as_it_was_after_every_call(cell: str) -> None:
    layer, readout = LAYERS[cell](3, 4, seed=0), fastrnn.Linear(4, 3, seed=1)
    net, ids = fastrnn.Network(layer, readout), np.array([[0, 1], [2, 0]])
    x = np.ones((5, 2, 3), np.float32)
    calls = [
        lambda: layer(x),
        lambda: layer.backward(np.ones((5, 2, 4), np.float32)),
        lambda: layer(ids),
        lambda: layer.backward(np.ones((2, 2, 4), np.float32)),
        lambda: layer.stream().step(x[0, 0]),
        lambda: readout.backward(readout(np.ones((2, 4), np.float32))[:, ::1] * 0),
        lambda: net(ids),
        lambda: net.loss(ids, ids),
        lambda: net.loss_and_grad(ids, ids),
        lambda: generate_ids(net, [0], 3),
        lambda: beam_ids(net, [0], 3, 2),
        lambda: list(log_probs(net, ids[:, 0], weights="int8")),
    ]
    tiny = np.array([1e-310])
    for call in calls:
        call()
        assert (tiny / 2)[0] > 0


@pytest.mark.parametrize("cell", GATED_CELLS)
def test_a_gradient_that_fades_in_a_gate_becomes_zero_and_not_subnormal(cell: str) -> None:
    layer = LAYERS[cell](1, 16, seed=0)
    for name, value in layer.parameters().items():
        setattr(layer, name, np.zeros_like(value))
    bias = np.zeros_like(layer.bias_ih_l0)
    bias[16:32] = -7  # f or z: of what remembers, e^-7 stays
    layer.bias_ih_l0 = bias
    layer(np.zeros((60, 3, 1), np.float32))
    memory = "grad_c_n" if cell == "lstm" else "grad_h_n"
    _, grad_state = layer.backward(**{memory: np.ones((1, 3, 16), np.float32)})
    assert all(not part.any() for part in by_name(cell, grad_state, "{}").values())
    gradients = np.concatenate([value.ravel() for value in layer.grad.values()])
    assert np.abs(gradients[gradients != 0]).min(initial=1) >= np.finfo(np.float32).tiny


def test_gradients_that_vanish_become_zero_and_not_subnormal() -> None:
    layer = fastrnn.RNN(1, 16, nonlinearity="linear", seed=0)
    layer.weight_hh_l0 = np.full((16, 16), 1e-3, np.float32)
    layer(np.zeros((60, 3, 1), np.float32))
    grad_x, _ = layer.backward(None, np.ones((1, 3, 16), np.float32))
    smallest = np.finfo(np.float32).smallest_normal
    assert grad_x[-1].any()
    assert not grad_x[0].any()
    assert np.abs(grad_x[grad_x != 0]).min() >= smallest


# Each takes seconds to minutes on any machine, if it is not interrupted.
LONG_CALLS = {
    "forward": "layer(ids)",
    "forward lstm": "lstm(ids)",
    "forward gru": "gru(ids)",
    "read-out": "net.loss_and_grad(few, few, outputs='all')",
    "wide read-out": "wide.loss_and_grad(many, many)",
    "linear": "readout.backward(readout(x))",
    "generate": "generate_ids(net, [0], 10**6, num_samples=64)",
    "beam search": "beam_ids(net, [0], 10**5, 64)",
    "wide beam": "beam_ids(tiny, [0], 10**5, 1000)",
    "rare draws": "generate_ids(rare, [0], 10**6, top_p=0.9)",
    "small steps": "generate_ids(small, [0], 10**8)",
    "many ends": "generate_ids(small, [0], 10**7, stop=[[0] * 99 + [i] for i in range(2)] * 999)",
    "long prompt": "generate_ids(net, np.zeros(10**6, int), 1)",
    "long prompt of int8": "generate_ids(net, np.zeros(10**6, int), 1, weights='int8')",
    "log-probabilities": "list(log_probs(net, np.zeros(10**6, int), weights='int8'))",
}
LONG_CALL = """
import signal, numpy as np, fastrnn
from fastrnn.sampling import beam_ids, generate_ids
from fastrnn.scoring import log_probs
# A parent may have had interrupts ignored, as nohup does.
signal.signal(signal.SIGINT, signal.default_int_handler)
layer = fastrnn.RNN(8, 1024, seed=0).eval()
lstm, gru = fastrnn.LSTM(8, 512).eval(), fastrnn.GRU(8, 512).eval()
ids = np.zeros((20000, 64), np.int8)
net = fastrnn.Network(fastrnn.RNN(30000, 1024), fastrnn.Linear(1024, 30000))
tiny = fastrnn.Network(fastrnn.RNN(100, 4), fastrnn.Linear(4, 100))
rare = fastrnn.Network(fastrnn.RNN(8000, 4), fastrnn.Linear(4, 8000))
small = fastrnn.Network(fastrnn.RNN(2, 1), fastrnn.Linear(1, 2))
few = np.zeros((64, 64), np.int64)
wide = fastrnn.Network(fastrnn.RNN(40000, 256), fastrnn.Linear(256, 40000))
many = np.zeros((40, 600), np.int64)
readout = fastrnn.Linear(4096, 4096)
x = np.zeros((20000, 4096), np.float32)
layer(ids[:2])
print("running", flush=True)
try:
    {call}
    print("finished")
except KeyboardInterrupt:
    print("interrupted", layer(ids[:2])[1].shape)
"""


@pytest.mark.unsanitized
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("call", LONG_CALLS)
def test_ctrl_c_ends_a_long_call_within_a_second_and_the_layer_lives_on(call: str) -> None:
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", LONG_CALL.format(call=LONG_CALLS[call])],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    getting_ready = time.monotonic() - started
    time.sleep(0.3)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert output == "interrupted (1, 64, 1024)\n"
    # A second for the call; for the interpreter to end, on a machine as busy as it is now, no more
    # than it took to start.
    assert time.monotonic() - start < 1.0 + getting_ready


@pytest.mark.parametrize("rows", [1, 2000])
def test_elements_of_next_to_no_work_are_cut_into_segments_too(rows: int) -> None:
    segments = _threads.segments(10**8 // rows, 1, rows)
    assert segments[0][0] == 0
    assert segments[-1][1] == 10**8 // rows
    assert all(stop == begin for (_, stop), (begin, _) in itertools.pairwise(segments))
    # Even at 50 ns a row.
    assert max(stop - start for start, stop in segments) * rows * 50e-9 < 0.2


def test_a_step_of_many_rows_of_next_to_no_work_counts_as_many(monkeypatch) -> None:
    asked = []

    def segment_size(work: float, rows: int = 1) -> int:
        asked.append(rows)
        return size(work, rows)

    size = _threads.segment_size
    monkeypatch.setattr(_threads, "segment_size", segment_size)
    layer = fastrnn.LSTM(1, 2, seed=0)
    output, _ = layer(np.zeros((3, 50, 1), np.float32))
    assert asked.count(50) == 1
    layer.backward(output)
    assert asked.count(50) == 2


@every_cell
def test_cutting_a_call_into_segments_changes_no_bit(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Chunks of the way back, which are segments at most, have a step each in both.
    monkeypatch.setattr(sweep, "CHUNK_ROWS", 1)
    monkeypatch.setattr(sweep, "CHUNK_NUMBERS", 1)
    whole = train_step(1, cell)
    # A step of the loops, and of the read-out, which is elsewhere if that is more.
    monkeypatch.setattr(_threads, "SEGMENT_WORK", 10_000)
    for got, wanted in zip(train_step(1, cell), whole, strict=True):
        if got.ndim:
            np.testing.assert_array_equal(got, wanted)
        else:  # the loss is a sum of segments, in double
            np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_a_thread_may_go_on_when_the_main_thread_has_ended() -> None:
    script = (
        "import threading, time, numpy as np, fastrnn\n"
        "from fastrnn import _threads\n"
        "_threads.MINIMUM_SHARE = 1\n"
        "layer = fastrnn.RNN(3, 40).eval()\n"
        "def work():\n"
        "    threading.main_thread().join()\n"
        "    for _ in range(3):\n"
        "        layer(np.zeros((5, 8, 3), np.float32), num_threads=2)\n"
        "    print('done', flush=True)\n"
        "threading.Thread(target=work).start()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "done\n", result.stderr


class AlarmError(Exception):
    """What a signal raises."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
@pytest.mark.usefixtures("always_split")
def test_a_call_that_a_signal_ends_leaves_the_team_as_it_was() -> None:
    expected = train_step(1)

    def ring(*_: object) -> None:
        raise AlarmError

    previous = signal.signal(signal.SIGALRM, ring)
    ended = 0
    gc.disable()  # Hypothesis watches collections, and would be what a signal ends
    try:
        for i in range(100):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 * (i + 1))
                until = time.monotonic() + 1
                while time.monotonic() < until:
                    train_step(3)
            except AlarmError:
                ended += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        gc.enable()
    # Python ignores an exception that a signal raises inside a finaliser, now and then.
    assert ended > 90
    for got, wanted in zip(train_step(3), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_where_no_thread_can_be_started_the_caller_does_all_once() -> None:
    script = (
        "import threading, numpy as np, fastrnn\n"
        "from fastrnn import _threads\n"
        "_threads.MINIMUM_SHARE = 1\n"
        "net = fastrnn.Network(fastrnn.RNN(7, 33, seed=0), fastrnn.Linear(33, 7, seed=1))\n"
        "ids = np.random.default_rng(0).integers(0, 7, (40, 13))\n"
        "def step(threads):\n"
        "    net.zero_grad()\n"
        "    loss, _ = net.loss_and_grad(ids, ids, num_threads=threads)\n"
        "    return [loss, *(g.copy() for m in net.modules for g in m.grad.values())]\n"
        "def same(a, b):\n"
        "    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))\n"
        "expected, start = step(1), threading.Thread.start\n"
        "def refuse(self):\n"
        '    raise RuntimeError("can\'t start new thread")\n'
        "threading.Thread.start = refuse\n"
        "assert same(step(3), expected)\n"
        "assert threading.active_count() == 1\n"
        "threading.Thread.start = start\n"
        "assert same(step(3), expected)\n"
        "assert threading.active_count() == 3\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
