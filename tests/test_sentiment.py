"""The model of sentiment understands sentences that are new to it, and says what it has read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn import sentiment
from fastrnn.sentiment import Sentence, Sentiment

NEGATIONS = {"not", "never", "nobody"}


@pytest.fixture(scope="module")
def model() -> Sentiment:
    return sentiment.train()


@pytest.mark.parametrize("cell", sentiment.CELLS)
def test_sentences_that_were_not_learned_from_are_understood(cell: str) -> None:
    model, (learned, held_out) = sentiment.train(cell=cell), sentiment.sentences()
    negated = [one for one in held_out if NEGATIONS & set(one.text.split())]
    assert not set(learned) & set(held_out)
    assert min(len(negated), len(held_out) - len(negated)) > 30
    assert model.accuracy(learned) > 0.98
    assert model.accuracy(held_out) > 0.97
    assert model.accuracy(negated) > 0.95


def test_every_word_that_is_held_out_is_learned_elsewhere(model: Sentiment) -> None:
    _, held_out = sentiment.sentences()
    for text, _ in held_out:
        assert model.read(text).unknown == ()


def test_about_half_of_the_sentences_are_positive() -> None:
    for part in sentiment.sentences():
        assert np.mean([positive for _, positive in part]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("text", "positive"),
    [
        ("The film was not good at all.", False),
        ("This book was never boring!", True),
        ("It wasn't bad", True),
        ("I don’t think the food was great", False),
        ("a lovely film with a great ending", True),
        ("Nobody will recommend this awful game", False),
    ],
)
def test_sentences_of_anyone_are_understood(model: Sentiment, text: str, positive: bool) -> None:
    assert model.read(text).positive == positive


def test_a_word_before_the_answer_is_remembered(model: Sentiment) -> None:
    plain, negated = model.read("the film was good"), model.read("the film was not good")
    assert plain.probabilities[-1] > 0.75
    assert negated.probabilities[-1] < 0.25
    undecided = negated.probabilities[:-1]
    assert np.all(abs(undecided - 0.5) < 0.2), "nothing is said before the adjective"


def test_states_and_probabilities_are_those_of_the_network(model: Sentiment) -> None:
    reading, ids = model.read("the film was not good"), model.encode("the film was not good")
    np.testing.assert_array_equal(reading.states, model.network.layer(ids)[0])
    logits, _ = model.network(ids)
    odds = np.exp(np.diff(logits.astype(np.float64)))[:, 0]
    np.testing.assert_allclose(reading.probabilities, odds / (1 + odds), rtol=1e-6)
    assert [model.vocabulary[i] for i in ids] == list(reading.words)


@given(st.lists(st.sampled_from(["good", "not", "zebra", "film", "Oxygen"]), min_size=1))
def test_an_unknown_word_is_passed_over(model: Sentiment, words: list[str]) -> None:
    kept = [word for word in words if word in ("good", "not", "film")]
    if not kept:
        with pytest.raises(ValueError, match="text must have a word that the model knows"):
            model.read(" ".join(words))
        return
    reading, alone = model.read(" ".join(words)), model.read(" ".join(kept))
    assert reading.words == tuple(word.lower() for word in words)
    assert reading.known.tolist() == [word in kept for word in words]
    assert list(reading.unknown) == [word.lower() for word in words if word not in kept]
    np.testing.assert_array_equal(reading.states[reading.known], alone.states)
    np.testing.assert_array_equal(reading.probabilities[reading.known], alone.probabilities)
    for t, (before, after) in enumerate(pairwise(reading.states), 1):
        if not reading.known[t]:
            np.testing.assert_array_equal(before, after)
    if not reading.known[0]:
        assert not reading.states[0].any()


def test_the_same_seed_gives_the_same_model(model: Sentiment) -> None:
    same, other = sentiment.train(), sentiment.train(seed=1)
    for name, value in model.network.state_dict().items():
        np.testing.assert_array_equal(value, same.network.state_dict()[name])
        assert not np.array_equal(value, other.network.state_dict()[name])


@pytest.mark.parametrize("text", ["", "  ", "... !?"])
def test_a_text_without_a_word_is_refused(model: Sentiment, text: str) -> None:
    with pytest.raises(ValueError, match="text must have at least one word, got none"):
        model.read(text)
    with pytest.raises(ValueError, match="text must have at least one word, got none"):
        model.encode(text)


def test_wrong_arguments_are_refused(model: Sentiment) -> None:
    with pytest.raises(TypeError, match=r"text must be a str, got 3 \(int\)"):
        model.read(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got 'zebra' "):
        model.read("zebra")
    with pytest.raises(ValueError, match="sentences must not be empty"):
        model.accuracy([])
    with pytest.raises(TypeError, match=r"sentences must be a list, got 5 \(int\)"):
        model.accuracy(5)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"sentences\[0\] must be a text and whether it is positive"
    ):
        model.accuracy(["good"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"positive of sentences\[1\] must be True or False"):
        model.accuracy([Sentence("good", True), ("good", 3)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="cell must be one of 'rnn', 'lstm', 'gru', got 'jordan'"):
        sentiment.train(cell="jordan")
    with pytest.raises(ValueError, match="hidden_size must be between"):
        sentiment.train(hidden_size=0)
    with pytest.raises(ValueError, match="epochs must be between"):
        sentiment.train(epochs=0)
    with pytest.raises(TypeError, match="seed must be an integer"):
        sentiment.train(seed="one")  # type: ignore[arg-type]


def test_accuracy_is_the_share_that_is_right(model: Sentiment) -> None:
    right, wrong = Sentence("it was so good", True), Sentence("it was so good", False)
    assert model.accuracy([right, right, right, wrong]) == 0.75


@pytest.mark.parametrize("cell", sentiment.CELLS)
def test_what_one_tries_first_is_read_right(cell: str) -> None:
    model = sentiment.train(cell=cell)
    for text in ("this film is great", "i love this film", "not bad", "good", "wonderful"):
        assert model.read(text).positive, text
    for text in ("the film was terrible", "this is bad", "this is terrible", "boring", "not good"):
        assert not model.read(text).positive, text


def test_reading_leaves_what_a_training_under_way_keeps() -> None:
    model = sentiment.train(epochs=1)
    layer, readout = model.network.layer.train(), model.network.readout
    assert readout is not None
    readout.train()
    output, _ = layer([0, 1, 2])  # type: ignore[operator]
    readout(output)
    model.read("not good")
    readout.backward(np.ones((3, 2), np.float32))
    layer.backward(np.ones_like(output))  # type: ignore[attr-defined]


def test_negations_are_two_words_however_they_are_written() -> None:
    text = "I cannot, can't, won't, shan't and couldn't"
    expected = "i can not can not will not shall not and could not"
    assert sentiment.split(text) == expected.split()
