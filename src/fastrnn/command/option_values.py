"""What the parsers of all commands are made of, and what the values of options may be."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable

import numpy as np

from fastrnn import _check
from fastrnn.bench import PEERS
from fastrnn.bench.rows import Row, select
from fastrnn.corpus.vocabulary import check_policy

Commands = argparse._SubParsersAction  # argparse has no public name for it


def command(
    commands: Commands,
    name: str,
    summary: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """Return the parser of a new command, which leaves its name and itself in the result."""
    parser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog, formatter_class=_HelpFormatter
    )
    parser.set_defaults(command=name, parser=parser)
    return parser


def take_defaults(
    parser: argparse.ArgumentParser, function: Callable[..., object], *names: str
) -> None:
    """Give the options of these names the defaults that ``function`` has."""
    parameters = inspect.signature(function).parameters
    parser.set_defaults(**{name: parameters[name].default for name in names})


def whole(minimum: int = 1, maximum: int = _check.MAX_SIZE) -> Callable[[str], int]:
    """Return what reads an option's value as a whole number of this range."""

    def read(text: str) -> int:
        return _check.integer("it", int(text), minimum, maximum)

    return _option_type(read, "a whole number")


def real(minimum: float = -np.inf, maximum: float = np.inf, **bounds: float) -> Callable:
    """Return what reads an option's value as a number of this range."""

    def read(text: str) -> float:
        return _check.number("it", float(text), minimum, maximum, **bounds)

    return _option_type(read, "a number")


def _option_type(read: Callable, expected: str) -> Callable:
    """Return ``read`` with its errors as argparse shows them."""

    def checked(text: str) -> float:
        try:
            return read(text)
        except ValueError as error:
            said = str(error)
            said = said if said.startswith("it ") else f"it must be {expected}, got {text!r}"
            raise argparse.ArgumentTypeError(said) from None

    return checked


def text(argument: str) -> str:
    """Refuse the lone surrogates that stand for bytes which Python could not decode."""
    if any("\ud800" <= character <= "\udfff" for character in argument):
        raise argparse.ArgumentTypeError(f"{argument!r} is not valid text in this locale")
    return argument


def policy(argument: str) -> str:
    """Require what can become of unknown characters."""
    try:
        check_policy("it", text(argument))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return argument


def rows(argument: str) -> list[Row]:
    """Return the rows of ``fastrnn bench`` that a regular expression selects."""
    try:
        selected = select(argument)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"it must be a regular expression, got {argument!r}: {error}"
        ) from None
    if not selected:
        raise argparse.ArgumentTypeError(f"no row has a match of {argument!r}")
    return selected


def peers(argument: str) -> list[str]:
    """Return the libraries of a list that is separated by commas."""
    names = [name.strip() for name in argument.split(",") if name.strip()]
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"they must be among {', '.join(PEERS)}, got {', '.join(map(repr, unknown))}"
        )
    return list(dict.fromkeys(names))


def file(*endings: str) -> Callable[[str], str]:
    """Return what reads an option's value as the name of a file with one of these endings."""

    def read(argument: str) -> str:
        if argument in ("", "-") or not argument.lower().endswith(endings or ""):
            expected = f"a file that ends in {' or '.join(endings)}" if endings else "a file"
            raise argparse.ArgumentTypeError(f"it must be the name of {expected}, got {argument!r}")
        return argument

    return read


def output(argument: str) -> str:
    """Require the name of a file to save a model to."""
    if argument in ("", "-"):
        raise argparse.ArgumentTypeError(
            f"a model is saved to a file, whose name was expected, got {argument!r}"
        )
    return argument


def held_out(argument: str) -> str:
    """Require what may name a text, or be a share of one."""
    if not argument:
        raise argparse.ArgumentTypeError(
            "it must be a share of the text, or the name of a file, got ''"
        )
    return argument


def delimiter(argument: str) -> str:
    """Return what separates the fields of a table."""
    sign = {"tab": "\t", "\\t": "\t"}.get(argument.lower(), argument)
    if len(sign) != 1 or sign in '\r\n"' or sign.isalnum():
        raise argparse.ArgumentTypeError(
            f"it must be a single character, such as ';', or 'tab', got {argument!r}"
        )
    return sign


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wrap descriptions but keep the line breaks of examples, and show options' defaults."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrap = argparse.HelpFormatter if "\n" not in text else argparse.RawDescriptionHelpFormatter
        return wrap._fill_text(self, text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        shown = isinstance(default, (int, float)) or default not in (None, "", argparse.SUPPRESS)
        if shown and default is not False and action.option_strings:
            return f"{action.help or ''} (default: %(default)s)".lstrip()
        return action.help
