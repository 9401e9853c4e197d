"""The command ``fastrnn``: character models and forecasts from a shell, and measurements."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import shlex
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, TextIO

import numpy as np

import fastrnn
from fastrnn import checkpoint, forecast_text, options
from fastrnn import forecast as forecasting
from fastrnn.corpus import Corpus, python_help
from fastrnn.errors import ModelFileError, NonFiniteLossError
from fastrnn.interrupts import BY_SIGNAL, Interrupts
from fastrnn.recipe import recipe
from fastrnn.streams import stream_count
from fastrnn.tables import read_table
from fastrnn.text import CharRNN, load
from fastrnn.vocabulary import ERROR, SKIP, Bytes

HELD_OUT = 0.1
SAMPLE_LENGTH = 400
FILES_SHOWN = 3
SAMPLE_TEMPERATURE = 0.7
LINES_AT_ONCE = 1000

EXIT_OK, EXIT_ERROR = 0, 1
EXIT_INTERRUPTED = BY_SIGNAL + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done. 1: the request cannot be met, said in one line on standard error. 2: the command
    line itself is wrong. 130: interrupted by Ctrl-C. 143: training was ended by SIGTERM.
    """
    try:
        return _run(argv)
    finally:
        _discard_if_broken(sys.stdout)
        _discard_if_broken(sys.stderr)


def _run(argv: Sequence[str] | None) -> int:
    arguments, extra = options.parser().parse_known_args(argv)
    arguments.is_process = argv is None
    options.take_files_among_options(arguments, extra)
    if sys.stdout is None:
        _complain("error: standard output is closed")
        return EXIT_ERROR
    if isinstance(sys.stdout, io.TextIOWrapper):  # show what a terminal cannot, do not fail
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status: int = COMMANDS[arguments.command](arguments)
        return status
    except KeyboardInterrupt:
        _complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has had enough
        return EXIT_ERROR
    except (OSError, ValueError, MemoryError, NonFiniteLossError) as error:
        _complain(f"error: {_one_line(error, arguments.parser)}")
        return EXIT_ERROR


def train(arguments: argparse.Namespace) -> int:
    """``fastrnn train``: fit a model to a text, measure it, save it and show what it writes."""
    _check_output(arguments.out, arguments.force)
    with _corpus(arguments.files) as text:
        return _train(arguments, text)


def _train(arguments: argparse.Namespace, text: Corpus) -> int:
    _choose(arguments, len(text))
    learned, held_out = _split(text, arguments.seq_len)
    model = CharRNN(
        arguments.cell,
        arguments.hidden_size,
        nonlinearity=arguments.nonlinearity,
        seed=arguments.seed,
        vocabulary=_vocabulary(text, arguments),
        symbols=arguments.symbols,
        unknown=arguments.unknown,
    )
    _say(
        f"text       {_source(text)}: {len(text):,} characters, {len(text.characters()):,} "
        f"distinct; the last {len(held_out):,} are held out"
    )
    if model.vocabulary and model.vocabulary != text.characters():
        _say(f"vocabulary {len(model.vocabulary):,} characters; unknown {_said(model.unknown)}")
    _say(f"model      {_summary(model)}")
    if model.network is not None:
        checkpoint.check_room(arguments.out, model.network.num_parameters * model.dtype.itemsize)
    before = _measure("untrained", model, held_out, arguments.threads)
    length = learned._length_in(model._ready()[1], model.unknown)
    streams = stream_count(length, arguments.batch_size, arguments.seq_len)
    fewer = "" if streams == arguments.batch_size else ", all that a text so short makes"
    _say(f"training   batch size {streams:,}{fewer}; {_length(arguments)}; Ctrl-C stops and saves")
    started = time.perf_counter()
    with Interrupts(ends_process=arguments.is_process) as interrupts:
        try:
            _fit(model, learned, arguments)
            interrupts.hold()
        except KeyboardInterrupt:
            interrupts.hold()
            interrupts.status = interrupts.status or EXIT_INTERRUPTED
        seconds = time.perf_counter() - started
        if model.history:
            model.save(arguments.out)
    if interrupts.status is not None:
        return _interrupted(model, arguments.out, interrupts.status)
    _say(
        f"           {seconds:.1f} s, {model.history[-1]['chars'] / seconds:,.0f} {_unit(model)}s/s"
    )
    try:
        after = _measure("trained", model, held_out, arguments.threads)
        _say(f"held out   {_scores(before)} before training")
        _say(f"           {_scores(after)} after")
        _show_what_next(model, _first_word(learned), arguments.out)
    except KeyboardInterrupt:
        _complain(f"interrupted after training; the model was saved to {arguments.out}")
        return EXIT_INTERRUPTED
    return EXIT_OK


def _choose(arguments: argparse.Namespace, chars: int) -> None:
    """Fill in the options that were not given."""
    if arguments.minutes is None and arguments.epochs is None:
        arguments.minutes = 1.0
    if arguments.cell is None and arguments.nonlinearity is not None:
        arguments.cell = "rnn"
    minutes = 1.0 if arguments.minutes is None else arguments.minutes
    chosen = recipe(chars, minutes, cell=arguments.cell)
    for name, value in asdict(chosen).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if arguments.nonlinearity is None:
        arguments.nonlinearity = "tanh"


