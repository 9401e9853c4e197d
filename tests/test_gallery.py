"""The gallery shows every picture, each as the code above it draws it."""

from __future__ import annotations

import importlib.util
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from fastrnn import plot

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = (DOCS / "gallery.md").read_text(encoding="utf-8")
IMAGE = re.compile(r"\]\((?:docs/)?images/([^)]+)\)")
SHOWN = set(IMAGE.findall(TEXT))
MOST_BYTES = 60 * 1024

SMALL = """
```python
from matplotlib import pyplot
from fastrnn import plot

value = 1
```

No picture.

```python
plot.state_lines([[value], [2.0]])
```

![One](images/one.png)

```python no-run
plot.state_lines([[3.0], [value]])
```

![Two](images/two.png)
"""


@pytest.fixture
def make_gallery():
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    spec = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_function_that_draws_has_its_picture() -> None:
    others = {"grid_size", "state_heatmap", "state_lines"}
    drawn = set(re.findall(r"^plot\.(\w+)\(", TEXT, re.MULTILINE))
    assert drawn == set(plot.__all__) - others - {"colored_text"}


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_every_picture_is_there_and_small(name: str) -> None:
    content = (DOCS / "images" / name).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) <= MOST_BYTES
    width, height = struct.unpack(">II", content[16:24])
    assert 500 <= width <= 1000
    assert height <= 1000


PAGES = ("gallery.md", "animations.md", "demo.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_image_of_a_page_is_there_and_can_be_opened(page: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    names = IMAGE.findall((DOCS / page).read_text(encoding="utf-8"))
    assert names
    for name in names:
        with image.open(DOCS / "images" / name) as opened:
            opened.load()
            assert opened.format.lower() == name.rsplit(".", 1)[1]


def test_every_image_is_on_a_page() -> None:
    texts = [(DOCS / page).read_text(encoding="utf-8") for page in PAGES]
    linked = {name for text in texts for name in IMAGE.findall(text)}
    assert {file.name for file in (DOCS / "images").iterdir()} == linked


def test_every_picture_stands_below_the_block_that_draws_it(make_gallery) -> None:
    pictures = [
        picture
        for block in make_gallery.BLOCK.finditer(TEXT)
        for picture in make_gallery.PICTURE.findall(block[2])
        if "plot." in block[1]
    ]
    assert sorted(pictures) == sorted(f"images/{name}" for name in SHOWN)


@pytest.mark.parametrize(
    ("wanted", "written"), [([], ["one.png", "two.png"]), (["two"], ["two.png"])]
)
def test_the_pictures_that_are_wanted_are_written(wanted, written, make_gallery, tmp_path) -> None:
    gallery = tmp_path / "gallery.md"
    gallery.write_text(SMALL, encoding="utf-8")
    make_gallery.main(gallery, wanted)
    assert sorted(file.name for file in (tmp_path / "images").iterdir()) == written


def without_results(text: str) -> str:
    """Return a gallery without the blocks that need results, and without their pictures."""
    return re.sub(r"^```python no-run\n.*?(?=^```python|\Z)", "", text, flags=re.M | re.S)


def test_without_results_only_the_picture_of_them_is_missing() -> None:
    left = without_results(TEXT)
    assert SHOWN - set(IMAGE.findall(left)) == {"grid.png"}
    assert "benchmarks/results" not in left
    assert TEXT.startswith(left)


@pytest.mark.slow
def test_the_whole_gallery_can_be_made(tmp_path) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    pytest.importorskip("pydoc_data.topics")
    text = TEXT
    if not (DOCS.parent / "benchmarks" / "results").is_dir():  # in an sdist
        text = without_results(TEXT)
    (tmp_path / "gallery.md").write_text(text, encoding="utf-8")
    code = (
        f"import sys, pathlib; sys.path.insert(0, {str(DOCS)!r}); import make_gallery\n"
        f"make_gallery.main(pathlib.Path({str(tmp_path / 'gallery.md')!r}), [])"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    made = {file.name: file.stat().st_size for file in (tmp_path / "images").iterdir()}
    assert made.keys() == set(IMAGE.findall(text))
    assert max(made.values()) <= MOST_BYTES
