"""A learning curve stays small, and loses nothing but detail."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn import CharRNN, Forecaster, data
from fastrnn.training import history

MOST = 8


@pytest.fixture(autouse=True)
def few_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_RECORDS", MOST)


def curve_of(losses: list[float]) -> list[dict[str, float]]:
    curve: list[dict[str, float]] = []
    for step, loss in enumerate(losses, 1):
        history.append(curve, "step", {"step": step, "loss": loss})
    return curve


def test_up_to_the_limit_there_is_a_record_for_each_step() -> None:
    losses = [float(step) for step in range(1, MOST + 1)]
    assert [record["loss"] for record in curve_of(losses)] == losses


@given(st.lists(st.floats(0, 10), min_size=MOST + 1, max_size=20 * MOST))
def test_beyond_it_each_is_the_mean_over_as_many_steps(losses: list[float]) -> None:
    curve = curve_of(losses)
    steps = [0, *(record["step"] for record in curve)]
    assert MOST // 2 < len(curve) <= MOST
    assert steps[-1] == len(losses)
    assert len(set(np.diff(steps[:-1]))) == 1
    for record, start, stop in zip(curve, steps, steps[1:], strict=False):
        np.testing.assert_allclose(record["loss"], np.mean(losses[start:stop]), rtol=1e-12)


def test_a_character_model_keeps_count_over_two_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = []
    for most in (MOST, 100):
        monkeypatch.setattr(history, "MOST_RECORDS", most)
        model = CharRNN(hidden_size=4).fit("abc" * 100, steps=21).fit("abc" * 100, steps=20)
        curves.append(model.history)
    few, all_of_them = curves
    assert len(few) <= MOST < len(all_of_them) == 41
    assert (few[-1]["step"], few[-1]["chars"]) == (41, all_of_them[-1]["chars"])
    each = few[0]["step"]
    np.testing.assert_allclose(
        few[0]["loss"], np.mean([record["loss"] for record in all_of_them[:each]])
    )


def test_what_only_some_records_have_is_not_lost() -> None:
    curve: list[dict[str, float]] = []
    for step in range(1, 4 * MOST + 1):
        record = {"step": step, "loss": 1.0}
        if step % 8 == 1:
            record["validation_loss"] = float(step)
        history.append(curve, "step", record)
    found = [r["validation_loss"] for r in curve if "validation_loss" in r]
    assert found == [1.0, 9.0, 17.0, 25.0]


def test_a_forecaster_keeps_count() -> None:
    curve = Forecaster(5, hidden_size=4).fit(data.sine(40), epochs=30).history
    assert len(curve) <= MOST
    assert curve[-1]["epoch"] == 30
