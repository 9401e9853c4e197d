"""A trace shows what the compiled network does at every step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tolerances import assert_within, rounding

import fastrnn
from fastrnn.trace import Step, Trace

ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "linear": lambda a: a,
}


def some_layer(nonlinearity="tanh", dtype=np.float64):
    return fastrnn.RNN(3, 5, nonlinearity=nonlinearity, dtype=dtype, seed=1)


def some_sequence(dtype=np.float64):
    rng = np.random.default_rng(2)
    return rng.normal(size=(4, 3)).astype(dtype), rng.normal(size=(1, 5)).astype(dtype)


def whole_number_layer():
    layer = fastrnn.RNN(2, 2, nonlinearity="relu", dtype=np.float64)
    layer.weight_ih_l0 = np.array([[1.0, 2.0], [0.0, -1.0]])
    layer.weight_hh_l0 = np.array([[0.0, 3.0], [-2.0, 1.0]])
    layer.bias_ih_l0 = np.array([1.0, 0.0])
    layer.bias_hh_l0 = np.array([0.0, 5.0])
    return layer


def test_two_steps_worked_by_hand():
    trace = whole_number_layer().trace(np.array([[1.0, 1.0], [0.0, -4.0]]), np.array([[1.0, 2.0]]))
    assert trace[0].input.tolist() == [1, 1]
    assert trace[0].previous_state.tolist() == [1, 2]
    assert trace[0].pre_activation.tolist() == [10, 4]
    assert trace[0].state.tolist() == [10, 4]
    assert trace[1].input.tolist() == [0, -4]
    assert trace[1].previous_state.tolist() == [10, 4]
    assert trace[1].pre_activation.tolist() == [5, -7]
    assert trace[1].state.tolist() == [5, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_states_are_bit_for_bit_those_of_a_call(dtype):
    layer = some_layer(dtype=dtype)
    x, h_0 = some_sequence(dtype)
    states = np.array([step.state for step in layer.trace(x, h_0)])
    assert np.array_equal(states, layer(x, h_0)[0])


def test_every_step_starts_from_the_state_before():
    layer = some_layer()
    x, h_0 = some_sequence()
    trace = layer.trace(x, h_0)
    assert np.array_equal(trace[0].previous_state, h_0[0])
    for before, after in itertools.pairwise(trace):
        assert np.array_equal(after.previous_state, before.state)


def test_without_an_initial_state_it_starts_from_zero():
    layer = some_layer()
    x, _ = some_sequence()
    assert layer.trace(x)[0].previous_state.tolist() == [0] * 5


@pytest.mark.parametrize("nonlinearity", ACTIVATIONS)
def test_every_state_is_the_activation_of_its_pre_activation(nonlinearity):
    x, h_0 = some_sequence()
    for step in some_layer(nonlinearity).trace(x, h_0):
        expected = ACTIVATIONS[nonlinearity](step.pre_activation)
        assert_within(step.state, expected, rounding(np.float64))


def test_token_ids_are_shown_as_such_and_mean_one_hot_rows():
    layer = some_layer()
    ids = np.array([2, 0, 0, 1])
    by_id, by_row = layer.trace(ids), layer.trace(np.eye(3)[ids])
    assert [step.input for step in by_id] == [2, 0, 0, 1]
    for id_step, row_step in zip(by_id, by_row, strict=True):
        assert_within(id_step.pre_activation, row_step.pre_activation, rounding(np.float64))
        assert_within(id_step.state, row_step.state, rounding(np.float64))


def test_a_trace_leaves_a_pending_backward_pass_as_it_was():
    layer = some_layer()
    x, h_0 = some_sequence()
    output, _ = layer(x, h_0)
    layer.trace(x[:2])
    assert layer.training
    grad_x, _ = layer.backward(np.ones_like(output))
    expected = some_layer()
    expected(x, h_0)
    assert np.array_equal(grad_x, expected.backward(np.ones_like(output))[0])
    assert np.array_equal(layer.grad["weight_hh_l0"], expected.grad["weight_hh_l0"])


def test_changing_the_input_later_does_not_change_the_trace():
    x, _ = some_sequence()
    trace = some_layer().trace(x)
    before = x[0].copy()
    x[:] = 0
    assert np.array_equal(trace[0].input, before)


def test_a_trace_is_a_list_of_steps():
    x, _ = some_sequence()
    trace = some_layer().trace(x)
    assert len(trace) == 4
    assert all(isinstance(step, Step) for step in trace)
    assert trace[-1] is trace[3]
    assert list(trace[1:3]) == [trace[1], trace[2]]
    with pytest.raises(IndexError):
        trace[4]


def test_it_prints_as_a_table():
    trace = whole_number_layer().trace(np.array([[1.0, 1.0], [0.0, -4.0]]), np.array([[1.0, 2.0]]))
    assert str(trace) == (
        "RNN(2, 2), relu\n"
        "t          input x_t  previous state h_{t-1}  pre-activation a_t          state h_t\n"
        "1  [ 1.0000  1.0000]       [ 1.0000  2.0000]   [10.0000  4.0000]  [10.0000  4.0000]\n"
        "2  [ 0.0000 -4.0000]       [10.0000  4.0000]   [ 5.0000 -7.0000]  [ 5.0000  0.0000]"
    )


def test_a_table_of_token_ids_shows_the_ids():
    lines = str(some_layer().trace(np.array([2, 0]))).splitlines()
    assert lines[2].split()[:2] == ["1", "2"]
    assert lines[3].split()[:2] == ["2", "0"]


def test_wide_vectors_are_cut_short():
    trace = some_layer().trace(np.array([2, 0]))
    state = ", ".join(f"{value:.4f}" for value in trace[0].state[:3])
    shown = str(trace).splitlines()[2].split("[")[-1]
    assert shown.replace("…]", "").split() == state.split(", ")
    assert shown.endswith(" …]")


def test_the_number_of_decimals_and_values_can_be_chosen():
    trace = whole_number_layer().trace(np.array([[1.0, 1.0]]))
    assert trace.table(decimals=1, max_values=1).splitlines()[-1].split() == (
        ["1", "[1.0", "…]", "[0.0", "…]", "[4.0", "…]", "[4.0", "…]"]
    )


def test_huge_numbers_do_not_stretch_the_table():
    trace = Trace([Step(0, np.array([1e30]), np.array([-123456.0]), np.array([99999.0]))])
    assert trace.table(decimals=2).splitlines()[-1].split() == (
        ["1", "0", "[1.00e+30]", "[-1.23e+05]", "[99999.00]"]
    )


def test_a_trace_without_steps_prints_its_heading():
    heading = "t  input x_t  previous state h_{t-1}  pre-activation a_t  state h_t"
    assert str(Trace([])) == heading


@pytest.mark.parametrize(
    ("x", "h_0", "error", "message"),
    [
        (np.zeros((4, 2, 3)), None, ValueError, r"x has shape \(4, 2, 3\); a trace follows one"),
        (np.zeros(3), None, ValueError, r"x has shape \(3,\); a trace follows one sequence"),
        (np.zeros((2, 2), int), None, ValueError, r"x has shape \(2, 2\); a trace follows one"),
        (np.zeros((4, 2)), None, ValueError, "x has 2 features"),
        (np.zeros((0, 3)), None, ValueError, "x is empty"),
        (np.zeros((4, 3), complex), None, TypeError, "x has dtype complex128, expected float64"),
        (np.array([0, 3]), None, ValueError, "x must hold ids from 0 to 2, got 3"),
        (np.zeros((4, 3)), np.zeros(5), ValueError, r"h_0 has shape \(5,\), expected \(1, 5\)"),
        (np.zeros((4, 3)), np.zeros((1, 5), int), TypeError, "h_0 has dtype int64"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(x, h_0, error, message):
    with pytest.raises(error, match=message):
        some_layer().trace(x, h_0)


@pytest.mark.parametrize(("decimals", "max_values"), [(-1, 3), (18, 3), (4, 0)])
def test_a_table_of_impossible_numbers_is_refused(decimals, max_values):
    with pytest.raises(ValueError, match="must be between"):
        some_layer().trace(np.array([0])).table(decimals, max_values)
