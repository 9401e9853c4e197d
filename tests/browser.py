"""The page of ``fastrnn demo`` in a browser: the real command, driven by Chromium.

A test takes ``open_view``, which ``conftest.py`` offers to all of them. Opening a page takes
a second or two: what can be tested on one page is.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

# For what should take a moment: long for a machine that does five other things.
PATIENCE = 20.0


def missing() -> str | None:
    """Return what the browser's tests lack here, if anything."""
    for name in ("panel", "playwright"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    if not any(map(shutil.which, BROWSERS)):
        return f"no browser ({', '.join(BROWSERS)}) is installed"
    return None


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the command serves the page, for as long as the tests run."""
    if reason := missing():
        pytest.skip(reason)
    command = [sys.executable, "-m", "fastrnn", "demo", "--no-browser", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield address_of(process)
        finally:
            process.terminate()
            rest = process.stdout.read()
    assert "Traceback" not in rest, rest


def address_of(process: subprocess.Popen[str]) -> str:
    """Return where a command that was just started serves the page."""
    said = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", said)
    assert found, said + process.stdout.read()
    return found[0]


@pytest.fixture(scope="session")
def chromium(address: str) -> Iterator[Any]:
    """A browser, for as long as the tests run."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def usual_reader(chromium: Any) -> Any:
    """The browser's context of all tests that need none of their own: its cache is warm."""
    return chromium.new_context()


@pytest.fixture
def open_view(address: str, chromium: Any, usual_reader: Any) -> Iterator[Callable[..., Any]]:
    """Open a view by its slug, and return Playwright's page.

    With options, which are those of ``Browser.new_context`` such as ``viewport`` and
    ``color_scheme``, it is opened by another reader, who has no cookies. The test fails where a
    console has an error or a warning, or a page asks for anything that this machine does not serve.
    """
    problems: list[str] = []
    to_close: list[Any] = []

    def note_console(message: Any) -> None:
        if message.type in ("error", "warning"):
            problems.append(f"console: {message.type}: {message.text} ({message.location})")

    def note_request(request: Any) -> None:
        parts = urlsplit(request.url.removeprefix("blob:"))
        if parts.scheme != "data" and parts.hostname != "127.0.0.1":
            problems.append(f"request: {request.url}")

    def opened(slug: str = "", **options: Any) -> Any:
        reader = chromium.new_context(**options) if options else usual_reader
        page = reader.new_page()
        to_close.append(reader if options else page)
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", note_console)
        page.on("pageerror", lambda error: problems.append(f"page: {error}"))
        page.on("request", note_request)
        page.goto(address + slug)
        wait_until_built(page)
        return page

    yield opened
    for it in to_close:
        it.close()
    assert not problems, "\n".join(problems)


def wait_until_built(page: Any) -> None:
    """Wait until all of a page is there and its controls answer."""
    page.wait_for_function("window.Bokeh?.documents[0]?.is_idle")
    page.locator("[name=theme]").wait_for()
    if page.locator("main > div").count():
        page.locator("main [name]").first.wait_for()


def drag(slider: Any, value: float) -> None:
    """Move a slider to a value, as a reader's hand does."""
    slider.evaluate(
        "(input, value) => { input.value = value;"
        " input.dispatchEvent(new Event('input', {bubbles: true})) }",
        str(value),
    )


def numbers(text: str) -> list[float]:
    """Return all numbers of a text, as the page writes them: −0.5, 1.38 × 10⁻⁵."""
    plain = text.replace("−", "-").replace(" × 10", "e")
    found = re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", plain)
    return [float(number) for number in found]


def eventually(locator: Any, expected: Any, read: Callable[[str], Any] = str) -> None:
    """Wait until the text of an element, or of several, read so, is what is expected."""
    _wait_for(locator.page, expected, lambda: read("\n".join(locator.all_inner_texts())))


def eventually_holds(field: Any, expected: str) -> None:
    """Wait until a field holds a text: a page's elements do not all change in one moment."""
    _wait_for(field.page, expected, field.input_value)


def eventually_drawn(page: Any, column: str, expected: Any) -> None:
    """Wait until a figure's data source has these numbers in a column; only one has this column.

    What a figure draws is on a canvas, which has no text: this is what it draws from.
    """
    _wait_for(page, [*expected], lambda: _drawn(page, column))


def _wait_for(page: Any, expected: Any, look: Callable[[], Any]) -> None:
    give_up = time.monotonic() + PATIENCE
    while (shown := look()) != expected:
        assert time.monotonic() < give_up, f"shown {shown!r}, expected {expected!r}"
        page.wait_for_timeout(20)


def _drawn(page: Any, column: str) -> list[Any]:
    found: list[Any] = page.evaluate(
        """column => {
          const models = [...Bokeh.documents[0]._all_models.values()]
          const source = models.find((m) => m.type === "ColumnDataSource" && column in m.data)
          const plain = (values) => Array.from(values, (v) => Object(v) === v ? plain(v) : v)
          return plain(source.data[column])
        }""",
        column,
    )
    return found
