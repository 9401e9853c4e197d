"""Wrong input to layers, networks, losses and optimisers gets an exception that explains it."""

from functools import partial

import numpy as np
import pytest
from oracles.implementations import CELLS, GATED_CELLS, GATES, LAYERS, NONLINEARITIES, by_name

import fastrnn

F32 = np.float32

every_cell = pytest.mark.parametrize("cell", CELLS)


def layer(cell="rnn", **options):
    return LAYERS[cell](3, 4, seed=0, **options)


def zeros(*shape, dtype=F32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0, 4), {}, ValueError, "input_size must be between 1 and"),
        ((3, -1), {}, ValueError, "hidden_size must be between 1 and .*, got -1"),
        ((3.0, 4), {}, TypeError, "input_size must be an integer, got 3.0"),
        ((True, 4), {}, TypeError, "input_size must be an integer, got True"),
        (("3", 4), {}, TypeError, "input_size must be an integer, got '3'"),
        ((3, 2**40), {}, ValueError, "hidden_size must be between 1 and 2147483647"),
        ((3, 2**31 - 1), {}, MemoryError, "parameters and their gradients would take"),
        ((3, 4), {"dtype": np.float16}, TypeError, "dtype must be float32 or float64, got float16"),
        ((3, 10**5000), {}, ValueError, "hidden_size must be between 1 and"),
        ((3, 4), {"dtype": None}, TypeError, "dtype must be float32 or float64, got object"),
        ((3, 4), {"seed": True}, TypeError, "seed must be an integer, got True"),
        ((3, 4), {"dtype": "rubbish"}, TypeError, "dtype must be float32 or float64"),
        ((3, 4), {"seed": -1}, ValueError, "seed must be between 0 and"),
        ((3, 4), {"seed": "a"}, TypeError, "seed must be an integer, got 'a'"),
    ],
)
@every_cell
def test_an_impossible_layer_is_refused(cell, arguments, options, error, message):
    with pytest.raises(error, match=message):
        LAYERS[cell](*arguments, **options)


def test_an_impossible_nonlinearity_is_refused():
    with pytest.raises(ValueError, match="nonlinearity must be one of 'linear'"):
        fastrnn.RNN(3, 4, nonlinearity="swish")
    with pytest.raises(TypeError, match="nonlinearity must be one of"):
        fastrnn.RNN(3, 4, nonlinearity=None)


@pytest.mark.parametrize("cell", GATED_CELLS)
def test_a_cell_with_gates_takes_no_nonlinearity(cell):
    with pytest.raises(TypeError, match="nonlinearity"):
        LAYERS[cell](3, 4, nonlinearity="tanh")


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            zeros(5, 2, 2),
            ValueError,
            r"x has 2 features \(shape \(5, 2, 2\)\), expected input_size",
        ),
        (zeros(5), ValueError, r"x has shape \(5,\), expected \(seq_len, batch, 3\)"),
        (zeros(1, 5, 2, 3), ValueError, r"x has shape \(1, 5, 2, 3\), expected"),
        (F32(1), ValueError, r"x has shape \(\), expected"),
        (zeros(0, 2, 3), ValueError, "x is empty"),
        (zeros(5, 0, 3), ValueError, "x is empty"),
        (zeros(5, 2, 3, dtype=np.float64), TypeError, "x has dtype float64, expected float32"),
        (zeros(5, 2, 3, dtype=np.complex64), TypeError, "x has dtype complex64, expected float32"),
        (zeros(5, 2, 3, dtype=np.int64), TypeError, "x has dtype int64, expected float32"),
        (zeros(5, 2, 3, dtype=bool), TypeError, "x has dtype bool, expected float32"),
        ([["a", "b", "c"]], TypeError, "x must hold numbers"),
        ([[0, 1], [2]], ValueError, "x cannot be read as an array.*lengths are a list of arrays"),
        (np.ma.masked_equal(zeros(5, 2, 3), 0), ValueError, "x has masked values"),
        (None, TypeError, "x must hold numbers, got None"),
        (np.array([[0, 3]]), ValueError, "x must hold ids from 0 to 2, got 3"),
        (np.array([[0, -1]]), ValueError, "x must hold ids from 0 to 2, got -1"),
        (np.array([2**63], np.uint64), ValueError, f"x must hold ids from 0 to 2, got {2**63}"),
        (np.zeros((0, 2), np.int64), ValueError, "x is empty"),
    ],
)
@every_cell
def test_an_input_that_does_not_fit_is_refused(cell, x, error, message):
    with pytest.raises(error, match=message):
        layer(cell)(x)


