"""The command ``fastrnn``: character models and forecasts from a shell, and measurements."""

from __future__ import annotations

import argparse
import io
import itertools
import json
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fastrnn
from fastrnn import checkpoint
from fastrnn.command import options
from fastrnn.command.forecasting import command, picture, report
from fastrnn.command.saying import (
    complain,
    describe,
    describe_policy,
    describe_scores,
    discard_if_broken,
    name_text,
    say,
    say_pieces,
)
from fastrnn.command.train_command import EXIT_INTERRUPTED, EXIT_OK, train
from fastrnn.corpus.corpus import Corpus
from fastrnn.corpus.vocabulary import SKIP, Bytes, Symbols
from fastrnn.errors import ModelFileError, NonFiniteLossError
from fastrnn.plot.axes import check_available
from fastrnn.sequence.tables import read_table
from fastrnn.text import CharRNN, load
from fastrnn.training import resume

LINES_AT_ONCE = 1000

EXIT_ERROR = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done. 1: the request cannot be met, said in one line on standard error. 2: the command
    line itself is wrong. 130: interrupted by Ctrl-C. 143: training was ended by SIGTERM.
    """
    try:
        return _run(argv)
    finally:
        discard_if_broken(sys.stdout)
        discard_if_broken(sys.stderr)


def _run(argv: Sequence[str] | None) -> int:
    arguments, extra = options.parser().parse_known_args(argv)
    arguments.is_process = argv is None
    options.take_files_among_options(arguments, extra)
    if sys.stdout is None:
        complain("error: standard output is closed")
        return EXIT_ERROR
    if isinstance(sys.stdout, io.TextIOWrapper):  # show what a terminal cannot, do not fail
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status: int = COMMANDS[arguments.command](arguments)
        return status
    except KeyboardInterrupt:
        complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has had enough
        return EXIT_ERROR
    except (OSError, ValueError, MemoryError, NonFiniteLossError, ImportError) as error:
        complain(f"error: {_one_line(error, arguments.parser)}")
        return EXIT_ERROR


def generate(arguments: argparse.Namespace) -> int:
    """``fastrnn generate``: print what a model writes, a single text while it is written."""
    if arguments.beam_width is not None:
        return _search(arguments)
    model, given = load(arguments.model), _given(arguments, *options.DRAWING, *options.WRITING)
    if arguments.num_samples == 1:
        say_pieces(model.stream(**given))
        return EXIT_OK
    texts = model.generate(**given, num_samples=arguments.num_samples)
    for number, text in enumerate(texts, start=1):
        say(f"--- sample {number} of {len(texts)} ---\n{text}")
    return EXIT_OK


def _search(arguments: argparse.Namespace) -> int:
    """``fastrnn generate --beam-width``: print the most probable texts."""
    for name in options.DRAWING:
        if getattr(arguments, name) != arguments.parser.get_default(name):
            option = "--" + name.replace("_", "-")
            arguments.parser.error(f"argument {option}: not allowed with argument --beam-width")
    if arguments.num_samples > arguments.beam_width:
        raise ValueError(
            f"num_samples must be at most beam_width={arguments.beam_width}, "
            f"got {arguments.num_samples}"
        )
    model = load(arguments.model)
    found = model.beam_search(**_given(arguments, *options.WRITING, "beam_width"))
    if arguments.num_samples == 1:
        say(found[0].text)
        return EXIT_OK
    for number, (text, log_prob) in enumerate(found[: arguments.num_samples], start=1):
        say(f"--- text {number} of {arguments.num_samples}, {-log_prob:.4f} nats ---\n{text}")
    return EXIT_OK


def _given(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in names}


def evaluate(arguments: argparse.Namespace) -> int:
    """``fastrnn evaluate``: print how well a model predicts a text."""
    model = load(arguments.model)
    given = {**_given(arguments, "unknown", "weights"), "num_threads": arguments.threads}
    with Corpus.from_files(arguments.files) as text:
        if arguments.per_char:
            _say_table(model, text, given)
            return EXIT_OK
        scores = model.evaluate(text, **given)
    say(f"text       {name_text(text)}: {len(text):,} characters")
    say(f"score      {describe_scores(scores)}, perplexity {scores['perplexity']:.4g}")
    return EXIT_OK


def info(arguments: argparse.Namespace) -> int:
    """``fastrnn info``: print what runs here, or what a model file holds."""
    if arguments.model is None:
        say(f"fastrnn    {fastrnn.__version__}")
        say(f"kernels    {fastrnn.cpu.active()} (available: {', '.join(fastrnn.cpu.available())})")
        say(f"threads    {fastrnn.get_num_threads()}")
        say(f"python     {platform.python_version()}, NumPy {np.__version__}")
        say(f"machine    {platform.machine()}, {platform.system()}")
        return EXIT_OK
    model = load(arguments.model)
    say(f"file       {arguments.model}")
    say(f"model      {describe(model)}")
    say(f"seed       {model.seed}")
    if model.symbols == Bytes.name:
        say("symbols    256 bytes, of UTF-8")
    else:
        say(f"vocabulary {len(model.vocabulary)} characters: {model.vocabulary!r}")
    say(f"unknown    {describe_policy(model.unknown)}")
    entry = resume.stored(arguments.model)
    if entry is not None:
        how = "finished" if entry["facts"]["finished"] else "to be gone on with by --resume"
        say(f"training   checkpoint after step {entry['facts']['step']:,}, {how}")
    return EXIT_OK


def forecast(arguments: argparse.Namespace) -> int:
    """``fastrnn forecast``: print how columns of a CSV file go on."""
    if arguments.plot is not None:
        checkpoint.check_writable(arguments.plot)
        check_available()
    table = read_table(
        arguments.file, delimiter=arguments.delimiter, header=not arguments.no_header
    )
    result = command.run(
        command.choose(table, arguments.column, arguments.date),
        arguments.steps,
        window=arguments.window,
        season=arguments.season,
        calibration=arguments.calibration,
        coverage=arguments.coverage,
        model={
            name: getattr(arguments, name)
            for name in ("cell", "hidden_size", "horizon", "scaling", "seed")
        },
        training={
            "epochs": arguments.epochs,
            "batch_size": arguments.batch_size,
            "lr": arguments.lr,
            "schedule": "cosine",
            "progress": not arguments.quiet,
            "num_threads": arguments.threads,
        },
    )
    if arguments.plot is not None:
        picture.draw(arguments.plot, result)
    as_asked = report.as_json if arguments.json else report.as_text
    say(report.as_csv(result) if arguments.csv else as_asked(result))
    return EXIT_OK


def bench(arguments: argparse.Namespace) -> int:
    """``fastrnn bench``: set fastrnn beside other libraries and the machine's limit."""
    from fastrnn.bench import launch

    launch.pin(arguments.threads, is_process=arguments.is_process)
    from fastrnn.bench import rows, run  # not before the threads are set

    run.run(
        arguments.rows or (rows.select(rows.QUICK) if arguments.quick else rows.ROWS),
        arguments.peers,
        arguments.threads,
        run.QUICK if arguments.quick else run.FULL,
        run.Files(arguments.json, arguments.markdown, arguments.plot),
        say,
    )
    return EXIT_OK


