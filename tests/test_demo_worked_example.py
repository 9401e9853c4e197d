"""The worked example of the page: its numbers are the library's, and those worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_worked_examples import AFTER_ONE_STEP, GRADIENTS, LOSS, LOSSES, STATES
from tolerances import FINITE_DIFFERENCES, assert_prints, assert_within, rounding

from fastrnn.demo.models.worked import (
    ELMAN,
    INPUTS,
    KINDS,
    LIMIT,
    TARGETS,
    Descent,
    Example,
    Worked,
    nudged,
)

EXACT = rounding(np.float64)
NAMES = {
    "weight_ih": "rnn.weight_ih_l0",
    "weight_hh": "rnn.weight_hh_l0",
    "bias_h": "rnn.bias_hh_l0",
    "weight_hy": "readout.weight",
    "bias_y": "readout.bias",
}


def examples() -> list[Example]:
    return [Example.of(kind, size) for kind in KINDS for size in ELMAN]


def named(example: Example) -> str:
    return f"{example.kind}, {example.hidden_size}"


def test_it_begins_with_the_numbers_worked_by_hand() -> None:
    worked = Worked(Example.of("Elman, tanh", 1))
    assert_prints([copy.output[0] for copy in worked.copies], STATES, 11)
    assert_prints([copy.loss for copy in worked.copies], LOSSES, 11)
    assert_prints(worked.loss, LOSS, 11)
    for name, (values, decimals) in GRADIENTS.items():
        assert_prints(np.ravel(worked.gradients[NAMES[name]]), values, decimals)
    after = worked.after()
    for name, (values, decimals) in AFTER_ONE_STEP.items():
        assert_prints(np.ravel(after.numbers[NAMES[name]]), values, decimals)


@pytest.mark.parametrize("example", examples(), ids=named)
def test_gradients_are_the_slopes_of_the_loss(example: Example) -> None:
    gradients, slopes = Worked(example).gradients, nudged(example)
    assert gradients.keys() == slopes.keys()
    for name, slope in slopes.items():
        assert_within(gradients[name], slope, FINITE_DIFFERENCES)


@pytest.mark.parametrize("example", examples(), ids=named)
def test_a_step_subtracts_the_gradient_times_the_learning_rate(example: Example) -> None:
    worked = Worked(example)
    after = worked.after()
    for name, gradient in worked.gradients.items():
        assert_within(after.numbers[name], example.numbers[name] - example.lr * gradient, EXACT)
    for name in example.numbers.keys() - worked.gradients.keys():
        np.testing.assert_array_equal(after.numbers[name], example.numbers[name])
    assert after.loss() < worked.loss


@pytest.mark.parametrize("example", examples(), ids=named)
def test_the_rows_of_the_tables_are_the_networks_numbers(example: Example) -> None:
    worked, network = Worked(example), example.network()
    state = example.state()
    logits, _ = network(INPUTS, state if len(state) > 1 else state[0])
    forward = {group.key: group.values for group in worked.forward()}
    np.testing.assert_array_equal(forward["x"], np.eye(4))
    assert_within(forward["y"], logits.T, EXACT)
    chosen = forward["p"][TARGETS, INPUTS]
    assert_within(forward["L"][0], -np.log(chosen), EXACT)
    for group in worked.forward() + worked.backward():
        assert group.values.shape == (len(group.labels), 4)
    parts = {"rnn": network.layer, "readout": network.readout}
    network.loss_and_grad(INPUTS, TARGETS, state if len(state) > 1 else state[0], reduction="sum")
    backward = {group.key: group.values.sum(axis=1) for group in worked.backward()}
    for matrix in example.parameters():
        part, _, name = matrix.name.partition(".")
        expected = parts[part].grad[name].ravel()
        assert_within(backward[matrix.symbol], expected, EXACT)
        assert len(matrix.labels()) == expected.size


@settings(max_examples=20)
@given(
    kind=st.sampled_from(["GRU", "LSTM"]),
    size=st.sampled_from(list(ELMAN)),
    seed=st.integers(0, 99),
)
def test_the_gates_shown_are_those_that_make_the_state(kind: str, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    example = Example.of(kind, size)
    for name, value in example.numbers.items():
        example = example.replaced(name, rng.standard_normal(value.shape))
    worked = Worked(example)
    gates = worked.gates
    before = [np.array([copy.state_before[part][0] for copy in worked.copies])
              for part in range(len(example.state()))]  # fmt: skip
    h = np.array([copy.output for copy in worked.copies])
    if kind == "GRU":
        assert_within(h, (1 - gates["z"]) * gates["n"] + gates["z"] * before[0], EXACT)
    else:
        c = gates["f"] * before[1] + gates["i"] * gates["g"]
        assert_within(np.array([copy.state[1][0] for copy in worked.copies]), c, EXACT)
        assert_within(h, gates["o"] * np.tanh(c), EXACT)


@pytest.mark.parametrize("example", examples(), ids=named)
def test_many_steps_learn_the_four_words(example: Example) -> None:
    descent = Descent(example)
    losses = [descent.step() for _ in range(400)]
    assert losses[0] == pytest.approx(example.loss(), rel=EXACT)
    assert descent.example.loss() < 0.5 < losses[0]
    likely = Worked(descent.example).probabilities.argmax(axis=1)
    np.testing.assert_array_equal(likely, TARGETS)


def test_a_learning_rate_that_is_too_large_is_said_and_the_numbers_stay_small() -> None:
    example = Example.of("Elman, ReLU", 2, lr=1000.0)
    descent = Descent(example)
    with pytest.raises(FloatingPointError, match="learning rate 1000 is too large"):
        _ = [descent.step() for _ in range(200)]
    for value in descent.example.numbers.values():
        assert np.abs(value).max() <= LIMIT


def test_an_example_is_not_changed_by_what_is_made_of_it() -> None:
    example = Example.of("LSTM", 2)
    before = {name: value.copy() for name, value in example.numbers.items()}
    Worked(example).after()
    nudged(example)
    example.replaced("h_0", np.ones((1, 2)))
    for name, value in before.items():
        np.testing.assert_array_equal(example.numbers[name], value)
