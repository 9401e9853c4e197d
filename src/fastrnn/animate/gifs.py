"""GIFs of few colours, the same ones in every frame."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

# Drawings need no more, and are a fifth as large as with a palette for each frame.
_COLOURS = 128

# The palette is that of so many frames, from the first to the last.
_SAMPLED = 10

_WHITE = 250


def writer(fps: Any) -> Any:
    """Return Matplotlib's kind of writer, that makes a GIF."""
    from matplotlib.animation import AbstractMovieWriter
    from PIL import Image

    class GifWriter(AbstractMovieWriter):
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
            palette = _palette(self.frames)
            first, *rest = (
                frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames
            )
            first.save(
                self.outfile, save_all=True, append_images=rest, duration=round(1000 / fps), loop=0,
                optimize=False,
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
    palette = together.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)
    colours = np.array(palette.getpalette()).reshape(-1, 3)
    # What is nearly white is the mean of the white around all and of the edges of letters.
    colours[colours.min(axis=1) >= _WHITE] = 255
    palette.putpalette(colours.reshape(-1).tolist())
    return palette
