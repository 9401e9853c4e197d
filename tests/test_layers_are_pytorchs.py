"""Every combination of the options that PyTorch's layers have gives what PyTorch gives.

Held against frozen vectors, which ``golden/make_layers.py`` made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import pytorch_layers as cases
from tolerances import assert_within, rounding

import fastrnn


@pytest.fixture(scope="module")
def frozen() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "golden" / "layers.npz") as file:
        return dict(file)


def make_layer(c: cases.Combination, dtype: Any) -> Any:
    options: dict[str, Any] = {
        name: getattr(c, name) for name in ("num_layers", "bidirectional", "bias", "batch_first")
    }
    if c.kind.startswith("rnn"):
        options["nonlinearity"] = c.kind.removeprefix("rnn_")
    if c.kind == "lstm_projected":
        options["proj_size"] = cases.PROJECTED
    kind = {"rnn": fastrnn.RNN, "gru": fastrnn.GRU, "lstm": fastrnn.LSTM}[c.kind.split("_")[0]]
    return kind(cases.INPUTS, cases.HIDDEN, dtype=dtype, seed=0, **options)


def results(c: cases.Combination, dtype: Any) -> dict[str, np.ndarray]:
    given = {name: value.astype(dtype) for name, value in cases.inputs(c).items()}
    layer = make_layer(c, dtype)
    layer.load_state_dict({n: v for n, v in given.items() if n.startswith(("weight", "bias"))})
    has_c = "c_0" in given
    state = (given["h_0"], given["c_0"]) if has_c else given["h_0"]
    lengths = cases.LENGTHS if c.lengths else None
    output, final = layer(given["x"], state, lengths=lengths)
    grads = [given["grad_h_n"], *([given["grad_c_n"]] if has_c else [])]
    grad_x, grad_state = layer.backward(given["grad_output"], *grads)
    finals, initials = (final, grad_state) if has_c else ((final,), (grad_state,))
    found = {"output": output, "grad/x": grad_x}
    found |= dict(zip(("h_n", "c_n"), finals, strict=False))
    found |= dict(zip(("grad/h_0", "grad/c_0"), initials, strict=False))
    return found | {f"grad/{name}": grad for name, grad in layer.grad.items()}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("c", cases.COMBINATIONS, ids=lambda c: c.name)
def test_results_and_all_gradients_are_pytorchs(
    frozen: dict[str, np.ndarray], c: cases.Combination, dtype: Any
) -> None:
    expected, found, start = frozen[c.name], results(c, dtype), 0
    for name in sorted(found):
        part = expected[start : start + found[name].size]
        assert_within(found[name], part.reshape(found[name].shape), rounding(dtype))
        start += part.size
    assert start == len(expected)


def test_all_of_pytorchs_combinations_are_there(frozen: dict[str, np.ndarray]) -> None:
    assert len(cases.COMBINATIONS) == 5 * 2**5
    assert len({c.name for c in cases.COMBINATIONS}) == len(cases.COMBINATIONS)
    assert frozen.keys() == {c.name for c in cases.COMBINATIONS}