def demo(arguments: argparse.Namespace) -> int:
    """``fastrnn demo``: serve the page on which one sees the network think."""
    from fastrnn.demo import server

    server.serve(arguments.port or 0, open_browser=not arguments.no_browser, say=say)
    return EXIT_OK


def _one_line(error: BaseException, parser: argparse.ArgumentParser) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename!r}: {error.strerror}"
    line = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, (OSError, ModelFileError)):  # what it names is in a file
        return line
    return options.with_names(line, parser)


def _say_table(model: CharRNN, text: Corpus, given: dict[str, Any]) -> None:
    """Write a line for each symbol that the model reads of the text, but the first."""
    log_probs = model.log_probs(text, **given)
    _, symbols = model._ready()
    read, name = _read(symbols, text, model._policy(given["unknown"]))
    say(f"position\t{symbols.unit}\tlog_prob")
    for start in range(0, len(log_probs), LINES_AT_ONCE):
        rows = enumerate(log_probs[start : start + LINES_AT_ONCE].tolist(), start=start + 1)
        say("\n".join(f"{i}\t{name(read[i])}\t{log_prob:.6g}" for i, log_prob in rows))


def _read(
    symbols: Symbols, text: Corpus, unknown: str
) -> tuple[Sequence[Any], Callable[[Any], str]]:
    """Return what a model reads of a text, one for each of its ids, and how to write one."""
    if isinstance(symbols, Bytes):
        return text._encode(symbols, unknown)[:].astype(np.uint8).tobytes(), "{:02x}".format
    whole = text.text()
    if unknown == SKIP:
        known = (~symbols.lacks(whole)).tolist()
        whole = "".join(itertools.compress(whole, known))
    return whole, _escaped


def _escaped(character: str) -> str:
    return json.dumps(character, ensure_ascii=False)[1:-1]


COMMANDS = {
    "train": train,
    "generate": generate,
    "evaluate": evaluate,
    "info": info,
    "forecast": forecast,
    "bench": bench,
    "demo": demo,
}
