"""Layers behave as Python objects should: copied, pickled, initialised, switched, described."""

import copy
import pickle

import numpy as np
import pytest
from oracles.implementations import CELLS, GATES, LAYERS, by_name

import fastrnn

COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


every_cell = pytest.mark.parametrize("cell", CELLS)


def network(cell: str = "rnn", dtype: type = np.float32) -> fastrnn.Network:
    layer = LAYERS[cell](5, 9, dtype=dtype, seed=0)
    return fastrnn.Network(layer, fastrnn.Linear(9, 5, dtype=dtype, seed=1))


def train(net: fastrnn.Network, steps: int = 5) -> list[float]:
    ids = np.arange(24).reshape(8, 3) % 5
    optimizer = fastrnn.optim.Adam(net, lr=0.05)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        losses.append(net.loss_and_grad(ids[:-1], ids[1:])[0])
        optimizer.step()
    return losses


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_cell
def test_a_copy_trains_as_the_original_would_and_leaves_it_alone(
    cell: str, dtype: type, how: str
) -> None:
    original = network(cell, dtype)
    train(original, 2)
    before = original.state_dict()
    twin = COPIES[how](original)
    losses = train(twin)
    for name, value in original.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert losses == train(original)
    assert losses[-1] < losses[0]


@every_cell
def test_a_shallow_copy_has_weights_and_gradients_of_its_own(cell: str) -> None:
    layer, x = LAYERS[cell](3, 4, seed=0), np.ones((5, 2, 3), np.float32)
    before, _ = layer(x)
    twin = copy.copy(layer)
    twin.weight_hh_l0 = np.zeros_like(twin.weight_hh_l0)
    twin.backward(np.ones_like(twin(x)[0]))
    assert not any(gradient.any() for gradient in layer.grad.values())
    assert twin.grad["weight_ih_l0"].any()
    np.testing.assert_array_equal(layer(x)[0], before)
    assert (twin(x)[0][1:] != before[1:]).any()


@every_cell
def test_a_shallow_copy_draws_masks_of_its_own(cell: str) -> None:
    layer, x = LAYERS[cell](3, 4, recurrent_dropout=0.5, seed=0), np.ones((5, 2, 3), np.float32)
    alone = copy.deepcopy(layer)
    twin = copy.copy(layer)
    expected, _ = alone(x)
    np.testing.assert_array_equal(twin(x)[0], expected)
    np.testing.assert_array_equal(layer(x)[0], expected)


class HandsOverAll(fastrnn.LSTM):
    def __getstate__(self) -> dict[str, object]:
        return self.__dict__.copy()


@pytest.mark.parametrize("how", COPIES)
def test_a_subclass_may_hand_over_all_of_its_attributes(how: str) -> None:
    layer, x = HandsOverAll(3, 4, seed=0), np.ones((5, 2, 3), np.float32)
    np.testing.assert_array_equal(COPIES[how](layer)(x)[0], layer(x)[0])


@pytest.mark.parametrize("how", COPIES)
@every_cell
def test_a_copy_keeps_its_gradients_but_not_the_call_before_it(cell: str, how: str) -> None:
    layer = LAYERS[cell](3, 4, seed=0)
    layer(np.ones((5, 2, 3), np.float32))
    layer.backward(np.ones((5, 2, 4), np.float32))
    twin = COPIES[how](layer)
    for name, gradient in layer.grad.items():
        np.testing.assert_array_equal(twin.grad[name], gradient)
    with pytest.raises(RuntimeError, match="needs a call of the layer"):
        twin.backward(np.ones((5, 2, 4), np.float32))
    twin.zero_grad()
    assert all(gradient.any() for gradient in layer.grad.values())


@pytest.mark.parametrize("how", COPIES)
@every_cell
def test_a_copied_model_can_be_trained_further(cell: str, how: str) -> None:
    text = "so it goes, and so it goes again. " * 8
    model = fastrnn.CharRNN(cell, hidden_size=16).fit(text, steps=5)
    twin = COPIES[how](model)
    for one in (twin, model):
        one.fit(text, steps=10, lr=0.02)
    assert twin.history == model.history
    assert twin.generate("so", length=20) == model.generate("so", length=20)


def test_initial_parameters_are_uniform_within_the_documented_bound() -> None:
    layers = [layer(50, 64, seed=0) for layer in LAYERS.values()]
    for module, size in [(module, 64) for module in (*layers, fastrnn.Linear(64, 50, seed=0))]:
        values = np.concatenate([view.ravel() for view in module.parameters().values()])
        bound = 1 / np.sqrt(size)
        assert np.abs(values).max() <= bound
        # A uniform distribution has the variance bound^2 / 3; 5 % is over five standard errors.
        np.testing.assert_allclose(values.var(), bound**2 / 3, rtol=0.05)
        assert abs(values.mean()) < 0.05 * bound