def _length(arguments: argparse.Namespace) -> str:
    passes = f"{arguments.epochs:,} passes" if arguments.epochs > 1 else "1 pass"
    if arguments.minutes is None:
        return passes
    return f"{60 * arguments.minutes:,.3g} s or {passes}"


def _corpus(files: Sequence[str]) -> Corpus:
    return Corpus.from_files(files) if files else Corpus.from_text(python_help())


def _source(text: Corpus) -> str:
    """Return what to call a text: its first files, and how many more there are."""
    if not text.files:
        return "Python's help (pydoc_data.topics)"
    more = len(text.files) - FILES_SHOWN
    return ", ".join(text.files[:FILES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _vocabulary(text: Corpus, arguments: argparse.Namespace) -> str | None:
    if arguments.symbols == Bytes.name:
        if arguments.min_count > 1:
            arguments.parser.error("argument --min-count: not with --symbols bytes")
        return None
    if arguments.min_count > 1 and arguments.unknown == ERROR:
        arguments.parser.error(
            "argument --min-count: rarer characters are then unknown, and what becomes of them is "
            "missing: give --unknown skip, or --unknown and a character in their place"
        )
    return text.characters(arguments.min_count)


def _fit(model: CharRNN, text: Corpus, arguments: argparse.Namespace) -> None:
    model.fit(
        text,
        epochs=arguments.epochs,
        minutes=arguments.minutes,
        batch_size=arguments.batch_size,
        seq_len=arguments.seq_len,
        optimizer=arguments.optimizer,
        lr=arguments.lr,
        schedule=arguments.schedule,
        warmup=arguments.warmup,
        dropout=arguments.dropout,
        weight_decay=arguments.weight_decay,
        clip_norm=arguments.clip_norm or None,
        progress=not arguments.quiet,
        num_threads=arguments.threads,
    )


def _measure(what: str, model: CharRNN, text: Corpus, threads: int | None) -> dict[str, float]:
    _say(f"measuring  the {what} model on {len(text):,} held-out characters")
    return model.evaluate(text, num_threads=threads)


def generate(arguments: argparse.Namespace) -> int:
    """``fastrnn generate``: print what a model writes, a single text while it is written."""
    if arguments.beam_width is not None:
        return _search(arguments)
    model, given = load(arguments.model), _given(arguments, *options.DRAWING, *options.WRITING)
    if arguments.num_samples == 1:
        _say_pieces(model.stream(**given))
        return EXIT_OK
    texts = model.generate(**given, num_samples=arguments.num_samples)
    for number, text in enumerate(texts, start=1):
        _say(f"--- sample {number} of {len(texts)} ---\n{text}")
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
        _say(found[0].text)
        return EXIT_OK
    for number, (text, log_prob) in enumerate(found[: arguments.num_samples], start=1):
        _say(f"--- text {number} of {arguments.num_samples}, {-log_prob:.4f} nats ---\n{text}")
    return EXIT_OK


def _given(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in names}


def evaluate(arguments: argparse.Namespace) -> int:
    """``fastrnn evaluate``: print how well a model predicts a text."""
    model = load(arguments.model)
    given = {**_given(arguments, "unknown", "weights"), "num_threads": arguments.threads}
    with Corpus.from_files(arguments.files) as text:
        if arguments.per_char:
            whole = text.text()
            _say_table(whole, model.log_probs(whole, **given))
            return EXIT_OK
        scores = model.evaluate(text, **given)
    _say(f"text       {_source(text)}: {len(text):,} characters")
    _say(f"score      {_scores(scores)}, perplexity {scores['perplexity']:.4g}")
    return EXIT_OK


def info(arguments: argparse.Namespace) -> int:
    """``fastrnn info``: print what runs here, or what a model file holds."""
    if arguments.model is None:
        _say(f"fastrnn    {fastrnn.__version__}")
        _say(f"kernels    {fastrnn.cpu.active()} (available: {', '.join(fastrnn.cpu.available())})")
        _say(f"threads    {fastrnn.get_num_threads()}")
        _say(f"python     {platform.python_version()}, NumPy {np.__version__}")
        _say(f"machine    {platform.machine()}, {platform.system()}")
        return EXIT_OK
    model = load(arguments.model)
    _say(f"file       {arguments.model}")
    _say(f"model      {_summary(model)}")
    _say(f"seed       {model.seed}")
    if model.symbols == Bytes.name:
        _say("symbols    256 bytes, of UTF-8")
    else:
        _say(f"vocabulary {len(model.vocabulary)} characters: {model.vocabulary!r}")
    _say(f"unknown    {_said(model.unknown)}")
    return EXIT_OK


def forecast(arguments: argparse.Namespace) -> int:
    """``fastrnn forecast``: print how columns of a CSV file go on."""
    from fastrnn import plot

    if arguments.plot is not None:
        checkpoint.check_writable(arguments.plot)
        plot.check_available()
    table = read_table(
        arguments.file, delimiter=arguments.delimiter, header=not arguments.no_header
    )
    result = forecasting.run(
        forecasting.choose(table, arguments.column, arguments.date),
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
        plot.draw_forecast(arguments.plot, result)
    as_asked = forecast_text.as_json if arguments.json else forecast_text.as_text
    _say(forecast_text.as_csv(result) if arguments.csv else as_asked(result))
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
        _say,
    )
    return EXIT_OK


def _check_output(path: str, force: bool) -> None:
    """Refuse, before any work is done, a file that could not or should not be written."""
    checkpoint.check_writable(path)
    if os.path.exists(path) and not force and not checkpoint.is_model(path):
        raise ValueError(
            f"{path!r} exists and is not a fastrnn model; choose another file with --out, "
            f"or --force to overwrite it"
        )


def _split(text: Corpus, seq_len: int) -> tuple[Corpus, Corpus]:
    """Return the beginning of ``text``, to learn from, and the held-out rest."""
    cut = max(0, len(text) - max(2, int(HELD_OUT * len(text))))
    if cut <= seq_len:
        advice = f", or a --seq-len below {cut:,}" if cut > 2 else ""
        raise ValueError(
            f"the text has {len(text):,} character{'s' * (len(text) != 1)}, of which "
            f"{HELD_OUT:.0%} are held out and {cut:,} left to learn from; --seq-len {seq_len} "
            f"needs at least {seq_len + 1:,}: use a longer text{advice}"
        )
    return text[:cut], text[cut:]


def _interrupted(model: CharRNN, path: str, status: int) -> int:
    if not model.history:
        _complain("interrupted before the first training step, nothing saved")
        return status
    steps = model.history[-1]["step"]
    _complain(
        f"interrupted after {steps:,} training step{'s' * (steps != 1)}; "
        f"the model as it is was saved to {path}"
    )
    return status


def _summary(model: CharRNN) -> str:
    parameters = 0 if model.network is None else model.network.num_parameters
    return (
        f"{model.cell}, {model.hidden_size:,} hidden units, {model.nonlinearity}, "
        f"{model.dtype.name}: {parameters:,} parameters"
    )


def _scores(scores: dict[str, float]) -> str:
    per_byte = "bits_per_byte" in scores
    bits, unit = ("bits_per_byte", "byte") if per_byte else ("bits_per_char", "character")
    return f"{scores['loss']:.4f} nats, {scores[bits]:.4f} bits per {unit}"


def _show_what_next(model: CharRNN, prompt: str, path: str) -> None:
    sample = model.generate(prompt, SAMPLE_LENGTH, SAMPLE_TEMPERATURE, seed=model.seed)
    _say("sample     " + str(sample).replace("\n", "\n           "))
    _say(f"saved      {path}")
    _say(f"next       fastrnn generate {shlex.quote(path)} --prompt={shlex.quote(prompt)}")


def _unit(model: CharRNN) -> str:
    return "byte" if model.symbols == Bytes.name else "character"


def _said(policy: str) -> str:
    """Say what becomes of characters that a model does not know."""
    if policy == ERROR:
        return "characters are refused"
    if policy == SKIP:
        return "characters are left out"
    return f"characters are read as {policy!r} (U+{ord(policy):04X})"


def _first_word(text: Corpus) -> str:
    """Return a prompt that every model of ``text`` can read, at most 20 characters."""
    words = text[:1000].text().split(maxsplit=1)
    return words[0][:20] if words else ""


def _one_line(error: BaseException, parser: argparse.ArgumentParser) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename!r}: {error.strerror}"
    line = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, (OSError, ModelFileError)):  # what it names is in a file
        return line
    return options.with_names(line, parser)


