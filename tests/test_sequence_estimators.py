"""Regression and classification of sequences learn, and keep the promises of their docs."""

from __future__ import annotations

import copy
import inspect
import itertools
import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import NonFiniteLossError, SequenceClassifier, SequenceRegressor, optim
from fastrnn.cells import make_network
from fastrnn.sequence.ragged import Ragged
from fastrnn.sequence.targets import class_weights

CELLS = ["rnn", "lstm", "gru"]
RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(3, 9, 120)
SERIES = [RNG.normal(2, 3, length) for length in LENGTHS]
TABLES = [RNG.normal(0, 1, (length, 2)) for length in LENGTHS]
WORDS = [RNG.integers(0, 5, length) for length in LENGTHS]


def same_weights(one, other) -> bool:
    parts = one.network_.state_dict(), other.network_.state_dict()
    return all(np.array_equal(parts[0][name], parts[1][name]) for name in parts[0])


# Learning


@pytest.mark.parametrize("cell", CELLS)
def test_a_regressor_learns_the_mean_of_sequences_of_any_length(cell: str) -> None:
    y = np.array([one.mean() for one in SERIES])
    model = SequenceRegressor(cell, 16, epochs=80, lr=0.02).fit(SERIES[:90], y[:90])
    assert model.score(SERIES[90:], y[90:]) > 0.8
    assert model.predict(SERIES[90:]).shape == (30,)


@pytest.mark.parametrize("cell", CELLS)
def test_a_classifier_learns_which_feature_ends_higher(cell: str) -> None:
    y = np.array([["first", "second"][int(one[-1, 1] > one[-1, 0])] for one in TABLES])
    model = SequenceClassifier(cell, 16, epochs=60).fit(TABLES[:90], y[:90])
    assert model.score(TABLES[90:], y[90:]) > 0.85
    assert model.classes_.tolist() == ["first", "second"]


def test_a_regressor_learns_a_number_for_every_step() -> None:
    y = [np.cumsum(one[:, 0]) for one in TABLES]
    model = SequenceRegressor("gru", 24, outputs="all", epochs=80).fit(TABLES[:90], y[:90])
    assert model.score(TABLES[90:], y[90:]) > 0.8
    predicted = model.predict(TABLES[90:])
    assert [one.shape for one in predicted] == [one.shape for one in y[90:]]


def test_a_classifier_learns_a_class_for_every_step_of_ids() -> None:
    y = [np.append(0, one[:-1]) for one in WORDS]  # the id before
    model = SequenceClassifier("gru", 24, num_ids=5, outputs="all", epochs=60)
    model.fit(WORDS[:90], y[:90])
    assert model.score(WORDS[90:], y[90:]) > 0.95
    assert [one.shape for one in model.predict_proba(WORDS[90:])] == [
        (len(one), 5) for one in WORDS[90:]
    ]
    assert not hasattr(model, "n_features_in_")


def test_several_numbers_are_predicted_together() -> None:
    y = np.stack([[one[-1, 0], 1000 * one[-1, 1]] for one in TABLES])
    model = SequenceRegressor(hidden_size=16, epochs=60).fit(TABLES[:90], y[:90])
    assert model.predict(TABLES[90:]).shape == (30, 2)
    assert model.score(TABLES[90:], y[90:]) > 0.8


# Sequences of different lengths


def random_network(cell: str, inputs: int, outputs: int):
    return make_network(cell, inputs, 5, outputs, nonlinearity="tanh", dtype="float64", seed=3)


