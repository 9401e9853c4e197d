"""What training takes of memory is bounded, at a step and over many."""

from __future__ import annotations

import copy
import gc
import subprocess
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from oracles.implementations import CELLS, LAYERS

import fastrnn


@pytest.mark.parametrize("cell", CELLS)
def test_no_array_of_all_steps_by_all_classes_is_made(cell: str) -> None:
    steps, batch, classes = 128, 16, 10_000
    net = fastrnn.Network(LAYERS[cell](classes, 8, seed=0), fastrnn.Linear(8, classes, seed=1))
    ids = np.random.default_rng(0).integers(0, classes, (steps + 1, batch))
    net.loss_and_grad(ids[:2], ids[1:3])  # the gradients' own memory, and what is packed
    tracemalloc.start()
    try:
        net.loss_and_grad(ids[:-1], ids[1:])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < steps * batch * classes * net.layer.dtype.itemsize / 4


TRAINS_FOR_LONG = """
import os, fastrnn
fastrnn.set_num_threads(2)
pages, text = os.sysconf("SC_PAGESIZE"), "the cat sat on the mat. " * 50
def resident():
    with open("/proc/self/statm") as file:
        return pages * int(file.read().split()[1])
sizes = []
def note(progress):
    if progress.step % 500 == 0:
        sizes.append(resident())
model = fastrnn.CharRNN("{cell}", 32, vocabulary=text)
model.fit(text, steps=4000, batch_size=8, seq_len=20, dropout=0.2, callbacks=[note])
print(sizes[-1] - sizes[1], len(sizes))
"""


@pytest.mark.unsanitized
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_thousands_of_steps_take_no_more_memory_than_the_first(cell: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", TRAINS_FOR_LONG.format(cell=cell)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    grown, count = map(int, result.stdout.split())
    assert count == 8
    # Its history keeps a record of each step, of some 350 bytes.
    assert grown < 3000 * 700


def trained(layer: Any) -> Any:
    optimizer = fastrnn.optim.Adam(layer)
    out, _ = layer(np.ones((4, 2, layer.input_size), np.float32))
    layer.backward(out)
    optimizer.step()
    return layer


def learnt(cell: str) -> Any:
    model = fastrnn.CharRNN(cell, 8, seed=0)
    model.fit("the cat sat on the mat. " * 20, steps=3, batch_size=2, seq_len=5)
    model.generate("the", length=3)
    return model.network.layer


def forecasting(cell: str) -> Any:
    forecaster = fastrnn.Forecaster(cell=cell, window=5).fit(fastrnn.data.sine(60), epochs=2)
    forecaster.forecast(2)
    return forecaster.network.layer


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "make",
    [
        *(lambda cell=cell: trained(LAYERS[cell](3, 8, seed=0)) for cell in CELLS),
        lambda: trained(fastrnn.LSTM(3, 8, 2, proj_size=4, dropout=0.1, bidirectional=True)),
        lambda: trained(fastrnn.GRU(3, 8, layer_norm=True, recurrent_dropout=0.1)),
        lambda: trained(fastrnn.Jordan(3, 8, 4)),
        lambda: copy.deepcopy(trained(fastrnn.GRU(3, 8))),
        *(lambda cell=cell: learnt(cell) for cell in CELLS),
        *(lambda cell=cell: forecasting(cell) for cell in CELLS),
    ],
)
def test_what_nobody_refers_to_any_more_is_freed_without_the_garbage_collector(
    make: Callable[[], Any],
) -> None:
    made = make()
    reference = weakref.ref(made)
    del made
    assert reference() is None