@pytest.mark.parametrize("place", [0, 5, 18])
@pytest.mark.parametrize("number", [np.iinfo(np.int64).min, -1, 3, np.iinfo(np.int64).max])
def test_an_id_out_of_range_is_found_wherever_it_stands(place, number):
    ids = np.arange(19) % 3
    layer("rnn")(ids)
    ids[place] = number
    with pytest.raises(ValueError, match=f"x must hold ids from 0 to 2, got {number}$"):
        layer("rnn")(ids)


@every_cell
def test_a_cast_that_loses_nothing_is_made(cell):
    x = np.arange(30).reshape(5, 2, 3)
    wide, narrow = layer(cell, dtype=np.float64), layer(cell)
    np.testing.assert_array_equal(wide(x.astype(F32))[0], wide(x.astype(np.float64))[0])
    np.testing.assert_array_equal(narrow(x.astype(np.float16))[0], narrow(x.astype(F32))[0])


def test_a_result_larger_than_memory_is_refused_before_it_is_allocated():
    # 64 MiB of ids ask for an output of 1 TiB.
    with pytest.raises(MemoryError, match="the output would take"):
        fastrnn.RNN(1, 4096)(np.zeros((2**26, 1), np.int8))


@pytest.mark.parametrize("cell", GATED_CELLS)
def test_what_is_kept_for_the_gradient_is_counted_with_the_result(cell, monkeypatch):
    rnn, x = layer(cell), np.zeros((1000, 100, 3), F32)
    outputs = 1000 * 100 * 4 * x.itemsize
    monkeypatch.setattr(fastrnn._check, "_physical_memory", lambda: 3 * outputs)
    with pytest.raises(MemoryError, match="the output would take"):
        rnn(x)
    rnn.eval()(x)


@every_cell
def test_backward_before_a_call_is_refused(cell):
    with pytest.raises(RuntimeError, match="needs a call of the layer in training mode"):
        layer(cell).backward(zeros(5, 2, 4))
    evaluated = layer(cell).eval()
    evaluated(zeros(5, 2, 3))
    with pytest.raises(RuntimeError, match="needs a call of the layer in training mode"):
        evaluated.backward(zeros(5, 2, 4))
    with pytest.raises(RuntimeError, match="needs a call of the layer in training mode"):
        fastrnn.Linear(3, 4).backward(zeros(5, 4))


@pytest.mark.parametrize(
    ("gradients", "error", "message"),
    [
        ((None, None), ValueError, "grad_output.* and grad_._n are .* None, expected at least one"),
        ((zeros(5, 2, 3), None), ValueError, r"grad_output has shape \(5, 2, 3\), expected"),
        ((zeros(5, 2, 4, dtype=np.float64), None), TypeError, "grad_output has dtype float64"),
        ((None, zeros(2, 4)), ValueError, r"grad_h_n has shape \(2, 4\), expected \(1, 2, 4\)"),
    ],
)
@every_cell
def test_a_gradient_that_does_not_fit_is_refused(cell, gradients, error, message):
    rnn = layer(cell)
    rnn(zeros(5, 2, 3))
    with pytest.raises(error, match=message):
        rnn.backward(*gradients)


@every_cell
def test_an_output_that_backward_needs_cannot_be_overwritten(cell):
    output, state = layer(cell)(zeros(5, 2, 3))
    with pytest.raises(ValueError, match="read-only"):
        output[0] = 1
    assert all(part.flags.writeable for part in (state if cell == "lstm" else (state,)))
    assert layer(cell).eval()(zeros(5, 2, 3))[0].flags.writeable


@every_cell
def test_a_final_state_that_is_written_into_changes_no_gradient(cell):
    results = []
    for write in (False, True):
        rnn = layer(cell)
        _, state = rnn(np.ones((5, 2, 3), F32))
        for part in state if cell == "lstm" else (state,):
            part[...] = 9 if write else part
        results.append([rnn.backward(np.ones((5, 2, 4), F32))[0], *rnn.grad.values()])
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


