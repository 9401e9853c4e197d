"""Dropout leaves out what it should, the same for any number of threads, with right gradients."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import FINITE_DIFFERENCES, assert_within, rounding

import fastrnn
from fastrnn import _threads

RATE, DRAWS = 0.3, 1000


def network(hidden: int = 16, dtype: type = np.float64) -> fastrnn.Network:
    layer = fastrnn.GRU(7, hidden, dtype=dtype, seed=0)
    return fastrnn.Network(layer, fastrnn.Linear(hidden, 7, dtype=dtype, seed=1))


def text(seq_len: int = 20, batch: int = 12) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(0).integers(0, 7, (seq_len + 1, batch))
    return ids[:-1], ids[1:]


def test_the_gradient_is_that_of_the_loss_with_the_same_states_left_out() -> None:
    net, (x, y) = network(), text()

    def loss() -> float:
        return net.loss_and_grad(x, y, dropout=RATE, seed=5)[0]

    net.zero_grad()
    loss()
    grads = {
        (module, name): module.grad[name].copy() for module in net.modules for name in module.grad
    }
    step = 6e-6
    for (module, name), grad in grads.items():
        index = tuple(length // 2 for length in grad.shape)
        value = getattr(module, name).copy()
        sides = []
        for sign in (1, -1):
            moved = value.copy()
            moved[index] += sign * step
            setattr(module, name, moved)
            sides.append(loss())
        setattr(module, name, value)
        difference = (sides[0] - sides[1]) / (2 * step)
        assert_within(difference, grad[index], FINITE_DIFFERENCES)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_share_left_out_is_the_rate_and_the_rest_is_scaled_up(rate: float) -> None:
    # A read-out of all zero weights and an input of all-one states: its weights' gradient is
    # the sum over rows of (softmax - target) times what is kept of them.
    hidden, rows = 512, 400
    layer = fastrnn.RNN(2, hidden, nonlinearity="linear", dtype=np.float64)
    layer.load_state_dict({name: np.zeros_like(p) for name, p in layer.parameters().items()})
    layer.bias_ih_l0 = np.ones(hidden)
    readout = fastrnn.Linear(hidden, 2, dtype=np.float64)
    readout.weight, readout.bias = np.zeros((2, hidden)), np.zeros(2)
    net = fastrnn.Network(layer, readout)
    ids = np.zeros((1, rows), np.int64)
    net.loss_and_grad(ids, ids, reduction="sum", dropout=rate, seed=1)
    sums = net.readout.grad["weight"][1] * 2  # per unit: the sum of its scaled masks
    share = sums.sum() / (hidden * rows)
    assert share == pytest.approx(1, abs=5 * np.sqrt(rate / (1 - rate) / (hidden * rows)))
    # Each unit's sum is a multiple of the scale 1 / (1 - rate).
    counts = sums * (1 - round(rate * 65536) / 65536)
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    assert counts.std() == pytest.approx(np.sqrt(rows * rate * (1 - rate)), rel=0.2)


def test_what_is_left_out_depends_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "MINIMUM_SHARE", 1)
    net, (x, y) = network(), text(40, 48)
    results = []
    for seed, threads in ((3, 1), (3, 3), (4, 1)):
        net.zero_grad()
        loss, _ = net.loss_and_grad(x, y, dropout=RATE, seed=seed, num_threads=threads)
        results.append((loss, net.readout.grad["weight"].tobytes()))
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_without_dropout_the_seed_does_not_matter() -> None:
    net, (x, y) = network(dtype=np.float32), text()
    assert net.loss_and_grad(x, y, seed=1)[0] == net.loss_and_grad(x, y, seed=2)[0]
    assert net.loss_and_grad(x, y)[0] == net.loss(x, y)[0]


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    net, (x, y) = network(), text()
    with pytest.raises(ValueError, match="dropout must be"):
        net.loss_and_grad(x, y, dropout=rate)


def test_dropout_of_a_squared_error_is_refused() -> None:
    net, (x, _) = network(), text()
    with pytest.raises(ValueError, match='dropout needs loss "cross_entropy", got loss'):
        net.loss_and_grad(x, np.zeros((*x.shape, 7)), loss="mse", dropout=0.5)


def test_a_model_trained_with_dropout_is_reproducible_and_evaluated_without() -> None:
    data = "to be or not to be. " * 40
    models = [fastrnn.CharRNN("gru", 24).fit(data, steps=20, dropout=0.3) for _ in range(2)]
    assert models[0].evaluate(data) == models[1].evaluate(data)
    plain = fastrnn.CharRNN("gru", 24).fit(data, steps=20)
    assert plain.evaluate(data) != models[0].evaluate(data)


def test_every_step_of_two_trainings_drops_others(monkeypatch) -> None:
    seeds = []
    original = fastrnn.Network.loss_and_grad

    def watched(*arguments, **options):
        seeds.append(options["seed"])
        return original(*arguments, **options)

    monkeypatch.setattr(fastrnn.Network, "loss_and_grad", watched)
    model = fastrnn.CharRNN(hidden_size=4)
    for _ in range(2):
        model.fit("abc" * 100, steps=5, dropout=0.5)
    assert len(set(seeds)) == 10


def linear(num_layers: int, **options) -> fastrnn.RNN:
    """A layer that adds up its inputs, of one unit for each draw."""
    layer = fastrnn.RNN(1, DRAWS, num_layers, "linear", bias=False, dtype=np.float64, **options)
    layer.weight_ih_l0, layer.weight_hh_l0 = np.ones((DRAWS, 1)), np.zeros((DRAWS, DRAWS))
    return layer


def assert_dropped(mask: np.ndarray, rate: float) -> None:
    """Zeros with the rate's share, and elsewhere what makes up for them."""
    kept = 1 - round(rate * 65536) / 65536
    assert_within(mask[mask != 0], np.full((mask != 0).sum(), 1 / kept), rounding(np.float64))
    share = (mask == 0).mean()
    assert share == pytest.approx(rate, abs=5 * np.sqrt(rate * (1 - rate) / mask.size))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_between_layers_every_step_drops_others(rate: float) -> None:
    layer = linear(2, dropout=rate, seed=0)
    layer.weight_ih_l1, layer.weight_hh_l1 = np.eye(DRAWS), np.zeros((DRAWS, DRAWS))
    mask, _ = layer(np.ones((5, 4, 1)))
    assert_dropped(mask, rate)
    assert len({step.tobytes() for step in mask.reshape(-1, DRAWS)}) == 5 * 4
    np.testing.assert_array_equal(layer.eval()(np.ones((5, 4, 1)))[0], 1)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_of_states_a_sequence_drops_the_same_at_every_step(rate: float) -> None:
    layer = linear(1, recurrent_dropout=rate, seed=0)
    layer.weight_hh_l0 = np.eye(DRAWS)
    x = np.zeros((4, 6, 1))
    x[0] = 1  # so that the state is what the masks of the steps since made of it
    states, _ = layer(x)
    assert_dropped(states[1], rate)
    for t in (2, 3):
        assert_within(states[t], states[1] ** t, rounding(np.float64))
    assert len({mask.tobytes() for mask in states[1]}) == 6
    np.testing.assert_array_equal(layer.eval()(x)[0], 1)


def test_a_layers_own_dropout_follows_its_mode_and_is_drawn_anew() -> None:
    layer = fastrnn.GRU(5, 8, 2, dropout=0.5, recurrent_dropout=0.5, seed=0)
    net = fastrnn.Network(layer, fastrnn.Linear(8, 5, seed=1))
    ids = np.arange(12).reshape(6, 2) % 5
    losses = {net.loss_and_grad(ids, ids)[0] for _ in range(4)}
    assert len(losses) == 4
    assert net.loss_and_grad(ids, ids, seed=3)[0] == net.loss_and_grad(ids, ids, seed=3)[0]
    layer.eval()
    losses = {net.loss_and_grad(ids, ids)[0] for _ in range(3)}
    assert losses == {net.loss(ids, ids)[0]}