def _say_pieces(pieces: Iterable[Any]) -> None:
    """Write a text as it comes, and end its last line whatever ends it."""
    try:
        for piece in pieces:
            _write(piece)
    finally:
        _write("\n")


def _say_table(text: str, log_probs: np.ndarray) -> None:
    """Write a line for each character but the first."""
    _say("position\tcharacter\tlog_prob")
    for start in range(0, len(log_probs), LINES_AT_ONCE):
        rows = enumerate(log_probs[start : start + LINES_AT_ONCE].tolist(), start=start + 1)
        _say("\n".join(f"{i}\t{_escaped(text[i])}\t{log_prob:.6g}" for i, log_prob in rows))


def _escaped(character: str) -> str:
    return json.dumps(character, ensure_ascii=False)[1:-1]


def _say(line: str) -> None:
    _write(line + "\n")


def _write(text: str) -> None:
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"standard output: {error.strerror}") from None


def _complain(message: str) -> None:
    """Write a message to standard error, if there is one."""
    if sys.stderr is not None:  # print() would take standard output instead
        with contextlib.suppress(OSError):
            print(f"fastrnn: {message}", file=sys.stderr, flush=True)


def _discard_if_broken(stream: TextIO | None) -> None:
    """Send to nowhere what a broken stream still holds, which Python would report at exit."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        with contextlib.suppress(io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


COMMANDS = {
    "train": train,
    "generate": generate,
    "evaluate": evaluate,
    "info": info,
    "forecast": forecast,
    "bench": bench,
}
