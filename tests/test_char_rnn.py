"""A character model learns a text, continues prompts and measures how well it predicts."""

from __future__ import annotations

import inspect
import itertools
import math
import time

import numpy as np
import pytest
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import CharRNN
from fastrnn._reference import losses, rnn
from fastrnn.corpus.streams import Streams
from fastrnn.training.schedules import learning_rate

VERSE = "the cat sat on the mat\nthe dog sat on the log\n" * 20


@pytest.fixture(scope="module")
def model() -> CharRNN:
    return CharRNN(hidden_size=64, seed=1).fit(VERSE, steps=300, batch_size=8, seq_len=46, lr=0.005)


def untrained(text: str = VERSE, **options: object) -> CharRNN:
    return CharRNN(hidden_size=7, seed=3, vocabulary=text, **options)


# Learning


def test_a_model_learns_a_verse_by_heart(model: CharRNN) -> None:
    assert model.history[-1]["loss"] < 0.2 < 2.0 < model.history[0]["loss"]
    assert model.generate("the cat", length=39, temperature=0) == VERSE[:46]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimizer_lowers_the_loss(optimizer: str) -> None:
    lr = 0.5 if optimizer == "sgd" else 0.01
    history = CharRNN(hidden_size=16).fit(VERSE, steps=40, optimizer=optimizer, lr=lr).history
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]


def test_fitting_again_continues_with_weights_and_history() -> None:
    model = CharRNN(hidden_size=16).fit(VERSE, steps=30, lr=0.01)
    before = model.history[-1]
    model.fit(VERSE, steps=30, lr=0.01)
    assert [record["step"] for record in model.history] == list(range(1, 61))
    assert model.history[30]["loss"] < 0.85 * model.history[0]["loss"]
    assert model.history[-1]["chars"] == 2 * before["chars"]


def test_fitting_again_with_a_new_character_is_refused_and_changes_nothing(tmp_path) -> None:
    model = CharRNN(hidden_size=4).fit(VERSE, steps=1)
    model.save(tmp_path / "before")
    with pytest.raises(fastrnn.UnknownCharacterError, match=r"'é' \(U\+00E9\) at position 920"):
        model.fit(VERSE + "é")
    with pytest.raises(fastrnn.UnknownCharacterError, match="knows; fit a new CharRNN, whose"):
        model.fit(VERSE + "é")
    model.save(tmp_path / "after")
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()


def test_one_epoch_is_the_default_and_reads_every_character_once() -> None:
    history = CharRNN(hidden_size=4).fit("ab" * 500 + "a", batch_size=4, seq_len=30).history
    assert [record["chars"] for record in history] == [120, 240, 360, 480, 600, 720, 840, 960, 1000]


def test_the_state_is_carried_from_chunk_to_chunk_and_zero_at_the_start_of_each_epoch() -> None:
    model = untrained()
    model.fit(VERSE, epochs=2, batch_size=3, seq_len=100, lr=1e-30)  # learns nothing
    streams = Streams.split(np.array([model.vocabulary.index(c) for c in VERSE]), 3, 100)
    state, expected = np.zeros((1, 3, 7), np.float32), []
    for inputs, targets, _ in itertools.islice(streams.walk(100), streams.chunk_count(100)):
        loss, state = model.network.loss(inputs, targets, state)
        expected.append(loss)
    assert_within([r["loss"] for r in model.history], expected * 2, rounding(np.float32))


def test_a_text_of_exactly_one_window_is_enough() -> None:
    history = CharRNN(hidden_size=4).fit("abcdefghi", seq_len=8, epochs=3).history
    assert [record["chars"] for record in history] == [8, 16, 24]


def test_a_text_of_one_distinct_character_is_predicted_with_certainty() -> None:
    model = CharRNN(hidden_size=4).fit("a" * 50, seq_len=8)
    assert model.evaluate("aaaa")["loss"] == 0
    assert model.generate("a", 5) == "aaaaaa"


def test_the_cosine_schedule_starts_at_lr_and_falls_towards_zero() -> None:
    rates = [learning_rate("cosine", 0.1, step / 100) for step in range(100)]
    assert rates[0] == 0.1
    assert rates[50] == pytest.approx(0.05)
    assert 0 < rates[-1] < 1e-4
    assert rates == sorted(rates, reverse=True)
    assert learning_rate("constant", 0.1, 0.99) == 0.1


def test_during_the_warm_up_the_learning_rate_rises() -> None:
    rates = [learning_rate("linear", 0.1, step / 100, warmup=0.2) for step in range(100)]
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[0] > 0


def test_a_time_limit_ends_training_soon_after_it() -> None:
    model = CharRNN(hidden_size=8)
    started = time.monotonic()
    model.fit("to be or not to be. " * 20, minutes=0.5 / 60, seq_len=8)
    assert 0.5 <= time.monotonic() - started < 5
    assert len(model.history) > 1
    assert model.history[-1]["loss"] < model.history[0]["loss"]


