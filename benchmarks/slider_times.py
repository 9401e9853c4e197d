"""Time the page's sliders, from a move to the redrawn picture, in Chromium.

    python benchmarks/slider_times.py

needs the extra ``demo``, ``playwright`` and a browser, and a machine that does nothing else; it
prints for each slider the first move after the page was opened, the median of the others and the
slowest of them, in milliseconds.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from browser import ARGUMENTS, BROWSERS, address_of, wait_until_built
from playwright.sync_api import sync_playwright

# Two frames after the text of `shown` has changed, the figures beside it are painted, too.
MOVE = """([name, value, shown]) => new Promise((done) => {
  const find = (root, wanted) => {
    const hit = root.querySelector(wanted)
    if (hit) return hit
    for (const element of root.querySelectorAll("*")) {
      const inside = element.shadowRoot && find(element.shadowRoot, wanted)
      if (inside) return inside
    }
    return null
  }
  const input = find(document, `[name="${name}"]`)
  const before = find(document, shown).textContent
  const begun = performance.now()
  input.value = value
  input.dispatchEvent(new Event("input", {bubbles: true}))
  const look = () => {
    if (find(document, shown).textContent === before) return setTimeout(look, 1)
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)))
  }
  look()
})"""

SLIDERS = [
    ("one-neuron", "w-hidden", [0.1 * i for i in range(1, 16)], ".formula"),
    ("gradients", "weight-scale", [0.5 + 0.1 * i for i in range(15)], ".farthest"),
    ("gradients", "steps-t", list(range(20, 95, 5)), ".farthest"),
    ("unroll", "steps-t", [2, 3, 4, 5, 6, 5, 4, 3, 2, 3, 4, 5], ".formula"),
    ("write-text", "temperature", [0.3 + 0.05 * i for i in range(15)], ".formula"),
    ("write-text", "top-k-0-all", list(range(2, 30, 2)), ".formula"),
    ("predict-a-sequence", "steps-to-predict", list(range(3, 45, 3)), ".say"),
]


def main() -> None:
    """Move every slider and print its times."""
    found = next(filter(None, map(shutil.which, BROWSERS)))
    command = [sys.executable, "-m", "fastrnn", "demo", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = address_of(server)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
            for slug, name, values, shown in SLIDERS:
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto(address + slug)
                wait_until_built(page)
                page.wait_for_timeout(600)
                if slug == "one-neuron":
                    page.get_by_role("button", name="Step forward").click()
                    page.wait_for_timeout(300)
                if slug == "predict-a-sequence":
                    page.get_by_role("button", name="Train", exact=True).click()
                    page.get_by_text("Done after").wait_for()
                times = []
                for value in values:
                    times.append(page.evaluate(MOVE, [name, str(value), shown]))
                    page.wait_for_timeout(120)
                first, *others = times
                print(
                    f"{slug:20}{name:18}first {first:4.0f}  "
                    f"median {statistics.median(others):4.0f}  slowest {max(others):4.0f}"
                )
                page.close()
            browser.close()
        server.terminate()


if __name__ == "__main__":
    main()
