"""The page's controls: native ones of HTML, which a keyboard and a screen reader can use.

Each is a label and an input whose ``name`` is the label's slug: ``W_hidden`` is found as
``[name="w-hidden"]``, or by its label. Watch ``value`` (``clicks`` of a button). A ``hint`` is a
small text below it that explains it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

_ASSETS = Path(__file__).parent / "assets"
STYLE = (_ASSETS / "parts.css").read_text(encoding="utf-8")

LONGEST_SHOWN = 30

# Bokeh's server ends a connection that sends 20 MB at once: JSON has up to three bytes for one of
# these, and a few characters take more.
LONGEST_TEXT = 5_000_000


def slug(label: str) -> str:
    """Return a label in small letters and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


class _Control(JSComponent):  # type: ignore[misc]
    kind = param.String(constant=True)
    slug = param.String()

    _esm = (_ASSETS / "controls.js").read_text(encoding="utf-8")
    _stylesheets = (STYLE,)

    # Panel waits for 50 ms before it looks at a change, which is half of what a reader notices.
    _debounce: ClassVar[int] = 0

    __abstract = True

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"margin": 0, **params})


class _Labelled(_Control):
    label = param.String()
    disabled = param.Boolean(False)

    __abstract = True

    def __init__(self, label: str, **params: Any) -> None:
        params.setdefault("slug", slug(label))
        params.setdefault("sizing_mode", "stretch_width")
        super().__init__(label=label, **params)


class _Input(_Labelled):
    hint = param.String()

    __abstract = True


class Slider(_Input):
    """A number of a range, which changes while it is dragged.

    Parameters
    ----------
    label : str
    value, start, end, step : float
    decimals : int
        Digits after the point that are shown.
    """

    kind = param.String("slider", constant=True)
    value = param.Number(0.0)
    start = param.Number(-3.0)
    end = param.Number(3.0)
    step = param.Number(0.05)
    decimals = param.Integer(2)


class Choice(_Input):
    """One of several texts."""

    kind = param.String("choice", constant=True)
    value = param.String()
    options = param.List(item_type=str)


class Radio(_Input):
    """One of a few texts, all of which are seen."""

    kind = param.String("radio", constant=True)
    value = param.String()
    options = param.List(item_type=str)


class Checkbox(_Input):
    """Yes or no."""

    kind = param.String("checkbox", constant=True)
    value = param.Boolean(False)


class Button(_Labelled):
    """Something to do, done at every change of ``clicks``."""

    kind = param.String("button", constant=True)
    primary = param.Boolean(False)
    clicks = param.Integer(0)

    def __init__(self, label: str, act: Callable[[], None] | None = None, **params: Any) -> None:
        super().__init__(label, **{"sizing_mode": "fixed", **params})
        if act is not None:
            self.param.watch(lambda event: self._do(act, event.new - event.old), "clicks")

    @staticmethod
    def _do(act: Callable[[], None], clicks: int) -> None:
        """Act once for each click: several that came while the page was busy arrive as one."""
        for _ in range(clicks):
            act()


class TextField(_Input):
    """A text, with a message beside it where it cannot be taken.

    Parameters
    ----------
    label : str
    value : str
    read : callable, optional
        Turns a text into a value, or raises a ValueError whose sentence becomes the message; the
        value then stays what it was.

    Attributes
    ----------
    value : object
        What was last read. Watch this.
    text, message : str
        What stands in the field and beside it.
    too_long : int
        How many characters stand there instead, if they are more than the page sends; else 0.
    """

    kind = param.String("text", constant=True)
    longest = param.Integer(LONGEST_TEXT, constant=True)
    too_long = param.Integer(0)
    text = param.String()
    message = param.String()
    numeric = param.Boolean(False)
    rows = param.Integer(1)
    value = param.Parameter()

    _rename: ClassVar[dict[str, str | None]] = {"value": None}  # stays in Python

    def __init__(
        self, label: str, value: str = "", read: Callable[[str], Any] = str, **params: Any
    ) -> None:
        self._read = read
        super().__init__(label, text=value, value=read(value), **params)
        self.param.watch(lambda event: self._take(), ["text", "too_long"])

    def put(self, text: str) -> None:
        """Have a text stand in the field and read it, also where it is the one that stands there.

        What can be read depends on more than the text: on the model at work, on the series.
        """
        if text != self.text or self.too_long:
            self.param.update(text=text, too_long=0)  # which reads it
        else:
            self._take()

    def _take(self) -> None:
        if self.too_long:
            self.message = (
                f"The text has {self.too_long:,} characters; {self.longest:,} at most are taken "
                f"here."
            )
            return
        try:
            value = self._read(self.text)
        except ValueError as error:
            self.message = str(error)
            return
        self.message = ""
        self.value = value


