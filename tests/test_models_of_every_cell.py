"""Character models, forecasters and the command line work with every cell."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.implementations import (
    CELLS,
    GATED_CELLS,
    GATES,
    LAYERS,
    Case,
    by_name,
    reference_states,
)
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import CharRNN, Forecaster, data
from fastrnn._reference import cross_entropy
from fastrnn.cells import make_network, parameter_shapes
from fastrnn.command import cli
from fastrnn.corpus.streams import Streams

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20
WAVE = data.sine(120, periods=3)

every_cell = pytest.mark.parametrize("cell", CELLS)


def untrained(cell: str, **options: Any) -> CharRNN:
    return CharRNN(cell, hidden_size=7, seed=3, vocabulary=VERSE, **options)


@pytest.mark.unsanitized
@every_cell
def test_a_model_learns_a_verse_by_heart(cell: str) -> None:
    model = CharRNN(cell, hidden_size=48, seed=3)
    model.fit(VERSE, steps=300, batch_size=8, seq_len=46, lr=0.01)
    assert model.history[-1]["loss"] < 0.2 < 2.0 < model.history[0]["loss"]
    assert model.generate("the cat", length=39, temperature=0) == VERSE[:46]
    assert model.evaluate(VERSE)["loss"] < 0.3


OPTIONS_OF_NETWORKS: list[dict[str, Any]] = [{}, {"embedding_size": 2}]
NOT_OF_JORDAN: list[dict[str, Any]] = [{"num_layers": 3}, {"tied": True}]


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(
    ("cell", "options"),
    [
        *itertools.product([*CELLS, "jordan"], OPTIONS_OF_NETWORKS),
        *itertools.product(CELLS, NOT_OF_JORDAN),
    ],
)
def test_the_shapes_are_known_before_there_is_a_network(cell: str, options, layer_norm) -> None:
    options = {**options, "layer_norm": layer_norm}
    tokens = 4 if "tied" in options else 3
    usual = {"nonlinearity": "tanh", "dtype": "float32", "seed": 0}
    network = make_network(cell, tokens, 5, 4, **usual, **options)
    expected = {name: array.shape for name, array in network.state_dict().items()}
    assert parameter_shapes(cell, tokens, 5, 4, **options) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_cell
def test_a_saved_model_comes_back_as_it_was_and_learns_on(
    cell: str, dtype: str, tmp_path: Path
) -> None:
    model = CharRNN(cell, hidden_size=9, dtype=dtype, seed=4).fit(VERSE, steps=5)
    model.save(tmp_path / "model")
    loaded = fastrnn.load(tmp_path / "model")
    assert repr(loaded) == repr(model)
    assert type(loaded.network.layer) is LAYERS[cell]
    for name, weight in model.network.state_dict().items():
        np.testing.assert_array_equal(loaded.network.state_dict()[name], weight, strict=True)
    options = {"length": 80, "temperature": 1.5, "seed": 6, "num_samples": 3}
    assert loaded.generate("the ", **options) == model.generate("the ", **options)
    assert loaded.evaluate(VERSE) == model.evaluate(VERSE)
    for one in (model, loaded):
        one.fit(VERSE, steps=3).save(tmp_path / f"{one is model}")
    assert (tmp_path / "True").read_bytes() == (tmp_path / "False").read_bytes()


@pytest.mark.parametrize("other", CELLS)
@every_cell
def test_the_weights_of_one_cell_are_refused_by_another(cell: str, other: str) -> None:
    weights = untrained(cell).network.state_dict()
    if GATES[other] == GATES[cell]:
        untrained(other).network.load_state_dict(weights)
        return
    with pytest.raises(ValueError, match="weight_ih_l0 has shape"):
        untrained(other).network.load_state_dict(weights)


@every_cell
def test_an_evaluation_is_the_reference_over_the_whole_text(cell: str) -> None:
    """The text is longer than the chunks of an evaluation, between which the state is carried."""
    model, text = untrained(cell), VERSE[5:] + VERSE
    ids = np.array([[model.vocabulary.index(c)] for c in text])
    layer, readout = model.network.modules
    kind = "tanh" if cell == "rnn" else cell
    h = reference_states(Case(kind=kind, weights=layer.state_dict(), x=ids[:-1]))["h"]
    logits = h[1:] @ readout.weight.T + readout.bias
    expected, _ = cross_entropy(logits, ids[1:], "mean")
    assert_within(model.evaluate(text)["loss"], expected, rounding(np.float32))


@every_cell
def test_the_state_is_carried_from_chunk_to_chunk_and_zero_at_the_start_of_each_epoch(
    cell: str,
) -> None:
    model = untrained(cell)
    model.fit(VERSE, epochs=2, batch_size=3, seq_len=100, lr=1e-30)  # learns nothing
    streams = Streams.split(np.array([model.vocabulary.index(c) for c in VERSE]), 3, 100)
    state, expected = None, []
    for inputs, targets, _ in itertools.islice(streams.walk(100), streams.chunk_count(100)):
        loss, state = model.network.loss(inputs, targets, state)
        expected.append(loss)
    assert all(part.any() for part in by_name(cell, state, "{}").values())
    assert_within([r["loss"] for r in model.history], expected * 2, rounding(np.float32))


@every_cell
def test_a_generated_text_is_what_single_steps_write(cell: str) -> None:
    """The weights are large, so that the text depends on all that the state holds."""
    model, rng = CharRNN(cell, hidden_size=32, vocabulary=VERSE), np.random.default_rng(0)
    for module in model.network.modules:
        for name, value in module.parameters().items():
            scale = 0 if name == "bias" else 2
            setattr(module, name, (scale * rng.standard_normal(value.shape)).astype(np.float32))
    layer, readout = model.network.modules
    for prompt in ("t", "the cat sat", VERSE[:46]):
        stream, text = layer.stream(), prompt
        for character in prompt:
            h = stream.step(model.vocabulary.index(character))
        for _ in range(40):
            token = int(np.argmax(readout(h)))
            text += model.vocabulary[token]
            h = stream.step(token)
        assert len(set(text[len(prompt) :])) > 3
        assert model.generate(prompt, length=40, temperature=0) == text


@pytest.mark.parametrize("nonlinearity", ["relu", "sigmoid", "linear", "swish"])
@pytest.mark.parametrize("cell", GATED_CELLS)
@pytest.mark.parametrize("make", [CharRNN, lambda **options: Forecaster(10, **options)])
def test_a_cell_with_gates_has_no_other_nonlinearity(
    make: Any, cell: str, nonlinearity: str
) -> None:
    with pytest.raises(ValueError, match="nonlinearity"):
        make(cell=cell, nonlinearity=nonlinearity)


@every_cell
def test_a_loss_that_overflows_leaves_a_usable_model(cell: str) -> None:
    model = untrained(cell)
    with pytest.raises(fastrnn.NonFiniteLossError):
        model.fit(VERSE, steps=20, schedule="constant", lr=1e300)
    assert math.isfinite(model.evaluate(VERSE)["loss"])
    model.fit(VERSE, steps=2, lr=1e-6)


@pytest.mark.parametrize("scaling", ["global", "window"])
@every_cell
def test_a_forecaster_learns_a_wave(cell: str, scaling: str) -> None:
    forecaster = Forecaster(10, cell=cell, hidden_size=12, scaling=scaling).fit(WAVE, epochs=150)
    assert type(forecaster.network.layer) is LAYERS[cell]
    assert forecaster.history[-1]["loss"] < 0.1 * forecaster.history[0]["loss"]
    windows, targets = data.windows(WAVE, 10)
    error = np.mean((forecaster.predict(windows) - targets) ** 2)
    assert error < 0.1 * np.mean((windows[:, -1] - targets) ** 2)
    assert forecaster.forecast(5).shape == (5,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_cell
def test_a_copied_forecaster_forecasts_the_same(cell: str, dtype: str) -> None:
    forecaster = Forecaster(10, cell=cell, hidden_size=5, dtype=dtype).fit(WAVE, epochs=3)
    expected = forecaster.forecast(20)
    for twin in (copy.deepcopy(forecaster), pickle.loads(pickle.dumps(forecaster))):
        np.testing.assert_array_equal(twin.forecast(20), expected)


@every_cell
def test_the_command_line_trains_and_uses_it(
    cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("verse.txt").write_text(VERSE * 2)
    options = ["--hidden-size", "12", "--epochs", "2", "--quiet", "--out", "model"]
    assert cli.main(["train", "verse.txt", "--cell", cell, *options]) == 0
    capsys.readouterr()
    assert fastrnn.load("model").cell == cell
    assert cli.main(["info", "model"]) == 0
    assert cell in capsys.readouterr().out
    assert cli.main(["generate", "model", "--prompt", "the", "--length", "30"]) == 0
    assert len(capsys.readouterr().out) == 34
    assert cli.main(["evaluate", "model", "verse.txt"]) == 0
    assert "bits" in capsys.readouterr().out