@settings(max_examples=30)
@given(
    cell=st.sampled_from(CELLS),
    outputs=st.sampled_from(["all", "last"]),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=7),
    weighted=st.booleans(),
    as_ids=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_batch_of_any_lengths_has_the_loss_and_gradient_of_its_targets_one_by_one(
    cell: str, outputs: str, lengths: list[int], weighted: bool, as_ids: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    if as_ids:
        x = [rng.integers(0, 3, length) for length in lengths]
    else:
        x = [rng.normal(0, 1, (length, 3)) for length in lengths]
    steps = lengths if outputs == "all" else [()] * len(lengths)
    y = [np.asarray(rng.integers(0, 4, step)) for step in steps]
    weight = rng.uniform(0.1, 3, 4)

    network = random_network(cell, 3, 4)
    total = count = 0.0
    expected: dict = dict.fromkeys(network.state_dict(), 0.0)
    for one, labels in zip(x, y, strict=True):
        for step in range(len(one)) if outputs == "all" else [len(one) - 1]:
            label = labels[step] if outputs == "all" else labels
            factor = weight[label] if weighted else 1.0
            network.zero_grad()
            loss, _ = network.loss_and_grad(one[: step + 1, None], label[None], outputs="last")
            total, count = total + factor * loss, count + factor
            for part, module in (("rnn", network.layer), ("readout", network.readout)):
                for name, grad in module.grad.items():
                    expected[f"{part}.{name}"] = expected[f"{part}.{name}"] + factor * grad
    network.zero_grad()

    ragged = Ragged(network, "cross_entropy", outputs, weight if weighted else None)
    assert_within(ragged.mean_loss(x, y), total / count, rounding(np.float64))
    batch, options = ragged.batch(x, y)
    value, _ = network.loss_and_grad(*batch, **options)
    assert_within(value, total / count, rounding(np.float64))
    for part, module in (("rnn", network.layer), ("readout", network.readout)):
        for name, grad in module.grad.items():
            assert_within(grad, expected[f"{part}.{name}"] / count, rounding(np.float64))


def test_squared_errors_of_any_lengths_are_a_mean_over_all_numbers() -> None:
    network = random_network("lstm", 2, 3)
    x = [RNG.normal(0, 1, (length, 2)) for length in (4, 1, 3, 4)]
    y = [RNG.normal(0, 1, (len(one), 3)) for one in x]
    squares = np.concatenate(
        [(network(one)[0] - want) ** 2 for one, want in zip(x, y, strict=True)]
    )
    ragged = Ragged(network, "mse", "all")
    assert_within(ragged.mean_loss(x, y), squares.mean(), rounding(np.float64))
    batch, options = ragged.batch(x, y)
    assert_within(network.loss(*batch, **options)[0], squares.mean(), rounding(np.float64))


def test_a_prediction_does_not_depend_on_what_is_predicted_beside_it() -> None:
    y = np.array([one.mean() for one in SERIES])
    model = SequenceRegressor(hidden_size=8, epochs=2).fit(SERIES, y)
    together = model.predict(SERIES * 4)
    alone = np.concatenate([model.predict([one]) for one in SERIES])
    assert np.array_equal(together, np.tile(alone, 4))


def test_an_array_is_the_list_of_its_sequences() -> None:
    table = RNG.normal(0, 1, (30, 6))
    y = table.mean(axis=1)
    models = [
        SequenceRegressor(hidden_size=4, epochs=2).fit(x, y)
        for x in (table, list(table), table[:, :, None], table.tolist(), tuple(table))
    ]
    assert all(same_weights(models[0], other) for other in models[1:])
    ragged = np.empty(30, object)
    ragged[:] = list(table)
    assert same_weights(models[0], SequenceRegressor(hidden_size=4, epochs=2).fit(ragged, y))


def test_steps_of_an_array_come_back_as_an_array() -> None:
    table, y = RNG.normal(0, 1, (20, 6, 2)), RNG.normal(0, 1, (20, 6))
    model = SequenceRegressor(hidden_size=4, outputs="all", epochs=2).fit(table, y)
    assert model.predict(table).shape == (20, 6)
    assert np.array_equal(np.stack(model.predict(list(table))), model.predict(table))
    wide = SequenceRegressor(hidden_size=4, outputs="all", epochs=2).fit(table, y[:, :, None])
    assert wide.predict(table).shape == (20, 6, 1)
    labels = (y > 0).astype(int)
    classifier = SequenceClassifier(hidden_size=4, outputs="all", epochs=2).fit(table, labels)
    assert classifier.predict(table).shape == (20, 6)
    assert classifier.predict_proba(table).shape == (20, 6, 2)


# Classes


def test_probabilities_sum_to_one_and_the_likeliest_is_predicted() -> None:
    y = np.array(["low", "mid", "high"])[np.digitize([one.mean() for one in SERIES], [1, 3])]
    model = SequenceClassifier(hidden_size=8, epochs=5).fit(SERIES, y)
    probabilities = model.predict_proba(SERIES)
    assert_within(probabilities.sum(axis=1), np.ones(120), rounding(np.float64))
    assert np.array_equal(model.predict(SERIES), model.classes_[probabilities.argmax(axis=1)])
    assert model.score(SERIES, y) == np.mean(model.predict(SERIES) == y)


@pytest.mark.parametrize(
    "labels",
    [[7, 3], [True, False], ["b", "a"], [2.0, 1.0], np.array(["y", "x"], object), [b"q", b"p"]],
    ids=["integers", "booleans", "strings", "whole floats", "objects", "bytes"],
)
def test_labels_keep_their_kind(labels) -> None:
    y = np.asarray(labels)[RNG.integers(0, 2, 40)]
    model = SequenceClassifier(hidden_size=3, epochs=1).fit(SERIES[:40], y)
    assert model.classes_.dtype == y.dtype
    assert model.classes_.tolist() == sorted(np.asarray(labels).tolist())
    assert set(model.predict(SERIES).tolist()) <= set(np.asarray(labels).tolist())


def test_balanced_weights_are_inverse_to_frequency() -> None:
    positions = [np.array([one]) for one in (0, 0, 0, 1)]
    balanced = class_weights("balanced", np.array(["a", "b"]), positions)
    assert_within(balanced, [4 / 6, 4 / 2], rounding(np.float64))
    named = class_weights({"b": 3}, np.array(["a", "b"]), positions)
    assert named.tolist() == [1, 3]


def test_weights_make_a_rare_class_be_found() -> None:
    y = np.array([int(one.mean() > 4) for one in SERIES])
    assert 0.02 < y.mean() < 0.2
    found = [
        SequenceClassifier("rnn", 8, epochs=8, lr=0.005, class_weight=weight)
        .fit(SERIES, y)
        .predict(SERIES)[y == 1]
        .mean()
        for weight in (None, "balanced", {1: 50.0})
    ]
    assert found[0] < found[1] <= found[2]


def test_labels_that_are_not_in_y_are_ignored_where_all_others_have_a_weight() -> None:
    positions = [np.array([one]) for one in (0, 1, 1)]
    weights = class_weights({"c": 9, "b": 3, "a": 2}, np.array(["a", "b"]), positions)
    assert weights.tolist() == [2, 3]


@pytest.mark.parametrize(
    "weight", [{"a": 0}, {"b": 2, "c": 1}, {"a": 2, "b": 3, "z": 1}, "balanced"]
)
def test_weights_are_those_of_scikit_learn(weight) -> None:
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    labels = np.array(["a", "b", "b", "c"])
    classes, positions = np.unique(labels, return_inverse=True)
    parts = [np.array([one]) for one in positions]
    try:
        expected = compute(weight, classes=classes, y=labels)
    except ValueError:
        with pytest.raises(ValueError, match="class_weight has the label 'z'"):
            class_weights(weight, classes, parts)
    else:
        assert_within(class_weights(weight, classes, parts), expected, rounding(np.float64))


def test_a_fold_without_a_weighted_class_is_learned_from() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    y = np.array([0, 1, 2] + [0, 1] * 58 + [2])
    assert len(y) == len(SERIES)
    model = SequenceClassifier("rnn", 4, epochs=1, class_weight={0: 1, 1: 2, 2: 5})
    folds = selection.PredefinedSplit(np.array([0, 1, 0] + [1, 2] * 58 + [0]))
    assert selection.cross_val_score(model, SERIES, y, cv=folds, error_score="raise").shape == (3,)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_targets_of_weight_0_are_not_learned_from(early_stopping: bool) -> None:
    y = np.array([int(one.mean() > 2) for one in SERIES])
    y[:20] = 2
    options = {"hidden_size": 4, "epochs": 3, "batch_size": 2, "early_stopping": early_stopping}
    weighted = SequenceClassifier(**options, class_weight={2: 0.0}).fit(SERIES, y)
    assert (weighted.predict(SERIES) != 2).all()
    assert all(np.isfinite(record["loss"]) for record in weighted.history_)
    many = SERIES * 5
    labels = np.concatenate([np.full(520, 2), np.tile([0, 1], 40)])
    stopped = SequenceClassifier("rnn", 2, epochs=1, class_weight={2: 0.0}, early_stopping=True)
    stopped.set_params(validation_fraction=0.9, batch_size=8, seed=1).fit(many, labels)
    assert np.isfinite(stopped.history_[0]["validation_loss"])


def test_a_training_in_which_no_target_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="class_weight is 0 for every class that y has"):
        SequenceClassifier(class_weight={"a": 0, "b": 0, "c": 1}).fit(SERIES, ["a", "b"] * 60)
    model = SequenceClassifier(class_weight={"a": 0}, early_stopping=True)
    with pytest.raises(ValueError, match="class_weight is 0 for all that is held out"):
        model.fit(SERIES, ["a"] * 119 + ["b"])
    assert not hasattr(model, "network_")


