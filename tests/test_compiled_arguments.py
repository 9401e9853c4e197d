"""The compiled functions refuse arrays that they would misread, and change none of them."""

import numpy as np
import pytest

from fastrnn import _backward, _equations, _forward, _gradients, _ops, _readout, _update

UNITS, TOKENS, ROWS = 6, 4, 5


def sums(**changed: np.ndarray | None) -> None:
    """Add to the gradients of the weights of 6 units, with some arguments changed."""
    arrays: dict[str, np.ndarray | None] = {
        "sums": np.zeros((1, UNITS), np.float32),
        "token_grads": np.zeros((1, TOKENS, UNITS), np.float32),
        "grad_ih": np.zeros((UNITS, TOKENS), np.float32),
        "grad_hh": np.zeros((UNITS, UNITS), np.float32),
        "apart": None,
        "x": None,
        "ids": np.zeros(ROWS, np.int64),
        "h_before": np.ones((ROWS, UNITS), np.float32),
        "dz": np.ones((ROWS, UNITS), np.float32),
    }
    arrays |= changed
    dz, whole = arrays.pop("dz"), ((0, 0, 1),)
    _gradients.WeightSums(*arrays.values(), UNITS, whole, whole, ROWS, 1).add(dz)


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def test_what_fits_is_taken() -> None:
    total = np.zeros((1, UNITS), np.float32)
    sums(sums=total)
    np.testing.assert_array_equal(total, np.full((1, UNITS), ROWS))


@pytest.mark.parametrize(
    ("name", "array", "error", "message"),
    [
        ("h_before", np.ones((ROWS, UNITS)), TypeError, "float64"),
        ("h_before", np.ones((ROWS, UNITS), ">f4"), TypeError, "byte order"),
        ("sums", np.ones(UNITS, np.float16), TypeError, "float32 or float64, got float16"),
        ("sums", np.ones(UNITS, np.int64), TypeError, "float32 or float64, got int64"),
        ("dz", np.ones((ROWS, UNITS)), TypeError, "float64"),
        ("h_before", np.ones((UNITS, ROWS), np.float32).T, TypeError, "C-contiguous"),
        ("h_before", np.ones((ROWS, 2 * UNITS), np.float32)[:, ::2], TypeError, "C-contiguous"),
        ("sums", np.zeros(UNITS, np.float32), TypeError, "2 dimensions"),
        ("ids", np.zeros(ROWS, np.int32), TypeError, "int32"),
        ("grad_hh", read_only(np.zeros((UNITS, UNITS), np.float32)), ValueError, "read-only"),
        ("dz", None, TypeError, "None"),
        ("dz", [[1.0] * UNITS] * ROWS, TypeError, "ndarray"),
    ],
)
def test_an_array_that_would_be_misread_is_refused(name, array, error, message) -> None:
    of_weight = np.zeros((UNITS, TOKENS), np.float32)
    changed = {"grad_ih": of_weight} | {name: array}
    with pytest.raises(error, match=message):
        sums(**changed)
    assert not of_weight.any()


@pytest.mark.parametrize("pack", [_ops.pack, lambda weight: _ops.pack_gates(weight, 1)])
@pytest.mark.parametrize(
    "weight", [np.ones((8, 8), np.float32)[::2, ::2], np.ones(8, np.float32), None]
)
def test_a_weight_that_would_be_misread_is_not_packed(pack, weight) -> None:
    with pytest.raises((TypeError, ValueError)):
        pack(weight)


