"""The page's one neuron shows what the compiled layer computes."""

from __future__ import annotations

import numpy as np
import pytest
from browser import drag, eventually, eventually_holds, numbers

pytest.importorskip("panel")

import fastrnn
from fastrnn.demo.models.one_neuron import SEQUENCES, Neuron, memory, read_sequence, remark
from fastrnn.demo.session import Session
from fastrnn.demo.views.one_neuron import OneNeuron

FIBONACCI = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144]


def layers_states(x, w_input, w_hidden, bias, nonlinearity="tanh") -> list[float]:
    layer = fastrnn.RNN(1, 1, nonlinearity=nonlinearity, dtype=np.float64)
    layer.weight_ih_l0, layer.weight_hh_l0 = [[w_input]], [[w_hidden]]
    layer.bias_ih_l0, layer.bias_hh_l0 = [bias], [0.0]
    output, _ = layer(np.array(x, float)[:, None])
    return [round(float(h), 3) for h in output[:, 0]]


def test_a_sequence_is_numbers_with_commas_or_spaces_between_them() -> None:
    assert read_sequence(" 1, -2.5;3e2\n4 ") == [1.0, -2.5, 300.0, 4.0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Type at least one number"),
        (" , ", "Type at least one number"),
        ("1, two", "“two” is not a number"),
        ("1, nan", "“nan” is not a number"),
        ("1e9", "“1e9” is not a number from -1000000 to 1000000"),
        ("x" * 1_000_000, "“x{29}…” is not a number"),
        ("1 " * 41, "At most 40 numbers fit here, got 41"),
    ],
)
def test_what_is_no_sequence_is_refused_with_a_sentence(text, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_sequence(text)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "nothing yet"),
        ({"seen": 1}, "still reacts"),
        ({"seen": 12}, "saturated: the state is almost 1"),
        ({"seen": 12, "w_input": -1.0}, "saturated: the state is almost −1"),
        ({"seen": 12, "nonlinearity": "sigmoid"}, "saturated: the state is almost 1"),
        ({"seen": 12, "nonlinearity": "relu", "w_hidden": 3.0, "w_input": 1.0}, "explodes"),
        ({"seen": 12, "nonlinearity": "relu", "w_input": -1.0}, "The ReLU is off"),
        ({"seen": 1, "nonlinearity": "relu", "sequence": [2e6]}, "The state is large: nothing"),
        (
            {"seen": 2, "nonlinearity": "relu", "sequence": [1e6, -9.0], "w_hidden": 1.0},
            "The state is large: nothing",
        ),
    ],
)
def test_what_is_striking_is_said(changes, expected) -> None:
    neuron = Neuron()
    neuron.set(**changes)
    neuron.seen = changes.get("seen", 0)  # a new sequence begins at its beginning
    words, _ = remark(list(neuron.trace()[: neuron.seen]), neuron)
    assert expected in words


def remembering(seen, **changes) -> Neuron:
    neuron = Neuron()
    neuron.set(**changes)
    neuron.seen = seen
    return neuron


def test_what_is_kept_of_a_change_is_what_the_layer_itself_shows() -> None:
    neuron = remembering(5, sequence=[0.5, -1.0, 2.0, 0.3, -0.2, 9.0], w_hidden=-1.5, bias=0.2)
    layer = fastrnn.RNN(1, 1, dtype=np.float64)
    layer.weight_ih_l0, layer.weight_hh_l0 = [[neuron.w_input]], [[neuron.w_hidden]]
    layer.bias_ih_l0, layer.bias_hh_l0 = [neuron.bias], [0.0]
    x = np.array(neuron.sequence[:5])[:, None]
    states = [0.0, *layer(x)[0][:, 0]]
    for k, share in enumerate(neuron.kept()):
        ends = [states[5 - k] + moved for moved in (1e-5, -1e-5)]
        if k:
            ends = [layer(x[5 - k :], np.array([[h]]))[1].item() for h in ends]
        assert share == pytest.approx(abs(ends[0] - ends[1]) / 2e-5, rel=1e-6)


@pytest.mark.parametrize(
    ("seen", "changes", "expected"),
    [
        (0, {}, ""),
        (0, {"w_hidden": 0.0}, "forgets at once"),
        (3, {"w_hidden": 0.0}, "forgets at once"),
        (3, {"nonlinearity": "relu", "w_hidden": 0.25}, ", 25 % of that difference would be left"),
        (3, {"nonlinearity": "relu", "w_hidden": 0.8}, "80 % of that difference would be left now. "
         "Even of one at the very beginning 51 % is left."),
        (4, {"nonlinearity": "relu", "w_hidden": 0.8}, "a difference 4 steps ago less than half"),
        (1, {"nonlinearity": "relu", "w_hidden": 3.0}, "would now be 3 times as large"),
        (3, {"nonlinearity": "relu", "w_hidden": 3.0}, "beginning would be 27 times as large"),
        (3, {"nonlinearity": "relu", "w_input": -1.0}, ", nothing of that difference"),
        (12, {}, ", less than 1 % of that difference"),
    ],
)  # fmt: skip
def test_how_well_it_remembers_is_said(seen, changes, expected) -> None:
    said = memory(remembering(seen, **changes))
    assert expected in said
    assert bool(said) == bool(expected)


