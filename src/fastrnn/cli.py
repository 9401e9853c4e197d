"""The command ``fastrnn``: train, use and inspect character models from a shell."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import io
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

import fastrnn
from fastrnn import _ops, checkpoint
from fastrnn.cells import CELLS
from fastrnn.corpus import python_help, read_text
from fastrnn.errors import NonFiniteLossError
from fastrnn.optim import OPTIMIZERS
from fastrnn.text import CharRNN, load
from fastrnn.updates import SCHEDULES

Commands = argparse._SubParsersAction  # argparse has no public name for it

# Passes over the text by default: on the default text and two cores, under a minute.
EPOCHS = 20
DEFAULT_MODEL = "fastrnn-model.safetensors"

HELD_OUT = 0.1
SAMPLE_LENGTH = 400
SAMPLE_TEMPERATURE = 0.7

EXIT_OK, EXIT_ERROR, EXIT_INTERRUPTED = 0, 1, 130

EXAMPLES = f"""\
examples:
  fastrnn train                               learn English from Python's own help
  fastrnn train shakespeare.txt --epochs 20   learn from a text file
  cat *.txt | fastrnn train - --out m.safetensors
  fastrnn generate {DEFAULT_MODEL} --prompt "The " --temperature 0.7
  fastrnn evaluate {DEFAULT_MODEL} other.txt
  fastrnn info {DEFAULT_MODEL}

