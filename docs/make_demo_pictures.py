"""Make the pictures of docs/demo.md from the page itself.

    python docs/make_demo_pictures.py [SLUG …]

serves the page, has Chromium do in each view what a reader would, trainings included, and writes
what it then looks like, or only the views that are named. It needs the extra ``demo``,
``playwright``, Pillow and a browser, and takes two minutes.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

# Of a page's flat colours and smooth edges these are enough, at a third of the bytes; of fewer,
# thin lines would share one.
COLOURS = 256
PATIENCE = 180_000  # milliseconds, for the longest training


def click(page: Any, name: str, times: int = 1) -> None:
    """Press a button so many times."""
    for _ in range(times):
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_timeout(150)


def train(page: Any) -> None:
    """Train until it is done."""
    click(page, "Train")
    page.get_by_text("Done", exact=False).first.wait_for(timeout=PATIENCE)


def neuron(page: Any) -> None:
    """Read four numbers."""
    click(page, "Step forward", 4)


def example(page: Any) -> None:
    """Walk to the third step forward."""
    click(page, "Next", 3)


def unroll(page: Any) -> None:
    """Choose the recurrent weight."""
    page.get_by_role("radio", name="W_hh").check(force=True)


def write(page: Any) -> None:
    """Train, and write for a while."""
    train(page)
    click(page, "Write one character", 40)


def read(page: Any) -> None:
    """Read to the end."""
    while page.get_by_role("button", name="Next word").is_enabled():
        click(page, "Next word")


def predict(page: Any) -> None:
    """Learn the sunspots."""
    page.get_by_label("Series", exact=True).select_option("Sunspots")
    train(page)


VIEWS = {
    "one-neuron": neuron,
    "worked-example": example,
    "unroll": unroll,
    "gradients": lambda page: None,
    "write-text": write,
    "read-a-sentence": read,
    "predict-a-sequence": predict,
    "memory": train,
}


def main(wanted: list[str]) -> None:
    """Write the pictures of the views that are wanted, or of all."""
    from browser import ARGUMENTS, BROWSERS, address_of, wait_until_built
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "fastrnn", "demo", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = address_of(server)
            with sync_playwright() as playwright:
                path = next(filter(None, map(shutil.which, BROWSERS)))
                browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
                for slug in wanted or VIEWS:
                    page = browser.new_page(viewport={"width": 1200, "height": 900})
                    page.goto(address + slug)
                    wait_until_built(page)
                    VIEWS[slug](page)
                    page.wait_for_timeout(1500)  # what was drawn last
                    keep(DOCS / "images" / f"demo-{slug}.png", page.screenshot(full_page=True))
                    page.close()
                browser.close()
        finally:
            server.terminate()


def keep(file: Path, png: bytes) -> None:
    """Write a picture in few colours."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(
            file, optimize=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
