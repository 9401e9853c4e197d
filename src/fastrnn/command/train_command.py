"""``fastrnn train``: fit a model to a text, measure it, save it and show what it writes."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastrnn import checkpoint
from fastrnn.command.interrupts import BY_SIGNAL, Interrupts
from fastrnn.command.recipe import recipe
from fastrnn.command.saying import (
    complain,
    describe,
    describe_policy,
    describe_scores,
    name_text,
    say,
)
from fastrnn.corpus.corpus import Corpus, python_help
from fastrnn.corpus.streams import stream_count
from fastrnn.corpus.textfiles import STANDARD_INPUT
from fastrnn.corpus.vocabulary import ERROR, Bytes, Vocabulary, replacement
from fastrnn.errors import NonFiniteLossError
from fastrnn.text import CharRNN, load
from fastrnn.training import resume
from fastrnn.training.configuration import OF_THE_NETWORK
from fastrnn.training.fitting import check_dropout
from fastrnn.training.growth import grow
from fastrnn.training.validation import check_lengths, split

HELD_OUT = 0.1
SAMPLE_LENGTH = 400
SAMPLE_TEMPERATURE = 0.7

# What the learning rate is multiplied by for a model that has learned already: docs/training.md.
FINE_TUNING = 0.5

EXIT_OK = 0
EXIT_INTERRUPTED = BY_SIGNAL + signal.SIGINT


def train(arguments: argparse.Namespace) -> int:
    """Do what the command line asks for and return the exit status."""
    _check_apart(arguments)
    _check_output(arguments.out, arguments.force)
    if arguments.min_count > 1 and arguments.base is not None:
        arguments.parser.error(
            "argument --min-count: not with --from, whose model has a vocabulary"
        )
    if arguments.validation == STANDARD_INPUT and STANDARD_INPUT in arguments.files:
        raise ValueError("FILE and --validation must be two texts, got standard input, '-', twice")
    begun = _follow_checkpoint(arguments)
    for name in ("patience", "evaluate_every"):
        if arguments.validation is None and getattr(arguments, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')} needs --validation, a share of the text or a text of "
                f"its own"
            )
    with contextlib.ExitStack() as stack:
        text = stack.enter_context(_corpus(arguments.files))
        validation = _validation(arguments)
        if isinstance(validation, Corpus):
            stack.enter_context(validation)
            _check_apart(arguments, [("--validation", path) for path in validation.files])
        _check_apart(arguments, [("FILE", path) for path in text.files])
        return _train(arguments, text, validation, begun)


def _train(
    arguments: argparse.Namespace,
    text: Corpus,
    validation: float | Corpus | None,
    begun: dict[str, Any] | None,
) -> int:
    model = _model_to_go_on_with(arguments)
    _choose(arguments, len(text))
    check_dropout(arguments.cell, arguments.dropout)
    learned, held_out = _parts(text, validation, arguments.seq_len)
    model, new = _knowing(arguments, model, text, validation)
    _say_what_is_there(model, text, held_out, validation, new)
    streams = _stream_count(arguments, model, learned, held_out, validation)
    if model.network is not None:
        checkpoint.check_room(arguments.out, model.network.num_parameters * model.dtype.itemsize)
    before = None
    if begun is None:
        what = "untrained" if arguments.base is None else "given"
        before = _measure(what, model, held_out, arguments)
    else:
        path = arguments.checkpoint
        last = f", its last: --from {path} trains its model further" if begun["finished"] else ""
        say(f"resuming   {path}, after step {begun['step']:,}{last}")
    fewer = "" if streams == arguments.batch_size else ", all that a text so short makes"
    say(
        f"training   batch size {streams:,}{fewer}; {_length(arguments)}"
        f"{'' if arguments.checkpoint is None else f'; checkpoints in {arguments.checkpoint}'}; "
        f"Ctrl-C stops and saves"
    )
    fitted = learned if validation is None else text
    before_it = 0 if begun is None else begun["earlier"] + begun["step"]
    status, seconds = _fit_and_save(model, fitted, validation, arguments, before_it)
    if status is not None:
        return _interrupted(model, arguments, status, before_it)
    count = model.history[-1]["chars"] - (0 if begun is None else begun["chars"])
    unit = model._ready()[1].unit
    say(f"           {seconds:.1f} s, {count / seconds:,.0f} {unit}s/s{_best(model)}")
    try:
        after = _measure("trained", model, held_out, arguments)
        if before is not None:
            say(f"held out   {describe_scores(before)} before training")
        say(f"{'held out' if before is None else '':<10} {describe_scores(after)} after")
        _show_what_next(model, _first_word(learned), arguments.out)
    except KeyboardInterrupt:
        complain(f"interrupted after training; the model was saved to {arguments.out}")
        return EXIT_INTERRUPTED
    return EXIT_OK


# What there is to go on with


def _check_output(path: str, force: bool) -> None:
    """Refuse, before any work is done, a file that could not or should not be written."""
    checkpoint.check_writable(path)
    if os.path.exists(path) and not force and not checkpoint.is_model(path):
        raise ValueError(
            f"{path!r} exists and is not a fastrnn model; choose another file with --out, "
            f"or --force to overwrite it"
        )


def _check_apart(arguments: argparse.Namespace, texts: checkpoint.Named = ()) -> None:
    """Refuse files that would replace each other, or what is read."""
    on_the_way = [
        ("--checkpoint", arguments.checkpoint or arguments.resume),
        ("--history", arguments.history_file),
    ]
    inputs = [(name, path) for name, path in texts if path != STANDARD_INPUT]
    checkpoint.check_apart([*on_the_way, ("--out", arguments.out)], inputs)
    # --out may replace the model that is gone on with, as it may any model.
    checkpoint.check_apart(on_the_way, [("--from", arguments.base)])


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
    arguments.settled = frozenset()
    path = arguments.checkpoint
    if path is None:
        return None
    if arguments.resume is None or not os.path.exists(path):
        resume.check_replaceable(path)
        return None
    checkpoint.check_writable(path)
    entry = resume.stored(path)
    if entry is None:
        raise ValueError(f"{path!r} is a model but not a checkpoint; --from goes on from a model")
    arguments.base = None  # the checkpoint has what became of that model
    for name, value in entry["options"].items():
        if getattr(arguments, name) is None and value != resume.A_TEXT:
            setattr(arguments, name, value)
    arguments.settled = frozenset(entry["options"])
    if entry["options"].get("clip_norm", 0) is None:
        arguments.clip_norm = arguments.clip_norm or 0
    facts: dict[str, Any] = entry["facts"]
    return facts


def _model_to_go_on_with(arguments: argparse.Namespace) -> CharRNN | None:
    """Load the model of --resume or --from and take its settings; None for a new model."""
    resumed = arguments.resume is not None and os.path.exists(arguments.resume)
    path = arguments.resume if resumed else arguments.base
    if path is None:
        if arguments.keep_vocabulary:
            raise ValueError("--keep-vocabulary needs --from: a new model knows every character")
        return None
    model = load(path)
    for name in ("cell", "hidden_size", "nonlinearity", "seed", "symbols", *OF_THE_NETWORK):
        given, own = getattr(arguments, name), getattr(model, name)
        if given not in (None, own):
            raise ValueError(f"{name}={given!r} is not that of {path!r}, which has {own!r}")
        setattr(arguments, name, own)
    if arguments.unknown is None:
        arguments.unknown = model.unknown
    elif not resumed:
        model._ready()[1].check_policy(arguments.unknown)
        model.unknown = arguments.unknown
    return model


def _choose(arguments: argparse.Namespace, chars: int) -> None:
    """Fill in the options that were not given, nor settled by the checkpoint to go on from."""
    settled = arguments.settled
    if "minutes" not in settled and arguments.minutes is None and arguments.epochs is None:
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
        if getattr(arguments, name) is None and name not in settled:
            setattr(arguments, name, value)
    defaults = {"nonlinearity": "tanh", "seed": 0, "symbols": Vocabulary.name, "unknown": ERROR}
    defaults |= OF_THE_NETWORK
    for name, default in defaults.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, default)


# What is learned and what is held out


def _corpus(files: Sequence[str]) -> Corpus:
    return Corpus.from_files(files) if files else Corpus.from_text(python_help())


def _validation(arguments: argparse.Namespace) -> float | Corpus | None:
    """Return the share or the text that --validation names."""
    if arguments.validation is None:
        return None
    try:
        return float(arguments.validation)
    except ValueError:
        return Corpus.from_files(arguments.validation)


def _parts(text: Corpus, validation: float | Corpus | None, seq_len: int) -> tuple[Corpus, Corpus]:
    """Return what is learned and what is held out: without --validation, the end of the text."""
    if validation is not None:
        learned, held_out = split(text, validation)
        assert held_out is not None
        return learned, held_out
    cut = max(0, len(text) - max(2, int(HELD_OUT * len(text))))
    if cut <= seq_len:
        advice = f", or a --seq-len below {cut:,}" if cut > 2 else ""
        raise ValueError(
            f"the text has {len(text):,} character{'s' * (len(text) != 1)}, of which "
            f"{HELD_OUT:.0%} are held out and {cut:,} left to learn from; --seq-len {seq_len} "
            f"needs at least {seq_len + 1:,}: use a longer text{advice}"
        )
    return text[:cut], text[cut:]


def _stream_count(
    arguments: argparse.Namespace,
    model: CharRNN,
    learned: Corpus,
    held_out: Corpus,
    validation: float | Corpus | None,
) -> int:
    """Return how many streams there will be; refuse texts too short before anything is done."""
    symbols = model._ready()[1]
    length = learned._length_in(symbols, arguments.unknown)
    held = None if validation is None else held_out._length_in(symbols, arguments.unknown)
    check_lengths(length, held, validation, symbols.unit, arguments.seq_len)
    return stream_count(length, arguments.batch_size, arguments.seq_len)


# What the model knows


def _knowing(
    arguments: argparse.Namespace,
    model: CharRNN | None,
    text: Corpus,
    validation: float | Corpus | None,
) -> tuple[CharRNN, str]:
    """Return the model, which knows the characters that it shall, and what to say of new ones."""
    known = _vocabulary(arguments, text, validation)
    if model is None:
        model = CharRNN(
            arguments.cell,
            arguments.hidden_size,
            **{name: getattr(arguments, name) for name in OF_THE_NETWORK},
            nonlinearity=arguments.nonlinearity,
            seed=arguments.seed,
            vocabulary=known,
            symbols=arguments.symbols,
            unknown=arguments.unknown,
        )
        return model, ""
    if arguments.min_count > 1:
        expected = Vocabulary((known or "") + replacement(model.unknown)).characters
        if model.vocabulary != expected:
            raise ValueError(
                f"min_count={arguments.min_count} is not that of {arguments.resume!r}, whose "
                f"model has another vocabulary"
            )
    new = sorted(set(known or "") - set(model.vocabulary))
    if arguments.keep_vocabulary or arguments.unknown != ERROR or not new:
        return model, ""
    grow(model, "".join(new))
    listed = repr("".join(new)) if len(new) <= 20 else f"{''.join(new[:20])!r} and others"
    return model, f", with {len(new):,} new character{'s' * (len(new) > 1)}: {listed}"


def _vocabulary(
    arguments: argparse.Namespace, text: Corpus, validation: float | Corpus | None
) -> str | None:
    """Return the characters of the texts that a model is to know; None for bytes."""
    if arguments.symbols == Bytes.name:
        if arguments.min_count > 1:
            arguments.parser.error("argument --min-count: not with --symbols bytes")
        return None
    if arguments.min_count > 1 and arguments.unknown == ERROR:
        arguments.parser.error(
            "argument --min-count: rarer characters are then unknown, and what becomes of them is "
            "missing: give --unknown skip, or --unknown and a character in their place"
        )
    known = text.characters(arguments.min_count)
    # With a policy, it is what becomes of characters that only the held-out text has.
    if isinstance(validation, Corpus) and arguments.unknown == ERROR:
        known += validation.characters()
    return known


# The training


def _fit_and_save(
    model: CharRNN,
    text: Corpus,
    validation: float | Corpus | None,
    arguments: argparse.Namespace,
    before_it: int,
) -> tuple[int | None, float]:
    """Train and save the model; one that is interrupted or fails, if it made a step.

    Return the exit status if it was interrupted, and how many seconds the training took.
    """
    started = time.perf_counter()
    with Interrupts(ends_process=arguments.is_process) as interrupts:
        try:
            _fit(model, text, validation, arguments)
            interrupts.hold()
        except KeyboardInterrupt:
            interrupts.hold()
            interrupts.status = interrupts.status or EXIT_INTERRUPTED
        except (OSError, MemoryError, NonFiniteLossError) as error:
            # The training that was done is not lost with a file on the way or a step that failed;
            # but a model that diverged is worth less than the one that was there.
            if isinstance(error, NonFiniteLossError) and Path(arguments.out).exists():
                complain(f"{arguments.out} was kept as it was before this training")
            elif _made(model, before_it):
                model.save(arguments.out)
                complain(f"the model as it is was saved to {arguments.out}")
            raise
        seconds = time.perf_counter() - started
        if interrupts.status is None or _made(model, before_it):
            model.save(arguments.out)
    return interrupts.status, seconds


def _made(model: CharRNN, before_it: int) -> int:
    """Return how many steps of the model this training has made."""
    return model.history[-1]["step"] - before_it if model.history else 0


def _fit(
    model: CharRNN,
    text: Corpus,
    validation: float | Corpus | None,
    arguments: argparse.Namespace,
) -> None:
    model.fit(
        text,
        epochs=arguments.epochs,
        steps=arguments.steps,
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
        clip_value=arguments.clip_value,
        unknown=arguments.unknown,
        grow_vocabulary=bool(arguments.grow_vocabulary),
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


def _measure(
    what: str, model: CharRNN, text: Corpus, arguments: argparse.Namespace
) -> dict[str, float]:
    say(f"measuring  the {what} model on {len(text):,} held-out characters")
    return model.evaluate(text, unknown=arguments.unknown, num_threads=arguments.threads)


# What is said


def _say_what_is_there(
    model: CharRNN, text: Corpus, held_out: Corpus, validation: float | Corpus | None, new: str
) -> None:
    said = f"the last {len(held_out):,} are held out"
    if isinstance(validation, Corpus):
        said = f"{name_text(held_out)}, {len(held_out):,} characters, is held out"
    characters = text.characters()
    say(
        f"text       {name_text(text)}: {len(text):,} characters, {len(characters):,} distinct; "
        f"{said}"
    )
    if model.vocabulary and model.vocabulary != characters:
        known = f"{len(model.vocabulary):,} characters"
        say(f"vocabulary {known}; unknown {describe_policy(model.unknown)}")
    say(f"model      {describe(model)}{new}")


def _length(arguments: argparse.Namespace) -> str:
    lengths = [] if arguments.minutes is None else [f"{60 * arguments.minutes:,.3g} s"]
    if arguments.steps is not None:
        lengths.append(f"{arguments.steps:,} step{'s' * (arguments.steps > 1)}")
    elif arguments.epochs is not None or not lengths:
        epochs = arguments.epochs or 1
        lengths.append(f"{epochs:,} passes" if epochs > 1 else "1 pass")
    ends = ", whichever ends first" if len(lengths) > 1 else ""
    return " or ".join(lengths) + ends


def _best(model: CharRNN) -> str:
    """Say which step's weights were kept, if held-out text was evaluated."""
    best = model.best
    if best is None:
        return ""
    return f"; kept: step {best['step']:,}, validation {best['validation_loss']:.4f}"


def _interrupted(model: CharRNN, arguments: argparse.Namespace, status: int, before_it: int) -> int:
    if not _made(model, before_it):
        which = "another" if before_it else "the first"
        complain(f"interrupted before {which} training step, nothing saved")
        return status
    steps = model.history[-1]["step"]
    complain(
        f"interrupted after {steps:,} training step{'s' * (steps != 1)}; "
        f"the model as it is was saved to {arguments.out}"
        + (f"; --resume {arguments.checkpoint} goes on" if arguments.checkpoint else "")
    )
    return status


def _show_what_next(model: CharRNN, prompt: str, path: str) -> None:
    sample = model.generate(prompt, SAMPLE_LENGTH, SAMPLE_TEMPERATURE, seed=model.seed)
    say("sample     " + str(sample).replace("\n", "\n           "))
    say(f"saved      {path}")
    say(f"next       fastrnn generate {shlex.quote(path)} --prompt={shlex.quote(prompt)}")


def _first_word(text: Corpus) -> str:
    """Return a prompt that every model of ``text`` can read, at most 20 characters."""
    words = text[:1000].text().split(maxsplit=1)
    return words[0][:20] if words else ""