class NumberField(TextField):
    """A number that is typed.

    Parameters
    ----------
    label : str
    value : float
    minimum, maximum : float, optional
        The least and the greatest that are taken.
    whole : bool
        Whether it has to be an integer.
    """

    def __init__(
        self,
        label: str,
        value: float,
        minimum: float = -math.inf,
        maximum: float = math.inf,
        *,
        whole: bool = False,
        **params: Any,
    ) -> None:
        def read(text: str) -> float:
            return number(text, minimum, maximum, whole=whole)

        super().__init__(label, f"{value:.12g}", read, numeric=True, **params)


def number(
    text: str, minimum: float = -math.inf, maximum: float = math.inf, *, whole: bool = False
) -> float:
    """Read a number of a range, or raise a ValueError whose sentence a reader understands."""
    expected = "a whole number" if whole else "a number"
    if minimum > -math.inf and maximum < math.inf:
        expected += f" from {minimum:.12g} to {maximum:.12g}"
    elif minimum > -math.inf:
        expected += f" of at least {minimum:.12g}"
    elif maximum < math.inf:
        expected += f" of at most {maximum:.12g}"
    try:
        if "_" in text:  # which Python takes, and nobody means
            raise ValueError(text)
        typed = text.replace("−", "-")  # the minus sign that the page writes
        value: float = int(typed) if whole else float(typed)
        finite = math.isfinite(value)
    except (ValueError, OverflowError):
        finite = False
    if finite and minimum <= value <= maximum:
        return value
    typed = text.strip()
    if not typed:
        raise ValueError(f"Expected {expected}, but the field is empty.")
    comma = "" if whole or not _has_decimal_comma(typed) else ": write a point instead of the comma"
    raise ValueError(f"Expected {expected}, got “{shortened(typed)}”{comma}.")


def _has_decimal_comma(typed: str) -> bool:
    in_thousands = re.fullmatch(r"[-+−]?[1-9]\d{0,2},\d{3}", typed)
    return in_thousands is None and re.fullmatch(r"[-+−]?\d*,\d+", typed) is not None


def shortened(typed: str) -> str:
    """Return what a sentence repeats of a text that may be long."""
    return typed if len(typed) <= LONGEST_SHOWN else typed[: LONGEST_SHOWN - 1] + "…"


class Markup(_Control):
    """A text of HTML; set its ``object`` to change it.

    A pane of Panel's would do, but sends its stylesheets with its first change, and the browser
    needs 20 to 45 ms to read these.
    """

    kind = param.String("markup", constant=True)
    object = param.String()


class Progress(_Control):
    """How far some work is, in a bar and in words."""

    kind = param.String("progress", constant=True)
    label = param.String("Progress")
    fraction = param.Number(0.0)
    text = param.String()
    running = param.Boolean(False)


class ThemeSwitch(_Control):
    """The switch between light and dark."""

    kind = param.String("theme", constant=True)
    dark = param.Boolean(False)


class Announcer(_Control):
    """Texts for screen readers alone."""

    kind = param.String("announcer", constant=True)
    text = param.String()

    def say(self, text: str) -> None:
        """Have a text read out, also where it is the same as the last one."""
        self.text = text + "\u00a0" if text == self.text else text
