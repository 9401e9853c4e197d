"""Parameters begin as the initialiser that was named says, gate by gate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastrnn

INPUTS, HIDDEN = 40, 60

LAYERS: dict[str, Any] = {
    "rnn": lambda **o: fastrnn.RNN(INPUTS, HIDDEN, 2, bidirectional=True, seed=0, **o),
    "lstm": lambda **o: fastrnn.LSTM(INPUTS, HIDDEN, 2, bidirectional=True, seed=0, **o),
    "gru": lambda **o: fastrnn.GRU(INPUTS, HIDDEN, 2, bidirectional=True, seed=0, **o),
    "jordan": lambda **o: fastrnn.Jordan(INPUTS, HIDDEN, 30, seed=0, **o),
    "projected": lambda **o: fastrnn.LSTM(INPUTS, HIDDEN, 2, proj_size=20, seed=0, **o),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def gates(layer: Any, part: str) -> list[np.ndarray]:
    """The matrices of all gates in the parameters whose names have this part."""
    found = [
        gate
        for name, value in layer.parameters().items()
        if part in name and name.startswith("weight")
        for gate in value.reshape(-1, HIDDEN, value.shape[1])
    ]
    assert found
    return found


def assert_glorot(gate: np.ndarray) -> None:
    bound = np.sqrt(6 / sum(gate.shape))
    assert np.abs(gate).max() <= bound * (1 + 1e-6)
    assert gate.std() == pytest.approx(bound / np.sqrt(3), rel=0.1)


@every_layer
@pytest.mark.parametrize("init", ["glorot", "orthogonal", "identity"])
def test_inputs_are_glorot_s_and_biases_zero(name: str, init: str) -> None:
    layer = LAYERS[name](init=init)
    for gate in gates(layer, "_ih_"):
        assert_glorot(gate)
    for parameter, value in layer.parameters().items():
        assert parameter.startswith("weight") or not value.any()


@every_layer
def test_one_hot_is_uniform_but_for_what_tokens_are_multiplied_with(name: str) -> None:
    """The first layer's W_ih, in both directions, is normal, of deviation 1/2."""
    layer = LAYERS[name](init="one_hot")
    bound = 1 / np.sqrt(HIDDEN)
    for parameter, value in layer.parameters().items():
        if parameter.startswith("weight_ih_l0"):
            assert value.std() == pytest.approx(0.5, rel=0.05)
            assert np.abs(value).max() > 1.2
        else:
            assert bound / 2 < np.abs(value).max() <= bound


@pytest.mark.parametrize(
    ("options", "init"),
    [({}, "one_hot"), ({"embedding_size": 8}, "uniform"), ({"tied": True}, "uniform")],
    ids=str,
)
def test_a_character_model_begins_as_what_it_reads_asks_for(options, init) -> None:
    model = fastrnn.CharRNN("gru", 8, vocabulary="abc", **options)
    assert model.network.layer.init == init


@every_layer
def test_glorot_takes_the_fans_of_each_gate(name: str) -> None:
    for gate in gates(LAYERS[name](init="glorot"), "_hh_"):
        assert_glorot(gate)


@every_layer
def test_orthogonal_gates_keep_lengths(name: str) -> None:
    drawn = gates(LAYERS[name](init="orthogonal", dtype=np.float64), "_hh_")
    for gate in drawn:
        np.testing.assert_allclose(gate.T @ gate, np.eye(gate.shape[1]), atol=1e-12)
    assert all(not np.array_equal(drawn[0], other) for other in drawn[1:])


@every_layer
def test_identity_carries_the_state_over(name: str) -> None:
    for gate in gates(LAYERS[name](init="identity"), "_hh_"):
        np.testing.assert_array_equal(gate, np.eye(*gate.shape))


@pytest.mark.parametrize("init", ["uniform", "glorot", "orthogonal"])
def test_the_forget_gate_s_bias_is_the_one_given_and_no_other_changes(init: str) -> None:
    plain = LAYERS["lstm"](init=init).parameters()
    layer = LAYERS["lstm"](init=init, forget_bias=1.5)
    forget = slice(HIDDEN, 2 * HIDDEN)
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        both = [layer.parameters()[f"bias_{of}_{suffix}"] for of in ("ih", "hh")]
        np.testing.assert_allclose(both[0][forget] + both[1][forget], 1.5, rtol=1e-6)
    for name, value in layer.parameters().items():
        rest = np.delete(value, forget, 0) if name.startswith("bias") else value
        was = np.delete(plain[name], forget, 0) if name.startswith("bias") else plain[name]
        np.testing.assert_array_equal(rest, was)


@every_layer
def test_an_unknown_name_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match="init must be one of 'uniform', 'one_hot', 'glorot'"):
        LAYERS[name](init="he")
