"""Animations are drawn and saved, whole or not at all."""

from __future__ import annotations

import gc
import os
import re
import stat
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastrnn import animate

matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
matplotlib.use("agg")
pyplot = pytest.importorskip("matplotlib.pyplot")
FuncAnimation = pytest.importorskip("matplotlib.animation").FuncAnimation
Image = pytest.importorskip("PIL.Image")

DPI = 50  # small pictures are drawn in less time
FRAMES = 8  # of the shortest animation

SHORT: dict[str, dict[str, Any]] = {
    "unrolling": {},
    "shared_parameters": {},
    "hidden_states": {"text": "not boring zebra at all " * 2},  # words at an angle
    "generating": {"length": 2},
    "vanishing": {"x": np.ones((2, 4), np.float32)},
    "bptt": {},
}


@pytest.fixture(scope="module")
def short() -> Any:
    """Return an animation of few frames."""
    return animate.vanishing(**SHORT["vanishing"], hold=1)


@pytest.mark.parametrize("name", SHORT)
def test_frames_can_be_drawn_and_differ(name: str) -> None:
    animation = getattr(animate, name)(**SHORT[name], hold=1)
    assert isinstance(animation, FuncAnimation)
    figure = animation._fig
    assert figure.get_size_inches().tolist() == [6.4, 4.4]
    figure.set_dpi(DPI)
    count, before = len(list(animation.new_frame_seq())), None
    for k in range(0, count, max(1, count // 6)):
        animation._func(k)
        figure.canvas.draw()
        picture = np.array(figure.canvas.buffer_rgba())
        assert before is None or not np.array_equal(picture, before), f"frame {k}"
        before = picture
    assert pyplot.get_fignums() == [], "none is left open"


def test_an_animation_that_nobody_plays_goes_without_a_warning() -> None:
    animation = animate.vanishing(**SHORT["vanishing"], hold=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del animation
        gc.collect()
    assert [str(one.message) for one in caught] == []


def test_a_given_figure_is_emptied_and_drawn_on() -> None:
    figure = pyplot.figure(figsize=(3.2, 2.2))
    figure.text(0, 0, "old")
    animation = animate.vanishing(**SHORT["vanishing"], hold=1, figure=figure)
    assert figure.texts == []
    (ax,) = figure.axes
    sizes = {text.get_text(): text.get_fontsize() for text in ax.texts}
    assert sizes["What a mistake teaches the steps before it"] == 6.5, "half as wide, half as large"
    del animation
    pyplot.close(figure)


def test_a_gif_has_all_frames_for_as_long_as_they_stand(short: Any, tmp_path: Path) -> None:
    animate.save(short, tmp_path / "a.gif", fps=4, dpi=DPI)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (320, 220)
        assert gif.n_frames == FRAMES
        frames = []
        for k in range(gif.n_frames):
            gif.seek(k)
            assert gif.info["duration"] == 250
            frames.append(np.array(gif.convert("RGB")))
    for one, after in pairwise(frames):
        assert not np.array_equal(one, after)
    assert all((frame[0, 0] == 255).all() for frame in frames), "paper is white"
    assert os.listdir(tmp_path) == ["a.gif"]


def test_a_gif_stands_for_the_nearest_hundredths_of_a_second(short: Any, tmp_path: Path) -> None:
    for fps, milliseconds in ((15, 70), (30, 30), (50, 20)):
        animate.save(short, tmp_path / "a.gif", fps=fps, dpi=10)
        with Image.open(tmp_path / "a.gif") as gif:
            assert gif.size == (64, 44)
            assert gif.info["duration"] == milliseconds


@pytest.mark.parametrize("ending", ["gif", "html"])
def test_what_the_first_frame_raises_is_raised(ending: str, tmp_path: Path) -> None:
    calls = []

    def show(k: int) -> list[Any]:
        calls.append(k)
        if len(calls) > 1:  # the first is of the figure's own drawing
            raise ZeroDivisionError("mine")
        return []

    figure = pyplot.figure(figsize=(1, 1))
    animation = FuncAnimation(figure, show, frames=3)
    with pytest.raises(ZeroDivisionError, match="mine"):
        animate.save(animation, tmp_path / f"a.{ending}")
    assert os.listdir(tmp_path) == []
    pyplot.close(figure)


@pytest.mark.parametrize("ending", ["gif", "html"])
@pytest.mark.parametrize("frames", [0, [], lambda: iter(())])
def test_an_animation_without_frames_is_refused(ending: str, frames: Any, tmp_path: Path) -> None:
    figure = pyplot.figure(figsize=(1, 1))
    animation = FuncAnimation(figure, lambda _: [], frames=frames, cache_frame_data=False)
    with pytest.raises(ValueError, match="animation must have a frame, got none"):
        animate.save(animation, tmp_path / f"a.{ending}")
    assert os.listdir(tmp_path) == []
    pyplot.close(figure)


def test_a_gif_of_hardly_any_colours_has_them(tmp_path: Path) -> None:
    figure = pyplot.figure(figsize=(1, 1))
    ax = figure.add_axes((0, 0, 1, 1))
    animation = FuncAnimation(figure, lambda k: ax.set_facecolor("rw"[k]) or [], frames=2)
    animate.save(animation, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 2
        for k, colour in enumerate([(255, 0, 0), (255, 255, 255)]):
            gif.seek(k)
            assert gif.convert("RGB").getpixel((50, 50)) == colour
    pyplot.close(figure)


def test_a_page_has_all_frames_and_asks_nobody_for_anything(short: Any, tmp_path: Path) -> None:
    animate.save(short, str(tmp_path / "a.HTML"), dpi=DPI)
    page = (tmp_path / "a.HTML").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert len(re.findall(r'frames\[\d+\] = "data:image/png;base64', page)) == FRAMES
    assert "http" not in page
    icons = set(re.findall(r'class="fa fa-([a-z-]+)', page))
    assert all(f".fa-{icon}::before" in page for icon in icons)
    assert len(icons) == 8


def program(folder: Path, text: str) -> str:
    """Make a program that stands for ffmpeg, and return its name."""
    path = folder / "ffmpeg"
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_film_goes_through_ffmpeg(short: Any, tmp_path: Path) -> None:
    ffmpeg = program(tmp_path, 'for file; do :; done\nwc -c > "$file"\n')
    with pyplot.rc_context({"animation.ffmpeg_path": ffmpeg}):
        animate.save(short, tmp_path / "a.mp4", dpi=DPI)
    assert int((tmp_path / "a.mp4").read_text()) == FRAMES * 320 * 220 * 4


def test_where_ffmpeg_is_missing_or_fails_it_is_said(short: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_text("old")
    absent = pyplot.rc_context({"animation.ffmpeg_path": str(tmp_path / "absent")})
    with absent, pytest.raises(OSError, match="needs the program ffmpeg, which is not installed"):
        animate.save(short, file)
    ffmpeg = program(tmp_path, "cat > /dev/null\necho no such codec >&2\nexit 1\n")
    failing = pyplot.rc_context({"animation.ffmpeg_path": ffmpeg})
    with failing, pytest.raises(OSError, match="ffmpeg failed: no such codec"):
        animate.save(short, file, dpi=DPI)
    assert file.read_text() == "old"


def test_a_save_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.gif"
    file.write_text("old")

    def show(k: int) -> list[Any]:
        if k == 2:
            raise KeyboardInterrupt
        return []

    figure = pyplot.figure(figsize=(1, 1))
    animation = FuncAnimation(figure, show, frames=3)
    with pytest.raises(KeyboardInterrupt):
        animate.save(animation, file)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.gif"]
    pyplot.close(figure)


@pytest.mark.parametrize(
    ("file", "options", "error", "message"),
    [
        ("a.png", {}, ValueError, "file must end in .gif, .mp4, .html, got"),
        ("a", {}, ValueError, "file must end in"),
        ("absent/a.gif", {}, FileNotFoundError, "absent"),
        (3.5, {}, TypeError, "file must be a path"),
        ("a.gif", {"fps": 0}, ValueError, "fps must be at least 0.01"),
        ("a.gif", {"fps": 60}, ValueError, "fps must be at most 50"),
        ("a.gif", {"fps": "fast"}, TypeError, "fps must be a number"),
        ("a.gif", {"dpi": 0}, ValueError, "dpi must be at least 10"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_drawn(
    short: Any, tmp_path: Path, monkeypatch: Any, file: Any, options: Any, error: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        animate.save(short, file, **options)
    assert os.listdir(tmp_path) == []


def test_what_is_no_animation_is_refused() -> None:
    with pytest.raises(TypeError, match="animation must be Matplotlib's Animation, got 3"):
        animate.save(3, "a.gif")
