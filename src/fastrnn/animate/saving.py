"""Animations as files."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from typing import Any

from fastrnn import _check, checkpoint
from fastrnn.animate import gifs
from fastrnn.plot.axes import pyplot

ENDINGS = (".gif", ".mp4", ".html")

# Browsers show GIFs of more frames a second at ten; a frame of a GIF stands 655 seconds at most.
_SLOWEST, _FASTEST = 0.01, 50.0

# A figure of 6.4 × 4.4 inches has 64 × 44 pixels then; fewer show nothing.
_COARSEST = 10.0

# Megabytes of pictures in a page, beyond which Matplotlib would leave frames out.
_NO_LIMIT = 2**20

# Matplotlib's page fetches the signs on its buttons from another server.
_LINK = re.compile(r'<link rel="stylesheet"\s+href="https?://[^>]*>')
_SIGNS = {
    "minus": "−", "fast-backward": "⏮", "step-backward": "◂", "play": "▶", "pause": "⏸",
    "step-forward": "▸", "fast-forward": "⏭", "plus": "+",
}  # fmt: skip


def save(animation: Any, file: Any, *, fps: float = 5, dpi: float = 100) -> None:
    """Write an animation to a file, whole or not at all.

    Parameters
    ----------
    animation : matplotlib.animation.Animation
        One of this package's, or any other.
    file : str or path
        Its name says what it becomes: ``.gif``, ``.mp4``, which needs the program ffmpeg, or
        ``.html``, a page with buttons that needs nothing from elsewhere.
    fps : float
        Frames a second, from 0.01 to 50. In a GIF each stands for whole hundredths of a second:
        with 30, for 0.03 seconds.
    dpi : float
        Pixels to the inch, from 10 to 1000; a new figure has 6.4 × 4.4 inches.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument has the wrong type or value, or the name another ending.
    OSError
        If the file cannot be written, or ffmpeg is missing or fails.

    Examples
    --------
    >>> from fastrnn import animate
    >>> animate.save(animate.vanishing(), "vanishing.gif")  # doctest: +SKIP
    """
    pyplot()  # says what to install
    from matplotlib.animation import Animation

    if not isinstance(animation, Animation):
        raise TypeError(
            f"animation must be Matplotlib's Animation, got {_check.describe(animation)}"
        )
    file = _check.path("file", file)
    ending = os.path.splitext(file)[1].lower()
    if ending not in ENDINGS:
        raise ValueError(f"file must end in {', '.join(ENDINGS)}, got {file!r}")
    fps = _check.number("fps", fps, _SLOWEST, _FASTEST)
    dpi = _check.number("dpi", dpi, _COARSEST, 1000)
    writer = _writer(ending, fps)
    checkpoint.check_writable(file)
    with tempfile.TemporaryDirectory() as folder:
        made = os.path.join(folder, "film" + ending)
        _write(animation, made, writer, dpi)
        with open(made, "rb") as whole:
            content = whole.read()
    checkpoint.replace(file, _page(content) if ending == ".html" else content)


def _writer(ending: str, fps: Any) -> Any:
    from matplotlib import animation

    if ending == ".gif":
        return gifs.writer(fps)
    if ending == ".html":
        return animation.HTMLWriter(fps, embed_frames=True, embed_limit=_NO_LIMIT)
    if not animation.FFMpegWriter.isAvailable():
        raise OSError(
            "a file that ends in .mp4 needs the program ffmpeg, which is not installed or not on "
            "the PATH; install it, or save to .gif or .html"
        )
    return animation.FFMpegWriter(fps)


def _write(animation: Any, made: str, writer: Any, dpi: float) -> None:
    from subprocess import CalledProcessError

    drawn: list[int] = []
    try:
        with warnings.catch_warnings():  # of an animation without frames, which is refused below
            warnings.filterwarnings("ignore", "Can not start iterating the frames")
            animation.save(
                made, writer=writer, dpi=dpi, progress_callback=lambda k, _: drawn.append(k)
            )
    except CalledProcessError as error:
        said = str(error.stderr or error.output or "").strip().splitlines()
        raise OSError(f"ffmpeg failed: {said[-1] if said else error}") from None
    if not drawn:
        raise ValueError("animation must have a frame, got none")


def _page(content: bytes) -> bytes:
    """Return Matplotlib's page as a whole one, that asks no other server for anything."""
    signs = "".join(f'.fa-{name}::before{{content:"{sign}"}}' for name, sign in _SIGNS.items())
    turned = ".fa-flip-horizontal{display:inline-block;transform:scaleX(-1)}"
    style = f"<style>.fa{{font-style:normal}}{signs}{turned}</style>"
    body = _LINK.sub(style, content.decode("utf-8"))
    head = '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>fastrnn</title>\n'
    return (head + body).encode()
