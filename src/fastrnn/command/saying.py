"""What the command says of models and texts, and how it says anything."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from fastrnn.corpus.corpus import Corpus
from fastrnn.corpus.vocabulary import ERROR, SKIP
from fastrnn.text import CharRNN

FILES_SHOWN = 3


def describe(model: CharRNN) -> str:
    """Say what a model is."""
    parameters = 0 if model.network is None else model.network.num_parameters
    words = [model.cell, f"{model.hidden_size:,} hidden units", model.nonlinearity]
    if model.num_layers > 1:
        words.insert(1, f"{model.num_layers:,} layers")
    if model.tied:
        words.append("tied embedding")
    elif model.embedding_size is not None:
        words.append(f"embedding of {model.embedding_size:,}")
    if model.layer_norm:
        words.append("layer normalisation")
    if model.recurrent_dropout:
        words.append(f"recurrent dropout {model.recurrent_dropout:g}")
    return f"{', '.join(words)}, {model.dtype.name}: {parameters:,} parameters"


def describe_scores(scores: dict[str, float]) -> str:
    """Say how well a model predicts a text."""
    per_byte = "bits_per_byte" in scores
    bits, unit = ("bits_per_byte", "byte") if per_byte else ("bits_per_char", "character")
    return f"{scores['loss']:.4f} nats, {scores[bits]:.4f} bits per {unit}"


def describe_policy(policy: str) -> str:
    """Say what becomes of characters that a model does not know."""
    if policy == ERROR:
        return "characters are refused"
    if policy == SKIP:
        return "characters are left out"
    return f"characters are read as {policy!r} (U+{ord(policy):04X})"


def name_text(text: Corpus) -> str:
    """Return what to call a text: its first files, and how many more there are."""
    if not text.files:
        return "Python's help (pydoc_data.topics)"
    more = len(text.files) - FILES_SHOWN
    shown = (name_file(path) for path in text.files[:FILES_SHOWN])
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def name_file(path: str) -> str:
    """Return what to call a file of the command line."""
    return "standard input" if path == "-" else path


def say_pieces(pieces: Iterable[Any]) -> None:
    """Write a text as it comes, and end its last line whatever ends it."""
    try:
        for piece in pieces:
            _write(piece)
    finally:
        _write("\n")


def say(line: str) -> None:
    """Write a line to standard output."""
    _write(line + "\n")


def _write(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"standard output: {error.strerror}") from None


def complain(message: str) -> None:
    """Write a message to standard error, if there is one."""
    if sys.stderr is not None:  # print() would take standard output instead
        with contextlib.suppress(OSError):
            print(f"fastrnn: {message}", file=sys.stderr, flush=True)


def discard_if_broken(stream: TextIO | None) -> None:
    """Send to nowhere what a broken stream still holds, which Python would report at exit."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