def test_steps_end_training_before_the_time_is_over() -> None:
    model = CharRNN(hidden_size=8).fit("to be or not to be. " * 20, steps=3, minutes=10)
    assert len(model.history) == 3


@pytest.mark.parametrize("clip", [{"clip_norm": 1e-6}, {"clip_norm": None, "clip_value": 1e-9}])
def test_clipping_bounds_the_update_of_plain_gradient_descent(clip) -> None:
    model = untrained()
    before = model.network.state_dict()
    model.fit(VERSE, steps=1, optimizer="sgd", lr=1.0, **clip)
    after = model.network.state_dict()
    moved = math.sqrt(sum(float(np.sum((after[k] - before[k]) ** 2)) for k in after))
    assert 0 < moved < 2e-6


def test_values_are_clipped_before_the_norm() -> None:
    model = untrained(dtype="float64")
    streams = Streams.split(np.array([model.vocabulary.index(c) for c in VERSE]), 16, 64)
    inputs, targets, _ = next(streams.walk(64))
    model.network.loss_and_grad(inputs, targets)
    grads = np.concatenate([g.ravel() for m in model.network.modules for g in m.grad.values()])
    value = float(np.quantile(np.abs(grads), 0.9))
    clipped = np.clip(grads, -value, value)
    norm = float(np.linalg.norm(clipped))
    before = flat(model.network.state_dict())
    model.fit(VERSE, steps=1, optimizer="sgd", lr=1.0, clip_norm=norm / 2, clip_value=value)
    moved = before - flat(model.network.state_dict())
    expected = clipped * (norm / 2) / (norm + 1e-6)  # PyTorch's clip_grad_norm_ adds the 1e-6
    assert_within(moved, expected, rounding(np.float64))


def flat(weights: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([weight.ravel() for weight in weights.values()])


@pytest.mark.parametrize("method", ["loss_and_grad", "__call__"])
def test_the_threads_asked_for_are_those_used(monkeypatch, method: str) -> None:
    asked = []
    original = getattr(fastrnn.Network, method)

    def watched(*arguments, **options):
        asked.append(inspect.signature(original).bind(*arguments, **options))
        return original(*arguments, **options)

    monkeypatch.setattr(fastrnn.Network, method, watched)
    model = CharRNN(hidden_size=4).fit(VERSE, steps=1, num_threads=3)
    model.evaluate(VERSE, num_threads=5)
    expected = 3 if method == "loss_and_grad" else 5
    assert [call.arguments["num_threads"] for call in asked] == [expected]


def test_progress_shows_loss_speed_and_time_left(capsys) -> None:
    CharRNN(hidden_size=4).fit(VERSE, epochs=3, progress=True)
    shown = capsys.readouterr().err
    assert "loss " in shown
    assert "char/s" in shown
    assert "100%" in shown


def test_progress_by_the_clock_shows_no_speed_of_the_clock(capsys) -> None:
    CharRNN(hidden_size=4).fit(VERSE, minutes=1 / 60, progress=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("100% 1/1 s [")
    assert "/s" not in last


def test_nothing_is_shown_unless_asked(capsys) -> None:
    CharRNN(hidden_size=4).fit(VERSE)
    assert capsys.readouterr() == ("", "")


# Losses that overflow


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 1e30, "optimizer": "sgd", "clip_norm": None},  # the next loss is not finite
        {"lr": 1e300},  # the update itself is not finite
    ],
)
def test_a_loss_that_overflows_stops_training_and_leaves_a_usable_model(options) -> None:
    model = untrained(nonlinearity="relu")
    with pytest.raises(fastrnn.NonFiniteLossError, match=r"learning rate.*clip_norm.*'tanh'"):
        model.fit(VERSE, steps=20, schedule="constant", **options)
    assert len(model.history) < 20
    assert math.isfinite(model.evaluate(VERSE)["loss"])
    assert len(model.generate("the", 10)) == 13
    model.fit(VERSE, steps=2, lr=1e-6)


@pytest.mark.parametrize(
    ("nonlinearity", "clip_norm", "advice"),
    [
        ("tanh", None, "well below lr=1e+300 or clip_norm=5.0"),
        ("tanh", 2.5, "well below lr=1e+300 or a smaller clip_norm than 2.5"),
        ("relu", None, "well below lr=1e+300, clip_norm=5.0, or the nonlinearity 'tanh'"),
    ],
)
def test_the_advice_names_what_was_used_and_what_would_help(
    nonlinearity, clip_norm, advice
) -> None:
    model = fastrnn.CharRNN("rnn", hidden_size=8, nonlinearity=nonlinearity, seed=0)
    with pytest.raises(fastrnn.NonFiniteLossError) as caught:
        model.fit(VERSE, steps=1, lr=1e300, clip_norm=clip_norm)
    assert str(caught.value).endswith(advice)


