"""Losses of networks with options: lengths, last outputs, class weights, stacks, dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles.options import Combination, all_pairs
from tolerances import FINITE_DIFFERENCES, rounding

import fastrnn
from fastrnn import _forward

SEQ_LEN, BATCH, INPUTS, HIDDEN, CLASSES = 5, 4, 3, 6, 7

OPTIONS: dict[str, tuple[Any, ...]] = {
    "cell": ("rnn", "lstm", "gru", "jordan"),
    "num_layers": (1, 2),
    "bidirectional": (False, True),
    "batch_first": (False, True),
    "loss": ("cross_entropy", "mse"),
    "outputs": ("all", "last"),
    "reduction": ("mean", "sum"),
    "lengths": (None, (3, 5, 1, 2), (0, 5, 0, 2)),
    "reset_mask": (False, True),
    "class_weight": (False, True),
    "dropout": (0.0, 0.3),
    "ids": (False, True),
}


def allowed(c: Combination) -> bool:
    of_classes = c["loss"] == "cross_entropy" and c["cell"] != "jordan"
    return (c["cell"] != "jordan" or (c["num_layers"] == 1 and not c["bidirectional"])) and (
        of_classes or (c["dropout"] == 0 and not c["class_weight"])
    )


TABLE = all_pairs(OPTIONS, allowed)


def network(c: Combination) -> fastrnn.Network:
    options = {"batch_first": c["batch_first"], "dtype": np.float64, "seed": 0}
    if c["cell"] == "jordan":
        return fastrnn.Network(fastrnn.Jordan(INPUTS, HIDDEN, CLASSES, **options))
    kind = {"rnn": fastrnn.RNN, "lstm": fastrnn.LSTM, "gru": fastrnn.GRU}[c["cell"]]
    layer = kind(INPUTS, HIDDEN, c["num_layers"], bidirectional=c["bidirectional"], **options)
    return fastrnn.Network(
        layer, fastrnn.Linear(layer.output_size, CLASSES, dtype=np.float64, seed=1)
    )


def problem(c: Combination) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """x, target and the options of a loss."""
    rng = np.random.default_rng(3)
    shape = (BATCH, SEQ_LEN) if c["batch_first"] else (SEQ_LEN, BATCH)
    x = rng.integers(INPUTS, size=shape) if c["ids"] else rng.standard_normal((*shape, INPUTS))
    of_target = shape if c["outputs"] == "all" else (BATCH,)
    if c["loss"] == "cross_entropy":
        target = rng.integers(CLASSES, size=of_target)
    else:
        target = rng.standard_normal((*of_target, CLASSES))
    given: dict[str, Any] = {name: c[name] for name in ("loss", "reduction", "outputs")}
    given["lengths"] = None if c["lengths"] is None else np.array(c["lengths"])
    given["reset_mask"] = rng.random(shape) < 0.3 if c["reset_mask"] else None
    given["class_weight"] = rng.random(CLASSES) + 0.1 if c["class_weight"] else None
    return x, target, given


def expected(c: Combination, net: fastrnn.Network) -> float:
    """The loss from the outputs, one sequence after the other, in plain NumPy."""
    x, target, given = problem(c)
    y, _ = net(x, outputs=c["outputs"], lengths=given["lengths"], reset_mask=given["reset_mask"])
    if c["batch_first"] and c["outputs"] == "all":
        y, target = y.swapaxes(0, 1), target.swapaxes(0, 1)
    lengths = c["lengths"] or (SEQ_LEN,) * BATCH
    total = count = 0.0
    for b, length in enumerate(lengths):
        rows = [(t, b) for t in range(length)] if c["outputs"] == "all" else [(b,)]
        for row in rows:
            if c["loss"] == "mse":
                total += float(((y[row] - target[row]) ** 2).sum())
                count += CLASSES
                continue
            weight = 1.0 if given["class_weight"] is None else given["class_weight"][target[row]]
            log_softmax = y[row] - y[row].max()
            log_softmax = log_softmax - np.log(np.exp(log_softmax).sum())
            total -= weight * log_softmax[target[row]]
            count += weight
    return total / count if c["reduction"] == "mean" else total


@pytest.mark.parametrize("c", TABLE, ids=lambda c: "-".join(map(str, c.values())))
def test_the_loss_is_that_of_the_outputs_there_are(c: Combination) -> None:
    net = network(c)
    x, target, given = problem(c)
    loss, _ = net.loss(x, target, **given)
    assert abs(loss - expected(c, net)) <= rounding(np.float64) * abs(loss)


@pytest.mark.parametrize("c", TABLE, ids=lambda c: "-".join(map(str, c.values())))
def test_gradients_are_its_slopes(c: Combination) -> None:
    net = network(c)
    x, target, given = problem(c)

    def loss_and_grad() -> float:
        return net.loss_and_grad(x, target, **given, dropout=c["dropout"], seed=5)[0]

    loss = loss_and_grad()
    if c["dropout"] == 0:
        assert abs(loss - net.loss(x, target, **given)[0]) <= rounding(np.float64) * abs(loss)
    rng = np.random.default_rng(8)
    grads = [(m, name, np.array(grad)) for m in net.modules for name, grad in m.grad.items()]
    for module, name, grad in grads:
        slope, along = slope_of(loss_and_grad, module, name, rng)
        size = max(1.0, float(np.abs(grad * along).sum()))
        assert abs(float((grad * along).sum()) - slope) < 10 * FINITE_DIFFERENCES * size, name


def slope_of(
    loss: Callable[[], float], module: Any, name: str, rng: np.random.Generator
) -> tuple[float, np.ndarray]:
    """The loss's slope by central difference along a random direction of a parameter."""
    value = np.array(getattr(module, name))
    along = rng.standard_normal(value.shape)
    ends = []
    for step in (6e-6, -6e-6):
        setattr(module, name, value + step * along)
        ends.append(loss())
    setattr(module, name, value)
    return (ends[0] - ends[1]) / 1.2e-5, along


