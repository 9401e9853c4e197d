"""The command ``fastrnn``: train, use and inspect character models from a shell, and measure."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TextIO

import numpy as np

import fastrnn
from fastrnn import checkpoint, options, resume
from fastrnn.corpus import python_help, read_text
from fastrnn.errors import ModelFileError, NonFiniteLossError
from fastrnn.fitting import grow
from fastrnn.interrupts import BY_SIGNAL, Interrupts
from fastrnn.recipe import recipe
from fastrnn.text import CharRNN, load
from fastrnn.train import stream_count
from fastrnn.validation import split

HELD_OUT = 0.1
SAMPLE_LENGTH = 400
SAMPLE_TEMPERATURE = 0.7

# What the learning rate is multiplied by for a model that has learned already: docs/training.md.
FINE_TUNING = 0.5

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
    if extra:
        arguments.parser.error(f"unrecognized arguments: {' '.join(extra)}")
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
    except (OSError, ValueError, MemoryError, NonFiniteLossError, ImportError) as error:
        _complain(f"error: {_one_line(error, arguments.parser)}")
        return EXIT_ERROR


def train(arguments: argparse.Namespace) -> int:
    """``fastrnn train``: fit a model to a text, measure it, save it and show what it writes."""
    _check_output(arguments.out, arguments.force)
    begun = _follow_checkpoint(arguments)
    text = python_help() if arguments.file is None else read_text(arguments.file)
    model = _model_to_go_on_with(arguments)
    _choose(arguments, len(text))
    learned, held_out, validation = _texts(arguments, text)
    if model is None:
        model = CharRNN(
            arguments.cell,
            arguments.hidden_size,
            nonlinearity=arguments.nonlinearity,
            seed=arguments.seed,
            vocabulary=text if learned is text else text + held_out,
        )
    new = "" if arguments.keep_vocabulary else _meet(model, text + held_out)
    source = "Python's help (pydoc_data.topics)" if arguments.file is None else arguments.file
    _say(
        f"text       {source}: {len(text):,} characters, {len(model.vocabulary):,} distinct; "
        f"{_held_out(arguments.validation, held_out)}"
    )
    _say(f"model      {_summary(model)}{new}")
    if model.network is not None:
        checkpoint.check_room(arguments.out, model.network.num_parameters * model.dtype.itemsize)
    before = None
    if begun is None:
        what = "untrained" if arguments.base is None else "given"
        before = _measure(what, model, held_out, arguments.threads)
    else:
        _say(f"resuming   {arguments.checkpoint}, after step {begun['step']:,}")
    own = len(held_out) if isinstance(validation, float) else 0
    streams = stream_count(len(learned) - own, arguments.batch_size, arguments.seq_len)
    fewer = "" if streams == arguments.batch_size else ", all that a text so short makes"
    _say(
        f"training   batch size {streams:,}{fewer}; {_length(arguments)}"
        f"{'' if arguments.checkpoint is None else f'; checkpoints in {arguments.checkpoint}'}; "
        f"Ctrl-C stops and saves"
    )
    started = time.perf_counter()
    status = _fit_and_save(model, learned, validation, arguments)
    if status is not None:
        return _interrupted(model, arguments, status)
    seconds = time.perf_counter() - started
    chars = model.history[-1]["chars"] - (0 if begun is None else begun["chars"])
    _say(f"           {seconds:.1f} s, {chars / seconds:,.0f} characters/s{_best(model)}")
    try:
        after = _measure("trained", model, held_out, arguments.threads)
        if before is not None:
            _say(f"held out   {_scores(before)} before training")
        _say(f"{'held out' if before is None else '':<10} {_scores(after)} after")
        _show_what_next(model, _first_word(learned), arguments.out)
    except KeyboardInterrupt:
        _complain(f"interrupted after training; the model was saved to {arguments.out}")
        return EXIT_INTERRUPTED
    return EXIT_OK


def _follow_checkpoint(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Take options that were not given from the checkpoint to go on from, if there is one.

    Return how far its training has come.
    """
    if arguments.resume is not None:
        if arguments.checkpoint not in (None, arguments.resume):
            raise ValueError(
                f"--checkpoint and --resume must name one file, got {arguments.checkpoint!r} and "
                f"{arguments.resume!r}"
            )
        arguments.checkpoint = arguments.resume
    path = arguments.checkpoint
    if path is None:
        return None
    if os.path.realpath(path) == os.path.realpath(arguments.out):
        raise ValueError(f"--checkpoint and --out must be two files, got {path!r} twice")
    _check_output(path, arguments.force, "--checkpoint")
    if arguments.resume is None:
        resume.refuse_unfinished(path)
        return None
    if not os.path.exists(path):
        return None
    entry = resume.stored(path)
    if entry is None:
        raise ValueError(f"{path!r} is a model but not a checkpoint; --from goes on from a model")
    arguments.base = None  # the checkpoint has what became of that model
    for name, value in entry["options"].items():
        if getattr(arguments, name, value) is None and value != resume.A_TEXT:
            setattr(arguments, name, value)
    if entry["options"].get("clip_norm", 0) is None:
        arguments.clip_norm = arguments.clip_norm or 0
    facts: dict[str, Any] = entry["facts"]
    return facts