def test_a_step_that_fails_is_numbered_as_in_the_history() -> None:
    model = untrained().fit(VERSE, steps=4)
    with pytest.raises(fastrnn.NonFiniteLossError, match="of training step 5 is not finite"):
        model.fit(VERSE, steps=4, lr=1e300)
    assert model.history[-1]["step"] == 4


def test_an_evaluation_that_overflows_says_so() -> None:
    model = untrained()
    model.network.readout.weight = np.full_like(model.network.readout.weight, 3e38)
    with pytest.raises(fastrnn.NonFiniteLossError, match="float32"):
        model.evaluate(VERSE)


# Evaluating


def test_the_loss_is_the_mean_over_every_character_after_the_first(model: CharRNN) -> None:
    text = VERSE[5:] + VERSE  # longer than a chunk of the evaluation
    ids = np.array([[model.vocabulary.index(c)] for c in text])
    layer, readout = model.network.modules
    h = rnn.rnn_forward(ids[:-1], np.zeros((1, 64), np.float32), *layer_weights(layer), "tanh")
    logits = h[1:] @ readout.weight.T + readout.bias
    expected, _ = losses.cross_entropy(logits, ids[1:], "mean")
    assert_within(model.evaluate(text)["loss"], expected, rounding(np.float32))


def layer_weights(layer: fastrnn.RNN) -> tuple[np.ndarray, ...]:
    return layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0


def test_a_model_without_opinion_is_as_uncertain_as_a_uniform_guess() -> None:
    model = untrained()
    model.network.readout.weight = np.zeros_like(model.network.readout.weight)
    model.network.readout.bias = np.zeros_like(model.network.readout.bias)
    scores = model.evaluate(VERSE)
    characters = len(set(VERSE))
    assert_within(scores["loss"], math.log(characters), rounding(np.float32))
    assert_within(scores["bits_per_char"], math.log2(characters), rounding(np.float32))
    assert_within(scores["perplexity"], characters, rounding(np.float32), scale=10)


# Generating


def test_generation_returns_the_prompt_and_length_more_characters(model: CharRNN) -> None:
    text = model.generate("the dog", length=100)
    assert isinstance(text, str)
    assert text.startswith("the dog")
    assert len(text) == 107
    assert set(text) <= set(VERSE)


def test_an_empty_prompt_starts_as_after_a_newline(model: CharRNN) -> None:
    assert "\n" + model.generate("", 60, seed=4) == model.generate("\n", 60, seed=4)


def test_without_a_newline_an_empty_prompt_starts_after_the_first_character() -> None:
    model = CharRNN(hidden_size=8, vocabulary="bac")
    assert "a" + model.generate("", 60, seed=4) == model.generate("a", 60, seed=4)


def test_the_seed_chooses_the_text(model: CharRNN) -> None:
    draw = [model.generate("the ", 200, temperature=2.0, seed=seed) for seed in (5, 5, 6)]
    assert draw[0] == draw[1] != draw[2]


def test_without_a_seed_every_text_is_another(model: CharRNN) -> None:
    one, other = (model.generate("the ", 200, temperature=2.0, seed=None) for _ in range(2))
    assert one != other
    assert "".join(model.stream("the ", 200, temperature=2.0, seed=None)) not in (one, other)


def test_several_samples_are_different_texts(model: CharRNN) -> None:
    samples = model.generate("the ", 50, temperature=3.0, num_samples=4)
    assert isinstance(samples, list)
    assert len(set(samples)) == 4
    assert {len(sample) for sample in samples} == {54}


def test_the_most_likely_character_is_all_that_top_k_1_or_a_tiny_top_p_leave(model) -> None:
    greedy = model.generate("the ", 50, temperature=0)
    assert model.generate("the ", 50, temperature=3.0, top_k=1) == greedy
    assert model.generate("the ", 50, temperature=3.0, top_p=1e-9) == greedy
    assert model.generate("the ", 50, temperature=3.0) != greedy


# Bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cell": "transformer"}, ValueError, "cell must be one of 'rnn'"),
        ({"cell": 3}, TypeError, "cell"),
        ({"hidden_size": 0}, ValueError, "hidden_size must be between 1"),
        ({"hidden_size": 2.5}, TypeError, "hidden_size must be an integer, got 2.5"),
        ({"nonlinearity": "gelu"}, ValueError, "nonlinearity"),
        ({"dtype": "int32"}, TypeError, "dtype must be float32 or float64"),
        ({"seed": -1}, ValueError, "seed must be between 0"),
        ({"seed": 2**63}, ValueError, "seed must be between 0 and 9223372036854775807"),
        ({"seed": True}, TypeError, "seed must be an integer, got True"),
        ({"vocabulary": ""}, ValueError, "vocabulary has 0 characters"),
        ({"vocabulary": b"abc"}, TypeError, "vocabulary must be a str"),
        ({"vocabulary": "ab", "hidden_size": 2**31 - 1}, MemoryError, "GiB"),
    ],
)
def test_a_model_refuses_bad_settings(options, error, message) -> None:
    with pytest.raises(error, match=message):
        CharRNN(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be between 1"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer"),
        ({"steps": 0}, ValueError, "steps must be between 1"),
        ({"epochs": 1, "steps": 1}, ValueError, "epochs and steps exclude each other"),
        ({"batch_size": 0}, ValueError, "batch_size must be between 1"),
        ({"seq_len": 0}, ValueError, "seq_len must be between 1"),
        ({"seq_len": 5000}, ValueError, r"920 characters, fewer than .* 5,001"),
        ({"optimizer": "lion"}, ValueError, "optimizer must be one of"),
        ({"lr": 0}, ValueError, "lr must be greater than 0"),
        ({"lr": math.nan}, ValueError, "lr must be finite"),
        ({"lr": "fast"}, TypeError, "lr must be a number"),
        (
            {"schedule": "step"},
            ValueError,
            "schedule must be one of 'cosine', 'linear', 'constant'",
        ),
        ({"clip_norm": 0}, ValueError, "clip_norm must be greater than 0"),
        ({"clip_value": -1}, ValueError, "clip_value must be greater than 0"),
        ({"num_threads": 0}, ValueError, "num_threads must be between 1"),
        ({"num_threads": True}, TypeError, "num_threads must be an integer"),
        ({"progress": "no"}, TypeError, "progress must be True or False, got 'no'"),
    ],
)
def test_fit_refuses_bad_options_and_leaves_the_vocabulary_open(options, error, message) -> None:
    model = CharRNN(hidden_size=4)
    with pytest.raises(error, match=message):
        model.fit(VERSE, **options)
    assert (model.network, model.vocabulary, model.history) == (None, "", [])
    assert model.fit("another text " * 10, steps=1).vocabulary == " aehnortx"


@pytest.mark.parametrize("step", [1, 2])
def test_a_first_fit_that_completes_no_step_leaves_the_vocabulary_open(monkeypatch, step) -> None:
    model = CharRNN(hidden_size=4)
    original = fastrnn.Network.loss_and_grad

    def interrupted(*arguments, **options):
        if len(model.history) == step - 1:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(fastrnn.Network, "loss_and_grad", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(VERSE)
    assert len(model.history) == step - 1
    assert (model.network is None) == (model.vocabulary == "") == (step == 1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prompt": None}, TypeError, "prompt must be a str"),
        ({"length": 0}, ValueError, "length must be between 1"),
        ({"length": 1.0}, TypeError, "length must be an integer"),
        ({"temperature": -0.1}, ValueError, "temperature must be at least 0"),
        ({"temperature": math.inf}, ValueError, "temperature must be finite"),
        ({"top_k": 0}, ValueError, "top_k must be between 1"),
        ({"top_p": 0.0}, ValueError, "top_p must be greater than 0"),
        ({"top_p": 1.5}, ValueError, "top_p must be at most 1"),
        ({"seed": -1}, ValueError, "seed must be between 0"),
        ({"seed": True}, TypeError, "seed must be an integer"),
        ({"seed": 1.0}, TypeError, "seed must be an integer"),
        ({"num_samples": 0}, ValueError, "num_samples must be between 1"),
        ({"num_samples": 2**31 - 1, "length": 2**31 - 1}, MemoryError, "GiB"),
    ],
)
def test_generate_refuses_bad_options(model: CharRNN, options, error, message) -> None:
    with pytest.raises(error, match=message):
        model.generate(**options)


@pytest.mark.parametrize("use", ["generate", "evaluate", "save"])
def test_a_model_without_vocabulary_says_what_to_call_first(use: str, tmp_path) -> None:
    arguments = {"generate": (), "evaluate": ("abc",), "save": (tmp_path / "model",)}
    with pytest.raises(RuntimeError, match=r"call fit\(text\) first"):
        getattr(CharRNN(), use)(*arguments[use])


def test_before_the_first_fit_there_is_no_network_and_a_failed_fit_makes_none() -> None:
    model = CharRNN(hidden_size=4)
    with pytest.raises(ValueError, match="fewer than one window"):
        model.fit("short")
    assert model.network is None
    assert model.vocabulary == ""
    assert model.fit(VERSE, steps=1).vocabulary == "".join(sorted(set(VERSE)))
