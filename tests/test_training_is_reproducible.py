"""The same seed gives the same model and the same text, bit for bit."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from oracles.implementations import CELLS

from fastrnn import CharRNN

# Wide and long enough that several threads share the work.
TEXT = "".join(f"{n} squared is {n * n}\n" for n in range(1500))
OPTIONS = {"steps": 4, "batch_size": 32, "seq_len": 32}


def model_bytes(tmp_path, *, num_threads: int | None = None, **settings: object) -> bytes:
    model = CharRNN(hidden_size=96, **settings).fit(TEXT, **OPTIONS, num_threads=num_threads)
    model.save(tmp_path / "model")
    return (tmp_path / "model").read_bytes()


@pytest.mark.unsanitized
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_number_of_threads_does_not_change_a_bit(tmp_path, cell, dtype) -> None:
    expected = model_bytes(tmp_path, cell=cell, dtype=dtype)
    for num_threads in (1, 2, 3, 7):
        model = model_bytes(tmp_path, cell=cell, dtype=dtype, num_threads=num_threads)
        assert model == expected


def test_another_seed_gives_another_model(tmp_path) -> None:
    assert model_bytes(tmp_path, seed=1) != model_bytes(tmp_path, seed=2)


def test_layer_and_readout_start_from_different_draws() -> None:
    layer, readout = CharRNN(hidden_size=8, vocabulary="abcdefgh").network.modules
    assert not (abs(layer.weight_ih_l0) == abs(readout.weight)).any()


@pytest.mark.parametrize("num_threads", [1, 2, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_an_evaluation_does_not_depend_on_the_threads(cell: str, num_threads: int) -> None:
    model = CharRNN(cell, hidden_size=96, vocabulary=TEXT)
    some = TEXT[:8000]
    assert model.evaluate(some, num_threads=num_threads) == model.evaluate(some)


@pytest.mark.parametrize("cell", CELLS)
def test_a_sample_does_not_depend_on_the_samples_beside_it(cell: str) -> None:
    model = CharRNN(cell, hidden_size=32, vocabulary=TEXT)
    alone = model.generate("4 squared", 40, seed=9)
    assert model.generate("4 squared", 40, seed=9, num_samples=5)[0] == alone


IN_A_FRESH_PROCESS = """
import sys
from fastrnn import CharRNN
model = CharRNN(sys.argv[2], hidden_size=24).fit("naïve text, 日本" * 30, epochs=2)
model.save(sys.argv[1])
print(ascii(model.generate("na", 200, seed=3)))
"""


@pytest.mark.parametrize("cell", CELLS)
def test_a_new_process_gives_the_same_model_file_and_the_same_text(tmp_path, cell) -> None:
    results = set()
    for number in ("1", "2"):
        path = tmp_path / number
        done = subprocess.run(
            [sys.executable, "-c", IN_A_FRESH_PROCESS, path, cell],
            env={**os.environ, "PYTHONHASHSEED": number},
            capture_output=True,
            check=True,
        )
        results.add((done.stdout, hashlib.sha256(path.read_bytes()).hexdigest()))
    assert len(results) == 1
