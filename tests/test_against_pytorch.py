"""Outputs, gradients, losses, optimizers and training agree with frozen PyTorch vectors.

``golden/make_golden.py`` made the vectors. Both the reference and the compiled library are held
against them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.implementations import IMPLEMENTATIONS, Case
from tolerances import TEXT_TRAINING, assert_within, rounding

import fastrnn
from fastrnn import _reference as reference

Arrays = dict[str, np.ndarray]
DTYPES = ("float32", "float64")
SOURCES = ("reference", "compiled")


def golden(name: str) -> Arrays:
    with np.load(Path(__file__).parent / "golden" / f"{name}.npz") as file:
        return dict(file)


def below(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names start with ``prefix/``, without it."""
    start = f"{prefix}/"
    return {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}


def check_rnn(frozen: Arrays, nonlinearity: str, dtype: str, source: str) -> None:
    case = Case(
        nonlinearity=nonlinearity,
        weights=below(frozen, "weights"),
        x=frozen["x"],
        h_0=frozen["h_0"],
        grad_output=frozen["grad_output"],
        grad_h_n=frozen["grad_h_n"],
    )
    assert case.dtype == dtype
    results = IMPLEMENTATIONS[source](case)
    expected = {name: frozen[name] for name in ("output", "h_n")}
    expected |= {name: a for name, a in frozen.items() if name.startswith("grad/")}
    assert results.keys() == expected.keys()
    for name, value in expected.items():
        assert_within(results[name], value, rounding(dtype))
        assert results[name].dtype == dtype


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
def test_outputs_and_every_gradient_are_pytorchs(
    nonlinearity: str, dtype: str, source: str
) -> None:
    check_rnn(below(golden("rnn"), f"{nonlinearity}/{dtype}"), nonlinearity, dtype, source)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_token_ids_are_one_hot_rows_of_pytorch(dtype: str, source: str) -> None:
    check_rnn(below(golden("ids"), f"ids/{dtype}"), "tanh", dtype, source)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_readout_and_its_gradients_are_pytorchs(dtype: str, source: str) -> None:
    frozen = below(golden("linear"), f"linear/{dtype}")
    if source == "reference":
        y = reference.linear_forward(frozen["x"], frozen["weight"], frozen["bias"])
        results = dict(reference.linear_backward(frozen["x"], frozen["weight"], frozen["grad_y"]))
    else:
        out_features, in_features = frozen["weight"].shape
        layer = fastrnn.Linear(in_features, out_features, dtype=dtype)
        layer.load_state_dict({"weight": frozen["weight"], "bias": frozen["bias"]})
        y = layer(frozen["x"])
        results = {"x": layer.backward(frozen["grad_y"])} | dict(layer.grad)
    assert_within(y, frozen["y"], rounding(dtype))
    for name, value in below(frozen, "grad").items():
        assert_within(results[name], value, rounding(dtype))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_losses_and_their_gradients_are_pytorchs(
    loss: str, reduction: str, dtype: str, source: str
) -> None:
    frozen = below(golden("losses"), dtype)
    function = getattr(reference if source == "reference" else fastrnn.losses, loss)
    target = frozen["values"] if loss == "mse" else frozen["ids"]
    value, grad = function(frozen["logits"], target, reduction)
    expected = below(frozen, f"{loss}/{reduction}")
    assert_within(value, expected["loss"], rounding(dtype))
    terms = 1.0 if reduction == "sum" else 1.0 / target.size
    assert_within(grad, expected["grad"], rounding(dtype), scale=terms)


OPTIMIZERS = golden("optimizers")
OPTIMIZER_CASES = sorted(name.split("/")[0] for name in OPTIMIZERS if name.endswith("options"))
REFERENCE_STEPS = {
    "SGD": reference.sgd_step,
    "RMSprop": reference.rmsprop_step,
    "Adam": reference.adam_step,
    "AdamW": reference.adamw_step,
}


def reference_path(name: str, options: dict[str, Any], dtype: str) -> Iterator[Arrays]:
    parameters = {k: v.astype(dtype) for k, v in below(OPTIMIZERS, "start").items()}
    gradients = {k: v.astype(dtype) for k, v in below(OPTIMIZERS, "gradients").items()}
    states: dict[str, dict[str, Any]] = {k: {} for k in parameters}
    for step in range(10):
        for k in parameters:
            parameters[k] = REFERENCE_STEPS[name](
                parameters[k], gradients[k][step], states[k], **options
            )
        yield parameters


def compiled_path(name: str, options: dict[str, Any], dtype: str) -> Iterator[Arrays]:
    start = {k: v.astype(dtype) for k, v in below(OPTIMIZERS, "start").items()}
    out_features, in_features = start["weight"].shape
    layer = fastrnn.Linear(in_features, out_features, dtype=dtype)
    layer.load_state_dict(start)
    optimizer = getattr(fastrnn.optim, name)([layer], **options)
    for step in range(10):
        for k, values in below(OPTIMIZERS, "gradients").items():
            layer.grad[k][...] = values[step]
        optimizer.step()
        yield layer.state_dict()


