"""What is drawn in a frame is what its scene says: numbers, colours, heights and words."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fastrnn
from fastrnn import animate, sentiment, unrolled
from fastrnn.animate import backward, chain, drawing, gradients, loops, sentences, sequences, texts
from fastrnn.plot.axes import AMBER, BLUE, ORANGE

matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
matplotlib.use("agg")
to_rgba = pytest.importorskip("matplotlib.colors").to_rgba
patches = pytest.importorskip("matplotlib.patches")

IDS, TARGETS = [0, 3, 1, 2], [3, 1, 2, 0]


def network() -> fastrnn.Network:
    """Return a network whose states go far beyond 1."""
    layer = fastrnn.RNN(5, 7, nonlinearity="relu", seed=0)
    layer.weight_ih_l0 = 4 * layer.weight_ih_l0
    return fastrnn.Network(layer, fastrnn.Linear(7, 5, seed=1))


def frames(animation: Any, scenes: Any) -> Any:
    """Draw each scene's first frame, and yield the scene with the axes."""
    (ax,), k = animation._fig.axes, 0
    for scene in scenes:
        animation._func(k)
        yield scene, ax
        k += scene.hold
    assert k == len(list(animation.new_frame_seq()))


def text_at(ax: Any, x: float, y: float) -> str:
    """Return the text that is written at a point."""
    (found,) = [t.get_text() for t in ax.texts if np.allclose(t.get_position(), (x, y))]
    return found


def heat_at(ax: Any, x: float, y: float) -> Any:
    """Return the heatmap that covers a point."""
    (found,) = [
        image
        for image in ax.images
        if image.get_extent()[0] < x < image.get_extent()[1]
        and image.get_extent()[2] < y < image.get_extent()[3]
    ]
    return found


