"""The control with which a reader hands a file to the page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from fastrnn.demo.controls import STYLE, slug

_ASSETS = Path(__file__).parent / "assets"

# Bokeh's server ends a connection that sends 20 MB at once; base64 makes four bytes of three.
LIMIT = 14_000_000


class FileField(JSComponent):  # type: ignore[misc]
    """A file to choose, with a message beside it where it cannot be taken.

    Parameters
    ----------
    label : str
    read : callable
        Given the content and the name of a file that was chosen; raises a ValueError whose
        sentence becomes the message.
    accept : str
        The files that the browser offers, as HTML has it.

    hint : str, optional
        A small text below the field that explains it.

    Attributes
    ----------
    message : str
        What stands beside the field.
    """

    label = param.String()
    hint = param.String()
    slug = param.String()
    accept = param.String()
    limit = param.Integer(LIMIT)
    sent = param.List()
    message = param.String()

    _esm = (_ASSETS / "files.js").read_text(encoding="utf-8")
    _stylesheets = (STYLE,)

    def __init__(
        self, label: str, read: Callable[[bytes, str], None], accept: str, **params: Any
    ) -> None:
        self._read = read
        params = {"sizing_mode": "stretch_width", "margin": 0, **params}
        super().__init__(label=label, slug=slug(label), accept=accept, **params)
        self.param.watch(self._take, "sent")

    def _take(self, event: Any) -> None:
        name, content, _ = event.new
        # The browser has said something of its own in between: the same message is new again.
        self.message = ""
        try:
            self._read(base64.b64decode(content), name)
        except ValueError as error:
            self.message = str(error)