@every_cell
def test_the_seed_decides_the_parameters(cell: str) -> None:
    first, same, other = (LAYERS[cell](3, 4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.weight_hh_l0, same.weight_hh_l0)
    assert not np.array_equal(first.weight_hh_l0, other.weight_hh_l0)


@every_cell
def test_the_names_and_shapes_are_pytorchs(cell: str) -> None:
    rows = 4 * GATES[cell]
    assert {name: view.shape for name, view in LAYERS[cell](3, 4).parameters().items()} == {
        "weight_ih_l0": (rows, 3),
        "weight_hh_l0": (rows, 4),
        "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,),
    }


@every_cell
def test_the_final_state_belongs_to_the_caller(cell: str) -> None:
    layer, x = LAYERS[cell](3, 4, seed=0), np.ones((5, 2, 3), np.float32)
    states = [by_name(cell, layer(x)[1], "{}") for _ in range(2)]
    _, state = layer(x)
    for part in state if cell == "lstm" else (state,):
        part[...] = 7
    assert all(not np.any(values == 7) for kept in states for values in kept.values())
    for name, values in by_name(cell, layer(x)[1], "{}").items():
        np.testing.assert_array_equal(values, states[0][name])


@every_cell
def test_evaluation_mode_keeps_nothing(cell: str) -> None:
    layer = LAYERS[cell](3, 4, seed=0)
    layer(np.zeros((5, 2, 3), np.float32))
    assert layer.eval() is layer
    with pytest.raises(RuntimeError):
        layer.backward(np.zeros((5, 2, 4), np.float32))
    layer.train()(np.zeros((5, 2, 3), np.float32))
    layer.backward(np.zeros((5, 2, 4), np.float32))


def test_descriptions_say_what_a_thing_is() -> None:
    net = network()
    assert repr(net.layer) == "RNN(5, 9, nonlinearity='tanh', dtype=float32)"
    assert repr(net.readout) == "Linear(9, 5, dtype=float32)"
    assert repr(network("lstm", np.float64).layer) == "LSTM(5, 9, dtype=float64)"
    assert repr(network("gru").layer) == "GRU(5, 9, dtype=float32)"


@every_cell
def test_parameters_are_counted(cell: str) -> None:
    recurrent = GATES[cell] * (5 * 9 + 9 * 9 + 2 * 9)
    assert network(cell).num_parameters == recurrent + 9 * 5 + 5


def test_a_networks_parameters_are_named_views_that_follow_an_update() -> None:
    net = network()
    parameters, before = net.parameters(), net.state_dict()
    assert list(parameters) == list(before)
    assert {"rnn.weight_hh_l0", "readout.bias"} < parameters.keys()
    train(net, 1)
    for name, value in parameters.items():
        np.testing.assert_array_equal(value, net.state_dict()[name])
        assert (value != before[name]).any(), name
        with pytest.raises(ValueError, match="read-only"):
            value[...] = 0


def test_a_networks_mode_is_that_of_its_parts() -> None:
    layer = fastrnn.GRU(5, 9, num_layers=2, dropout=0.5, seed=0)
    net = fastrnn.Network(layer, fastrnn.Linear(9, 5, seed=1))
    ids = np.arange(24).reshape(8, 3) % 5
    assert net.training
    assert net.loss_and_grad(ids[:-1], ids[1:])[0] != net.loss(ids[:-1], ids[1:])[0]
    assert net.eval() is net
    assert not any(module.training for module in net.modules)
    assert not net.training
    assert net.loss_and_grad(ids[:-1], ids[1:])[0] == net.loss(ids[:-1], ids[1:])[0]
    assert net.train() is net
    assert all(module.training for module in net.modules)
    with pytest.raises(TypeError, match="mode must be"):
        net.train("eval")


@every_cell
def test_an_optimiser_freezes_what_it_is_not_given(cell: str) -> None:
    net = network(cell)
    before = net.layer.state_dict()
    net.loss_and_grad(np.zeros((4, 2), int), np.ones((4, 2), int))
    fastrnn.optim.SGD(net.readout, lr=0.1).step()
    for name, value in net.layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_gradients_show_their_names_and_values() -> None:
    grad = repr(fastrnn.Linear(1, 2).grad)
    assert grad.startswith("Gradients({'weight': array([[0.],")
    assert "'bias'" in grad