def test_equal_weights_change_nothing_but_rounding() -> None:
    y = np.array([int(one.mean() > 2) for one in SERIES])
    options = {"hidden_size": 4, "epochs": 2, "dtype": "float64"}
    plain = SequenceClassifier(**options).fit(SERIES, y)
    equal = SequenceClassifier(**options, class_weight={0: 2.5, 1: 2.5}).fit(SERIES, y)
    assert_within(equal.predict_proba(SERIES), plain.predict_proba(SERIES), rounding(np.float64))


# Training


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_same_seed_gives_the_same_bits(early_stopping: bool) -> None:
    y = np.array([one.mean() for one in SERIES])
    options = {"hidden_size": 6, "epochs": 3, "early_stopping": early_stopping}
    one, again, other = (
        SequenceRegressor(**options, seed=seed, num_threads=threads).fit(SERIES, y)
        for seed, threads in ((5, 1), (5, 2), (6, 1))
    )
    assert same_weights(one, again)
    assert one.history_ == again.history_
    assert not same_weights(one, other)


def test_batches_hold_every_sequence_once_each_epoch_in_a_new_order(monkeypatch) -> None:
    seen: list[list[float]] = []
    original = fastrnn.Network.loss_and_grad

    def watched(self, x, target, **options):
        seen.append(x[0, :, 0].tolist())
        return original(self, x, target, **options)

    monkeypatch.setattr(fastrnn.Network, "loss_and_grad", watched)
    numbered = [np.full(1 + i % 3, float(i)) for i in range(10)]
    model = SequenceRegressor(hidden_size=2, scaling="none", epochs=2, batch_size=4)
    model.fit(numbered, np.arange(10.0))
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    orders = [list(itertools.chain(*seen[:3])), list(itertools.chain(*seen[3:]))]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1]