def test_what_is_padded_is_never_read() -> None:
    net = network(dict.fromkeys(OPTIONS, False) | {"cell": "lstm", "num_layers": 2})
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((4, 3, INPUTS)), rng.integers(CLASSES, size=(4, 3))
    lengths = [2, 4, 1]
    beyond = np.arange(4)[:, None] >= np.array(lengths)
    wanted = net.loss_and_grad(x, target, lengths=lengths)[0]
    grads = [np.array(g) for module in net.modules for g in module.grad.values()]
    x[beyond], target[beyond] = np.nan, -1
    net.zero_grad()
    assert net.loss_and_grad(x, target, lengths=lengths)[0] == wanted
    for grad, other in zip(grads, (g for m in net.modules for g in m.grad.values()), strict=True):
        np.testing.assert_array_equal(grad, other)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lengths": [1]}, ValueError, r"lengths has shape \(1,\), expected \(2,\)"),
        ({"lengths": [1.0, 2.0]}, TypeError, "lengths must hold integers"),
        ({"lengths": []}, ValueError, r"lengths has shape \(0,\), expected \(2,\)"),
        ({"lengths": [4, 1]}, ValueError, "every length must be between 0 and 3, got 4"),
        ({"lengths": [-1, 1]}, ValueError, "every length must be between 0 and 3, got -1"),
        ({"lengths": [0, 0]}, ValueError, "target is empty"),
        ({"reset_mask": np.zeros((2, 3), bool)}, ValueError, r"reset_mask has shape \(2, 3\)"),
        ({"reset_mask": np.zeros((3, 2))}, TypeError, "reset_mask must hold booleans"),
        ({"class_weight": [1.0]}, ValueError, "class_weight has shape"),
        ({"class_weight": [-1.0] * CLASSES}, ValueError, "class_weight must be at least 0, got -1"),
        ({"class_weight": [0.0] * CLASSES}, ValueError, "class_weight is 0 for every target"),
    ],
)
def test_bad_options_are_refused(options: Any, error: type, message: str) -> None:
    net = network(dict.fromkeys(OPTIONS, False) | {"cell": "gru", "num_layers": 1})
    x, target = np.zeros((3, 2, INPUTS)), np.zeros((3, 2), int)
    with pytest.raises(error, match=message):
        net.loss_and_grad(x, target, **options)


def test_a_wrong_target_is_told_before_anything_is_computed(monkeypatch) -> None:
    net = network(dict.fromkeys(OPTIONS, False) | {"cell": "gru", "num_layers": 1})
    monkeypatch.setattr(_forward, "forward", lambda *_: pytest.fail("the loop has begun"))
    for compute in net.loss, net.loss_and_grad:
        with pytest.raises(ValueError, match=rf"target .* {CLASSES}"):
            compute(np.zeros((3, 2, INPUTS)), np.full((3, 2), CLASSES))


def test_ids_that_another_thread_changes_meanwhile_are_never_read(monkeypatch) -> None:
    net = fastrnn.Network(fastrnn.GRU(CLASSES, 4, seed=0), fastrnn.Linear(4, CLASSES, seed=1))
    x, target = np.arange(12).reshape(2, 3, 2) % CLASSES
    forward = _forward.forward

    def change_and_run(*arguments: object) -> None:
        x[...] = target[...] = 10**12
        forward(*arguments)

    for compute in net.loss, net.loss_and_grad:
        x[...], target[...] = np.arange(12).reshape(2, 3, 2) % CLASSES
        expected, state = compute(x, target)
        with monkeypatch.context() as patch:
            patch.setattr(_forward, "forward", change_and_run)
            changed, changed_state = compute(x, target)
        assert changed == expected
        np.testing.assert_array_equal(changed_state, state)