'fastrnn COMMAND --help' lists the options of a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done. 1: the request cannot be met, said in one line on standard error. 2: the command
    line itself is wrong. 130: interrupted by Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # show what a terminal cannot, do not fail
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("fastrnn: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has had enough
        with contextlib.suppress(io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except (OSError, ValueError, MemoryError, NonFiniteLossError) as error:
        print(f"fastrnn: error: {_one_line(error)}", file=sys.stderr)
        return EXIT_ERROR


def train(arguments: argparse.Namespace) -> int:
    """``fastrnn train``: fit a model to a text, measure it, save it and show what it writes."""
    _check_output(arguments.out, arguments.force)
    text = python_help() if arguments.file is None else read_text(arguments.file)
    learned, held_out = _split(text, arguments.seq_len)
    model = CharRNN(
        arguments.cell,
        arguments.hidden_size,
        nonlinearity=arguments.nonlinearity,
        seed=arguments.seed,
        vocabulary=text,
    )
    source = "Python's help (pydoc_data.topics)" if arguments.file is None else arguments.file
    _say(
        f"text       {source}: {len(text):,} characters, {len(model.vocabulary):,} distinct; "
        f"the last {len(held_out):,} are held out"
    )
    _say(f"model      {_summary(model)}")
    before = model.evaluate(held_out, num_threads=arguments.threads)
    _say("training   Ctrl-C stops and saves")
    started = time.perf_counter()
    try:
        model.fit(
            learned,
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            seq_len=arguments.seq_len,
            optimizer=arguments.optimizer,
            lr=arguments.lr,
            schedule=arguments.schedule,
            clip_norm=arguments.clip_norm or None,
            progress=not arguments.quiet,
            num_threads=arguments.threads,
        )
    except KeyboardInterrupt:
        return _interrupted(model, arguments.out)
    seconds = time.perf_counter() - started
    model.save(arguments.out)
    after = model.evaluate(held_out, num_threads=arguments.threads)
    _say(f"           {seconds:.1f} s, {model.history[-1]['chars'] / seconds:,.0f} characters/s")
    _say(f"held out   {_scores(before)} before training")
    _say(f"           {_scores(after)} after")
    _show_what_next(model, _first_word(learned), arguments.out)
    return EXIT_OK


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
    scores = model.evaluate(text, unknown=arguments.unknown, num_threads=arguments.threads)
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
    return EXIT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastrnn",
        description="Train and run recurrent networks on the CPU.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastrnn {fastrnn.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_generate(commands)
    _add_evaluate(commands)
    _add_info(commands)
    return parser


def _add_train(commands: Commands) -> None:
    parser = _command(
        commands,
        "train",
        train,
        "learn to write like a text",
        "Learn to write like a text, character by character, and save the model. The last 10 % "
        "of the text is held out to measure what was learned. Ctrl-C saves the model as it is.",
        "example:\n  fastrnn train shakespeare.txt --epochs 20 --out shakespeare.safetensors",
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="text in UTF-8, '-' for standard input; default: Python's help on its language",
    )
    option = parser.add_argument
    option("--out", metavar="MODEL", default=DEFAULT_MODEL, help="file to save the model to")
    option("--force", action="store_true", help="overwrite MODEL even if it is no fastrnn model")
    option("--quiet", action="store_true", help="show no progress bar")
    option("--threads", type=int, metavar="N", help="threads to use")
    model = parser.add_argument_group("model")
    model.add_argument("--cell", choices=tuple(CELLS), help="recurrent cell")
    model.add_argument("--hidden-size", type=int, metavar="N", help="number of hidden units")
    model.add_argument(
        "--nonlinearity", choices=tuple(_ops.NONLINEARITIES), help="activation function"
    )
    model.add_argument("--seed", type=int, metavar="N", help="seed of weights and sample")
    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs", type=int, default=EPOCHS, metavar="N", help="passes over the text"
    )
    training.add_argument("--batch-size", type=int, metavar="N", help="streams side by side")
    training.add_argument(
        "--seq-len", type=int, metavar="N", help="characters that a gradient reaches back"
    )
    training.add_argument("--optimizer", choices=tuple(OPTIMIZERS), help="rule of the updates")
    training.add_argument("--lr", type=float, metavar="X", help="learning rate")
    training.add_argument("--schedule", choices=SCHEDULES, help="course of the learning rate")
    training.add_argument(
        "--clip",
        type=float,
        dest="clip_norm",
        metavar="X",
        help="largest norm of the gradient; 0: no limit",
    )
    _take_defaults(parser, CharRNN.__init__, "cell", "hidden_size", "nonlinearity", "seed")
    _take_defaults(
        parser, CharRNN.fit, "batch_size", "seq_len", "optimizer", "lr", "schedule", "clip_norm"
    )


def _add_generate(commands: Commands) -> None:
    parser = _command(
        commands,
        "generate",
        generate,
        "write text with a model",
        "Print the prompt and what the model writes after it.",
        f'example:\n  fastrnn generate {DEFAULT_MODEL} --prompt "The " --temperature 0.7',
    )
    option = parser.add_argument
    option("model", metavar="MODEL", help="file that 'fastrnn train' saved")
    option("--prompt", default="", metavar="TEXT", help="text to continue")
    option("--length", type=int, metavar="N", help="characters to write")
    option(
        "--temperature",
        type=float,
        metavar="X",
        help="below 1 more cautious, above 1 more daring, 0 always the likeliest character",
    )
    option("--top-k", type=int, metavar="N", help="draw from the N likeliest characters")
    option(
        "--top-p",
        type=float,
        metavar="X",
        help="draw from the fewest likeliest characters whose probabilities sum to X",
    )
    option("--seed", type=int, metavar="N", help="seed of the draws")
    option("--num-samples", type=int, metavar="N", help="number of texts")
    _add_unknown(parser)
    _take_defaults(parser, CharRNN.generate, "length", "temperature", "seed", "num_samples")


def _add_evaluate(commands: Commands) -> None:
    parser = _command(
        commands,
        "evaluate",
        evaluate,
        "measure how well a model predicts a text",
        "Print the mean loss of a model over a text, in nats and in bits per character.",
        f"example:\n  fastrnn evaluate {DEFAULT_MODEL} other.txt",
    )
    parser.add_argument("model", metavar="MODEL", help="file that 'fastrnn train' saved")
    parser.add_argument("file", metavar="FILE", help="text in UTF-8, '-' for standard input")
    parser.add_argument("--threads", type=int, metavar="N", help="threads to use")
    _add_unknown(parser)


def _add_info(commands: Commands) -> None:
    parser = _command(
        commands,
        "info",
        info,
        "describe this installation, or a model",
        "Describe this installation (version, kernels, threads), or what a model file holds.",
        f"example:\n  fastrnn info {DEFAULT_MODEL}",
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a model file")


def _command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog, formatter_class=_HelpFormatter
    )
    parser.set_defaults(run=run)
    return parser


def _take_defaults(
    parser: argparse.ArgumentParser, function: Callable[..., object], *names: str
) -> None:
    """Give the options of these names the defaults that ``function`` has."""
    parameters = inspect.signature(function).parameters
    parser.set_defaults(**{name: parameters[name].default for name in names})


def _add_unknown(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--unknown",
        default="error",
        metavar="CHAR",
        help="a character the model knows, to stand in for each one that it does not",
    )


def _check_output(path: str, force: bool) -> None:
    """Refuse, before any work is done, a file that could not or should not be written."""
    checkpoint.check_writable(path)
    if os.path.exists(path) and not force and not checkpoint.is_model(path):
        raise ValueError(
            f"{path!r} exists and is not a fastrnn model; choose another file with --out, "
            f"or --force to overwrite it"
        )


def _split(text: str, seq_len: int) -> tuple[str, str]:
    """Return the beginning of ``text``, to learn from, and the held-out rest."""
    cut = len(text) - max(2, int(HELD_OUT * len(text)))
    if cut <= seq_len:
        raise ValueError(
            f"the text has {len(text):,} characters, of which {max(cut, 0):,} are left to learn "
            f"from; --seq-len {seq_len} needs at least {seq_len + 1:,}"
        )
    return text[:cut], text[cut:]


def _interrupted(model: CharRNN, path: str) -> int:
    if not model.history:
        print("fastrnn: interrupted before the first training step, nothing saved", file=sys.stderr)
        return EXIT_INTERRUPTED
    model.save(path)
    print(
        f"fastrnn: interrupted after {model.history[-1]['step']:,} training steps; "
        f"the model as it is was saved to {path}",
        file=sys.stderr,
    )
    return EXIT_INTERRUPTED


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


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename!r}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _say(line: str) -> None:
    print(line, flush=True)


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