def assert_shows(image: Any, values: np.ndarray, limit: float) -> None:
    np.testing.assert_array_equal(image.get_array(), values)
    assert image.get_clim() == (-limit, limit)
    assert image.origin == "upper"
    low, middle, high = (image.cmap(place)[:3] for place in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(low, to_rgba(BLUE)[:3], atol=0.01)
    np.testing.assert_allclose(middle, (1, 1, 1), atol=0.01)
    np.testing.assert_allclose(high, to_rgba(ORANGE)[:3], atol=0.01)


def bars(ax: Any) -> list[Any]:
    """Return filled rectangles, from left to right."""
    found = [p for p in ax.patches if isinstance(p, patches.Rectangle) and p.get_fill()]
    return sorted(found, key=lambda one: one.get_x())


def arrow_at(ax: Any, x: float, y: float) -> Any:
    """Return the arrow that begins at a point."""
    arrows = [p for p in ax.patches if isinstance(p, patches.FancyArrowPatch)]
    (found,) = [one for one in arrows if np.allclose(one._posA_posB[0], (x, y))]
    return found


def test_the_loop_and_the_chain_show_states_inputs_and_answers() -> None:
    net = network()
    states, answers = net.layer(IDS)[0], net(IDS)[0].argmax(axis=1)
    limit = float(states.max())
    assert limit > 1.5
    assert (states.max(axis=1) < 0.9 * limit).any(), "a scale for each would show"
    scenes = loops.unfolding(sequences.run(net, np.array(IDS), ""), 1)
    for scene, ax in frames(animate.unrolling(net, IDS, hold=1), scenes):
        places = {0: np.full(4, 8.0), 1: chain.places(4)}.get(scene.spread)
        if places is None or (scene.spread == 0 and scene.step is None):
            continue
        for t in [scene.step] if scene.spread == 0 else range(4):
            x = places[t]
            assert_shows(heat_at(ax, x, chain.CELLS - 0.4), states[t][None], limit)
            assert text_at(ax, x, chain.INPUTS) == str(IDS[t])
            assert text_at(ax, x, chain.OUTPUTS) == str(answers[t])
            assert text_at(ax, x, chain.CELLS + 0.3) == drawing.indexed("h", t + 1)
        legend = heat_at(ax, 8, 9.3)
        assert_shows(legend, np.linspace(-limit, limit, 61)[None], limit)
        assert text_at(ax, 6.3, 9.3) == f"numbers of the state: −{limit:.2f}"
        assert text_at(ax, 9.7, 9.3) == f"{limit:.2f}"


def test_the_shared_weights_and_the_states_are_shown() -> None:
    net = network()
    run = sequences.run(net, np.array(IDS), "")
    states = net.layer(IDS)[0]
    shown = {3.2: net.layer.weight_ih_l0, 8.0: net.layer.weight_hh_l0, 12.8: net.readout.weight}
    for scene, ax in frames(
        animate.shared_parameters(net, IDS, hold=1), loops.sharing(net, run, 1)
    ):
        for middle, weight in shown.items():
            assert_shows(heat_at(ax, middle + 0.8, 9.2), weight, float(abs(weight).max()))
        for t, x in enumerate(chain.places(4)):
            assert_shows(heat_at(ax, x, chain.CELLS - 0.4), states[t][None], float(states.max()))
            lit = arrow_at(ax, x, chain.INPUTS + chain.SMALL / 2).get_facecolor()
            is_lit = scene.weight in ("W_ih", "all") and t in scene.copies
            assert lit == to_rgba(drawing.INPUT if is_lit else drawing.QUIET)


def test_a_sentences_states_bars_and_percentages_are_shown() -> None:
    text = "the film was not boring"
    model = sentiment.train()
    reading = model.read(text)
    (left, right), count = (sentences._LEFT, sentences._RIGHT), 5
    column, wide = (right - left) / count, (right - left) / 12
    limit = max(1.0, float(abs(reading.states).max()))
    animation = animate.hidden_states(text, model, hold=1)
    for scene, ax in frames(animation, sentences.words(reading, 1)):
        words = [one for one in bars(ax) if np.isclose(one.get_y(), 5.365)]
        assert len(words) == scene.read
        for t, bar in enumerate(words):
            p = reading.probabilities[t]
            assert bar.get_height() == pytest.approx(1.6 * (p - 0.5))
            x = left + (t + 0.5) * column
            assert bar.get_x() + bar.get_width() / 2 == pytest.approx(x)
            y = 5.365 + 1.6 * (p - 0.5) + (0.25 if p >= 0.5 else -0.25)
            assert text_at(ax, x, y) == f"{p:.0%}"
        if scene.read:
            (image,) = ax.images
            assert_shows(image, reading.states[: scene.read].T, limit)
            np.testing.assert_allclose(image.get_extent()[:2], (left, left + column * scene.read))
        now = [one for one in bars(ax) if np.isclose(one.get_y(), 3.2)]
        state = reading.states[scene.read - 1] if scene.read else np.zeros(12)
        np.testing.assert_allclose([b.get_height() for b in now], 0.95 * state / limit, rtol=1e-6)
        np.testing.assert_allclose([b.get_x() for b in now], left + (np.arange(12) + 0.15) * wide)
        for bar, value in zip(now, state, strict=True):
            assert bar.get_facecolor() == to_rgba(ORANGE if value >= 0 else BLUE)


def test_probabilities_of_the_next_character_are_shown() -> None:
    model = fastrnn.CharRNN(hidden_size=6, seed=0).fit("to be or not to be. " * 5, steps=20)
    scenes = texts.writing(model, "to", 3, 1.0, 0, 1)
    left, right = texts._BARS
    wide = (right - left) / texts.MOST_BARS
    for scene, ax in frames(animate.generating(model, "to", 3, hold=1), scenes):
        assert_shows(heat_at(ax, texts._CELL, 5.9), scene.state[None], 1.0)
        assert text_at(ax, texts._CELL, 3.1) == drawing.shown(scene.character)
        written = sorted((t.get_position()[0], t.get_text()) for t in ax.texts if t.get_size() == 15
                         and t.get_position()[1] == 9.2)  # fmt: skip
        assert "".join(c for _, c in written) == "".join(map(drawing.shown, scene.text))
        shown = [one for one in bars(ax) if one.get_y() == texts._FLOOR]
        assert len(shown) == len(scene.characters)
        for k, (bar, c, p) in enumerate(
            zip(shown, scene.characters, scene.probabilities, strict=True)
        ):
            x = left + (k + 0.5) * wide
            assert bar.get_height() == pytest.approx(max(0.03, texts._TALL * p))
            assert text_at(ax, x, texts._FLOOR - 0.45) == drawing.shown(c)
            percent = f"{p:.0%}" if p >= 0.005 else "<1%"
            assert text_at(ax, x, texts._FLOOR + texts._TALL * p + 0.3) == percent
            colour = AMBER if c == scene.drawn else drawing.OUTPUT
            assert bar.get_facecolor() == to_rgba(colour)


def test_gradients_are_written_and_arrows_are_as_wide_as_they_should_be() -> None:
    layers = {"a": animate.scaled_layer("rnn", 0.6), "b": animate.scaled_layer("rnn", 1.6)}
    x = np.full((4, 4), 0.1, np.float32)
    norms = {name: unrolled.gradient_norms(layer, x) for name, layer in layers.items()}
    places = np.linspace(15.1, 0.9, 5)
    animation = animate.vanishing(layers, x, hold=1)
    for scene, ax in frames(animation, gradients.going_back(norms, 1)):
        for y, row in zip(gradients._HEIGHTS[2], norms.values(), strict=True):
            for k, place in enumerate(places):
                assert text_at(ax, place, y) == drawing.indexed("h", 4 - k)
                below = [t.get_text() for t in ax.texts
                         if np.allclose(t.get_position(), (place, y - 0.75))]  # fmt: skip
                assert below == [drawing.number(row[k])] * (k <= scene.steps_back)
            for k, (after, _) in enumerate(pairwise(places), 1):
                if k <= scene.steps_back:
                    arrow = arrow_at(ax, after - gradients._SIZE / 2, y)
                    width = np.clip(2 * np.sqrt(row[k]), 0.3, 10)
                    assert arrow.get_arrowstyle().tail_width == pytest.approx(width)
                    assert arrow.get_alpha() == pytest.approx(np.clip(np.sqrt(row[k]), 0.1, 1))


def test_bptt_shows_states_losses_gradients_and_their_sums() -> None:
    net = network()
    copies = unrolled.backpropagate(net, IDS, TARGETS)
    answers = net(IDS)[0].argmax(axis=1)
    limit = max(float(one.state[0].max()) for one in copies)
    shown = backward.unroll(net, IDS, TARGETS, "cross_entropy")
    places = chain.places(4)
    animation = animate.bptt(net, IDS, TARGETS, hold=1)
    for scene, ax in frames(animation, backward.backward(shown, 1)):
        for t in range(4 if scene.phase != "forward" else scene.step + 1):
            one, x = copies[t], places[t]
            assert_shows(heat_at(ax, x, chain.CELLS - 0.4), one.state[0], limit)
            assert text_at(ax, x, chain.INPUTS) == str(IDS[t])
            assert text_at(ax, x, chain.OUTPUTS) == str(answers[t])
            said = f"wanted {TARGETS[t]}\nloss {drawing.number(one.loss)}"
            assert text_at(ax, x + 0.6, chain.OUTPUTS) == said
            if scene.phase in ("forward", "loss") or t < scene.step:
                continue
            size = drawing.number(float(np.linalg.norm(one.grad_output)))
            assert text_at(ax, x + 0.5, chain.CELLS + chain.CELL / 2 + 0.4) == size
            if t and (t > scene.step or scene.phase in ("weights", "total")):
                size = drawing.number(float(np.linalg.norm(one.grad_state_before[0])))
                assert text_at(ax, (x + places[t - 1]) / 2, chain.CELLS - 0.75) == size
        for short, name in sequences.MATRICES.items():
            middle = backward._MIDDLES[short]
            total = sum(one.grads[name] for one in copies)
            sums = heat_at(ax, middle + 1.7, 9.5)
            assert_shows(sums, scene.sums[name], float(abs(total).max()))
            row, column = shown.entries[short]
            terms = [float(one.grads[name][row, column]) for one in reversed(copies)]
            added = backward.addition(terms[: len(scene.terms[short])])
            for y, line in zip((8.88, 8.47), added, strict=False):
                assert text_at(ax, middle - 2.25, y) == line
    np.testing.assert_array_equal(sums.get_array(), scene.sums["readout.weight"])