def _model_to_go_on_with(arguments: argparse.Namespace) -> CharRNN | None:
    """Load the model of --resume or --from and take its settings; None for a new model."""
    path = arguments.base
    if arguments.resume is not None and os.path.exists(arguments.resume):
        path = arguments.resume
    if path is None:
        if arguments.keep_vocabulary:
            raise ValueError("--keep-vocabulary needs --from: a new model knows every character")
        return None
    model = load(path)
    for name in ("cell", "hidden_size", "nonlinearity", "seed"):
        given, own = getattr(arguments, name), getattr(model, name)
        if given not in (None, own):
            raise ValueError(f"{name}={given!r} is not that of {path!r}, which has {own!r}")
        setattr(arguments, name, own)
    return model


def _meet(model: CharRNN, text: str) -> str:
    """Have the model learn of the characters that it does not know; return what to say of it."""
    new = sorted(set(text) - set(model.vocabulary))
    if not new:
        return ""
    grow(model, text)
    listed = repr("".join(new)) if len(new) <= 20 else f"{''.join(new[:20])!r} and others"
    return f", with {len(new):,} new character{'s' * (len(new) > 1)}: {listed}"


def _choose(arguments: argparse.Namespace, chars: int) -> None:
    """Fill in the options that were not given."""
    if arguments.minutes is None and arguments.epochs is None:
        arguments.minutes = 1.0
    if arguments.cell is None and arguments.nonlinearity is not None:
        arguments.cell = "rnn"
    if arguments.warmup is None and arguments.schedule == "one_cycle":
        arguments.warmup = 0.0
    minutes = 1.0 if arguments.minutes is None else arguments.minutes
    chosen = recipe(chars, minutes, cell=arguments.cell)
    for name, value in asdict(chosen).items():
        if name == "lr" and arguments.base is not None:
            value *= FINE_TUNING
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if arguments.nonlinearity is None:
        arguments.nonlinearity = "tanh"
    if arguments.seed is None:
        arguments.seed = 0


def _texts(arguments: argparse.Namespace, text: str) -> tuple[str, str, str | float | None]:
    """Return what ``fit`` gets, what is held out, and what ``fit`` is told of it."""
    if arguments.validation is None:
        return (*_split(text, arguments.seq_len), None)
    try:
        share = float(arguments.validation)
    except ValueError:
        held_out = read_text(arguments.validation)
        return text, held_out, held_out
    return text, split(text, share, arguments.seq_len)[1] or "", share


def _held_out(validation: str | float | None, text: str) -> str:
    try:
        float(validation or 0)
    except ValueError:
        return f"{validation}, {len(text):,} characters, is held out"
    return f"the last {len(text):,} are held out"


def _length(arguments: argparse.Namespace) -> str:
    passes = f"{arguments.epochs:,} passes" if arguments.epochs > 1 else "1 pass"
    if arguments.minutes is None:
        return passes
    return f"{60 * arguments.minutes:,.3g} s or {passes}"


def _fit_and_save(
    model: CharRNN, text: str, validation: str | float | None, arguments: argparse.Namespace
) -> int | None:
    """Train and save the model, also if interrupted; return the exit status if it was."""
    with Interrupts(ends_process=arguments.is_process) as interrupts:
        try:
            _fit(model, text, validation, arguments)
            interrupts.hold()
        except KeyboardInterrupt:
            interrupts.hold()
            interrupts.status = interrupts.status or EXIT_INTERRUPTED
        except OSError:  # of a file on the way: the training that was done is not lost with it
            if model.history:
                model.save(arguments.out)
                _complain(f"the model as it is was saved to {arguments.out}")
            raise
        if model.history:
            model.save(arguments.out)
    return interrupts.status