def test_negative_numbers_stand_in_brackets_behind_an_operator() -> None:
    view = OneNeuron(Session())
    view.typed.put("-2")
    view.change(w_input=-1.0, w_hidden=-0.5, bias=-3.0)
    view.step()
    assert (
        "tanh( <b>−1.00</b> · <b>(−2.000)</b> + <b>(−0.50)</b> · <b>0.000</b> + <b>(−3.00)</b> ) "
        "= tanh( <b>−1.000</b> )"
    ) in view.formula.object


def test_the_page_says_what_is_kept(open_view) -> None:
    page = open_view("one-neuron")
    page.get_by_role("button", name="Step forward").click()
    remembers = page.locator(".say", has_text="How well it remembers")
    remembers.wait_for()
    assert "it forgets at once" not in remembers.inner_text()
    drag(page.get_by_label("W_hidden", exact=True), 0)
    page.locator(".say", has_text="it forgets at once").wait_for()
    assert remembers.count() == 0


def test_the_outputs_are_the_layers_to_the_digits_shown(open_view) -> None:
    page = open_view("one-neuron")
    forward, outputs = page.get_by_role("button", name="Step forward"), page.locator(".outputs")
    x = [3, -1, 0.5, 40]
    page.get_by_label("Numbers").fill("3, -1, 0.5, 40")
    eventually(page.locator(".inputs"), x, numbers)
    expected = layers_states(x, 0.1, 0.5, 0.0)
    for t in range(1, 5):
        forward.click()
        eventually(outputs, expected[:t], numbers)
    assert forward.is_disabled()
    eventually(page.locator(".formula .state"), expected[-1:], numbers)
    page.locator(".say", has_text="saturated").wait_for()

    drag(page.get_by_label("W_input", exact=True), -0.5)
    eventually(outputs, layers_states(x, -0.5, 0.5, 0.0), numbers)
    drag(page.get_by_label("W_hidden", exact=True), 1.5)
    eventually(outputs, layers_states(x, -0.5, 1.5, 0.0), numbers)
    drag(page.get_by_label("Bias", exact=True), 2)
    eventually(outputs, layers_states(x, -0.5, 1.5, 2.0), numbers)
    for nonlinearity in ("sigmoid", "relu", "tanh"):
        page.get_by_label("Activation").select_option(nonlinearity)
        eventually(outputs, layers_states(x, -0.5, 1.5, 2.0, nonlinearity), numbers)
    assert path_drawn(page) == [0.0, *layers_states(x, -0.5, 1.5, 2.0)]


def path_drawn(page) -> list[float]:
    path = page.evaluate(
        "[...Bokeh.documents[0]._all_models.values()]"
        ".filter((m) => m.type == 'ColumnDataSource').map((m) => [...m.data.h])"
        ".sort((a, b) => b.length - a.length)[0]"
    )
    return [round(h, 3) for h in path]


def test_sequences_are_chosen_typed_played_and_begun_again(open_view) -> None:
    page = open_view("one-neuron")
    inputs, outputs = page.locator(".inputs"), page.locator(".outputs")
    for name in ("Linear", "Sine", "Fibonacci"):
        page.get_by_label("Sequence").select_option(name)
        eventually(inputs, SEQUENCES[name], numbers)

    page.get_by_label("Numbers").fill("2 -1")
    eventually(inputs, [2.0, -1.0], numbers)
    eventually_holds(page.get_by_label("Sequence"), "Typed in")
    page.get_by_role("button", name="Play").click()
    eventually(outputs, layers_states([2, -1], 0.1, 0.5, 0.0), numbers)
    eventually(page.locator("[name=play]"), "Play")
    page.get_by_role("button", name="Reset").click()
    eventually(outputs, [], numbers)


def test_what_is_no_number_gets_a_message_beside_it_and_the_page_lives_on(open_view) -> None:
    page = open_view("one-neuron")
    field, message = page.get_by_label("Numbers"), page.locator("#message-numbers")
    for typed, complaint in (("1, x", "“x” is not a number"), ("", "Type at least one number")):
        field.fill(typed)
        eventually(message, True, lambda text, complaint=complaint: complaint in text)
        assert field.get_attribute("aria-invalid") == "true"
        assert numbers(page.locator(".inputs").inner_text()) == FIBONACCI
    field.fill("3")
    eventually(message, "")
    eventually(page.locator(".inputs"), [3.0], numbers)
    page.get_by_role("button", name="Step forward").click()
    eventually(page.locator(".outputs"), layers_states([3], 0.1, 0.5, 0.0), numbers)


def test_a_sequence_that_is_chosen_again_takes_the_place_of_what_is_none() -> None:
    view = OneNeuron(Session())
    view.typed.text = "1, x"
    assert view.typed.message
    view.sequence.value = "Typed in"
    view.sequence.value = "Fibonacci"
    assert not view.typed.message
    assert view.typed.value == FIBONACCI


def test_the_step_that_is_shown_is_marked_for_screen_readers_too() -> None:
    view = OneNeuron(Session())
    assert "aria-current" not in view.strip.object
    view.step()
    view.step()
    assert view.strip.object.count('<li class="now" aria-current="step">') == 2