@every_cell
@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("weight_hh_l0", lambda rows: zeros(rows, 3), ValueError, r"weight_hh_l0 has shape"),
        ("weight_ih_l0", lambda rows: zeros(rows + 1, 3), ValueError, r"weight_ih_l0 has shape"),
        ("bias_hh_l0", lambda rows: zeros(rows, 1), ValueError, r"bias_hh_l0 has shape"),
        ("weight_hh_l0", lambda rows: np.zeros((rows, 4)), TypeError, "weight_hh_l0 has dtype f"),
        ("bias_ih_l0", lambda rows: np.full(rows, np.nan, F32), ValueError, "must be finite, got"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused(cell, name, value, error, message):
    rnn, value = layer(cell), value(4 * GATES[cell])
    before = rnn.state_dict()
    with pytest.raises(error, match=message):
        setattr(rnn, name, value)
    with pytest.raises(error, match=message):
        rnn.load_state_dict({**before, name: value})
    for key, array in rnn.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


def test_a_state_dict_with_wrong_names_is_refused():
    rnn = layer()
    state = rnn.state_dict()
    missing = {name: value for name, value in state.items() if name != "bias_hh_l0"}
    with pytest.raises(ValueError, match="missing: bias_hh_l0; unknown: none"):
        rnn.load_state_dict(missing)
    with pytest.raises(ValueError, match="missing: none; unknown: extra"):
        rnn.load_state_dict({**state, "extra": zeros(1)})
    with pytest.raises(TypeError, match="state_dict must be a mapping"):
        rnn.load_state_dict([1, 2])


@every_cell
def test_parameters_cannot_be_changed_behind_the_packed_weights(cell):
    rnn = layer(cell)
    with pytest.raises(ValueError, match="read-only"):
        rnn.weight_hh_l0[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        rnn.parameters()["weight_hh_l0"][0, 0] = 1
    with pytest.raises(AttributeError, match="no attribute 'weight_hh_l1'"):
        _ = rnn.weight_hh_l1


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        *[
            (partial(layer, cell), name, value)
            for cell in CELLS
            for name, value in (
                ("hidden_size", 4000),
                ("input_size", 1),
                ("dtype", np.float64),
                ("training", False),
                ("grad", {}),
                ("weight_ih", zeros(4, 3)),
                ("bias_l0", zeros(4)),
            )
        ],
        (layer, "nonlinearity", "relu"),
        (lambda: fastrnn.Linear(3, 4), "in_features", 5),
        (lambda: fastrnn.Linear(3, 4), "out_features", 5),
    ],
)
def test_what_a_layer_was_made_with_cannot_be_changed(make, name, value):
    with pytest.raises(AttributeError, match=f"'{name}' .* cannot be assigned"):
        setattr(make(), name, value)


def test_a_gradient_can_be_written_and_reaches_the_optimiser():
    rnn = layer()
    before = rnn.bias_ih_l0.copy()
    rnn.grad["bias_ih_l0"] = np.ones(4, F32)
    rnn.grad["bias_ih_l0"] *= 2
    rnn.grad["bias_ih_l0"][0] += 1
    fastrnn.optim.SGD(rnn, lr=1).step()
    np.testing.assert_array_equal(rnn.bias_ih_l0, before - np.array([3, 2, 2, 2], F32))
    with pytest.raises(ValueError, match=r"grad\['bias_ih_l0'\] has shape \(3,\), expected \(4,\)"):
        rnn.grad["bias_ih_l0"] = zeros(3)
    with pytest.raises(TypeError, match=r"grad\['bias_ih_l0'\] has dtype float64"):
        rnn.grad["bias_ih_l0"] = zeros(4, dtype=np.float64)
    with pytest.raises(KeyError):
        rnn.grad["weight"] = zeros(3)


@every_cell
def test_a_list_of_floats_is_taken_at_the_precision_of_the_layer(cell):
    rows = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    expected, _ = layer(cell)(np.array(rows, F32))
    np.testing.assert_array_equal(layer(cell)(rows)[0], expected)
    np.testing.assert_array_equal(layer(cell).stream().step(rows[0]), expected[0])


@every_cell
def test_a_changed_parameter_changes_the_next_result(cell):
    rnn, x = layer(cell), np.ones((5, 2, 3), F32)
    first, _ = rnn(x)
    for name in rnn.parameters():
        setattr(rnn, name, 2 * getattr(rnn, name))
        assert not np.array_equal(rnn(x)[0], first)
        rnn.load_state_dict(layer(cell).state_dict())
        np.testing.assert_array_equal(rnn(x)[0], first)


