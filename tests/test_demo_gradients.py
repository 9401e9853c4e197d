"""The page's gradients are those of the compiled layers, and it says right what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest
from browser import drag, eventually, eventually_drawn, numbers

import fastrnn
from fastrnn import optim, unrolled
from fastrnn.demo.models.gradients import Gradients, factor, verdict

CELLS = {"rnn": fastrnn.RNN, "lstm": fastrnn.LSTM, "gru": fastrnn.GRU}


def layer(cell="rnn", scale=0.9, keep=0.0, **options) -> fastrnn.RNN | fastrnn.LSTM | fastrnn.GRU:
    made = CELLS[cell](4, 16, dtype=np.float64, seed=0, init="orthogonal", **options)
    made.weight_hh_l0 = made.weight_hh_l0 * scale
    if keep:
        bias = np.zeros_like(made.bias_ih_l0)
        bias[16:32] = keep
        made.bias_ih_l0 = bias
    return made


def norms(length=40, **options) -> np.ndarray:
    x = np.random.default_rng(0).normal(0.0, 0.5, (length, 4))
    return unrolled.gradient_norms(layer(**options), x)


def three_digits(values) -> list[float]:
    return [float(f"{value:.3g}") for value in np.ravel(values)]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"scale": 0.5}, "vanishes"),
        ({"scale": 3.0, "length": 100}, "explodes"),
        ({"scale": 1.0, "nonlinearity": "linear"}, "survives"),
        ({"cell": "lstm", "scale": 0.5}, "vanishes"),
        ({"cell": "lstm", "scale": 0.5, "keep": 5.0}, "survives"),
        ({"cell": "gru", "scale": 0.5, "keep": 5.0}, "survives"),
    ],
)
def test_the_word_for_it_is_right(options, word) -> None:
    assert verdict(norms(**options))[0] == word


def test_an_orthogonal_linear_layer_multiplies_by_its_scale() -> None:
    assert factor(norms(scale=0.7, nonlinearity="linear")) == pytest.approx(0.7, rel=1e-12)


def test_a_gradient_that_is_gone_has_factor_zero() -> None:
    assert factor(np.array([1.0, 0.5, 0.0])) == 0.0
    assert verdict(np.array([1.0, 0.5, 0.0]))[0] == "vanishes"


def test_one_beyond_all_numbers_is_not_clipped() -> None:
    model = Gradients()
    model.set(nonlinearity="linear", scale=1e10, length=60)
    assert model.clip() is None
    assert verdict(np.array([1.0, np.inf]))[0] == "overflows"


@pytest.mark.parametrize("max_norm", [1.0, 1e6])
def test_clipping_is_the_optimisers(max_norm) -> None:
    model = Gradients()
    model.set(scale=1.5, max_norm=max_norm)
    theirs = layer(scale=1.5).train()
    theirs(model.inputs())
    theirs.backward(None, np.full((1, 16), 0.25))
    before = {name: np.linalg.norm(grad) for name, grad in theirs.grad.items()}
    norm = optim.clip_grad_norm(theirs, max_norm)
    clipped = model.clip()
    assert clipped.norm == norm
    assert clipped.parameters == before
    assert clipped.clipped_parameters == {
        name: np.linalg.norm(grad) for name, grad in theirs.grad.items()
    }


def test_the_bars_and_the_words_follow_every_control(open_view) -> None:
    page = open_view("gradients")
    farthest, said = page.locator(".farthest"), page.locator(".say").first

    def shows(word: str, **options) -> None:
        expected = norms(**options)
        eventually(farthest, three_digits(expected[-1]), numbers)
        eventually(page.locator(".factor"), three_digits(factor(expected)), numbers)
        eventually(said, True, lambda text: word in text)
        eventually_drawn(page, "norm", expected)

    shows("vanishes")
    drag(page.get_by_label("Weight scale"), 3)
    shows("explodes", scale=3.0)
    drag(page.get_by_label("Steps T"), 5)
    drag(page.get_by_label("Weight scale"), 1.2)
    shows("survives", scale=1.2, length=5)
    page.get_by_label("Activation").select_option("relu")
    shows("survives", scale=1.2, length=5, nonlinearity="relu")
    page.get_by_role("radio", name="GRU").check()
    shows("survives", scale=1.2, length=5, cell="gru", keep=3.0)
    page.get_by_role("radio", name="LSTM").check()
    shows("survives", scale=1.2, length=5, cell="lstm", keep=3.0)
    assert page.get_by_label("Activation").is_disabled()
    drag(page.get_by_label("Steps T"), 60)
    drag(page.get_by_label("Weight scale"), 0.5)
    drag(page.get_by_label("Gate bias"), 0)
    shows("vanishes", scale=0.5, length=60, cell="lstm")
    assert "A larger gate bias opens the gate" in said.inner_text()
    drag(page.get_by_label("Gate bias"), 5)
    shows("survives", scale=0.5, length=60, cell="lstm", keep=5.0)


def test_clipping_shows_the_norms_before_and_after(open_view) -> None:
    page = open_view("gradients")
    table = page.locator("tbody")
    model = Gradients()

    def shows(before: dict, after: dict) -> None:
        expected = [row for name in before for row in three_digits((before[name], after[name]))]
        eventually(table, expected, numbers)

    clipped = model.clip()
    shows(clipped.parameters, clipped.clipped_parameters)
    model.set(max_norm=0.5)
    drag(page.get_by_label("Largest norm"), 0.5)
    shows(clipped.parameters, model.clip().clipped_parameters)
    page.get_by_label("Clip the gradient").uncheck()
    shows(clipped.parameters, clipped.parameters)


def test_words_that_a_newcomer_lacks_are_explained_where_they_stand(open_view) -> None:
    page = open_view("gradients")
    for name, beginning in (
        ("activation", "The function f"),
        ("weight-scale", "What the recurrent weights W_hh are multiplied by"),
        ("gate-bias", "A number added to the gate"),
        ("largest-norm", "What is longer"),
    ):
        assert page.locator(f"#hint-{name}").inner_text().startswith(beginning)
    notes = " ".join(page.locator(".note").all_inner_texts())
    for term in ("backpropagation through time", "The norm of a gradient is", "Clipping keeps"):
        assert term in notes


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_recurrent_weights_of_scale_1_keep_the_length_of_what_they_multiply(cell) -> None:
    model = Gradients()
    model.set(cell=cell, scale=1.0)
    for matrix in np.split(model.layer().weight_hh_l0, {"rnn": 1, "lstm": 4, "gru": 3}[cell]):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(16), atol=1e-12)
