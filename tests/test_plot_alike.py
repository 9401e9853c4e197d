"""What all pictures promise: drawn where they are asked for, labelled, and nothing left behind."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import fastrnn
from fastrnn import plot
from fastrnn.plot.axes import save

TEXT = "to be"
RNG = np.random.default_rng(0)
STATES = RNG.normal(size=(5, 3))
PROBS = RNG.dirichlet(np.ones(4), size=5)
LOG_PROBS = np.log(PROBS[1:, 0])
HISTORY = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "validation_loss": 0.3}]
LAYER = fastrnn.GRU(2, 3, seed=0)
RESULTS = {
    "machine": {"cpu": "a CPU", "isa": "baseline", "threads": 1, "date": "2026-01-01T00:00"},
    "rows": [
        {
            "name": f"step {cell} I16 H16",
            "cell": cell,
            "microseconds": {"fastrnn": {"a": 1.0}, "jax": {"a": 3.0, "b": 2.0}},
            "estimated_limit_microseconds": 0.5,
        }
        for cell in ("RNN", "LSTM")
    ],
}

# Of each function the arguments that it needs.
ON_AXES: dict[str, tuple[Any, ...]] = {
    "colored_text": (TEXT, STATES[:, 0]),
    "forecast": ([1, 2, 3], [4]),
    "gradient_norms": ({"GRU": LAYER}, STATES[:, :2].astype(np.float32)),
    "learning_curve": (HISTORY,),
    "next_characters": (PROBS, TEXT, " bet"),
    "state_heatmap": (STATES, TEXT),
    "state_lines": (STATES, TEXT),
    "surprise": (LOG_PROBS, TEXT),
}
IN_FIGURES: dict[str, tuple[Any, ...]] = {
    "eigenvalues": (LAYER,),
    "grid": (RESULTS,),
    "hidden_states": (STATES, TEXT),
    "unit_text": (STATES, TEXT),
    "weights": (LAYER,),
}
ALL = ON_AXES | IN_FIGURES


def drawn_in(figure: Any) -> bool:
    return any(ax.has_data() for ax in figure.axes)


def test_every_function_that_draws_is_here() -> None:
    assert set(ALL) == set(plot.__all__) - {"grid_size"}


@pytest.mark.parametrize("name", ON_AXES)
def test_it_is_drawn_on_the_axes_that_are_given(name: str, pyplot) -> None:
    figure = pyplot.Figure()
    before, ax = figure.subplots(2)
    assert getattr(plot, name)(*ON_AXES[name], ax=ax) is ax
    assert drawn_in(figure)
    assert not before.has_data()
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("name", ON_AXES)
def test_without_axes_it_is_drawn_on_the_current_ones_of_pyplot(name: str, pyplot) -> None:
    assert getattr(plot, name)(*ON_AXES[name]) is pyplot.gcf().axes[0]
    assert len(pyplot.get_fignums()) == 1


@pytest.mark.parametrize("sub", [False, True])
@pytest.mark.parametrize("name", IN_FIGURES)
def test_it_is_drawn_in_the_figure_that_is_given(name: str, sub: bool, pyplot) -> None:
    whole = pyplot.Figure(layout="constrained")
    figure = whole.subfigures(1, 2)[1] if sub else whole
    axes = getattr(plot, name)(*IN_FIGURES[name], fig=figure)
    assert all(ax.figure is figure for ax in axes)
    assert pyplot.get_fignums() == []
    whole.canvas.draw()  # no warning that something has no room


@pytest.mark.parametrize("name", IN_FIGURES)
def test_without_a_figure_it_is_drawn_in_a_new_one_of_pyplot(name: str, pyplot) -> None:
    old = pyplot.figure()
    (ax, *_) = getattr(plot, name)(*IN_FIGURES[name])
    assert ax.figure is pyplot.gcf() is not old
    assert len(pyplot.get_fignums()) == 2
    assert old.axes == []


@pytest.mark.parametrize("name", ALL)
def test_it_has_words_for_what_is_drawn(name: str, pyplot) -> None:
    getattr(plot, name)(*ALL[name])
    figure = pyplot.gcf()
    words = [figure.get_supxlabel()]
    for ax in figure.axes:
        words += [ax.get_title(), ax.get_title(loc="left"), ax.get_xlabel(), ax.get_ylabel()]
    assert name == "colored_text" or len([one for one in words if one]) >= 2
    with_lines = [ax for ax in figure.axes if ax.get_legend_handles_labels()[1]]
    for ax in with_lines[:1]:
        assert ax.get_legend() is not None or figure.legends


@pytest.mark.parametrize("name", ALL)
def test_what_is_no_place_to_draw_on_is_refused(name: str, pyplot) -> None:
    place = {"ax": pyplot.Figure()} if name in ON_AXES else {"fig": pyplot.Figure().subplots()}
    (argument,) = place
    with pytest.raises(TypeError, match=f"{argument} must be Matplotlib's"):
        getattr(plot, name)(*ALL[name], **place)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("name", ALL)
def test_without_matplotlib_it_says_what_to_install(name: str, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'fastrnn\[plot\]'"):
        getattr(plot, name)(*ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_what_it_is_drawn_from_stays_as_it_was(name: str, pyplot) -> None:
    arrays = [one for one in ALL[name] if isinstance(one, np.ndarray)]
    before = [array.copy() for array in arrays], LAYER.state_dict()
    getattr(plot, name)(*ALL[name])
    for array, copy in zip(arrays, before[0], strict=True):
        np.testing.assert_array_equal(array, copy)
    for parameter, value in LAYER.state_dict().items():
        np.testing.assert_array_equal(value, before[1][parameter])


def test_letters_are_black_on_light_and_white_on_dark_colours() -> None:
    from fastrnn.plot.axes import ink

    assert ink((1, 1, 1)) == ink((0.9, 0.6, 0.0)) == "black"
    assert ink((0, 0, 0, 1)) == ink((0.0, 0.45, 0.7)) == "white"


def test_a_figure_is_saved_whole_or_not_at_all(tmp_path, pyplot) -> None:
    figure = pyplot.Figure()
    figure.subplots().plot([1, 2])
    file = tmp_path / "a.PNG"
    save(figure, file)
    kept = file.read_bytes()
    assert kept.startswith(b"\x89PNG")
    figure.axes[0].set_title("$\\wrong$")
    with pytest.raises(ValueError, match="wrong"):
        save(figure, file)
    assert file.read_bytes() == kept


def test_a_file_whose_name_says_no_format_is_refused(tmp_path, pyplot) -> None:
    (tmp_path / "rv.plot").mkdir()
    with pytest.raises(ValueError, match=r"file must end in a format, such as \.png .* got '.*/x'"):
        save(pyplot.Figure(), tmp_path / "rv.plot" / "x")
    with pytest.raises(TypeError, match="file must be a path, got 5"):
        save(pyplot.Figure(), 5)
