"""An optimiser's state, given to another one, makes it go on with the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastrnn
from fastrnn import CharRNN, optim

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20

OPTIMIZERS: list[tuple[type[optim.Optimizer], dict[str, Any], list[str]]] = [
    (optim.SGD, {}, []),
    (optim.SGD, {"momentum": 0.9}, ["momentum_buffer"]),
    (optim.SGD, {"momentum": 0.9, "dampening": 0.5}, ["momentum_buffer"]),
    (optim.RMSprop, {}, ["square_avg"]),
    (
        optim.RMSprop,
        {"centered": True, "momentum": 0.9},
        ["square_avg", "grad_avg", "momentum_buffer"],
    ),
    (optim.Adam, {}, ["exp_avg", "exp_avg_sq"]),
    (optim.AdamW, {"weight_decay": 0.1}, ["exp_avg", "exp_avg_sq"]),
]
every_optimizer = pytest.mark.parametrize(("kind", "options", "names"), OPTIMIZERS)


def network() -> fastrnn.Network:
    return fastrnn.Network(fastrnn.GRU(4, 5, seed=0), fastrnn.Linear(5, 4, seed=1))


def update(net: fastrnn.Network, optimizer: optim.Optimizer, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for module in net.modules:
        for name, grad in module.grad.items():
            module.grad[name] = rng.normal(size=grad.shape).astype(grad.dtype)
    optimizer.step()


@every_optimizer
def test_it_goes_on_with_the_same_bits(kind, options, names) -> None:
    net, copy = network(), network()
    optimizer, other = kind(net, lr=0.1, **options), kind(copy, lr=0.3, **options)
    for seed in range(3):
        update(net, optimizer, seed)
    copy.load_state_dict(net.state_dict())
    other.load_state_dict(optimizer.state_dict())
    assert (other.lr, other.steps) == (0.1, 3)
    for seed in range(3, 6):
        update(net, optimizer, seed)
        update(copy, other, seed)
    for name, weight in net.state_dict().items():
        np.testing.assert_array_equal(copy.state_dict()[name], weight)


@every_optimizer
def test_it_has_an_array_for_each_mean_and_module(kind, options, names) -> None:
    net = network()
    state = kind(net, lr=0.1, **options).state_dict()["state"]
    assert list(state) == [f"{name}.{index}" for name in names for index in range(2)]
    for name, array in state.items():
        assert array.size == net.modules[int(name[-1])].num_parameters


def test_it_is_a_copy() -> None:
    net = network()
    optimizer = optim.Adam(net)
    update(net, optimizer, 0)
    state = optimizer.state_dict()
    before = {name: array.copy() for name, array in state["state"].items()}
    update(net, optimizer, 1)
    for name, array in before.items():
        np.testing.assert_array_equal(state["state"][name], array)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda s: s.pop("steps"),
            TypeError,
            "state_dict must be a mapping of lr, betas, eps, weight_decay, steps, state",
        ),
        (lambda s: s.update(lr=-1), ValueError, "lr must be at least 0"),
        (lambda s: s.update(steps=1.5), TypeError, "steps must be an integer"),
        (lambda s: s.update(steps=2**63 - 1), ValueError, "steps must be between 0 and"),
        (
            lambda s: s.update(state=5),
            TypeError,
            "state must be a mapping, got 5",
        ),
        (lambda s: s["state"].pop("exp_avg.1"), ValueError, "state must hold exp_avg.0, exp_avg.1"),
        (lambda s: s["state"].update(more=1), ValueError, "state must hold .* got .*more"),
        (
            lambda s: s["state"].update({"exp_avg_sq.1": np.zeros(3, np.float32)}),
            ValueError,
            r"exp_avg_sq.1 has shape \(3,\), expected \(24,\)",
        ),
        (
            lambda s: s["state"].update({"exp_avg.1": np.zeros(24)}),
            TypeError,
            "exp_avg.1 has dtype float64, expected float32",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(change, error, message) -> None:
    net = network()
    optimizer = optim.Adam(net)
    update(net, optimizer, 0)
    before, wrong = optimizer.state_dict(), optimizer.state_dict()
    wrong["lr"] = 0.5
    for array in wrong["state"].values():
        array += 1
    change(wrong)
    with pytest.raises(error, match=message):
        optimizer.load_state_dict(wrong)
    after = optimizer.state_dict()
    assert (after["lr"], after["steps"]) == (before["lr"], before["steps"])
    for name, array in before["state"].items():
        np.testing.assert_array_equal(after["state"][name], array)


def test_another_mapping_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a mapping of lr, .*, steps, state, got 5"):
        optim.Adam(network()).load_state_dict(5)


# Weight decay through fit


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw"])
def test_weight_decay_without_a_gradient(optimizer: str, monkeypatch) -> None:
    """What is left is the decay: lr * decay * weight, or for RMSprop and Adam its sign alone."""

    def no_gradient(*_: object, **__: object) -> tuple[float, None]:
        return 1.0, None

    monkeypatch.setattr(fastrnn.Network, "loss_and_grad", no_gradient)
    model = CharRNN(hidden_size=5, dtype="float64", vocabulary=VERSE)
    before = model.network.state_dict()
    options = {"lr": 0.25, "weight_decay": 0.5, "schedule": "constant"}
    model.fit(VERSE, steps=1, optimizer=optimizer, **options)
    for name, weight in model.network.state_dict().items():
        if optimizer in ("sgd", "adamw"):
            expected = before[name] * (1 - 0.25 * 0.5)
        else:  # RMSprop's first square average is a hundredth of the square
            size = 0.25 * (10 if optimizer == "rmsprop" else 1)
            expected = before[name] - size * np.sign(before[name])
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("optimizer", "decay"), [("adam", 0.0), ("adamw", 0.01), ("sgd", 0.0)])
def test_the_weight_decay_is_the_optimizer_s_own_unless_given(optimizer: str, decay: float) -> None:
    models = [
        CharRNN(hidden_size=5).fit(VERSE, steps=3, optimizer=optimizer, **options)
        for options in ({}, {"weight_decay": decay})
    ]
    assert models[0].history == models[1].history


# What it was made with


def test_all_that_it_was_made_with_goes_along() -> None:
    made_with = {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-6, "weight_decay": 0.1}
    other = optim.AdamW(network())
    other.load_state_dict(optim.AdamW(network(), **made_with).state_dict())
    assert {name: getattr(other, name) for name in made_with} == made_with


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        (optim.Adam, "lr", -1, "lr must be at least 0, got -1"),
        (optim.Adam, "betas", 7, "betas must be two numbers, got 7"),
        (optim.Adam, "betas", (0.9, 1.0), r"betas\[1\] must be .*less than 1"),
        (optim.AdamW, "weight_decay", -1, "weight_decay must be at least 0, got -1"),
        (optim.RMSprop, "eps", float("nan"), "eps must be finite"),
        (optim.SGD, "dampening", "much", "dampening must be a number"),
        (optim.SGD, "momentum", 0.9, "of one made with momentum=0.0 it cannot become 0.9"),
        (optim.SGD, "nesterov", True, "made with nesterov=False it cannot become True"),
        (optim.RMSprop, "centered", True, "made with centered=False it cannot become True"),
        (optim.SGD, "learning_rate", 0.1, "'learning_rate' of SGD cannot be assigned; .* lr"),
        (optim.SGD, "steps", 3, "steps|no setter"),
        (optim.SGD, "modules", (), "modules|no setter"),
    ],
)
def test_what_is_assigned_is_checked(kind, name, value, message) -> None:
    optimizer = kind(network())
    before = repr(optimizer)
    with pytest.raises((TypeError, ValueError, AttributeError), match=message):
        setattr(optimizer, name, value)
    assert repr(optimizer) == before


def test_nesterov_and_dampening_are_not_brought_together_afterwards() -> None:
    optimizer = optim.SGD(network(), momentum=0.9, nesterov=True)
    message = "nesterov needs momentum above 0 and dampening 0, got momentum=0.9 and dampening=0.5"
    with pytest.raises(ValueError, match=message):
        optimizer.dampening = 0.5
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(optimizer.state_dict() | {"dampening": 0.5})
    assert optimizer.dampening == 0


def test_a_step_that_cannot_be_counted_is_not_counted() -> None:
    net = network()
    optimizer = optim.Adam(net)
    update(net, optimizer, 0)
    optimizer.load_state_dict(optimizer.state_dict() | {"steps": 2**63 - 2})
    update(net, optimizer, 1)
    for _ in range(2):
        with pytest.raises(OverflowError):
            update(net, optimizer, 2)
        assert optimizer.steps == 2**63 - 1


def test_what_is_assigned_counts_from_then_on() -> None:
    net, other = network(), network()
    changed, made = optim.SGD(net, 0.1, momentum=0.9), optim.SGD(other, 0.2, momentum=0.5)
    changed.lr, changed.momentum = 0.2, 0.5
    for seed in range(3):
        update(net, changed, seed)
        update(other, made, seed)
    for name, weight in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], weight)


@pytest.mark.parametrize(("mine", "theirs"), [(0.0, 0.9), (0.9, 0.0)])
def test_a_state_with_momentum_is_not_that_of_one_without(mine, theirs) -> None:
    optimizer = optim.SGD(network(), momentum=mine)
    state = optim.SGD(network(), momentum=theirs).state_dict()
    with pytest.raises(ValueError, match=f"made with momentum={mine} it cannot become {theirs}"):
        optimizer.load_state_dict(state)
    assert optimizer.momentum == mine