def test_history_has_the_loss_of_every_epoch() -> None:
    y = np.array([one.mean() for one in SERIES])
    model = SequenceRegressor(hidden_size=8, epochs=12).fit(SERIES, y)
    assert [one["epoch"] for one in model.history_] == list(range(1, 13))
    assert model.history_[-1]["loss"] < 0.5 * model.history_[0]["loss"]
    assert model.n_iter_ == 12


def test_the_first_loss_is_that_of_the_untrained_network_in_scaled_units() -> None:
    y = [np.asarray(one * 3 + 1) for one in SERIES]
    options = {"hidden_size": 4, "outputs": "all", "batch_size": 120, "dtype": "float64"}
    still = SequenceRegressor(**options, epochs=1, optimizer="sgd", lr=1e-300).fit(SERIES, y)
    errors = np.concatenate(still.predict(SERIES)) - np.concatenate(y)
    spread = np.abs(np.concatenate(y) - np.concatenate(y).mean()).mean()
    assert_within(still.history_[0]["loss"], np.mean((errors / spread) ** 2), rounding(np.float64))


def test_learning_does_not_depend_on_units() -> None:
    y = np.array([one.mean() for one in SERIES])
    histories = [
        SequenceRegressor(hidden_size=4, epochs=3)
        .fit([unit * one for one in SERIES], y / unit)
        .history_
        for unit in (1.0, 2.0**30)
    ]
    assert histories[0] == histories[1]


def test_without_scaling_numbers_enter_and_leave_as_they_are() -> None:
    y = np.array([one.mean() for one in SERIES])
    model = SequenceRegressor(hidden_size=4, scaling="none", epochs=1, dtype="float64")
    model.fit(SERIES, y)
    expected, _ = model.network_(SERIES[0][:, None, None], outputs="last")
    assert model.predict(SERIES[:1])[0] == expected[0, 0]


