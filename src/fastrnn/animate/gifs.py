"""GIFs of few colours, the same ones in every frame."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

# Beside white. Drawings need no more, and are a fifth as large as with a palette for each frame.
_COLOURS = 127

# The palette is that of so many frames, from the first to the last.
_SAMPLED = 10


def writer(fps: Any) -> Any:
    """Return Matplotlib's kind of writer, that makes a GIF."""
    from matplotlib import animation
    from PIL import Image

    base: Any = animation.AbstractMovieWriter  # for mypy the same with and without Matplotlib

    class GifWriter(base):  # type: ignore[misc]
        def setup(self, fig: Any, outfile: Any, dpi: Any = None) -> None:
            super().setup(fig, outfile, dpi=dpi)
            self.frames: list[Any] = []

        def grab_frame(self, **options: Any) -> None:
            drawn = io.BytesIO()
            self.fig.savefig(drawn, **options | {"format": "rgba", "dpi": self.dpi})
            picture = Image.frombuffer(
                "RGBA", self.frame_size, drawn.getvalue(), "raw", "RGBA", 0, 1
            )
            self.frames.append(picture.convert("RGB"))

        def finish(self) -> None:
            if not self.frames:  # the first one has failed, which is about to be said
                return
            palette = _palette(self.frames)
            first, *rest = (_reduced(frame, palette) for frame in self.frames)
            first.save(
                self.outfile, save_all=True, append_images=rest, optimize=False, loop=0,
                duration=10 * round(100 / fps),  # a GIF counts hundredths of a second
            )  # fmt: skip

    return GifWriter(fps)


def _palette(frames: list[Any]) -> Any:
    """Return a picture whose palette has the colours of frames from the whole animation."""
    from PIL import Image

    places = np.linspace(0, len(frames) - 1, min(len(frames), _SAMPLED)).astype(int)
    width, height = frames[0].size
    together = Image.new("RGB", (width, height * len(places)))
    for k, place in enumerate(places):
        together.paste(frames[place], (0, k * height))
    return together.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)


def _reduced(frame: Any, palette: Any) -> Any:
    """Return a frame in the colours of a palette, and in white where it is white.

    Pillow looks for a near colour, not for the nearest, which would leave the paper grey.
    """
    from PIL import Image

    reduced = frame.quantize(palette=palette, dither=Image.Dither.NONE)
    indices = np.array(reduced)
    indices[(np.array(frame) == 255).all(axis=2)] = _COLOURS
    whole = Image.fromarray(indices)
    colours = reduced.getpalette()[: 3 * _COLOURS]
    unused = [0] * (3 * _COLOURS - len(colours))
    whole.putpalette([*colours, *unused, 255, 255, 255])
    return whole
