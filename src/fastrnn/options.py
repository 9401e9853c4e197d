"""The options of the command ``fastrnn``, and their help."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable

import numpy as np

from fastrnn import _check, _ops
from fastrnn._threads import processors
from fastrnn._version import __version__
from fastrnn.bench import PEERS
from fastrnn.bench.rows import Row, select
from fastrnn.cells import CELLS
from fastrnn.optim import OPTIMIZERS
from fastrnn.schedules import SCHEDULES
from fastrnn.text import CharRNN

Commands = argparse._SubParsersAction  # argparse has no public name for it

DEFAULT_MODEL = "fastrnn-model.safetensors"

EXAMPLES = f"""\
examples:
  fastrnn train                               learn English from Python's own help
  fastrnn train shakespeare.txt --minutes 5   learn from a text file
  cat *.txt | fastrnn train - --out m.safetensors
  fastrnn generate {DEFAULT_MODEL} --prompt "The " --temperature 0.7
  fastrnn evaluate {DEFAULT_MODEL} other.txt
  fastrnn info {DEFAULT_MODEL}
  fastrnn bench --quick                       measure fastrnn beside other libraries

'fastrnn COMMAND --help' lists the options of a command.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser, which leaves a command's name and its own parser in the result."""
    top = argparse.ArgumentParser(
        prog="fastrnn",
        description="Train and run recurrent networks on the CPU.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"fastrnn {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_generate(commands)
    _add_evaluate(commands)
    _add_info(commands)
    _add_bench(commands)
    return top


def _add_train(commands: Commands) -> None:
    parser = _command(
        commands,
        "train",
        "learn to write like a text",
        "Learn to write like a text, character by character, and save the model. The last 10 % "
        "of the text is held out to measure what was learned. Ctrl-C saves the model as it is. "
        "Options of the model and of the training that are not given are chosen to suit the "
        "length of the text and the time.",
        "examples:\n"
        "  fastrnn train shakespeare.txt --minutes 5 --out shakespeare.safetensors\n"
        "  fastrnn train shakespeare.txt --validation 0.1 --patience 5 --history loss.csv\n"
        "  fastrnn train shakespeare.txt --epochs 50 --resume run.safetensors\n"
        "  fastrnn train sonnets.txt --from shakespeare.safetensors",
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="text in UTF-8, '-' for standard input; default: Python's help on its language",
    )
    option = parser.add_argument
    option(
        "-o",
        "--out",
        type=_output,
        metavar="MODEL",
        default=DEFAULT_MODEL,
        help="file to save the model to; an earlier model there is replaced",
    )
    option("--force", action="store_true", help="overwrite MODEL even if it is no fastrnn model")
    option("--quiet", action="store_true", help="show no progress bar")
    option("--threads", type=_whole(), metavar="N", help="threads to use")
    model = parser.add_argument_group("model")
    model.add_argument("--cell", choices=tuple(CELLS), help="recurrent cell")
    model.add_argument("--hidden-size", type=_whole(), metavar="N", help="number of hidden units")
    model.add_argument(
        "--nonlinearity", choices=tuple(_ops.NONLINEARITIES), help="activation function"
    )
    model.add_argument(
        "--seed",
        type=_whole(0, _check.MAX_SEED),
        metavar="N",
        help="seed of weights and sample (default: 0)",
    )
    model.add_argument(
        "--from",
        dest="base",
        metavar="MODEL",
        help="go on from this model's weights instead of new ones",
    )
    model.add_argument(
        "--keep-vocabulary",
        action="store_true",
        help="with --from, refuse characters that MODEL does not know instead of learning them too",
    )
    training = parser.add_argument_group("training")
    training.add_argument(
        "--minutes",
        type=_real(above=0),
        metavar="X",
        help="how long to train (default: 1, unless --epochs is given)",
    )
    training.add_argument("--epochs", type=_whole(), metavar="N", help="passes over the text")
    training.add_argument("--batch-size", type=_whole(), metavar="N", help="streams side by side")
    training.add_argument(
        "--seq-len", type=_whole(), metavar="N", help="characters that a gradient reaches back"
    )
    training.add_argument("--optimizer", choices=tuple(OPTIMIZERS), help="rule of the updates")
    training.add_argument("--lr", type=_real(above=0), metavar="X", help="learning rate")
    training.add_argument("--schedule", choices=SCHEDULES, help="course of the learning rate")
    training.add_argument(
        "--warmup",
        type=_real(0, below=1),
        metavar="X",
        help="share of the training in which the learning rate rises",
    )
    training.add_argument(
        "--lr-decay",
        type=_real(above=0, below=1),
        metavar="X",
        help="with --schedule step_decay, what the learning rate is multiplied by (default: 0.1)",
    )
    training.add_argument(
        "--lr-decay-every",
        type=_real(above=0, below=1),
        metavar="X",
        help="with --schedule step_decay, the share of the training after which it is, again and "
        "again (default: 1/3)",
    )
    training.add_argument(
        "--dropout",
        type=_real(0, below=1),
        metavar="X",
        help="share of the hidden states that is left out at each step",
    )
    training.add_argument(
        "--weight-decay", type=_real(0), metavar="X", help="how fast weights shrink"
    )
    training.add_argument(
        "--clip",
        type=_real(0),
        dest="clip_norm",
        metavar="X",
        help="largest norm of the gradient; 0: no limit",
    )
    _add_validation(parser)
    _add_files(parser)


def _add_validation(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group("validation").add_argument
    option(
        "--validation",
        metavar="FILE|X",
        help="evaluate a text of its own, or this share at the end of the text, every so often, "
        "and keep the weights that predict it best; it is then what is held out",
    )
    option(
        "--evaluate-every",
        type=_whole(),
        metavar="N",
        help="training steps between evaluations (default: a pass over the text, 50 to 1000)",
    )
    option(
        "--patience",
        type=_whole(),
        metavar="N",
        help="stop after so many evaluations in a row without a new lowest loss",
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group("files on the way").add_argument
    option(
        "--checkpoint",
        type=_file(),
        metavar="FILE",
        help="write all that --resume needs to this file, every so often and at the end",
    )
    option(
        "--checkpoint-every", type=_whole(), metavar="N", help="training steps between checkpoints"
    )
    option(
        "--checkpoint-minutes",
        type=_real(0),
        metavar="X",
        help="minutes between checkpoints (default: 1, unless --checkpoint-every is given)",
    )
    option(
        "--resume",
        type=_file(),
        metavar="FILE",
        help="the same as --checkpoint FILE, but go on from it if there is one; options that are "
        "not given are then as they were",
    )
    option(
        "--history",
        type=_file(),
        dest="history_file",
        metavar="FILE",
        help="write the losses and the learning rate of every step as CSV",
    )
    option(
        "--tensorboard",
        metavar="FOLDER",
        help="write them for TensorBoard; needs the extra fastrnn[tensorboard]",
    )


def _add_generate(commands: Commands) -> None:
    parser = _command(
        commands,
        "generate",
        "write text with a model",
        "Print the prompt and what the model writes after it.",
        f'example:\n  fastrnn generate {DEFAULT_MODEL} --prompt "The " --temperature 0.7',
    )
    option = parser.add_argument
    option("model", metavar="MODEL", help="file that 'fastrnn train' saved")
    option("--prompt", type=_text, default="", metavar="TEXT", help="text to continue")
    option("--length", type=_whole(), metavar="N", help="characters to write")
    option(
        "--temperature",
        type=_real(0),
        metavar="X",
        help="below 1 more cautious, above 1 more daring, 0 always the likeliest character",
    )
    option("--top-k", type=_whole(), metavar="N", help="draw from the N likeliest characters")
    option(
        "--top-p",
        type=_real(maximum=1, above=0),
        metavar="X",
        help="draw from the fewest likeliest characters whose probabilities sum to X",
    )
    option("--seed", type=_whole(0, _check.MAX_SEED), metavar="N", help="seed of the draws")
    option("--num-samples", type=_whole(), metavar="N", help="number of texts")
    _add_weights(parser)
    _add_unknown(parser)
    _take_defaults(parser, CharRNN.generate, "length", "temperature", "seed", "num_samples")


def _add_evaluate(commands: Commands) -> None:
    parser = _command(
        commands,
        "evaluate",
        "measure how well a model predicts a text",
        "Print the mean loss of a model over a text, in nats and in bits per character.",
        f"example:\n  fastrnn evaluate {DEFAULT_MODEL} other.txt",
    )
    parser.add_argument("model", metavar="MODEL", help="file that 'fastrnn train' saved")
    parser.add_argument("file", metavar="FILE", help="text in UTF-8, '-' for standard input")
    parser.add_argument("--threads", type=_whole(), metavar="N", help="threads to use")
    _add_weights(parser)
    _add_unknown(parser)


def _add_info(commands: Commands) -> None:
    parser = _command(
        commands,
        "info",
        "describe this installation, or a model",
        "Describe this installation (version, kernels, threads), or what a model file holds.",
        f"example:\n  fastrnn info {DEFAULT_MODEL}",
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a model file")


def _add_bench(commands: Commands) -> None:
    parser = _command(
        commands,
        "bench",
        "measure fastrnn beside other libraries",
        "Measure fastrnn, other libraries that are installed, and the machine's limit, all in one "
        "run, and print a table. Each result is compared with the NumPy reference before it is "
        "timed. The whole grid takes some ten minutes.",
        "example:\n  fastrnn bench --rows '^train LSTM' --peers torch,jax --threads 2 --plot a.png",
    )
    option = parser.add_argument
    option("--quick", action="store_true", help="few rows, few repeats: under a minute")
    option(
        "--rows",
        type=_rows,
        metavar="REGEX",
        help="only rows whose name has a match, such as 'train LSTM B32 T50 H128'",
    )
    option(
        "--peers",
        type=_peers,
        default=",".join(PEERS),
        metavar="LIST",
        help="other libraries, separated by commas; '' for none",
    )
    option(
        "--threads",
        type=_whole(1, processors()),
        default=1,
        metavar="N",
        help="threads of every library",
    )
    option("--json", type=_file(), metavar="FILE", help="write every measurement as JSON")
    option("--markdown", type=_file(), metavar="FILE", help="write what is printed")
    option("--plot", type=_file(".png", ".svg"), metavar="FILE", help="draw it: .png or .svg")


def _command(
    commands: Commands,
    name: str,
    summary: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog, formatter_class=_HelpFormatter
    )
    parser.set_defaults(command=name, parser=parser)
    return parser


def _whole(minimum: int = 1, maximum: int = _check.MAX_SIZE) -> Callable[[str], int]:
    """Return what reads an option's value as a whole number of this range."""

    def read(text: str) -> int:
        return _check.integer("it", int(text), minimum, maximum)

    return _option_type(read, "a whole number")


def _real(minimum: float = -np.inf, maximum: float = np.inf, **bounds: float) -> Callable:
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


def _text(argument: str) -> str:
    """Refuse the lone surrogates that stand for bytes which Python could not decode."""
    if any("\ud800" <= character <= "\udfff" for character in argument):
        raise argparse.ArgumentTypeError(f"{argument!r} is not valid text in this locale")
    return argument


def _rows(argument: str) -> list[Row]:
    try:
        rows = select(argument)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"it must be a regular expression, got {argument!r}: {error}"
        ) from None
    if not rows:
        raise argparse.ArgumentTypeError(f"no row has a match of {argument!r}")
    return rows


def _peers(argument: str) -> list[str]:
    names = [name.strip() for name in argument.split(",") if name.strip()]
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"they must be among {', '.join(PEERS)}, got {', '.join(map(repr, unknown))}"
        )
    return list(dict.fromkeys(names))


def _file(*endings: str) -> Callable[[str], str]:
    """Return what reads an option's value as the name of a file with one of these endings."""

    def read(argument: str) -> str:
        if argument in ("", "-") or not argument.lower().endswith(endings or ""):
            expected = f"a file that ends in {' or '.join(endings)}" if endings else "a file"
            raise argparse.ArgumentTypeError(f"it must be the name of {expected}, got {argument!r}")
        return argument

    return read


def _output(argument: str) -> str:
    if argument in ("", "-"):
        raise argparse.ArgumentTypeError(
            f"a model is saved to a file, whose name was expected, got {argument!r}"
        )
    return argument


def _take_defaults(
    parser: argparse.ArgumentParser, function: Callable[..., object], *names: str
) -> None:
    """Give the options of these names the defaults that ``function`` has."""
    parameters = inspect.signature(function).parameters
    parser.set_defaults(**{name: parameters[name].default for name in names})


def _add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        choices=tuple(_ops.WEIGHTS),
        help="how to store the weights of a float32 model: fewer bits are faster in large models",
    )


def _add_unknown(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--unknown",
        type=_text,
        default="error",
        metavar="CHAR",
        help="a character the model knows, to stand in for each one that it does not",
    )


def with_names(line: str, parser: argparse.ArgumentParser) -> str:
    """Put options for the arguments of Python calls, such as ``--top-k 0`` for ``top_k=0``."""
    for action in parser._actions:
        if not action.option_strings:
            continue
        option, name = action.option_strings[-1], action.dest
        name = "num_threads" if name == "threads" else name
        line = re.sub(rf"(?<![\w/.'-]){name}=(?=\S)", f"{option} ", line)
        follows = r"(?![\w/.'])" if "_" in name else r"(?= must | would | needs |=)"
        line = re.sub(rf"(?<![\w/.'-]){name}{follows}=?", option, line)
    return line


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