def test_early_stopping_ends_with_the_weights_that_were_best() -> None:
    rng = np.random.default_rng(1)
    noise = [rng.normal(0, 1, 6) for _ in range(40)]
    y = rng.normal(0, 1, 40)  # nothing can be learned but by heart
    options = {"hidden_size": 16, "epochs": 60, "early_stopping": True, "patience": 4, "lr": 0.03}
    model = SequenceRegressor(**options, validation_fraction=0.25).fit(noise, y)
    losses = [one["validation_loss"] for one in model.history_]
    best = int(np.argmin(losses))
    assert model.n_iter_ == len(losses) == best + 5 < 60
    again = SequenceRegressor(**{**options, "patience": 100}, validation_fraction=0.25).fit(
        noise, y
    )
    assert len(again.history_) == 60
    held_out = np.random.default_rng(np.random.SeedSequence(0).generate_state(3)[2]).permutation(40)
    held_out = held_out[:10]
    spread = np.abs(y - y.mean()).mean()
    errors = model.predict([noise[i] for i in held_out]) - y[held_out]
    assert_within(np.mean((errors / spread) ** 2), losses[best], rounding(np.float32))


def test_fitting_again_starts_anew() -> None:
    y = np.array([one.mean() for one in SERIES])
    model = SequenceRegressor(hidden_size=4, epochs=2).fit(SERIES, -y).fit(SERIES, y)
    assert len(model.history_) == 2
    assert same_weights(model, SequenceRegressor(hidden_size=4, epochs=2).fit(SERIES, y))


def test_a_fit_that_is_refused_keeps_the_last_one() -> None:
    y = np.array([one.mean() for one in SERIES])
    model = SequenceRegressor(hidden_size=4, epochs=2).fit(SERIES, y)
    before = model.predict(SERIES)
    for parameters in ({"lr": -1.0}, {"hidden_size": 0}, {"cell": "gpt"}, {"patience": 0}):
        with pytest.raises(ValueError, match=next(iter(parameters))):
            copy.copy(model).set_params(**parameters).fit(SERIES, y)
    with pytest.raises(ValueError, match="y has shape"):
        model.fit(SERIES, y[:-1])
    assert np.array_equal(model.predict(SERIES), before)


def test_parameters_set_after_fit_wait_for_the_next_one() -> None:
    y = np.array([one.mean() for one in SERIES])
    model = SequenceRegressor(hidden_size=4, epochs=2).fit(SERIES, y)
    before = model.predict(SERIES)
    model.set_params(outputs="all", num_ids=4, scaling="none", hidden_size=9)
    assert np.array_equal(model.predict(SERIES), before)


def test_an_interrupted_fit_can_predict(monkeypatch) -> None:
    class Interrupted(optim.Adam):
        updates = 0

        def _rule(self, step):
            self.updates += 1
            if self.updates == 6:
                raise KeyboardInterrupt
            return super()._rule(step)

    monkeypatch.setitem(optim.OPTIMIZERS, "adam", Interrupted)
    y = np.array(["a", "b"])[RNG.integers(0, 2, 120)]
    model = SequenceClassifier(hidden_size=4, epochs=5)
    with pytest.raises(KeyboardInterrupt):
        model.fit(SERIES, y)
    assert model.n_iter_ == 1
    assert set(model.predict(SERIES)) <= {"a", "b"}


def test_a_loss_that_is_not_finite_stops_training_with_advice() -> None:
    options = {"nonlinearity": "relu", "optimizer": "sgd", "lr": 1e20, "clip_norm": None}
    model = SequenceRegressor("rnn", 8, **options)
    with pytest.raises(NonFiniteLossError, match="try a learning rate well below"):
        model.fit(SERIES, np.array([one.mean() for one in SERIES]))
    assert np.isfinite(model.predict(SERIES)).all()


def test_progress_is_shown_only_when_asked_for(capsys) -> None:
    y = np.array([one.mean() for one in SERIES])
    SequenceRegressor(hidden_size=4, epochs=2).fit(SERIES, y)
    assert capsys.readouterr().err == ""
    SequenceRegressor(hidden_size=4, epochs=2, progress=True).fit(SERIES, y)
    assert "2/2" in capsys.readouterr().err


