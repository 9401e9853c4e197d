"""Ctrl-C stops training within a second and leaves a usable model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastrnn
from fastrnn import CharRNN, optim

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 100


class StopsAtTheThirdUpdate(optim.Adam):
    """Adam, interrupted when the layer is updated and the readout is not."""

    def step(self) -> None:
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls < 3:
            super().step()
        else:
            layer = self.interrupted_modules[0]
            layer.bias_ih_l0 = np.ones_like(layer.bias_ih_l0)
            raise KeyboardInterrupt


def test_an_interrupt_amid_an_update_leaves_the_model_of_the_last_complete_step(
    monkeypatch,
) -> None:
    model = CharRNN(hidden_size=8, vocabulary=VERSE)
    complete = CharRNN(hidden_size=8, vocabulary=VERSE).fit(VERSE, steps=2, schedule="constant")
    StopsAtTheThirdUpdate.interrupted_modules = model.network.modules
    monkeypatch.setitem(fastrnn.train.OPTIMIZERS, "adam", StopsAtTheThirdUpdate)
    with pytest.raises(KeyboardInterrupt):
        model.fit(VERSE, steps=9, schedule="constant")
    assert [record["step"] for record in model.history] == [1, 2]
    for name, weight in complete.network.state_dict().items():
        np.testing.assert_array_equal(model.network.state_dict()[name], weight)


def interrupt_after(seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


@pytest.fixture
def ctrl_c_raises():
    """Python's own handler, whatever the process that started the tests did with SIGINT."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


needs_signals = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")


@needs_signals
def test_an_interrupted_fit_stops_within_a_second_and_the_model_goes_on(ctrl_c_raises) -> None:
    model = CharRNN(hidden_size=64)
    interrupt_after(0.5)
    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.fit(VERSE, epochs=100_000)
    assert time.perf_counter() - started < 1.5
    done = len(model.history)
    assert done > 0
    assert len(model.generate("the ", 20)) == 24
    assert np.isfinite(model.evaluate(VERSE)["loss"])
    assert len(model.fit(VERSE, steps=2).history) == done + 2


@needs_signals
def test_an_interrupted_generation_stops_within_a_second(ctrl_c_raises) -> None:
    model = CharRNN(hidden_size=64, vocabulary=VERSE)
    interrupt_after(0.3)
    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.generate("the ", 50_000_000)
    assert time.perf_counter() - started < 1.3
    assert len(model.generate("the ", 20)) == 24


@needs_signals
def test_an_interrupted_command_saves_a_usable_model_within_a_second(tmp_path) -> None:
    (tmp_path / "text").write_text(VERSE)
    command = [sys.executable, "-m", "fastrnn", "train", str(tmp_path / "text")]
    command += ["--out", str(tmp_path / "model"), "--epochs", "100000", "--quiet"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell may have started the tests with SIGINT ignored, which a child inherits.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stdout:
        if line.startswith("training"):
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    sent = time.perf_counter()
    _, errors = process.communicate(timeout=30)
    assert time.perf_counter() - sent < 1.0
    assert process.returncode == 130
    assert errors.startswith("fastrnn: interrupted after ")
    assert str(tmp_path / "model") in errors
    assert len(errors.splitlines()) == 1
    model = fastrnn.load(tmp_path / "model")
    assert model.evaluate(VERSE)["loss"] < 2.5  # it had begun to learn: a uniform guess has 2.6
    assert sorted(os.listdir(tmp_path)) == ["model", "text"]
