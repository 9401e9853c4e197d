"""Make the pictures of docs/gallery.md, each by the code that stands above it there.

    python docs/make_gallery.py [NAME …]

runs the blocks of Python one after the other as they stand, trainings included, which takes a
minute, and writes the figure that a block leaves to the image below it, or only those that are
named. So no picture shows anything but what its code draws. It is here and not among the examples
because it makes a part of this folder and teaches nothing that the gallery does not.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib
from PIL import Image

DOCS = Path(__file__).resolve().parent

# A block, and what stands between it and the next one.
BLOCK = re.compile(r"^```python[^`\n]*\n(.*?)^```$(.*?)(?=^```python|\Z)", re.M | re.S)
PICTURE = re.compile(r"^!\[[^\]]*\]\((images/[\w-]+\.png)\)$", re.M)

# Enough for the colours of these pictures with their smooth edges, at a third of the bytes.
COLOURS = 256
DOTS_PER_INCH = 100


def main(gallery: Path, wanted: list[str]) -> None:
    """Run a gallery's blocks, and write the pictures that are wanted, or all, where it has them."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    names: dict[str, Any] = {}
    with pyplot.rc_context({"figure.constrained_layout.use": True}):
        for block in BLOCK.finditer(gallery.read_text(encoding="utf-8")):
            exec(compile(block[1], str(gallery), "exec"), names)
            for picture in PICTURE.findall(block[2]):
                if not wanted or Path(picture).stem in wanted:
                    write(pyplot.gcf(), gallery.parent / picture)
            pyplot.close("all")


def write(figure: Any, file: Path) -> None:
    """Write a figure as a small PNG, and say how large it is."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    drawn.seek(0)
    with Image.open(drawn) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    file.parent.mkdir(exist_ok=True)
    small.save(file, optimize=True)
    print(f"{file.name}: {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    os.chdir(DOCS.parent)  # where the results of the benchmark are
    main(DOCS / "gallery.md", sys.argv[1:])
