"""Animations show what the compiled network computes, and each frame says what it means."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tolerances import assert_within, rounding

import fastrnn
from fastrnn import animate, sentiment, unrolled
from fastrnn.animate import backward, drawing, film, gradients, loops, sentences, sequences, texts
from fastrnn.sentiment import Sentiment

SIX = ["unrolling", "shared_parameters", "hidden_states", "generating", "vanishing", "bptt"]


def network(cell: Any = fastrnn.RNN, **options: Any) -> fastrnn.Network:
    return fastrnn.Network(cell(5, 7, seed=0, **options), fastrnn.Linear(7, 5, seed=1))


@pytest.fixture(scope="module")
def model() -> fastrnn.CharRNN:
    return fastrnn.CharRNN(hidden_size=6, seed=0).fit("to be or not to be. " * 5, steps=5)


@pytest.fixture(scope="module")
def reader() -> Sentiment:
    return sentiment.train()


def captions(scenes: Any) -> str:
    return "\n".join(scene.caption for scene in scenes)


@pytest.mark.parametrize("cell", [fastrnn.RNN, fastrnn.LSTM, fastrnn.GRU])
def test_states_and_answers_are_those_of_one_call(cell: Any) -> None:
    net, x = network(cell), np.array([0, 3, 1, 2])
    run = sequences.run(net, x, "")
    assert_within(run.states, net.layer(x)[0], rounding(np.float32))
    assert_within(run.outputs, net(x)[0], rounding(np.float32))
    assert run.labels == ("0", "3", "1", "2")
    assert run.answers == tuple(str(i) for i in net(x)[0].argmax(axis=1))


def test_numbers_that_go_in_are_called_by_the_first_and_so_are_those_that_come_out() -> None:
    net = fastrnn.Network(fastrnn.RNN(2, 3, seed=0), fastrnn.Linear(3, 1, seed=1))
    run = sequences.run(net, np.array([[0.5, 1], [-2, 0]], np.float32), "")
    assert run.labels == ("0.50…", "−2.00…")
    assert run.answers == tuple(drawing.number(y) for y in run.outputs[:, 0])


def test_the_loop_runs_unfolds_and_hands_its_state_on() -> None:
    net, x, characters = sequences.resolve(sequences.speller(), "hell", 6)
    run = sequences.run(net, x, characters)
    scenes = loops.unfolding(run, 3)
    assert run.labels == tuple("hell")
    assert run.answers == tuple("ello"), "it has learned to spell"
    steps = [(scene.step, scene.spread) for scene in scenes if scene.step is not None]
    assert steps == [(t, spread) for spread in (0.0, 1.0) for t in range(4)]
    opening = [scene.spread for scene in scenes if scene.step is None]
    assert opening == sorted(opening)
    assert (opening[0], opening[-1]) == (0, 1)
    assert "Step 2: from “e”" in captions(scenes)
    assert "copy 1 hands its state on to copy 2" in captions(scenes)
    assert "4 times the same cell" in captions(scenes)


def test_the_same_weights_light_up_in_every_copy() -> None:
    net = network()
    run = sequences.run(net, np.array([0, 1, 2]), "")
    scenes = loops.sharing(net, run, 3)
    for weight, copies in (("W_ih", (0, 1, 2)), ("W_hh", (0, 1)), ("W_hy", (0, 1, 2))):
        lit = [scene.copies for scene in scenes if scene.weight == weight]
        assert lit == [*((t,) for t in copies), copies]
    assert "the same 7 × 5 numbers of W_ih" in captions(scenes)
    assert f"In all the network has {net.num_parameters} numbers" in scenes[-1].caption
    shown = loops.matrices(net)
    np.testing.assert_array_equal(shown["W_ih"], net.layer.weight_ih_l0)
    np.testing.assert_array_equal(shown["W_hh"], net.layer.weight_hh_l0)
    np.testing.assert_array_equal(shown["W_hy"], net.readout.weight)


def test_the_states_of_a_sentence_are_those_that_are_read(reader: Sentiment) -> None:
    reading = reader.read("the film was not boring")
    scenes = sentences.words(reading, 3)
    assert [scene.read for scene in scenes] == [0, 1, 2, 3, 4, 5, 5]
    for scene in scenes[1:]:
        np.testing.assert_array_equal(scene.state, reading.states[scene.read - 1])
        assert scene.probability == reading.probabilities[scene.read - 1]
    assert not scenes[0].state.any()
    assert scenes[0].probability is None
    assert "“not”. Its opinion stays much as it was, but the state has changed" in captions(scenes)
    assert f"more probable: {reading.probabilities[-1]:.0%}" in scenes[-2].caption
    assert "takes it to be positive" in scenes[-1].caption


def test_an_unknown_word_is_said_to_be_passed_over(reader: Sentiment) -> None:
    scenes = sentences.words(reader.read("it zebra was not good"), 3)
    assert "“zebra” is a word that it has never met" in scenes[2].caption
    np.testing.assert_array_equal(scenes[2].state, scenes[1].state)
    assert "takes it to be negative" in scenes[-1].caption


@pytest.mark.parametrize(("temperature", "seed"), [(1.0, 0), (1.0, 3), (0.7, 1), (0.0, 0)])
@pytest.mark.parametrize("prompt", ["to", "", "n"])
def test_what_is_drawn_is_what_the_model_generates(
    model: fastrnn.CharRNN, prompt: str, temperature: float, seed: int
) -> None:
    scenes = texts.writing(model, prompt, 6, temperature, seed, 3)
    text = model.generate(prompt, 6, temperature, seed=seed)
    drawn = [scene for scene in scenes if scene.stage == "draw"]
    assert prompt + "".join(scene.drawn for scene in drawn) == text == scenes[-1].text
    fed = [scene.character for scene in scenes if scene.stage == "input"]
    assert fed[1:] == [scene.drawn for scene in drawn[:-1]], "what is drawn goes in next"
    for scene in drawn:
        chances = dict(zip(scene.characters, scene.probabilities, strict=True))
        assert chances[scene.drawn] > 0
        if temperature == 0:
            assert chances[scene.drawn] == max(chances.values())


def test_probabilities_and_states_are_those_after_the_text_so_far(model: fastrnn.CharRNN) -> None:
    scenes = texts.writing(model, "to", 4, 0.5, 0, 3)
    text = scenes[-1].text
    chosen = [scene for scene in scenes if scene.stage == "probabilities"]
    for k, scene in enumerate(chosen):
        ids = np.array([model.vocabulary.index(c) for c in text[: 2 + k]])
        y, state = model.network(ids, outputs="last")
        odds = np.exp(y.astype(np.float64) / 0.5)
        expected = odds / odds.sum()
        places = [model.vocabulary.index(c) for c in scene.characters]
        np.testing.assert_allclose(scene.probabilities, expected[places], rtol=1e-5)
        assert_within(scene.state, state[-1], rounding(np.float32))
        assert len(scene.characters) <= texts.MOST_BARS
    first = [scene.stage for scene in scenes[:6]]
    assert first == list(texts.STAGES)


def test_an_unlikely_draw_is_among_those_that_are_shown() -> None:
    known = "abcdefghijkl"
    logits = np.arange(12, dtype=np.float32)
    shown, probabilities = texts.chosen(logits, 1.0, known, "a")
    assert shown == "lkjihgfa"
    assert sum(probabilities) < 1
    assert probabilities[0] / probabilities[1] == pytest.approx(np.e, rel=1e-6)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_gradients_are_shown_at_their_real_size(cell: str) -> None:
    layer, x = animate.scaled_layer(cell, 0.5), np.ones((5, 4), np.float32)
    norms = gradients.sizes({cell: layer}, x)
    np.testing.assert_array_equal(norms[cell], unrolled.gradient_norms(layer, x))
    scenes = gradients.going_back(norms, 3)
    assert [scene.steps_back for scene in scenes] == [-1, 0, 1, 2, 3, 4, 5, 5]
    for scene in scenes:
        assert scene.sizes[cell] == tuple(norms[cell][: scene.steps_back + 1])


def test_lists_of_numbers_are_read_and_what_would_lose_digits_is_not() -> None:
    layer = animate.scaled_layer("rnn", 0.5, input_size=2)
    rows = [[0.5, 1.0], [2.0, 0.25]]
    exact = unrolled.gradient_norms(layer, np.array(rows, np.float32))
    np.testing.assert_array_equal(gradients.sizes({"a": layer}, rows)["a"], exact)
    with pytest.raises(TypeError, match="x has dtype float64, expected float32"):
        gradients.sizes({"a": layer}, np.array(rows))
    with pytest.raises(ValueError, match=r"x must be finite, got nan at index \(0, 0\)"):
        gradients.sizes({"a": layer}, [[np.nan, 0.0]])
    huge = fastrnn.RNN(2, 3, nonlinearity="relu", seed=0)
    huge.weight_hh_l0 = np.full((3, 3), 1e30, np.float32)
    with pytest.raises(ValueError, match=r"layers\['a'\] has a gradient that is not finite"):
        gradients.sizes({"a": huge}, [[5.0, 5.0]] * 6)


def test_a_jordan_model_shows_a_state_of_its_own_size() -> None:
    jordan = fastrnn.CharRNN("jordan", hidden_size=6, vocabulary="abc", seed=0)
    scenes = texts.writing(jordan, "a", 2, 1.0, 0, 3)
    assert {scene.state.shape for scene in scenes} == {(3,)}


def test_what_is_said_of_a_draw_is_true(model: fastrnn.CharRNN) -> None:
    many = fastrnn.CharRNN(hidden_size=2, vocabulary="abcdefghijkl", seed=0)
    assert "Those of all 12 add up to 100 %; 8 are shown" in captions(
        texts.writing(many, "a", 1, 1, 0, 3)
    )
    few = fastrnn.CharRNN(hidden_size=2, vocabulary="abc", seed=0)
    assert "These probabilities add up to 100 %." in captions(texts.writing(few, "a", 1, 1, 0, 3))
    surest = captions(texts.writing(model, "to", 2, 0.0, 0, 3))
    assert "At temperature 0 the likeliest is taken" in surest
    assert "drawn" not in surest
    assert "dice" not in surest
    how = {"first": False, "shown": 8, "known": 12, "is_sure": False}
    assert "which had <1%" in texts._captions("a", "b", 0.001, **how)["draw"]


def test_a_text_too_long_to_be_drawn_is_not_generated(
    model: fastrnn.CharRNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastrnn.CharRNN, "generate", None)
    with pytest.raises(ValueError, match="prompt and length must make at most 24 characters"):
        texts.writing(model, "to", 20_000_000, 1.0, 0, 3)


def test_one_number_is_an_answer_and_several_are_a_choice() -> None:
    one = fastrnn.Network(fastrnn.RNN(5, 3, seed=0), fastrnn.Linear(3, 1, seed=1))
    run = sequences.run(one, np.array([0, 1, 2]), "")
    assert run.answers == tuple(drawing.number(y) for y in one([0, 1, 2])[0][:, 0])
    several = fastrnn.Network(fastrnn.RNN(2, 3, seed=0), fastrnn.Linear(3, 4, seed=1))
    x = np.array([[0.5, 1], [-2, 0]], np.float32)
    run = sequences.run(several, x, "")
    assert run.answers == tuple(str(i) for i in several(x)[0].argmax(axis=1))


def test_characters_are_shown_by_a_mark_or_a_code_where_they_leave_none() -> None:
    assert [drawing.shown(c) for c in ("a", " ", "\n", "\t", "$", "\\", "\0")] == [
        "a", "␣", "⏎", "⇥", "$", "\\", "00",
    ]  # fmt: skip


def test_a_state_is_coloured_by_one_map() -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    assert drawing._colours() is drawing._colours()


def test_arrows_fade_and_grow_with_the_gradient() -> None:
    rows = gradients.sizes({str(s): animate.scaled_layer("rnn", s) for s in (0.5, 1.6)}, None)
    fading, growing = rows.values()
    for one, wider in ((fading, -1), (growing, 1)):
        for before, after in pairwise(one):
            change = gradients.arrow_width(after) - gradients.arrow_width(before)
            assert np.sign(change) in (wider, 0)
    assert gradients.strength(fading[-1]) < 0.2 < 1 == gradients.strength(growing[-1])
    scenes = gradients.going_back(rows, 3)
    assert "the arrow shows as far as there is room" in scenes[2].caption
    assert "the gradient vanishes" in scenes[-2].caption
    assert "the gradient explodes" in scenes[-1].caption
    assert drawing.number(fading[-1]) in scenes[-2].caption
    assert "about as well" in gradients.verdict(np.array([1.0, 0.5]))


@pytest.mark.parametrize("cell", [fastrnn.RNN, fastrnn.LSTM, fastrnn.GRU])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_the_sums_of_bptt_are_the_gradients(cell: Any, loss: str) -> None:
    net, rng = network(cell, dtype=np.float32), np.random.default_rng(0)
    if loss == "mse":
        x, target = rng.standard_normal((2, 4, 5), dtype=np.float32)
    else:
        x, target = rng.integers(0, 5, (2, 4))
    shown = backward.unroll(net, x, target, loss)
    scenes = backward.backward(shown, 3)
    value, _ = net.loss_and_grad(x, target, loss=loss, reduction="sum")
    parts = {"rnn": net.layer, "readout": net.readout}
    actual = {f"{p}.{n}": grad for p, part in parts.items() for n, grad in part.grad.items()}
    assert scenes[-1].sums.keys() == actual.keys()
    for name, grad in actual.items():
        assert_within(scenes[-1].sums[name], grad, rounding(np.float32))
        assert not scenes[0].sums[name].any()
    for short, terms in scenes[-1].terms.items():
        assert len(terms) == 4
        entry = actual[sequences.MATRICES[short]][shown.entries[short]]
        assert sum(terms) == pytest.approx(entry, abs=rounding(np.float32))
    assert sum(one.loss for one in shown.copies) == pytest.approx(value, rel=1e-5)


def test_bptt_goes_forward_then_back_and_splits_in_every_copy() -> None:
    scenes = backward.backward(backward.unroll(None, None, None, "cross_entropy"), 3)
    assert [scene.step for scene in scenes if scene.phase == "forward"] == [0, 1, 2, 3]
    assert scenes[4].phase == "loss"
    back = [(scene.phase, scene.step) for scene in scenes[5:-1]]
    assert back == [(p, t) for t in (3, 2, 1, 0) for p in ("output", "state", "weights")]
    assert scenes[-1].phase == "total"
    for before, after in pairwise(scenes):
        grown = {k for k in after.terms if len(after.terms[k]) > len(before.terms[k])}
        expected = {"output": {"W_hy"}, "weights": {"W_ih", "W_hh"}}.get(after.phase, set())
        assert grown == expected
    assert "Copy 2 reads “e”" in scenes[1].caption
    assert "“l” was wanted" in scenes[1].caption


def test_additions_are_written_as_they_are_done_by_hand() -> None:
    assert backward.addition([0.12, -0.034, 0.2]) == ["0.12 − 0.03 + 0.20", "= 0.29"]
    assert backward.addition([0.996, 1.866, 1.665, 1.256])[1] == "≈ 5.78"
    assert backward.addition([-0.00123, 0.0004]) == ["−0.0012 + 0.0004", "= −0.0008"]
    assert backward.addition([0.0, 0.0]) == ["0.00 + 0.00", "= 0.00"]
    assert backward.addition([]) == []
    assert backward.addition([-0.001, 0.4]) == ["0.00 + 0.40", "= 0.40"]


@pytest.mark.parametrize("size", [1e20, 1e5, 999.999, 1e-5, 1e-20, np.inf])
def test_additions_are_as_wide_as_their_box(size: float) -> None:
    terms = [size, -0.37 * size, 0.23 * size, size]
    text, makes = backward.addition(terms)
    assert len(text) <= 37
    assert len(makes) <= 9
    assert backward.addition([1.2e20, 3e20]) == ["1.2e20 + 3.0e20", "= 4.2e20"]
    assert backward.addition([9.6e3, 9.6e3]) == ["9.6e3 + 9.6e3", "≈ 1.9e4"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.00"),
        (0.006, "0.006"),
        (-0.0123, "−0.01"),
        (1.005, "1.00"),
        (31.08, "31.1"),
        (9.999, "10"),
        (9.99, "9.99"),
        (999.9, "1e3"),
        (-999.4, "−999"),
        (999, "999"),
        (123456, "1e5"),
        (-1.2e-7, "−1e−7"),
        (3e15, "3e15"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert drawing.number(value) == text


def test_captions_are_broken_into_lines_of_about_the_same_length() -> None:
    text = "The number is the size of the gradient, and so is that of the arrow below."
    assert drawing.lines(text).replace("\n", " ") == text
    first, second = drawing.lines(text).split("\n")
    assert abs(len(first) - len(second)) < 8
    assert drawing.lines("Short.") == "Short."


def test_a_scene_stands_for_as_many_frames_as_it_holds() -> None:
    assert film.checked_hold(12) == (12, 4)
    assert film.checked_hold(1) == (1, 1)


@pytest.mark.parametrize("name", SIX)
def test_every_scene_says_something(name: str, model: fastrnn.CharRNN, reader: Sentiment) -> None:
    run = sequences.run(network(), np.array([0, 1]), "")
    scenes: list[Any] = {
        "unrolling": lambda: loops.unfolding(run, 2),
        "shared_parameters": lambda: loops.sharing(network(), run, 2),
        "hidden_states": lambda: sentences.words(reader.read("good"), 2),
        "generating": lambda: texts.writing(model, "to", 2, 1.0, 0, 2),
        "vanishing": lambda: gradients.going_back({"a": np.ones(3)}, 2),
        "bptt": lambda: backward.backward(
            backward.unroll(network(), [0, 1], [1, 0], "cross_entropy"), 2
        ),
    }[name]()
    assert all(scene.caption.endswith((".", "?", "…")) and scene.hold >= 1 for scene in scenes)
    assert max(len(scene.caption) for scene in scenes) <= 3 * 70


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: animate.unrolling(network(), [[0], [1]]), ValueError, "x has shape"),
        (lambda: animate.unrolling(network()), TypeError, "x must hold numbers, got None"),
        (lambda: animate.unrolling(network(), [0]), ValueError, "x must have from 2 to 6 steps"),
        (lambda: animate.unrolling(network(), [0, 9]), ValueError, "x must hold ids from 0 to 4"),
        (lambda: animate.unrolling(network(), np.ones((2, 5))), TypeError, "x has dtype float64"),
        (lambda: animate.unrolling(3, [0, 1]), TypeError, "network must be a Network or a CharRNN"),
        (lambda: animate.unrolling(fastrnn.CharRNN(), "ab"), RuntimeError, "vocabulary"),
        (
            lambda: animate.shared_parameters(network(num_layers=2), [0, 1]),
            ValueError,
            "network must have one layer",
        ),
        (
            lambda: animate.unrolling(fastrnn.Network(fastrnn.RNN(2, 2)), [0, 1]),
            ValueError,
            "network must have a read-out",
        ),
        (lambda: animate.unrolling(figure=3), TypeError, "figure must be Matplotlib's Figure"),
        (lambda: animate.unrolling(hold=0), ValueError, "hold must be between 1"),
        (lambda: animate.hidden_states("zebra"), ValueError, "text must have a word"),
        (lambda: animate.hidden_states("good " * 13), ValueError, "text must have at most 12"),
        (lambda: animate.hidden_states("good", 3), TypeError, "model must be a Sentiment"),
        (lambda: animate.generating(3), TypeError, "model must be a CharRNN"),
        (lambda: animate.generating(length=0), ValueError, "length must be between"),
        (lambda: animate.generating(length=30), ValueError, "prompt and length must make at most"),
        (lambda: animate.generating(temperature=-1), ValueError, "temperature must be at least 0"),
        (
            lambda: animate.generating(fastrnn.CharRNN(hidden_size=2, symbols="bytes")),
            ValueError,
            "model must read characters, got one of bytes",
        ),
        (lambda: animate.vanishing([3]), TypeError, "layers must be a dict"),
        (lambda: animate.vanishing({}), ValueError, "layers must be from 1 to 3"),
        (lambda: animate.vanishing({"a": 3}), TypeError, r"layers\['a'\] must be a recurrent"),
        (
            lambda: animate.vanishing(x=np.ones((13, 4), np.float32)),
            ValueError,
            "x must have from 1 to 12",
        ),
        (lambda: animate.scaled_layer("jordan", 1), ValueError, "cell must be one of"),
        (lambda: animate.scaled_layer("rnn", 0), ValueError, "scale must be greater than 0"),
        (lambda: animate.bptt(network(), [0, 1]), ValueError, "target must be given"),
        (lambda: animate.bptt(network(), [0, 1], [1, 9]), ValueError, "target must hold"),
        (lambda: animate.bptt(network(), [0] * 5, [0] * 5), ValueError, "x must have from 2 to 4"),
        (lambda: animate.bptt(loss="l1"), ValueError, "loss must be one of"),
        (
            lambda: animate.bptt(network(recurrent_dropout=0.5), [0, 1], [1, 0]),
            ValueError,
            "network must drop nothing out",
        ),
        (
            lambda: animate.bptt(fastrnn.CharRNN(vocabulary="ab"), "abab", [1]),
            ValueError,
            "target must not be given for a CharRNN",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(make: Any, error: Any, message: str) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", SIX)
def test_without_matplotlib_it_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'fastrnn\[plot\]'"):
        getattr(animate, name)()
    with pytest.raises(ImportError, match=r"pip install 'fastrnn\[plot\]'"):
        animate.save(None, "a.gif")
