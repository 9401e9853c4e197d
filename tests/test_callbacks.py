"""Callbacks see every step, may end the training, and cannot leave a broken model."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest

import fastrnn
from fastrnn import CharRNN, StopTraining, TrainingStep

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20


def test_it_is_called_after_every_step_with_what_the_history_says() -> None:
    seen: list[TrainingStep] = []
    options = {"validation": 0.2, "evaluate_every": 2}
    model = CharRNN(hidden_size=4).fit(VERSE, steps=5, callbacks=[seen.append], **options)
    for step, record in zip(seen, model.history, strict=True):
        assert step.model is model
        for name in ("step", "chars", "loss", "lr"):
            assert getattr(step, name) == record[name]
        assert step.validation_loss == record.get("validation_loss")
    assert [step.progress for step in seen] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert [step.validation_loss is None for step in seen] == [True, False, True, False, False]


def test_steps_are_counted_over_two_fits() -> None:
    steps: list[int] = []
    model = CharRNN(hidden_size=4).fit(VERSE, steps=3)
    model.fit(VERSE, steps=2, callbacks=[lambda step: steps.append(step.step)])
    assert steps == [4, 5]


def test_several_are_called_in_order() -> None:
    calls: list[str] = []
    callbacks = (lambda _: calls.append("first"), lambda _: calls.append("second"))
    CharRNN(hidden_size=4).fit(VERSE, steps=2, callbacks=callbacks)
    assert calls == ["first", "second"] * 2


def test_what_it_is_told_cannot_be_changed() -> None:
    def change(step: TrainingStep) -> None:
        step.loss = 0.0

    with pytest.raises(dataclasses.FrozenInstanceError):
        CharRNN(hidden_size=4).fit(VERSE, steps=2, callbacks=[change])


def test_it_sees_the_weights_after_the_step_and_may_use_the_model(tmp_path) -> None:
    def use(step: TrainingStep) -> None:
        assert step.model.generate("the", 5).startswith("the")
        assert np.isfinite(step.model.evaluate(VERSE)["loss"])
        step.model.save(tmp_path / str(step.step))

    used = CharRNN("lstm", hidden_size=6).fit(VERSE, steps=4, schedule="constant", callbacks=[use])
    for steps in (1, 4):
        model = CharRNN("lstm", hidden_size=6).fit(VERSE, steps=steps, schedule="constant")
        model.save(tmp_path / "expected")
        assert (tmp_path / str(steps)).read_bytes() == (tmp_path / "expected").read_bytes()
    assert used.history == model.history


def test_stop_training_ends_it_after_the_step() -> None:
    def stop(step: TrainingStep) -> None:
        if step.step == 3:
            raise StopTraining

    model = CharRNN(hidden_size=4)
    assert model.fit(VERSE, steps=50, schedule="constant", callbacks=[stop]) is model
    only = CharRNN(hidden_size=4).fit(VERSE, steps=3, schedule="constant")
    assert model.history == only.history
    for name, weight in only.network.state_dict().items():
        np.testing.assert_array_equal(model.network.state_dict()[name], weight)


def test_another_exception_propagates_and_leaves_the_model_of_its_step() -> None:
    def fail(step: TrainingStep) -> None:
        if step.step == 3:
            raise ZeroDivisionError("mine")

    model = CharRNN(hidden_size=4)
    with pytest.raises(ZeroDivisionError, match="mine"):
        model.fit(VERSE, steps=50, schedule="constant", callbacks=[fail])
    only = CharRNN(hidden_size=4).fit(VERSE, steps=3, schedule="constant")
    assert model.history == only.history
    for name, weight in only.network.state_dict().items():
        np.testing.assert_array_equal(model.network.state_dict()[name], weight)
    assert len(model.fit(VERSE, steps=2).history) == 5


@pytest.mark.parametrize("callbacks", [print, [print, 5], "print", None, [None]])
def test_what_is_no_list_of_functions_is_refused(callbacks) -> None:
    model = CharRNN(hidden_size=4)
    with pytest.raises(TypeError, match="callbacks must be a list of functions, got"):
        model.fit(VERSE, callbacks=callbacks)
    assert model.network is None


def test_stop_training_is_no_error_of_the_library() -> None:
    assert not issubclass(StopTraining, (ValueError, fastrnn.NonFiniteLossError))


def test_a_callback_may_not_fit_its_model_but_a_copy_of_it() -> None:
    copies = []

    def fit_again(step: fastrnn.TrainingStep) -> None:
        with pytest.raises(RuntimeError, match="is being fitted: a callback"):
            step.model.fit(VERSE, steps=1)
        copies.append(copy.deepcopy(step.model).fit(VERSE, steps=1))

    model = CharRNN(hidden_size=4).fit(VERSE, steps=2, callbacks=[fit_again])
    assert [record["step"] for record in model.history] == [1, 2]
    assert [record["step"] for record in copies[1].history] == [1, 2, 3]
    model.fit(VERSE, steps=1)


def wave_forecaster(**options: Any) -> fastrnn.Forecaster:
    forecaster = fastrnn.Forecaster(8, hidden_size=4)
    return forecaster.fit(fastrnn.data.sine(60, periods=4), batch_size=16, **options)


def test_a_forecasters_callback_is_told_every_epoch_and_may_forecast() -> None:
    seen: list[dict[str, float]] = []
    ahead: list[np.ndarray] = []
    forecaster = fastrnn.Forecaster(8, hidden_size=4)
    callbacks = [seen.append, lambda _: ahead.append(forecaster.forecast(2))]
    forecaster.fit(fastrnn.data.sine(60, periods=4), epochs=3, batch_size=16, callbacks=callbacks)
    assert seen == forecaster.history == wave_forecaster(epochs=3).history
    for epochs, forecast in enumerate(ahead, start=1):
        np.testing.assert_array_equal(forecast, wave_forecaster(epochs=epochs).forecast(2))


def test_a_forecasters_training_stops_after_the_epoch() -> None:
    def stop(record: dict[str, float]) -> None:
        if record["epoch"] == 3:
            raise StopTraining

    stopped, short = wave_forecaster(epochs=50, callbacks=[stop]), wave_forecaster(epochs=3)
    assert stopped.history == short.history
    np.testing.assert_array_equal(stopped.forecast(5), short.forecast(5))


def test_a_forecasters_callback_must_not_fit_it_again() -> None:
    forecaster = fastrnn.Forecaster(2, hidden_size=1)
    with pytest.raises(RuntimeError, match="a callback fitted this Forecaster"):
        forecaster.fit([1, 2, 3, 4], callbacks=[lambda _: forecaster.fit([5, 6, 7], epochs=1)])


def test_nor_may_one_that_then_stops_the_training() -> None:
    def fit_and_stop(_: dict[str, float]) -> None:
        forecaster.fit([5, 6, 7], epochs=1)
        raise StopTraining

    forecaster = fastrnn.Forecaster(2, hidden_size=1)
    with pytest.raises(RuntimeError, match="a callback fitted this Forecaster"):
        forecaster.fit([1, 2, 3, 4], callbacks=[fit_and_stop])


def test_a_forecasters_callbacks_must_be_functions() -> None:
    with pytest.raises(TypeError, match="callbacks must be a list of functions, got 'no'"):
        fastrnn.Forecaster(2).fit([1, 2, 3, 4], callbacks="no")
