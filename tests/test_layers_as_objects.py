"""Layers behave as Python objects should: copied, pickled, initialised, switched, described."""

import copy
import pickle

import numpy as np
import pytest

import fastrnn

COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


def network(dtype: type = np.float32) -> fastrnn.Network:
    layer = fastrnn.RNN(5, 9, dtype=dtype, seed=0)
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
def test_a_copy_trains_as_the_original_would_and_leaves_it_alone(how: str, dtype: type) -> None:
    original = network(dtype)
    train(original, 2)
    before = original.state_dict()
    twin = COPIES[how](original)
    losses = train(twin)
    for name, value in original.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert losses == train(original)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("how", COPIES)
def test_a_copied_model_can_be_trained_further(how: str) -> None:
    text = "so it goes, and so it goes again. " * 8
    model = fastrnn.CharRNN(hidden_size=16).fit(text, steps=5)
    twin = COPIES[how](model)
    for one in (twin, model):
        one.fit(text, steps=10, lr=0.02)
    assert twin.history == model.history
    assert twin.generate("so", length=20) == model.generate("so", length=20)


def test_initial_parameters_are_uniform_within_the_documented_bound() -> None:
    for module, size in ((fastrnn.RNN(50, 64, seed=0), 64), (fastrnn.Linear(64, 50, seed=0), 64)):
        values = np.concatenate([view.ravel() for view in module.parameters().values()])
        bound = 1 / np.sqrt(size)
        assert np.abs(values).max() <= bound
        # A uniform distribution has the variance bound^2 / 3; 5 % is over five standard errors.
        np.testing.assert_allclose(values.var(), bound**2 / 3, rtol=0.05)
        assert abs(values.mean()) < 0.05 * bound


def test_the_seed_decides_the_parameters() -> None:
    first, same, other = (fastrnn.RNN(3, 4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.weight_hh_l0, same.weight_hh_l0)
    assert not np.array_equal(first.weight_hh_l0, other.weight_hh_l0)


def test_evaluation_mode_keeps_nothing() -> None:
    layer = fastrnn.RNN(3, 4, seed=0)
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
    assert net.num_parameters == 5 * 9 + 9 * 9 + 2 * 9 + 9 * 5 + 5


def test_an_optimiser_freezes_what_it_is_not_given() -> None:
    net = network()
    before = net.layer.state_dict()
    net.loss_and_grad(np.zeros((4, 2), int), np.ones((4, 2), int))
    fastrnn.optim.SGD(net.readout, lr=0.1).step()
    for name, value in net.layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