@pytest.mark.parametrize("path", [reference_path, compiled_path], ids=SOURCES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", OPTIMIZER_CASES)
def test_ten_steps_of_every_optimizer_are_pytorchs(case: str, dtype: str, path: Any) -> None:
    frozen = below(OPTIMIZERS, case)
    name, options = json.loads(str(frozen["options"]))
    for step, parameters in enumerate(path(name, options, dtype)):
        for k, value in parameters.items():
            assert_within(value, frozen[k][step], rounding(dtype))


def clipped_gradients(source: str, function: str, bound: float) -> tuple[Arrays, float | None]:
    gradients = below(golden("clipping"), "gradients")
    if source == "reference" and function == "norm":
        return reference.clip_norm(gradients, bound)
    if source == "reference":
        return reference.clip_value(gradients, bound), None
    layer = fastrnn.Linear(3, 2, dtype=np.float64)
    for name, value in gradients.items():
        layer.grad[name][...] = value
    total = getattr(fastrnn.optim, f"clip_grad_{function}")([layer], bound)
    return dict(layer.grad), total


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", ["norm/0.5", "norm/100.0", "value/0.3"])
def test_clipped_gradients_are_pytorchs(case: str, source: str) -> None:
    function, bound = case.split("/")
    expected = below(golden("clipping"), case)
    clipped, total = clipped_gradients(source, function, float(bound))
    if function == "norm":
        assert_within(total, expected.pop("total"), rounding(np.float64))
    for name, value in expected.items():
        assert_within(clipped[name], value, rounding(np.float64))


class ReferenceTrainer:
    """A recurrent layer and a readout under one optimizer, from the reference's functions."""

    def __init__(self, frozen: Arrays, nonlinearity: str, optimizer: str, **options: Any) -> None:
        rnn = {name.removesuffix("_l0"): a for name, a in below(frozen, "rnn").items()}
        self.parameters = rnn | below(frozen, "readout")
        self.states: dict[str, dict[str, Any]] = {name: {} for name in self.parameters}
        self.nonlinearity, self.options = nonlinearity, options
        self.update = REFERENCE_STEPS[optimizer]

    def step(
        self, x: np.ndarray, target: np.ndarray, h_0: np.ndarray, loss: str, max_norm: float
    ) -> tuple[float, np.ndarray, float]:
        p = dict(self.parameters)
        weight, bias = p.pop("weight"), p.pop("bias")
        h = reference.rnn_forward(x, h_0[0], **p, nonlinearity=self.nonlinearity)
        y = reference.linear_forward(h[1:], weight, bias)
        value, grad_y = getattr(reference, loss)(y, target)
        readout = reference.linear_backward(h[1:], weight, grad_y)
        rnn = reference.rnn_backward(
            x, h, p["weight_ih"], p["weight_hh"], self.nonlinearity, readout["x"]
        )
        grads = {name: rnn[name] for name in p}
        grads |= {"weight": readout["weight"], "bias": readout["bias"]}
        grads, norm = reference.clip_norm(grads, max_norm)
        self.parameters = {
            name: self.update(parameter, grads[name], self.states[name], **self.options)
            for name, parameter in self.parameters.items()
        }
        return value, h[-1:], norm


class CompiledTrainer:
    """The same through the public API."""

    def __init__(self, frozen: Arrays, nonlinearity: str, optimizer: str, **options: Any) -> None:
        rnn, readout = below(frozen, "rnn"), below(frozen, "readout")
        hidden_size, input_size = rnn["weight_ih_l0"].shape
        dtype = rnn["weight_ih_l0"].dtype
        layer = fastrnn.RNN(input_size, hidden_size, nonlinearity=nonlinearity, dtype=dtype)
        layer.load_state_dict(rnn)
        linear = fastrnn.Linear(hidden_size, readout["bias"].size, dtype=dtype)
        linear.load_state_dict(readout)
        self.network = fastrnn.Network(layer, linear)
        self.optimizer = getattr(fastrnn.optim, optimizer)(self.network.modules, **options)

    def step(
        self, x: np.ndarray, target: np.ndarray, h_0: np.ndarray, loss: str, max_norm: float
    ) -> tuple[float, np.ndarray, float]:
        self.optimizer.zero_grad()
        value, h_n = self.network.loss_and_grad(x, target, h_0, loss=loss)
        norm = fastrnn.optim.clip_grad_norm(self.network.modules, max_norm)
        self.optimizer.step()
        return value, h_n, norm


TRAINERS = pytest.mark.parametrize("trainer", [ReferenceTrainer, CompiledTrainer], ids=SOURCES)


@TRAINERS
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
def test_a_ten_step_loss_curve_is_pytorchs(nonlinearity: str, dtype: str, trainer: Any) -> None:
    frozen = below(golden("curves"), f"{nonlinearity}/{dtype}")
    twin = trainer(frozen, nonlinearity, "SGD", lr=0.1, momentum=0.9)
    data = frozen["x"], frozen["target"], frozen["h_0"]
    losses = [twin.step(*data, loss="mse", max_norm=1e9)[0] for _ in range(10)]
    assert_within(losses, frozen["losses"], rounding(dtype))


@TRAINERS
def test_one_hundred_training_steps_on_text_have_pytorchs_losses(trainer: Any) -> None:
    frozen = golden("text")
    ids, seq_len = frozen["ids"].astype(np.int64), int(frozen["seq_len"])
    twin = trainer(frozen, "tanh", "Adam", lr=5e-3)
    hidden_size = frozen["rnn/bias_hh_l0"].size
    losses, norms = [], []
    for _ in range(int(frozen["passes"])):
        h = np.zeros((1, ids.shape[1], hidden_size), np.float32)
        for start in range(0, len(ids) - 1, seq_len):
            x, target = ids[start : start + seq_len], ids[start + 1 : start + seq_len + 1]
            loss, h, norm = twin.step(x, target, h, loss="cross_entropy", max_norm=0.5)
            losses.append(loss)
            norms.append(norm)
    assert len(losses) == 100
    np.testing.assert_allclose(losses, frozen["losses"], rtol=0, atol=TEXT_TRAINING)
    np.testing.assert_allclose(norms, frozen["norms"], rtol=0, atol=TEXT_TRAINING)