def test_data_handed_in_is_never_written_to() -> None:
    table, y = RNG.normal(0, 1, (20, 5, 2)), RNG.normal(0, 1, 20)
    kept, table_of_y = table.copy(), y.copy()
    SequenceRegressor(hidden_size=4, epochs=2).fit(table, y).predict(table)
    assert np.array_equal(table, kept)
    assert np.array_equal(y, table_of_y)


@pytest.mark.parametrize("make", [SequenceRegressor, SequenceClassifier])
def test_a_copy_predicts_the_same(make) -> None:
    model = make(hidden_size=4, epochs=2).fit(SERIES, RNG.integers(0, 3, 120))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(twin.predict(SERIES), model.predict(SERIES))


# Parameters


@pytest.mark.parametrize("make", [SequenceRegressor, SequenceClassifier])
def test_parameters_come_back_as_they_were_given(make) -> None:
    given_size = np.int64(7)
    model = make(hidden_size=given_size, lr="not checked yet")
    assert model.get_params()["hidden_size"] is given_size
    assert model.get_params()["lr"] == "not checked yet"
    assert model.set_params(lr=0.5, cell="lstm") is model
    assert (model.lr, model.cell) == (0.5, "lstm")
    with pytest.raises(ValueError, match=r"Invalid parameter 'size' for estimator .*Valid param"):
        model.set_params(lr=0.1, size=3)
    assert model.lr == 0.5


def test_it_prints_what_is_not_as_usual() -> None:
    assert repr(SequenceRegressor()) == "SequenceRegressor()"
    shown = repr(SequenceClassifier("lstm", seed=3, class_weight="balanced"))
    assert shown == "SequenceClassifier(cell='lstm', class_weight='balanced', seed=3)"


def test_defaults_are_the_same_in_both() -> None:
    regressor, classifier = SequenceRegressor().get_params(), SequenceClassifier().get_params()
    assert classifier.pop("class_weight") is None
    assert regressor == classifier


def test_each_says_all_of_its_parameters_and_both_the_same_of_those_they_share() -> None:
    described = []
    for kind in (SequenceRegressor, SequenceClassifier):
        assert list(inspect.signature(kind).parameters)[:2] == ["cell", "hidden_size"]
        section = inspect.getdoc(kind).split("\nParameters\n")[1].split("\nAttributes\n")[0]
        parts = re.findall(r"^(\w+) : (.+(?:\n +.+)*)", section, re.MULTILINE)
        described.append(dict(parts))
        assert sorted(described[-1]) == sorted(kind().get_params())
        assert [*described[-1]] == [name for name, _ in parts]
    regressor, classifier = described
    assert regressor.pop("scaling").startswith(classifier.pop("scaling"))
    del classifier["class_weight"]
    assert regressor == classifier


# Bad input

