"""The page around a view: navigation, colours, and what screen readers are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import panel as pn
from bokeh.events import ConnectionLost, DocumentReady
from bokeh.models import CustomJS

from fastrnn.demo import controls, views
from fastrnn.demo.session import COOKIE, Session
from fastrnn.demo.view import View

ASSETS = Path(__file__).parent / "assets"
TITLE = "See the network think"
SHOW_LOSS = "document.getElementById('lost').hidden = false"

# Bokeh has Tab stop at every figure, for the sake of tools, also where there is none.
SKIP_FIGURES = """
for (const view of Bokeh.index.query((view) => view.model.type === "Figure"))
  if (!view.model.toolbar.tools.length) view.canvas_view.events_el.removeAttribute("tabindex")
"""


def pages() -> dict[str, Callable[[], Any]]:
    """Return what builds each page, by its address; a page is built when it is opened."""
    pn.extension()
    classes = views.load()
    return {"/": _builder(classes, None)} | {
        f"/{cls.slug}": _builder(classes, cls) for cls in classes
    }


def titles() -> dict[str, str]:
    """Return each page's title, by its address."""
    return {"/": f"{TITLE} – fastrnn"} | {
        f"/{cls.slug}": f"{cls.name} – {TITLE}" for cls in views.load()
    }


def _builder(classes: list[type[View]], shown: type[View] | None) -> Callable[[], Any]:
    def build() -> Any:  # Panel calls functions; a partial it would show
        return _page(classes, shown)

    return build


def _page(classes: list[type[View]], shown: type[View] | None) -> Any:
    session = Session(dark=pn.state.cookies.get(COOKIE) == "dark")
    session.document = pn.state.curdoc
    session.document.js_on_event(ConnectionLost, CustomJS(code=SHOW_LOSS))
    session.document.js_on_event(DocumentReady, CustomJS(code=SKIP_FIGURES))
    announcer = controls.Announcer()
    session.on_announcement(announcer.say)
    theme = controls.ThemeSwitch(dark=session.dark)
    theme.param.watch(lambda event: session.set_dark(event.new), "dark")
    pn.state.on_session_destroyed(lambda context: session.end())
    items = {"theme": theme, "announcer": announcer}
    if shown is not None:
        items["view"] = shown(session).panel()
    template = pn.Template((ASSETS / "page.html").read_text(encoding="utf-8"), items=items)
    for name, value in {
        "html_attrs": f'data-theme="{"dark" if session.dark else "light"}"',
        "heading": TITLE,
        "views": classes,
        "shown": shown,
    }.items():
        template.add_variable(name, value)
    return template
