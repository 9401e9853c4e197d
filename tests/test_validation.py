"""Held-out text is evaluated on the way, stops the training, and chooses the weights."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import CharRNN

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20
BACKWARDS = VERSE[::-1]  # what is learned of a verse soon predicts it worse


def validation_losses(model: CharRNN) -> dict[int, float]:
    return {r["step"]: r["validation_loss"] for r in model.history if "validation_loss" in r}


def weights_of(model: CharRNN) -> dict[str, np.ndarray]:
    assert model.network is not None
    return model.network.state_dict()


# What is held out


def test_a_share_is_the_end_of_the_text_and_is_not_learned_from() -> None:
    with_share = CharRNN(hidden_size=8, vocabulary=VERSE).fit(VERSE, steps=9, validation=0.25)
    cut = len(VERSE) - int(0.25 * len(VERSE))
    with_text = CharRNN(hidden_size=8, vocabulary=VERSE)
    with_text.fit(VERSE[:cut], steps=9, validation=VERSE[cut:])
    assert with_share.history == with_text.history
    assert (
        with_share.history[0]["loss"]
        == CharRNN(hidden_size=8, vocabulary=VERSE).fit(VERSE[:cut], steps=9).history[0]["loss"]
    )


def test_its_characters_are_known_even_if_the_rest_lacks_them() -> None:
    for text, validation in (("ab" * 200 + "z" * 50, 50 / 450), ("ab" * 200, "az")):
        assert CharRNN(hidden_size=4).fit(text, validation=validation).vocabulary == "abz"


def test_a_character_of_it_that_the_model_does_not_know_is_refused() -> None:
    model = CharRNN(hidden_size=4, vocabulary="ab")
    with pytest.raises(fastrnn.UnknownCharacterError, match="validation holds the character 'z'"):
        model.fit("ab" * 200, validation="abz")


# The loss


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_short_text_has_the_loss_that_evaluate_measures(dropout: float) -> None:
    model = CharRNN(hidden_size=8, dtype="float64")
    options = {"dropout": dropout, "evaluate_every": 1}
    model.fit(VERSE, steps=5, **options, validation=VERSE[7:607])
    losses = validation_losses(model)
    assert list(losses) == [1, 2, 3, 4, 5]
    expected = model.evaluate(VERSE[7:607])["loss"]
    assert_within(min(losses.values()), expected, rounding(np.float64), scale=10)


def test_a_long_text_is_evaluated_in_streams_of_at_least_1024_characters() -> None:
    model = CharRNN(hidden_size=8, dtype="float64")
    text = VERSE * 4  # 3,680: three streams of 1,226, and a character that is left over
    model.fit(VERSE, steps=1, validation=text)
    losses = [model.evaluate(text[n * 1226 : n * 1226 + 1227])["loss"] for n in range(3)]
    [loss] = validation_losses(model).values()
    assert_within(loss, np.mean(losses), rounding(np.float64), scale=10)


def test_evaluating_changes_no_step_of_the_training() -> None:
    with_it = CharRNN("lstm", hidden_size=8).fit(
        VERSE, steps=9, validation=VERSE, evaluate_every=2, dropout=0.3
    )
    without = CharRNN("lstm", hidden_size=8).fit(VERSE, steps=9, dropout=0.3)
    assert [r["loss"] for r in with_it.history] == [r["loss"] for r in without.history]


# How often


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"steps": 10, "evaluate_every": 4}, [4, 8, 10]),
        ({"steps": 8, "evaluate_every": 4}, [4, 8]),
        ({"steps": 3, "evaluate_every": 100}, [3]),
        ({"epochs": 3, "batch_size": 2, "seq_len": 5}, [92, 184, 276]),  # as many as in a pass
        ({"epochs": 15, "batch_size": 2, "seq_len": 46}, [50, 100, 150]),  # 10 in a pass
    ],
)
def test_it_is_evaluated_every_so_often_and_at_the_end(options, steps) -> None:
    model = CharRNN(hidden_size=4).fit(VERSE, **options, validation="the cat")
    assert list(validation_losses(model)) == steps


def test_a_pass_of_very_many_steps_is_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr("fastrnn.training.train.EVALUATE_EVERY", (1, 4))
    options = {"epochs": 1, "batch_size": 2, "seq_len": 46}
    model = CharRNN(hidden_size=4).fit(VERSE, **options, validation="the cat")
    assert list(validation_losses(model)) == [4, 8, 10]


def test_a_training_that_ends_with_its_time_evaluates_the_last_step() -> None:
    model = CharRNN(hidden_size=4)
    model.fit(VERSE, minutes=0.2 / 60, validation="the cat", evaluate_every=10**6)
    assert list(validation_losses(model)) == [model.history[-1]["step"]]


# The best weights


def overfitted(**options: object) -> CharRNN:
    model = CharRNN(hidden_size=16, vocabulary=VERSE)
    settings = {"steps": 30, "lr": 0.02, "schedule": "constant", "evaluate_every": 1}
    return model.fit(VERSE, **{**settings, "validation": BACKWARDS, **options})


def test_the_weights_with_the_lowest_loss_are_what_fit_leaves() -> None:
    model = overfitted()
    losses = validation_losses(model)
    best = min(losses, key=losses.__getitem__)
    assert 1 <= best < 25
    assert losses[30] > 1.1 * losses[best]
    only = CharRNN(hidden_size=16, vocabulary=VERSE)
    only.fit(VERSE, steps=best, lr=0.02, schedule="constant")
    for name, weight in weights_of(only).items():
        np.testing.assert_array_equal(weights_of(model)[name], weight)


@pytest.mark.parametrize("end", [fastrnn.StopTraining, KeyboardInterrupt, ZeroDivisionError])
def test_they_are_however_the_training_ends(end: type[BaseException]) -> None:
    def stop(step: fastrnn.TrainingStep) -> None:
        if step.step == 28:
            raise end

    model, whole = CharRNN(hidden_size=16, vocabulary=VERSE), overfitted()
    options = {"steps": 30, "lr": 0.02, "schedule": "constant", "evaluate_every": 1}
    said = contextlib.nullcontext() if end is fastrnn.StopTraining else pytest.raises(end)
    with said:
        model.fit(VERSE, **options, validation=BACKWARDS, callbacks=[stop])
    assert model.history[-1]["step"] == 28
    for name, weight in weights_of(whole).items():
        np.testing.assert_array_equal(weights_of(model)[name], weight)


def test_a_loss_that_overflows_is_never_the_best(monkeypatch) -> None:
    original = fastrnn.Network.loss
    calls = []

    def overflowing(*arguments, **options):
        loss, state = original(*arguments, **options)
        calls.append(loss)
        return (math.nan if len(calls) == 1 else loss), state

    monkeypatch.setattr(fastrnn.Network, "loss", overflowing)
    model = CharRNN(hidden_size=8).fit(VERSE, steps=3, validation="the cat", evaluate_every=1)
    losses = validation_losses(model)
    assert losses[1] == math.inf
    assert math.isfinite(losses[3])
    monkeypatch.undo()
    assert model.evaluate("the cat")["loss"] == pytest.approx(min(losses.values()), rel=1e-5)


# Early stopping


@pytest.mark.parametrize("patience", [1, 3])
def test_it_stops_after_so_many_evaluations_without_a_new_lowest(patience: int) -> None:
    losses = list(validation_losses(overfitted()).values())
    model = overfitted(patience=patience)
    ends = (
        step
        for step in range(patience + 1, 31)
        if min(losses[step - patience : step]) >= min(losses[: step - patience])
    )
    assert model.history[-1]["step"] == next(ends) < 30


def test_without_patience_it_goes_on_to_the_end() -> None:
    assert overfitted().history[-1]["step"] == 30


# Bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"validation": 0}, ValueError, "validation must be greater than 0"),
        ({"validation": 1.0}, ValueError, "validation must be less than 1"),
        ({"validation": math.nan}, ValueError, "validation must be finite"),
        ({"validation": ""}, ValueError, "validation has 0 characters, at least 2"),
        ({"validation": "a"}, ValueError, "validation has 1 character, at least 2"),
        ({"validation": b"abc"}, TypeError, "validation must be a share of the text, a str or"),
        ({"validation": True}, TypeError, "validation must be a share of the text, a str or"),
        ({"validation": 0.001}, ValueError, r"validation=0\.001 of 920 characters are 0, at least"),
        ({"validation": 0.95}, ValueError, r"leaves 46 characters .* seq_len \+ 1 = 65; use"),
        ({"patience": 3}, ValueError, "patience needs validation.* patience=3 without it"),
        ({"evaluate_every": 3}, ValueError, "evaluate_every needs validation"),
        ({"validation": 0.1, "patience": 0}, ValueError, "patience must be between 1"),
        ({"validation": 0.1, "patience": 1.5}, TypeError, "patience must be an integer"),
        ({"validation": 0.1, "evaluate_every": 0}, ValueError, "evaluate_every must be between"),
    ],
)
def test_bad_options_are_refused(options, error, message) -> None:
    model = CharRNN(hidden_size=4)
    with pytest.raises(error, match=message):
        model.fit(VERSE, **options)
    assert (model.network, model.history) == (None, [])


def test_the_progress_bar_shows_the_lowest_loss(capsys) -> None:
    CharRNN(hidden_size=4).fit(VERSE, epochs=20, validation=0.2, progress=True)
    assert ", validation 2." in capsys.readouterr().err


def test_the_step_that_was_kept_is_known_however_the_history_is_merged(monkeypatch) -> None:
    options = {"steps": 40, "lr": 0.05, "validation": BACKWARDS, "evaluate_every": 1}
    losses = [r["validation_loss"] for r in CharRNN(hidden_size=8).fit(VERSE, **options).history]
    best = {"step": int(np.argmin(losses)) + 1, "validation_loss": min(losses)}
    assert best["step"] < 40
    monkeypatch.setattr("fastrnn.training.history.MOST_RECORDS", 4)
    model = CharRNN(hidden_size=8)
    assert model.best is None
    assert model.fit(VERSE, **options).best == best
    assert model.fit(VERSE, steps=1).best is None
