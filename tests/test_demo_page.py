"""The page around the views: every reader, colour, width and keyboard finds its way about."""

from __future__ import annotations

from browser import drag, eventually, wait_until_built

DARK, LIGHT = "rgb(22, 24, 28)", "rgb(255, 255, 255)"

# All elements, also those inside the shadow roots of what Panel draws.
EVERYWHERE = """
const everywhere = function* (root) {
  for (const element of root.querySelectorAll("*")) {
    yield element
    if (element.shadowRoot) yield* everywhere(element.shadowRoot)
  }
};
"""
UNNAMED = (
    EVERYWHERE
    + """[...everywhere(document)]
  .filter((element) => ["INPUT", "SELECT", "TEXTAREA", "BUTTON"].includes(element.tagName))
  .filter((element) => !element.name
    || !(element.labels?.length || element.ariaLabel || element.textContent.trim()))
  .map((element) => element.outerHTML)"""
)
LABELS_OF_CANVASES = (
    EVERYWHERE
    + """[...everywhere(document)]
  .filter((element) => element.matches(".bk-Figure"))
  .map((element) => `${element.getAttribute("role")}: ${element.getAttribute("aria-label")}`)"""
)
COUNT_OF_CANVASES = (
    f"(() => {{ {EVERYWHERE} return [...everywhere(document)]"
    ".filter((element) => element.matches('.bk-Figure')).length })()"
)
FIGURES = {
    "one-neuron": 1, "worked-example": 1, "gradients": 1, "write-text": 3, "read-a-sentence": 3,
    "predict-a-sequence": 2, "memory": 2,
}  # fmt: skip
ANNOUNCED = f"(() => {{ {EVERYWHERE} return [...everywhere(document)].find((e) => e.ariaLive) }})()"
FOCUSED = """(() => {
  let element = document.activeElement
  while (element.shadowRoot) element = element.shadowRoot.activeElement
  return element.name
})()"""
LABELS_COLOUR = (
    "[...Bokeh.documents[0]._all_models.values()]"
    ".find((model) => model.type == 'LinearAxis').major_label_text_color"
)


def slugs(page) -> list[str]:
    links = page.locator("nav a")
    return [links.nth(i).get_attribute("href").removeprefix("./") for i in range(links.count())]


def background(page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_every_view_opens_names_its_controls_and_fits_a_phone(open_view) -> None:
    page = open_view(viewport={"width": 360, "height": 740})
    assert page.locator("h1").inner_text() == "See the network think"
    assert page.locator(".overview > li").count() == len(slugs(page))
    for slug in slugs(page):
        page.locator(f"nav a[href='./{slug}']").click()
        page.wait_for_url(f"**/{slug}")
        wait_until_built(page)
        link = page.locator("nav a[aria-current=page]")
        assert link.get_attribute("href") == f"./{slug}"
        assert page.title().endswith("– See the network think")
        assert page.locator(".formula").first.inner_text()
        assert page.evaluate(UNNAMED) == []
        page.wait_for_function(f"{COUNT_OF_CANVASES} === {FIGURES.get(slug, 0)}")
        for label in page.evaluate(LABELS_OF_CANVASES):
            assert label.startswith("img: ")
            assert len(label) > len("img: a figure")
        assert page.evaluate("document.documentElement.scrollWidth") == 360, slug


def test_the_switch_changes_the_page_and_its_figures_and_is_remembered(open_view) -> None:
    page = open_view("one-neuron", color_scheme="light")
    assert background(page) == LIGHT
    light = page.evaluate(LABELS_COLOUR)
    page.get_by_role("button", name="Switch to dark").click()
    assert background(page) == DARK
    page.wait_for_function(f"{LABELS_COLOUR} != '{light}'")
    dark = page.evaluate(LABELS_COLOUR)
    page.reload()
    wait_until_built(page)
    assert (background(page), page.evaluate(LABELS_COLOUR)) == (DARK, dark)
    page.get_by_role("button", name="Switch to light").click()
    assert background(page) == LIGHT


def test_a_dark_system_gets_a_dark_page(open_view) -> None:
    page = open_view("one-neuron", color_scheme="dark")
    assert background(page) == DARK
    page.wait_for_function(f"{LABELS_COLOUR} == '#ebedf0'")


def test_the_keyboard_reaches_the_content_at_once_and_everything_in_order(open_view) -> None:
    page = open_view("one-neuron")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "sequence"
    order = []
    for _ in range(7):
        page.keyboard.press("Tab")
        order.append(page.evaluate(FOCUSED))
    assert order == [
        "numbers", "activation", "w-input", "w-hidden", "bias", "step-forward", "play",
    ]  # fmt: skip
    page.keyboard.press("Space")
    eventually(page.locator("[name=play]"), "Pause")


CLICKS = """() => [...Bokeh.documents[0]._all_models.values()]
  .find((model) => model.data?.label === "Previous word").data.clicks"""


def test_a_button_that_is_pressed_for_the_last_time_keeps_the_focus_and_does_no_more(
    open_view,
) -> None:
    page = open_view("read-a-sentence")
    button = page.get_by_role("button", name="Previous word")
    button.focus()
    for _ in range(6):
        page.keyboard.press("Enter")
    page.locator(".words li:first-child.now").wait_for()
    page.get_by_role("button", name="Previous word", disabled=True).wait_for()
    assert page.evaluate(FOCUSED) == "previous-word"
    clicks = page.evaluate(CLICKS)
    page.keyboard.press("Enter")
    assert page.evaluate(CLICKS) == clicks > 0
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".words li:nth-child(2).now").wait_for()


def test_two_readers_do_not_see_each_others_state(open_view) -> None:
    one, other = open_view("one-neuron"), open_view("one-neuron", color_scheme="light")
    drag(one.get_by_label("W_input", exact=True), 2.0)
    one.get_by_role("button", name="Step forward").click()
    eventually(one.locator(".outputs"), "0.964")
    other.get_by_role("button", name="Step forward").click()
    eventually(other.locator(".outputs"), "0.100")
    assert other.get_by_label("W_input", exact=True).input_value() == "0.1"


def test_what_happens_is_announced_to_screen_readers(open_view) -> None:
    page = open_view("unroll")
    page.get_by_role("button", name="New weights").click()
    region = page.locator("[role=status]")
    assert region.get_attribute("aria-live") == "polite"
    page.wait_for_function(f"{ANNOUNCED}.textContent === 'New weights'")


def test_a_hint_is_seen_below_its_control_and_read_with_it(open_view) -> None:
    page = open_view("write-text")
    from playwright.sync_api import expect

    for name, beginning in (("temperature", "How bold"), ("or-load-a-model-safetensors", "A char")):
        control, hint = page.locator(f"[name={name}]"), page.locator(f"#hint-{name}")
        assert hint.inner_text().startswith(beginning)
        assert hint.bounding_box()["y"] > control.bounding_box()["y"]
        expect(control).to_have_accessible_description(hint.inner_text())
