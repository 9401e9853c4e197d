"""scikit-learn takes the estimators of sequences as its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fastrnn import SequenceClassifier, SequenceRegressor

pytest.importorskip("sklearn", reason="scikit-learn, of the extra 'sklearn', is not installed")

from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted

RNG = np.random.default_rng(0)
SERIES = [RNG.normal(0, 1, length) for length in RNG.integers(2, 7, 90)]
SUMS = np.array([one.sum() for one in SERIES])
SIGNS = np.where(SUMS > 0, "up", "down")
TABLE = RNG.normal(5, 3, (90, 4))

# What differs from scikit-learn on purpose: in a table, columns are the steps of sequences.
DIFFERENT = {
    "check_n_features_in": "a row of a table is a sequence of one feature",
    "check_n_features_in_after_fitting": "sequences may be longer or shorter than those of fit",
    "check_complex_data": "wrong types are a TypeError",
    "check_dtype_object": "an array of objects holds sequences, not numbers",
    "check_estimators_empty_data_messages": "what is empty are sequences, not samples' features",
    "check_estimators_nan_inf": "a NaN is refused as nan, with its place",
}
DIFFERENT_IN_CLASSIFIERS = {
    "check_classifiers_train": "sequences may be longer or shorter than those of fit",
    "check_supervised_y_2d": "labels of shape (N, 1) are refused, not flattened with a warning",
}


@pytest.mark.parametrize(
    ("estimator", "different"),
    [
        (SequenceRegressor(hidden_size=16, epochs=60), DIFFERENT),
        (SequenceClassifier(hidden_size=16, epochs=40), DIFFERENT | DIFFERENT_IN_CLASSIFIERS),
    ],
    ids=["regressor", "classifier"],
)
@pytest.mark.unsanitized
@pytest.mark.filterwarnings("ignore")
def test_its_own_checks_pass_but_those_that_differ_on_purpose(estimator, different) -> None:
    results = check_estimator(estimator, expected_failed_checks=different, on_fail=None)
    failed = {one["check_name"]: one["exception"] for one in results if one["status"] == "failed"}
    assert failed == {}
    assert {one["check_name"] for one in results if one["status"] == "xfail"} == set(different)


@pytest.mark.parametrize("estimator", [SequenceRegressor("lstm", 5), SequenceClassifier("rnn", 3)])
def test_a_clone_is_new_and_equal(estimator) -> None:
    estimator.fit(SERIES, SIGNS if is_classifier(estimator) else SUMS)
    twin = clone(estimator)
    assert twin.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        check_is_fitted(twin)
    check_is_fitted(estimator)


def test_their_kind_is_known() -> None:
    assert is_regressor(SequenceRegressor())
    assert is_classifier(SequenceClassifier())


@pytest.mark.parametrize("name", ["predict", "predict_proba"])
def test_before_fit_its_own_error_is_raised(name: str) -> None:
    with pytest.raises(NotFittedError, match="has not been fitted"):
        getattr(SequenceClassifier(), name)(SERIES)


def test_sequences_of_any_length_are_cross_validated() -> None:
    scores = cross_val_score(SequenceRegressor(hidden_size=12, epochs=60), SERIES, SUMS, cv=3)
    assert scores.min() > 0.6
    model = SequenceClassifier(hidden_size=12, epochs=60)
    assert cross_val_score(model, SERIES, SIGNS, cv=3).min() > 0.7
    assert cross_val_score(model, SERIES, SIGNS, cv=3, scoring="roc_auc").min() > 0.8
    predicted = cross_val_predict(model, SERIES, SIGNS, cv=3, method="predict_proba")
    assert predicted.shape == (90, 2)


def test_a_pipeline_scales_before_it() -> None:
    y = TABLE[:, -1] - TABLE[:, 0]
    model = make_pipeline(StandardScaler(), SequenceRegressor("rnn", 12, epochs=60))
    assert model.fit(TABLE[:60], y[:60]).score(TABLE[60:], y[60:]) > 0.7


def test_a_grid_is_searched() -> None:
    search = GridSearchCV(
        SequenceClassifier(hidden_size=6), {"epochs": [1, 40], "cell": ["rnn", "gru"]}, cv=2
    )
    search.fit(SERIES, SIGNS)
    assert search.best_params_["epochs"] == 40
    assert search.predict(SERIES[:3]).shape == (3,)


def test_the_score_of_a_regressor_is_its_r2() -> None:
    y = np.column_stack([SUMS, [one[-1] for one in SERIES], np.ones(90)])
    model = SequenceRegressor(hidden_size=6, epochs=3).fit(SERIES, y)
    assert model.score(SERIES, y) == pytest.approx(r2_score(y, model.predict(SERIES)))
    steps = SequenceRegressor(hidden_size=6, epochs=3, outputs="all").fit(SERIES, SERIES)
    expected = r2_score(np.concatenate(SERIES), np.concatenate(steps.predict(SERIES)))
    assert steps.score(SERIES, SERIES) == pytest.approx(expected)


def test_a_frame_of_pandas_is_a_table() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(TABLE)
    one, other = (SequenceRegressor(hidden_size=3, epochs=2).fit(x, SUMS) for x in (frame, TABLE))
    assert np.array_equal(one.predict(frame), other.predict(TABLE))
    assert one.fit(SERIES, pandas.Series(SUMS, index=range(5, 95))).n_iter_ == 2


def test_using_the_estimators_does_not_import_it() -> None:
    code = (
        "import sys, fastrnn\n"
        "model = fastrnn.SequenceRegressor(hidden_size=2, epochs=1).fit([[1., 2.], [3.]], [1, 2])\n"
        "model.predict([[1.]]), model.get_params(), repr(model)\n"
        "assert not any(name.startswith('sklearn') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