def test_the_loops_and_the_read_out_refuse_other_dtypes() -> None:
    state, weight = np.zeros((ROWS + 1, UNITS), np.float32), np.zeros(999, np.float32)
    ids, rows, double = np.zeros(ROWS, np.int64), np.zeros((TOKENS, UNITS), np.float32), np.zeros(9)
    before = (0, 1, 1, None, None)
    span = (0, UNITS, 0, ROWS, 1, False)
    with pytest.raises(TypeError, match="float64"):
        _forward.forward(*before, state, None, None, None, ids, None, None, weight[:UNITS], rows,
                       double, None, *span)  # fmt: skip
    with pytest.raises(TypeError, match="packed_hh"):
        _forward.forward(*before, state, None, None, None, ids, None, None, weight[:UNITS], rows,
                       None, None, *span)  # fmt: skip
    logits, bias = np.zeros((1, ROWS, TOKENS), np.float32), np.zeros(TOKENS, np.float32)
    of_readout = np.zeros((TOKENS, UNITS), np.float32), np.zeros(TOKENS, np.float32)
    for losses, targets in (
        (np.zeros(ROWS, np.float32), ids),
        (np.zeros(ROWS), ids.astype(np.int32)),
    ):
        with pytest.raises(TypeError, match="C-contiguous array of 1 dimensions"):
            _readout.CrossEntropyRows(
                logits, None, losses, *of_readout, None, state[1:], targets, weight, weight, bias,
                None, 0, 0, 1.0, ROWS,
            )  # fmt: skip
    with pytest.raises(TypeError, match="int32"):
        _ops.are_ids(ids.astype(np.int32), 5)
    with pytest.raises(TypeError, match="float64"):
        _ops.token_rows(rows, double)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("dz", np.zeros((ROWS, UNITS))),
        ("packed_hh_t", np.zeros(9)),
        ("grad_output", np.zeros((ROWS, UNITS))),
        ("grad_last", np.zeros((1, UNITS))),
    ],
)
def test_the_way_back_refuses_other_dtypes(name, array) -> None:
    def single(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    whole, ids = ((0, 0, 1),), np.zeros(ROWS, np.int64)
    grads = single(1, TOKENS, UNITS), single(UNITS, TOKENS), single(UNITS, UNITS)
    arrays = {
        "dz": single(ROWS, UNITS),
        "carry": None,
        "h": single(ROWS + 1, UNITS),
        "c": None,
        "gates": None,
        "packed_hh_t": single(999),
        "grad_output": None,
        "grad_last": None,
        "grad_h": None,
    }
    adds = _gradients.WeightSums(single(1, UNITS), *grads, None, None, ids,
                                 single(ROWS, UNITS), UNITS, whole, whole, ROWS, 1)  # fmt: skip
    how = (None, adds, True, 1, ROWS, ROWS, 1, 1, 1, 1, False)
    _backward.backward(0, 1, 1, None, None, ROWS, *arrays.values(), *how)
    with pytest.raises(TypeError, match="float64"):
        _backward.backward(0, 1, 1, None, None, ROWS, *(arrays | {name: array}).values(), *how)


def swept() -> tuple[_update.UpdateSweep, np.ndarray]:
    """Return the sweep of a weight of 6 rows and 4 columns in an arena with more."""
    arena = np.zeros(6 * 4 + 5, np.float32)
    sweep = _update.UpdateSweep(1, 1)
    sweep.add(arena, np.zeros_like(arena))
    weight = arena[:24].reshape(6, 4)
    sweep.add_weight(weight, 1)
    return sweep, weight


@pytest.mark.parametrize(
    ("how", "size"), [(_update.COLUMNS, 23), (_update.UNITS, 1), (_update.ROWS, 25)]
)
def test_a_sweep_packs_into_nothing_that_has_another_size(how, size) -> None:
    sweep, weight = swept()
    with pytest.raises(ValueError, match=f"{size} numbers are no copy of 1 gates of 6 rows of 4"):
        sweep.add_copy(weight, how, np.zeros(size, np.float32))


@pytest.mark.parametrize("width", [5, 7, 13])
def test_a_sweep_adds_tokens_to_no_other_biases(width) -> None:
    sweep, weight = swept()
    to, bias = np.zeros((4, width), np.float32), np.zeros(width, np.float32)
    with pytest.raises(ValueError, match=f"biases of {width}"):
        sweep.add_copy(weight, _update.TOKENS, to, ((0, 0, 1),), bias)


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.zeros(29), TypeError),
        (np.zeros(28, np.float32), ValueError),
        (np.zeros((29, 1), np.float32), TypeError),
        (np.zeros(58, np.float32)[::2], TypeError),
    ],
)
@pytest.mark.parametrize("place", ["grad", "state", "previous"])
def test_a_sweep_refuses_arrays_that_do_not_fit(place, array, error) -> None:
    arena = np.zeros(29, np.float32)
    given = {"grad": arena, "state": arena, "previous": arena} | {place: array}
    with pytest.raises(error):
        _update.UpdateSweep(1, 0).add(arena, given["grad"], (given["state"],), given["previous"])


