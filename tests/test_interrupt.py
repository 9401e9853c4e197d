"""Ctrl-C stops training within a second and leaves a usable model."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import fastrnn
from fastrnn import CharRNN, Forecaster, data, optim

if os.name == "posix":
    import fcntl
    import termios

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 100


@pytest.mark.parametrize(
    ("method", "comes_after"),
    [("_rule", False), ("_make", True)],
    ids=["just before", "just after"],
)
def test_an_interrupt_amid_an_update_leaves_the_model_of_the_last_complete_step(
    monkeypatch, method, comes_after
) -> None:
    model = CharRNN(hidden_size=8, vocabulary=VERSE)
    complete = CharRNN(hidden_size=8, vocabulary=VERSE).fit(VERSE, steps=2, schedule="constant")
    undisturbed, calls = getattr(optim.Adam, method), []

    def stops_at_the_third_update(self: object, *arguments: object) -> object:
        calls.append(arguments)
        if len(calls) < 3:
            return undisturbed(self, *arguments)
        if comes_after:
            undisturbed(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(optim.Adam, method, stops_at_the_third_update)
    with pytest.raises(KeyboardInterrupt):
        model.fit(VERSE, steps=9, schedule="constant")
    monkeypatch.undo()
    assert [record["step"] for record in model.history] == [1, 2]
    for name, weight in complete.network.state_dict().items():
        np.testing.assert_array_equal(model.network.state_dict()[name], weight)


@pytest.fixture
def ctrl_c_raises():
    """Python's own handler, whatever the process that started the tests did with SIGINT."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


needs_signals = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")

# For a sign of progress: long for the slowest machine with the slowest checks built in.
PATIENCE = 120.0


class CtrlC:
    """Sends SIGINT to this process as soon as ``ready`` says that the work is under way.

    The promise is to stop within a second on a machine that does its work at its usual speed.
    Under a sanitizer or beside other processes everything takes longer, and so may this: a
    second, and as long as the work took to get ready.
    """

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready
        self._thread = threading.Thread(target=self._run)
        self._inside = threading.Event()

    def __enter__(self) -> None:
        self._started = time.perf_counter()
        self._thread.start()
        self._inside.set()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        stopped = time.perf_counter()
        self._thread.join()
        assert kind is KeyboardInterrupt
        assert stopped - self._sent < 1.0 + (self._sent - self._started)
        return True

    def _run(self) -> None:
        # Where the machine is busy the work may count as under way before it was begun, and nobody
        # would catch the interrupt there.
        self._inside.wait()
        time.sleep(0.05)
        while not self._ready() and time.perf_counter() - self._started < PATIENCE:
            time.sleep(0.001)
        self._sent = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)


@needs_signals
def test_an_interrupted_fit_stops_within_a_second_and_the_model_goes_on(ctrl_c_raises) -> None:
    model = CharRNN(hidden_size=64)
    with CtrlC(lambda: len(model.history) >= 3):
        model.fit(VERSE, epochs=100_000)
    done = len(model.history)
    assert done >= 3
    assert len(model.generate("the ", 20)) == 24
    assert np.isfinite(model.evaluate(VERSE)["loss"])
    assert len(model.fit(VERSE, steps=2).history) == done + 2


@needs_signals
def test_an_interrupted_forecaster_stops_within_a_second_and_predicts(ctrl_c_raises) -> None:
    forecaster = Forecaster(20)
    with CtrlC(lambda: len(forecaster.history) >= 3):
        forecaster.fit(data.sine(500), epochs=10**8)
    assert len(forecaster.history) >= 3
    assert np.isfinite(forecaster.forecast(3)).all()


@needs_signals
@pytest.mark.unsanitized
def test_an_interrupted_generation_stops_within_a_second(ctrl_c_raises) -> None:
    model = CharRNN(hidden_size=64, vocabulary=VERSE)
    started = time.perf_counter()
    model.generate("the ", 50_000)
    time_of_many_steps = time.perf_counter() - started
    started = time.perf_counter()
    with CtrlC(lambda: time.perf_counter() - started > time_of_many_steps):
        model.generate("the ", 50_000_000)
    assert len(model.generate("the ", 20)) == 24


@needs_signals
@pytest.mark.unsanitized
@pytest.mark.parametrize(
    ("number", "times", "status"),
    [(signal.SIGINT, 1, 130), (signal.SIGINT, 3, 130), (signal.SIGTERM, 1, 143)],
)
def test_an_interrupted_command_saves_a_usable_model_within_a_second(
    tmp_path, number, times, status
) -> None:
    (tmp_path / "text").write_text(VERSE)
    command = [sys.executable, "-m", "fastrnn", "train", str(tmp_path / "text")]
    command += ["--out", str(tmp_path / "model"), "--epochs", "100000"]
    started = time.perf_counter()
    terminal, its_end = os.openpty()  # the bar is for terminals, as wide as they are
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=its_end,
        text=True,
        # A shell may have started the tests with SIGINT ignored, which a child inherits.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(its_end)
    with killed_after(PATIENCE, process):
        next(line for line in process.stdout if line.startswith("training"))
        shown = ""
        while not re.search(r"loss 0\.[0-4]", shown):  # a uniform guess has 2.6
            shown += read(terminal) or pytest.fail(f"it ended: {shown}")
        sent = time.perf_counter()
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.05)
        errors = "".join(iter(lambda: read(terminal), ""))
        output, _ = process.communicate()
        assert time.perf_counter() - sent < 1.0 + (sent - started)
    os.close(terminal)
    assert process.returncode == status
    assert output == ""
    message = errors.splitlines()[-1]
    assert re.fullmatch(r"fastrnn: interrupted after \d[\d,]* training steps; the .*", message)
    assert message.endswith(f"the model as it is was saved to {tmp_path / 'model'}")
    assert "Traceback" not in errors
    model = fastrnn.load(tmp_path / "model")
    assert model.evaluate(VERSE)["loss"] < 2.5
    assert sorted(os.listdir(tmp_path)) == ["model", "text"]


def read(terminal: int) -> str:
    """Return what the terminal shows next, and nothing once its other end is closed."""
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:  # Linux's way to say so
        return ""


@contextlib.contextmanager
def killed_after(seconds: float, process: subprocess.Popen[str]) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.kill()
