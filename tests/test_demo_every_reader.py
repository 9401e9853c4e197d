"""All views at once: readable in light and dark, all reached by Tab, and quiet when left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from browser import PATIENCE, address_of, wait_until_built
from test_demo_page import EVERYWHERE, slugs

CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3, for text of any size

# Of every text that is seen: its contrast to the nearest background that is not transparent.
CONTRASTS = (
    EVERYWHERE
    + """(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true})
  const known = new Map()
  const numbers = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1)
      canvas.fillStyle = colour
      canvas.fillRect(0, 0, 1, 1)
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data
      known.set(colour, {rgb: [r, g, b], alpha: a / 255})
    }
    return known.get(colour)
  }
  const luminance = (rgb) => {
    const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    const [r, g, b] = rgb.map((c) => linear(c / 255))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const parent = (element) =>
    element.assignedSlot ?? element.parentElement ?? element.getRootNode().host
  const background = (element) => {
    for (let at = element; at; at = parent(at)) {
      const {rgb, alpha} = numbers(getComputedStyle(at).backgroundColor)
      if (alpha === 1) return rgb
    }
    return [255, 255, 255]
  }
  const found = []
  for (const element of everywhere(document)) {
    if (["SCRIPT", "STYLE", "TITLE", "OPTION", "NOSCRIPT"].includes(element.tagName)) continue
    const own = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim())
    const text = own.map((node) => node.data.trim()).join(" ") || (element.value?.trim?.() ?? "")
    if (element.closest(".unseen")) continue  // for screen readers alone
    if (!text || element.type === "range" || element.type === "checkbox") continue
    const how = {visibilityProperty: true, opacityProperty: true}
    if (element.matches(":disabled, [aria-disabled=true]")) continue
    if (!element.checkVisibility(how)) continue
    const style = getComputedStyle(element)
    const {rgb} = numbers(element instanceof SVGElement ? style.fill : style.color)
    const both = [luminance(rgb), luminance(background(element))]
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05)
    found.push([contrast, `${element.tagName} ${element.className}: ${text.slice(0, 60)}`])
  }
  return found
})()"""
)

CONTROLS = (
    EVERYWHERE
    + """[...everywhere(document)]
  .filter((element) => ["INPUT", "SELECT", "TEXTAREA", "BUTTON"].includes(element.tagName))
  .filter((element) => !element.disabled && element.checkVisibility())
  .map((element) => element.name)"""
)
FOCUSED = """(() => {
  let element = document.activeElement
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
  const name = element?.name || element?.ariaLabel || element?.textContent.trim()
  return [element?.tagName, name]
})()"""


def unreadable(page) -> list[str]:
    """What cannot be read, when the figures' colours have followed the page's."""
    give_up = time.monotonic() + PATIENCE
    while True:
        measured = page.evaluate(CONTRASTS)
        assert len(measured) > 10, "it looks at the page"
        found = [f"{contrast:.2f} {what}" for contrast, what in measured if contrast < CONTRAST]
        if not found or time.monotonic() > give_up:
            return found
        page.wait_for_timeout(50)


def tabbed(page) -> set[str]:
    """The names of all that Tab reaches, until the focus is back where it began."""
    names = set()
    for _ in range(300):
        page.keyboard.press("Tab")
        tag, name = page.evaluate(FOCUSED)
        if tag in ("BODY", "HTML", None):
            break
        assert name, f"Tab stops at a {tag} where nothing can be done"
        names.add(name)
    return names


def test_every_view_is_readable_in_light_and_dark_and_reached_by_tab(open_view) -> None:
    page = open_view("", color_scheme="light")
    for slug in slugs(page):
        page.locator(f"nav a[href='./{slug}']").click()
        page.wait_for_url(f"**/{slug}")
        wait_until_built(page)
        wanted = set(page.evaluate(CONTROLS))
        assert wanted <= tabbed(page), slug
        for scheme in ("light", "dark"):
            switched = page.locator("html[data-theme]").get_attribute("data-theme")
            if switched != scheme:
                page.locator("[name=theme]").click()
                page.locator(f"html[data-theme={scheme}]").wait_for()
            assert unreadable(page) == [], f"{slug}, {scheme}"


def test_messages_and_results_are_readable_in_the_dark(open_view) -> None:
    page = open_view("memory", color_scheme="dark")
    page.locator("[name=updates]").fill("20")
    page.locator("[name=seed]").fill("x")
    page.locator("#message-seed").get_by_text("Expected").wait_for()
    assert unreadable(page) == []
    page.locator("[name=seed]").fill("1")
    page.get_by_role("button", name="Train").click()
    page.get_by_role("region", name="The cells compared").wait_for()
    assert unreadable(page) == []


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")
def test_it_stops_while_it_trains_and_leaves_nothing_behind(chromium) -> None:
    command = [sys.executable, "-m", "fastrnn", "demo", "--no-browser", "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    reader = chromium.new_context()
    try:
        page = reader.new_page()
        page.goto(address_of(process) + "memory")
        wait_until_built(page)
        page.locator("[name=updates]").fill("50000")
        page.get_by_role("button", name="Train").click()
        page.locator(".say", has_text="After").wait_for()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert time.monotonic() - began < PATIENCE
        assert (process.returncode, out, err) == (130, "", "fastrnn: interrupted\n")
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)  # nobody is left of its group
    finally:
        process.kill()
        reader.close()