Y = np.arange(120.0)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"cell": "gpt"}, ValueError, "cell must be one of"),
        ({"hidden_size": 1.5}, TypeError, "hidden_size must be an integer"),
        ({"outputs": "first"}, ValueError, "outputs must be one of 'all', 'last'"),
        ({"scaling": "window"}, ValueError, "scaling must be one of 'global', 'none'"),
        ({"num_ids": 0}, ValueError, "num_ids must be between 1"),
        ({"epochs": 0}, ValueError, "epochs must be between 1"),
        ({"batch_size": 0}, ValueError, "batch_size must be between 1"),
        ({"optimizer": "adamm"}, ValueError, "optimizer must be one of"),
        ({"schedule": "step"}, ValueError, "schedule must be one of"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be greater than 0"),
        ({"early_stopping": 1}, TypeError, "early_stopping must be True or False"),
        ({"validation_fraction": 1}, ValueError, "validation_fraction must be less than 1"),
        (
            {"early_stopping": True, "validation_fraction": 0.999},
            ValueError,
            "X has 120 sequences, too few to hold out 120 for early_stopping",
        ),
        ({"dtype": "float16"}, TypeError, "dtype must be float32 or float64"),
        ({"seed": -1}, ValueError, "seed must be between 0"),
        ({"num_threads": 0}, ValueError, "num_threads must be between 1"),
        ({"nonlinearity": "relu"}, ValueError, "'gru' has a fixed nonlinearity, got 'relu'"),
        ({"hidden_size": 2**31 - 1}, MemoryError, "would take"),
    ],
)
def test_parameters_are_checked_by_fit(parameters, error, message) -> None:
    with pytest.raises(error, match=message):
        SequenceRegressor(**parameters).fit(SERIES, Y)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([], ValueError, "X is empty"),
        (np.zeros((0, 3)), ValueError, r"X has shape \(0, 3\)"),
        (np.zeros(5), ValueError, r"X has shape \(5,\), expected \(N, length\) or"),
        (np.zeros((5, 0)), ValueError, r"X has shape \(5, 0\)"),
        ([1.0, 2.0], ValueError, r"X\[0\] has shape \(\), expected \(length,\) or"),
        ([[1.0], []], ValueError, r"X\[1\] has shape \(0, 1\).*none of them 0"),
        ([np.zeros((2, 2, 2))], ValueError, r"X\[0\] has shape \(2, 2, 2\)"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], ValueError, r"X\[1\] has 3 features .* expected 2"),
        ([[1.0], [np.nan]], ValueError, r"X\[1\] must be finite, got nan at index 0"),
        (np.full((2, 2), np.inf), ValueError, "X must be finite, got inf"),
        ([["a"]], TypeError, r"X\[0\] must hold numbers"),
        (None, TypeError, "X must hold numbers"),
        ([[1e300, -1e300]], ValueError, "leave the range|differ by more"),
    ],
)
def test_sequences_that_cannot_be_read_are_refused(x, error, message) -> None:
    count = 2 if x is None else max(1, len(x))
    with pytest.raises(error, match=message):
        SequenceRegressor(scaling="none").fit(x, np.zeros(count))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([[0.0, 1.0]], TypeError, r"X\[0\] must hold integer ids with num_ids=3"),
        ([[0, 3]], ValueError, r"X\[0\] must hold ids from 0 to 2, got 3"),
        ([[0, 1], []], ValueError, r"X\[1\] has shape \(0,\), expected \(length,\)"),
        ([[-1]], ValueError, r"X\[0\] must hold ids from 0 to 2, got -1"),
        ([[[0, 1]]], ValueError, r"X\[0\] has shape \(1, 2\), expected \(length,\)"),
        (np.zeros((2, 2, 2), int), ValueError, r"X has shape \(2, 2, 2\), expected \(N, length\)"),
    ],
)
def test_ids_that_cannot_be_read_are_refused(x, error, message) -> None:
    with pytest.raises(error, match=message):
        SequenceRegressor(num_ids=3).fit(x, np.zeros(len(x)))


@pytest.mark.parametrize(
    ("outputs", "y", "error", "message"),
    [
        ("last", Y[:3], ValueError, r"y has shape \(3,\), expected \(120,\) or \(120, outputs\)"),
        ("last", np.zeros((120, 2, 2)), ValueError, r"y has shape \(120, 2, 2\)"),
        ("last", np.full(120, np.nan), ValueError, "y must be finite"),
        ("last", ["a"] * 120, TypeError, "y must hold numbers"),
        ("last", None, ValueError, "y is missing"),
        ("all", Y, ValueError, r"y has shape \(120,\), expected a target for each step"),
        ("all", SERIES[:5], ValueError, "y has 5 sequences, expected 120"),
        ("all", [*SERIES[:-1], [1.0]], ValueError, r"y\[119\] has shape \(1,\), expected \("),
        (
            "all",
            [SERIES[0], *(one[:, None] for one in SERIES[1:])],
            ValueError,
            r"y\[1\] has shape \(\d, 1\).*of one width in all",
        ),
    ],
)
def test_numbers_that_do_not_fit_are_refused(outputs, y, error, message) -> None:
    with pytest.raises(error, match=message):
        SequenceRegressor(outputs=outputs).fit(SERIES, y)