@pytest.mark.parametrize(
    "make",
    [partial(layer, cell) for cell in CELLS]
    + [partial(layer, nonlinearity=name) for name in NONLINEARITIES],
)
def test_nan_and_infinity_spread_and_are_not_swallowed(make):
    for bad in (np.nan, np.inf):
        x = zeros(5, 2, 3)
        x[2, 0, 1] = bad
        output, _ = make()(x)
        assert np.isfinite(output[:2]).all()
        assert np.isfinite(output[:, 1]).all()
        if np.isnan(bad):
            assert np.isnan(output[2:, 0]).all()


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (zeros(2, 5), ValueError, r"x has shape \(2, 5\), expected \(\.\.\., 4\)"),
        (F32(0), ValueError, r"x has shape \(\), expected"),
        (zeros(0, 4), ValueError, "x is empty"),
        (zeros(2, 4, dtype=np.int8), TypeError, "x has dtype int8, expected float32"),
    ],
)
def test_a_linear_layer_refuses_what_does_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        fastrnn.Linear(4, 2)(x)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (zeros(4), ValueError, r"x has shape \(4,\), expected \(3,\)"),
        (zeros(2, 3), ValueError, r"x has shape \(2, 3\), expected \(1, 3\)"),
        (zeros(3, dtype=np.float64), TypeError, "x has dtype float64, expected float32"),
        (3, ValueError, "x must be between 0 and 2, got 3"),
        (-1, ValueError, "x must be between 0 and 2, got -1"),
        ("a", TypeError, "x must hold numbers"),
    ],
)
@every_cell
def test_a_stream_refuses_what_does_not_fit_and_keeps_its_state(cell, x, error, message):
    stream = layer(cell).stream()
    stream.step(np.ones(3, F32))
    before = by_name(cell, stream.state, "{}")
    with pytest.raises(error, match=message):
        stream.step(x)
    for name, value in by_name(cell, stream.state, "{}").items():
        np.testing.assert_array_equal(value, before[name])


@every_cell
def test_a_stream_refuses_a_size_that_does_not_fit(cell):
    with pytest.raises(ValueError, match="batch_size must be between 1"):
        layer(cell).stream(0)
    with pytest.raises(MemoryError, match="the states would take"):
        LAYERS[cell](3, 256).stream(2**31 - 1)


def test_parts_that_do_not_fit_make_no_network():
    with pytest.raises(ValueError, match=r"readout takes 5 features, expected .* output_size = 4"):
        fastrnn.Network(layer(), fastrnn.Linear(5, 2))
    with pytest.raises(TypeError, match="readout has dtype float64, expected float32"):
        fastrnn.Network(layer(), fastrnn.Linear(4, 2, dtype=np.float64))
    with pytest.raises(TypeError, match="layer must be a recurrent layer"):
        fastrnn.Network(fastrnn.Linear(4, 2), fastrnn.Linear(4, 2))
    with pytest.raises(TypeError, match="readout must be a Linear"):
        fastrnn.Network(layer(), layer())
    with pytest.raises(ValueError, match="output must be one of 'linear', 'softmax'"):
        fastrnn.Network(layer(), fastrnn.Linear(4, 2), output="sigmoid")


def network(**options):
    return fastrnn.Network(layer(), fastrnn.Linear(4, 2, seed=1), **options)


@pytest.mark.parametrize(
    ("target", "options", "error", "message"),
    [
        (zeros(5, 2), {}, TypeError, "target must hold integer ids"),
        ([], {}, ValueError, r"target has shape \(0,\), expected \(5, 2\)"),
        (np.zeros((5, 3), int), {}, ValueError, r"target has shape \(5, 3\), expected \(5, 2\)"),
        (np.full((5, 2), 2), {}, ValueError, "target must hold ids from 0 to 1, got 2"),
        (np.zeros((5, 2), int), {"loss": "hinge"}, ValueError, "loss must be one of"),
        (np.zeros((5, 2), int), {"reduction": "none"}, ValueError, "reduction must be one of"),
        (np.zeros((5, 2), int), {"outputs": "first"}, ValueError, "outputs must be one of"),
        (zeros(5, 2), {"loss": "mse"}, ValueError, r"expected \(5, 2, 2\)"),
        (zeros(5, 2, 2, dtype=np.float64), {"loss": "mse"}, TypeError, "target has dtype float64"),
        (np.zeros((5, 2), int), {"num_threads": 0}, ValueError, "num_threads must be between 1"),
    ],
)
def test_a_target_or_option_that_does_not_fit_is_refused(target, options, error, message):
    with pytest.raises(error, match=message):
        network().loss_and_grad(zeros(5, 2, 3), target, **options)


def test_a_squared_error_of_probabilities_is_refused():
    with pytest.raises(ValueError, match='"mse" needs output "linear"'):
        network(output="softmax").loss(zeros(5, 2, 3), zeros(5, 2, 2), loss="mse")