def _fit(
    model: CharRNN, text: str, validation: str | float | None, arguments: argparse.Namespace
) -> None:
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
        lr_decay=arguments.lr_decay,
        lr_decay_every=arguments.lr_decay_every,
        dropout=arguments.dropout,
        weight_decay=arguments.weight_decay,
        clip_norm=arguments.clip_norm or None,
        validation=validation,
        evaluate_every=arguments.evaluate_every,
        patience=arguments.patience,
        checkpoint=arguments.checkpoint,
        checkpoint_every=arguments.checkpoint_every,
        checkpoint_minutes=arguments.checkpoint_minutes,
        resume=arguments.resume is not None,
        history_file=arguments.history_file,
        tensorboard=arguments.tensorboard,
        progress=not arguments.quiet,
        num_threads=arguments.threads,
    )


def _measure(what: str, model: CharRNN, text: str, threads: int | None) -> dict[str, float]:
    _say(f"measuring  the {what} model on {len(text):,} held-out characters")
    return model.evaluate(text, num_threads=threads)


def _best(model: CharRNN) -> str:
    """Say which step's weights were kept, if held-out text was evaluated."""
    evaluated = [record for record in model.history if "validation_loss" in record]
    if not evaluated:
        return ""
    best = min(evaluated, key=lambda record: record["validation_loss"])
    return f"; kept: step {best['step']:,}, validation {best['validation_loss']:.4f}"


def generate(arguments: argparse.Namespace) -> int:
    """``fastrnn generate``: print what a model writes."""
    texts = load(arguments.model).generate(
        arguments.prompt,
        arguments.length,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        seed=arguments.seed,
        num_samples=arguments.num_samples,
        unknown=arguments.unknown,
        weights=arguments.weights,
    )
    if isinstance(texts, str):
        _say(texts)
    else:
        for number, text in enumerate(texts, start=1):
            _say(f"--- sample {number} of {len(texts)} ---\n{text}")
    return EXIT_OK


def evaluate(arguments: argparse.Namespace) -> int:
    """``fastrnn evaluate``: print how well a model predicts a text."""
    model = load(arguments.model)
    text = read_text(arguments.file)
    scores = model.evaluate(
        text,
        unknown=arguments.unknown,
        num_threads=arguments.threads,
        weights=arguments.weights,
    )
    _say(f"text       {arguments.file}: {len(text):,} characters")
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
    _say(f"vocabulary {len(model.vocabulary)} characters: {model.vocabulary!r}")
    entry = resume.stored(arguments.model)
    if entry is not None:
        how = "finished" if entry["facts"]["finished"] else "to be gone on with by --resume"
        _say(f"training   checkpoint after step {entry['facts']['step']:,}, {how}")
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


def _check_output(path: str, force: bool, option: str = "--out") -> None:
    """Refuse, before any work is done, a file that could not or should not be written."""
    checkpoint.check_writable(path)
    if os.path.exists(path) and not force and not checkpoint.is_model(path):
        raise ValueError(
            f"{path!r} exists and is not a fastrnn model; choose another file with {option}, "
            f"or --force to overwrite it"
        )


def _split(text: str, seq_len: int) -> tuple[str, str]:
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


def _interrupted(model: CharRNN, arguments: argparse.Namespace, status: int) -> int:
    if not model.history:
        _complain("interrupted before the first training step, nothing saved")
        return status
    steps = model.history[-1]["step"]
    _complain(
        f"interrupted after {steps:,} training step{'s' * (steps != 1)}; "
        f"the model as it is was saved to {arguments.out}"
        + (f"; --resume {arguments.checkpoint} goes on" if arguments.checkpoint else "")
    )
    return status


def _summary(model: CharRNN) -> str:
    parameters = 0 if model.network is None else model.network.num_parameters
    return (
        f"{model.cell}, {model.hidden_size:,} hidden units, {model.nonlinearity}, "
        f"{model.dtype.name}: {parameters:,} parameters"
    )


def _scores(scores: dict[str, float]) -> str:
    return f"{scores['loss']:.4f} nats, {scores['bits_per_char']:.4f} bits per character"


def _show_what_next(model: CharRNN, prompt: str, path: str) -> None:
    sample = model.generate(prompt, SAMPLE_LENGTH, SAMPLE_TEMPERATURE, seed=model.seed)
    _say("sample     " + str(sample).replace("\n", "\n           "))
    _say(f"saved      {path}")
    _say(f"next       fastrnn generate {shlex.quote(path)} --prompt={shlex.quote(prompt)}")


def _first_word(text: str) -> str:
    """Return a prompt that every model of ``text`` can read, at most 20 characters."""
    words = text.split(maxsplit=1)
    return words[0][:20] if words else ""


def _one_line(error: BaseException, parser: argparse.ArgumentParser) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename!r}: {error.strerror}"
    line = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, (OSError, ModelFileError)):  # what it names is in a file
        return line
    return options.with_names(line, parser)


def _say(line: str) -> None:
    try:
        print(line, flush=True)
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
    "bench": bench,
}