@pytest.mark.parametrize(
    ("outputs", "y", "error", "message"),
    [
        ("last", ["a"] * 120, ValueError, "y holds 1 class, 'a'; at least 2"),
        ("last", Y + 0.5, ValueError, "Unknown label type: continuous. y must hold class labels"),
        ("last", np.where(Y > 3, np.nan, Y), ValueError, "y must be finite"),
        ("last", [None, "a"] * 60, ValueError, "y must hold class labels, got a missing value"),
        ("last", np.array([1, "a"] * 60, object), TypeError, "y must hold labels of one kind"),
        ("last", Y[:, None], ValueError, r"y has shape \(120, 1\), expected \(120,\)"),
        ("last", Y.astype(complex), TypeError, "y must hold class labels"),
        ("last", None, ValueError, "y is missing"),
        ("all", [["a"]] * 120, ValueError, r"y\[\d\] has shape \(1,\), expected"),
    ],
)
def test_labels_that_do_not_fit_are_refused(outputs, y, error, message) -> None:
    with pytest.raises(error, match=message):
        SequenceClassifier(outputs=outputs).fit(SERIES, y)


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        ("even", TypeError, "class_weight must be None, 'balanced' or a dict, got 'even'"),
        ([1, 2], TypeError, "class_weight must be None"),
        ({"c": 1}, ValueError, "class_weight has the label 'c', which y has not, and none for 'a'"),
        ({"a": 1, "c": 1}, ValueError, "which y has not, and none for 'b'"),
        ({"a": -1}, ValueError, r"class_weight\['a'\] must be at least 0, got -1"),
        ({"a": 1, "b": 1, "c": "x"}, TypeError, r"class_weight\['c'\] must be a number"),
        ({"a": np.inf}, ValueError, r"class_weight\['a'\] must be finite"),
    ],
)
def test_class_weights_that_mean_nothing_are_refused(weight, error, message) -> None:
    with pytest.raises(error, match=message):
        SequenceClassifier(class_weight=weight).fit(SERIES, ["a", "b"] * 60)


@pytest.mark.parametrize("pair", [(1, "a"), (True, "a"), (1.0, "a"), (b"a", "a"), (b"a", 1)])
def test_labels_of_several_kinds_are_refused_and_not_made_strings(pair: tuple) -> None:
    for y in ([*pair] * 60, np.array([*pair] * 60, dtype=object)):
        with pytest.raises(TypeError, match="y must hold labels of one kind"):
            SequenceClassifier(epochs=1).fit(SERIES, y)


def test_labels_of_steps_are_of_one_kind_in_all_sequences() -> None:
    y = [np.full(length, k % 2) for k, length in enumerate(LENGTHS)]
    y[7] = y[7].astype(str)
    with pytest.raises(TypeError, match="y must hold labels of one kind"):
        SequenceClassifier(outputs="all", epochs=1).fit(SERIES, y)
    y[7] = ["a", *[1] * (LENGTHS[7] - 1)]
    with pytest.raises(TypeError, match=r"y\[7\] must hold labels of one kind"):
        SequenceClassifier(outputs="all", epochs=1).fit(SERIES, y)


def test_what_was_not_learned_from_is_refused_in_prediction() -> None:
    model = SequenceRegressor(hidden_size=3, epochs=1).fit(SERIES, Y)
    with pytest.raises(ValueError, match="X has 2 features, but SequenceRegressor is expecting 1"):
        model.predict(TABLES)
    with pytest.raises(ValueError, match="X must be finite"):
        model.predict(np.full((1, 3), np.nan))


@pytest.mark.parametrize("name", ["predict", "predict_proba", "score"])
def test_nothing_is_predicted_before_fit(name: str) -> None:
    arguments = (SERIES, Y) if name == "score" else (SERIES,)
    with pytest.raises(ValueError, match=r"has not been fitted; call fit\(X, y\) first"):
        getattr(SequenceClassifier(), name)(*arguments)


def test_they_are_public() -> None:
    assert {"SequenceRegressor", "SequenceClassifier"} <= set(fastrnn.__all__)


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}], ids=str)
def test_stacks_and_both_directions_learn_too(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((rng.integers(3, 9), 1)) for _ in range(60)]
    y = np.array([one[0, 0] for one in X])
    model = SequenceRegressor(hidden_size=12, epochs=120, **options).fit(X, y)
    assert model.score(X, y) > 0.9
    layer = model.network_.layer
    assert (layer.num_layers, layer.bidirectional) == (
        options.get("num_layers", 1),
        options.get("bidirectional", False),
    )