def test_a_weight_that_is_not_in_the_sweep_is_not_packed_by_it() -> None:
    sweep, weight = swept()
    assert not sweep.add_copy(weight.copy(), _update.ROWS, np.zeros(96, np.float32))


NUMBERS = np.zeros(29, np.float32)
SGD = _equations.sgd(0.1, 0.0, 0.0, 0.0, False, True)


@pytest.mark.parametrize(
    "use",
    [
        lambda sweep: sweep.add(NUMBERS, NUMBERS),
        lambda sweep: _update.UpdateSweep(1, 0).add(NUMBERS, NUMBERS, (NUMBERS,) * 4),
        lambda sweep: sweep.add_weight(NUMBERS[:24].reshape(6, 4), 1),
        lambda sweep: _update.UpdateSweep(1, 1).add_weight(NUMBERS[:24].reshape(6, 4), 1),
    ],
    ids=["arenas", "means", "weights", "no arena"],
)
def test_a_sweep_takes_no_more_than_it_has_room_for(use) -> None:
    sweep, _ = swept()
    with pytest.raises(ValueError, match=r"no room|no arena"):
        use(sweep)


def test_a_sweep_whose_norm_was_asked_for_takes_no_more_gradients() -> None:
    sweep = _update.UpdateSweep(2, 0)
    sweep.add(NUMBERS, NUMBERS)
    sweep.norm()
    with pytest.raises(ValueError, match="no room"):
        sweep.add(NUMBERS, NUMBERS)


@pytest.mark.parametrize(
    ("weight", "gates", "message"),
    [
        (NUMBERS[:24].reshape(6, 4), 0, "no shape of 0 gates"),
        (NUMBERS[:24].reshape(6, 4), 4, "no shape of 4 gates"),
        (NUMBERS[:0].reshape(6, 0), 1, "no shape of 1 gates"),
        (np.zeros((6, 4), np.float32), 1, "no part of the last arena"),
        (np.zeros((64, 64), np.float32), 1, "no part of the last arena"),
    ],
)
def test_a_sweep_takes_no_weight_that_it_does_not_update(weight, gates, message) -> None:
    sweep = _update.UpdateSweep(1, 1)
    sweep.add(NUMBERS, NUMBERS)
    with pytest.raises(ValueError, match=message):
        sweep.add_weight(weight, gates)


@pytest.mark.parametrize(
    "blocks", [((0, 0, 2),), ((1, 0, 1),), ((0, -1, 1),), ((0, 0, 1),) * 4], ids=str
)
def test_a_sweep_packs_no_gates_that_there_are_none_of(blocks) -> None:
    sweep, weight = swept()
    to = np.zeros_like(_ops.pack(weight.T))
    with pytest.raises(ValueError, match="blocks"):
        sweep.add_copy(weight, _update.COLUMNS, to, blocks)


@pytest.mark.parametrize(
    "rule",
    [
        _equations.sgd(0.1, 0.9, 0.0, 0.0, False, True),
        _equations.rmsprop(0.1, 0.9, 1e-8, 0.0, 0.0),
        _equations.adam(0.1, 0.9, 0.9, 1e-8, 0.0, False, 1),
    ],
    ids=["sgd", "rmsprop", "adam"],
)
def test_a_sweep_follows_no_equation_whose_means_it_lacks(rule) -> None:
    sweep, _ = swept()
    with pytest.raises(ValueError, match="needs a running mean"):
        sweep.run(rule, 1.0, 1)
    assert not sweep.done
    sweep.run(SGD, 1.0, 1)
    assert sweep.done