def test_a_network_loads_all_parameters_or_none():
    net = network()
    state = net.state_dict()
    bad = {**state, "rnn.bias_ih_l0": state["rnn.bias_ih_l0"] + 1, "readout.bias": zeros(3)}
    with pytest.raises(ValueError, match=r"readout\.bias has shape \(3,\), expected \(2,\)"):
        net.load_state_dict(bad)
    with pytest.raises(ValueError, match=r"rnn\.weight_hh_l0, .*unknown: other\.weight$"):
        net.load_state_dict({**state, "other.weight": zeros(1)})
    with pytest.raises(ValueError, match=r"missing: readout\.weight, readout\.bias; unknown: none"):
        net.load_state_dict({name: state[name] for name in state if name.startswith("rnn.")})
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fastrnn.losses.cross_entropy(zeros(2, 3), [0]), ValueError, "target has shape"),
        (lambda: fastrnn.losses.cross_entropy(zeros(2, 3), [0, 3]), ValueError, "from 0 to 2"),
        (lambda: fastrnn.losses.cross_entropy(F32(1), 0), ValueError, r"logits has shape \(\)"),
        (lambda: fastrnn.losses.cross_entropy(zeros(0, 3), np.zeros(0, int)), ValueError, "empty"),
        (lambda: fastrnn.losses.cross_entropy([1, 2], 0), TypeError, "dtype of logits must be"),
        (lambda: fastrnn.losses.mse(zeros(2), zeros(3)), ValueError, "target has shape"),
        (lambda: fastrnn.losses.mse(zeros(2), zeros(2), "max"), ValueError, "reduction must be"),
    ],
)
def test_a_loss_refuses_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fastrnn.optim.SGD([], 0.1), TypeError, "modules must be a layer, a Network"),
        (lambda: fastrnn.optim.SGD([1]), TypeError, "modules must be a layer, a Network"),
        (lambda: fastrnn.optim.SGD(layer(), -1), ValueError, "lr must be at least 0, got -1"),
        (lambda: fastrnn.optim.SGD(layer(), "fast"), TypeError, "lr must be a number"),
        (lambda: fastrnn.optim.SGD(layer(), 10**400), ValueError, "lr must be finite"),
        (lambda: fastrnn.optim.SGD(layer(), [[1], [2, 3]]), TypeError, "lr must be a number"),
        (lambda: fastrnn.optim.SGD(layer(), nesterov="no"), TypeError, "nesterov must be True or"),
        (lambda: fastrnn.optim.SGD(layer(), momentum=-1), ValueError, "momentum must be at least"),
        (lambda: fastrnn.optim.SGD(layer(), nesterov=True), ValueError, "nesterov needs momentum"),
        (lambda: fastrnn.optim.RMSprop(layer(), alpha=-1), ValueError, "alpha must be at least 0"),
        (lambda: fastrnn.optim.Adam(layer(), betas=(0.9, 1)), ValueError, "less than 1"),
        (lambda: fastrnn.optim.Adam(layer(), betas=0.9), TypeError, "betas must be two numbers"),
        (lambda: fastrnn.optim.AdamW(layer(), eps=float("nan")), ValueError, "eps must be finite"),
        (lambda: fastrnn.optim.clip_grad_norm(layer(), 0), ValueError, "max_norm must be greater"),
        (lambda: fastrnn.optim.clip_grad_value(layer(), -1), ValueError, "clip_value must be"),
    ],
)
def test_an_optimiser_refuses_what_does_not_fit(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_clipping_refuses_gradients_that_are_not_finite_and_leaves_them():
    rnn = layer()
    rnn.grad["bias_ih_l0"][0] = np.inf
    rnn.grad["bias_ih_l0"][1] = 1
    with pytest.raises(FloatingPointError, match="norm of the gradients is inf"):
        fastrnn.optim.clip_grad_norm(rnn, 1.0)
    assert rnn.grad["bias_ih_l0"][1] == 1


def test_threads_are_a_positive_integer(monkeypatch):
    for bad in (0, -1):
        with pytest.raises(ValueError, match="num_threads must be between 1"):
            fastrnn.set_num_threads(bad)
    with pytest.raises(TypeError, match="num_threads must be an integer"):
        fastrnn.set_num_threads(1.5)
    monkeypatch.setenv("FASTRNN_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="FASTRNN_NUM_THREADS must be a positive integer, got 'm"):
        fastrnn.get_num_threads()
