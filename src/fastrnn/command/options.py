"""The options of the command ``fastrnn``, and their help."""

from __future__ import annotations

import argparse
import re

from fastrnn import _check, _ops
from fastrnn._threads import processors
from fastrnn._version import __version__
from fastrnn.bench import PEERS
from fastrnn.cells import CELLS
from fastrnn.command import option_values as values
from fastrnn.command.forecasting import options as forecast_options
from fastrnn.corpus.vocabulary import SYMBOLS
from fastrnn.optim import OPTIMIZERS
from fastrnn.text import CharRNN
from fastrnn.training.schedules import SCHEDULES

_FILES = (
    "text in UTF-8, which may be compressed with gzip; a pattern in quotes, for all files that "
    "match; '-' for standard input"
)

DEFAULT_MODEL = "fastrnn-model.safetensors"

# What `fastrnn generate` gives to whatever writes the text, and what it gives to drawing alone.
WRITING = ("prompt", "length", "stop", "unknown", "weights")
DRAWING = (
    "repetition_penalty",
    "repetition_window",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "seed",
)

EXAMPLES = f"""\
examples:
  fastrnn train                               learn English from Python's own help
  fastrnn train shakespeare.txt --minutes 5   learn from a text file
  fastrnn train 'books/**/*.txt.gz' more.txt  learn from many, one after the other
  fetch | fastrnn train - --out m.safetensors
  fastrnn generate {DEFAULT_MODEL} --prompt "The " --temperature 0.7
  fastrnn evaluate {DEFAULT_MODEL} other.txt
  fastrnn info {DEFAULT_MODEL}
  fastrnn forecast sales.csv --column sold --steps 12 --season 12 --interval 0.9
  fastrnn bench --quick                       measure fastrnn beside other libraries
  fastrnn demo                                see in the browser how a network thinks

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
    forecast_options.add(commands)
    _add_bench(commands)
    _add_demo(commands)
    return top


def _add_train(commands: values.Commands) -> None:
    parser = values.command(
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
        "files",
        nargs="*",
        metavar="FILE",
        help=f"{_FILES}; default: Python's help on its language",
    )
    option = parser.add_argument
    option(
        "-o",
        "--out",
        type=values.output,
        metavar="MODEL",
        default=DEFAULT_MODEL,
        help="file to save the model to; an earlier model there is replaced",
    )
    # What only fit has, which a checkpoint may have been written with.
    parser.set_defaults(steps=None, clip_value=None, grow_vocabulary=None)
    option("--force", action="store_true", help="overwrite MODEL even if it is no fastrnn model")
    option("--quiet", action="store_true", help="show no progress bar")
    option("--threads", type=values.whole(), metavar="N", help="threads to use")
    model = parser.add_argument_group("model")
    model.add_argument("--cell", choices=tuple(CELLS), help="recurrent cell")
    model.add_argument(
        "--hidden-size", type=values.whole(), metavar="N", help="number of hidden units"
    )
    model.add_argument("--num-layers", type=values.whole(), metavar="N", help="number of layers")
    model.add_argument(
        "--embedding-size",
        type=values.whole(),
        metavar="N",
        help="size of the vectors as which characters enter (default: one-hot)",
    )
    model.add_argument(
        "--tied",
        action="store_true",
        default=None,
        help="have them be the rows of the read-out's weight",
    )
    model.add_argument(
        "--recurrent-dropout",
        type=values.real(0, below=1),
        metavar="X",
        help="share of the state that recurrent weights do not see in training",
    )
    model.add_argument(
        "--layer-norm",
        action="store_true",
        default=None,
        help="normalise what weights give in the cells",
    )
    model.add_argument(
        "--nonlinearity", choices=tuple(_ops.NONLINEARITIES), help="activation function"
    )
    model.add_argument(
        "--symbols",
        choices=SYMBOLS,
        help="what is read and written one at a time (default: chars)",
    )
    model.add_argument(
        "--min-count",
        type=values.whole(),
        default=1,
        metavar="N",
        help="characters that the text has less often are unknown to the model",
    )
    _add_unknown(
        model,
        "what becomes of such characters, in this text and later ones: 'error', 'skip' to leave "
        "them out, or a character that the model reads instead (default: error)",
    )
    model.add_argument(
        "--seed",
        type=values.whole(0, _check.MAX_SEED),
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
        type=values.real(above=0),
        metavar="X",
        help="how long to train (default: 1, unless --epochs is given)",
    )
    training.add_argument("--epochs", type=values.whole(), metavar="N", help="passes over the text")
    training.add_argument(
        "--batch-size", type=values.whole(), metavar="N", help="streams side by side"
    )
    training.add_argument(
        "--seq-len",
        type=values.whole(),
        metavar="N",
        help="characters that a gradient reaches back",
    )
    training.add_argument("--optimizer", choices=tuple(OPTIMIZERS), help="rule of the updates")
    training.add_argument("--lr", type=values.real(above=0), metavar="X", help="learning rate")
    training.add_argument("--schedule", choices=SCHEDULES, help="course of the learning rate")
    training.add_argument(
        "--warmup",
        type=values.real(0, below=1),
        metavar="X",
        help="share of the training in which the learning rate rises",
    )
    training.add_argument(
        "--lr-decay",
        type=values.real(above=0, below=1),
        metavar="X",
        help="with --schedule step_decay, what the learning rate is multiplied by (default: 0.1)",
    )
    training.add_argument(
        "--lr-decay-every",
        type=values.real(above=0, below=1),
        metavar="X",
        help="with --schedule step_decay, the share of the training after which it is, again and "
        "again (default: 1/3)",
    )
    training.add_argument(
        "--dropout",
        type=values.real(0, below=1),
        metavar="X",
        help="share of the hidden states that is left out at each step",
    )
    training.add_argument(
        "--weight-decay", type=values.real(0), metavar="X", help="how fast weights shrink"
    )
    training.add_argument(
        "--clip",
        type=values.real(0),
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
        type=values.held_out,
        metavar="FILE|X",
        help="evaluate a text of its own, or this share at the end of the text, every so often, "
        "and keep the weights that predict it best; it is then what is held out",
    )
    option(
        "--evaluate-every",
        type=values.whole(),
        metavar="N",
        help="training steps between evaluations (default: a pass over the text, 50 to 1000)",
    )
    option(
        "--patience",
        type=values.whole(),
        metavar="N",
        help="stop after so many evaluations in a row without a new lowest loss",
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument_group("files on the way").add_argument
    option(
        "--checkpoint",
        type=values.file(),
        metavar="FILE",
        help="write all that --resume needs to this file, every so often and at the end",
    )
    option(
        "--checkpoint-every",
        type=values.whole(),
        metavar="N",
        help="training steps between checkpoints",
    )
    option(
        "--checkpoint-minutes",
        type=values.real(0),
        metavar="X",
        help="minutes between checkpoints (default: 1, unless --checkpoint-every is given)",
    )
    option(
        "--resume",
        type=values.file(),
        metavar="FILE",
        help="the same as --checkpoint FILE, but go on from it if there is one; options that are "
        "not given are then as they were",
    )
    option(
        "--history",
        type=values.file(),
        dest="history_file",
        metavar="FILE",
        help="write the losses and the learning rate of every step as CSV",
    )
    option(
        "--tensorboard",
        metavar="FOLDER",
        help="write them for TensorBoard; needs the extra fastrnn[tensorboard]",
    )


def _add_generate(commands: values.Commands) -> None:
    parser = values.command(
        commands,
        "generate",
        "write text with a model",
        "Print the prompt and what the model writes after it, as it is written: characters drawn "
        "from what the model predicts, or with --beam-width the most probable text.",
        f'example:\n  fastrnn generate {DEFAULT_MODEL} --prompt "The " --temperature 0.7',
    )
    option = parser.add_argument
    option("model", metavar="MODEL", help="file that 'fastrnn train' saved")
    option("--prompt", type=values.text, default="", metavar="TEXT", help="text to continue")
    option("--length", type=values.whole(), metavar="N", help="characters to write, at most")
    option(
        "--stop",
        type=values.text,
        action="append",
        metavar="TEXT",
        help="end after this text, which is printed; may be given several times",
    )
    option("--num-samples", type=values.whole(), metavar="N", help="number of texts")
    option(
        "--beam-width",
        type=values.whole(),
        metavar="N",
        help="search for the most probable text, keeping the N best at each character",
    )
    _add_weights(parser)
    _add_unknown(parser)
    drawing = parser.add_argument_group(
        "drawing", "These apply to each character in the order in which they stand here."
    )
    drawing.add_argument(
        "--repetition-penalty",
        type=values.real(above=0),
        metavar="X",
        help="above 1 repeats fewer characters: divides the positive and multiplies the other "
        "logits of those that the text has",
    )
    drawing.add_argument(
        "--repetition-window",
        type=values.whole(),
        metavar="N",
        help="only the last N characters count for --repetition-penalty (default: all; 10 to 30 "
        "are better for long texts)",
    )
    drawing.add_argument(
        "--temperature",
        type=values.real(0),
        metavar="X",
        help="below 1 more cautious, above 1 more daring, 0 always the likeliest character",
    )
    drawing.add_argument(
        "--top-k", type=values.whole(), metavar="N", help="draw from the N likeliest characters"
    )
    drawing.add_argument(
        "--top-p",
        type=values.real(maximum=1, above=0),
        metavar="X",
        help="draw from the fewest likeliest characters whose probabilities sum to X",
    )
    drawing.add_argument(
        "--min-p",
        type=values.real(0, 1),
        metavar="X",
        help="draw from the characters at least X times as likely as the likeliest",
    )
    drawing.add_argument(
        "--seed", type=values.whole(0, _check.MAX_SEED), metavar="N", help="seed of the draws"
    )
    defaults = ("length", "temperature", "repetition_penalty", "seed", "num_samples")
    values.take_defaults(parser, CharRNN.generate, *defaults)


def _add_evaluate(commands: values.Commands) -> None:
    parser = values.command(
        commands,
        "evaluate",
        "measure how well a model predicts a text",
        "Print the mean loss of a model over a text, in nats and in bits per character (per byte "
        "where it is a model of bytes).",
        f"example:\n  fastrnn evaluate {DEFAULT_MODEL} other.txt",
    )
    parser.add_argument(
        "--per-char",
        action="store_true",
        help="print instead a line for each character that the model reads but the first, with "
        "tabs between its position from 0 among them, itself (escaped as in JSON; a byte as two "
        "hexadecimal digits) and the natural logarithm of the probability that the model gave it",
    )
    parser.add_argument("model", metavar="MODEL", help="file that 'fastrnn train' saved")
    parser.add_argument("files", nargs="+", metavar="FILE", help=_FILES)
    parser.add_argument("--threads", type=values.whole(), metavar="N", help="threads to use")
    _add_weights(parser)
    _add_unknown(parser)


def _add_info(commands: values.Commands) -> None:
    parser = values.command(
        commands,
        "info",
        "describe this installation, or a model",
        "Describe this installation (version, kernels, threads), or what a model file holds.",
        f"example:\n  fastrnn info {DEFAULT_MODEL}",
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a model file")


def _add_bench(commands: values.Commands) -> None:
    parser = values.command(
        commands,
        "bench",
        "measure fastrnn beside other libraries",
        "Measure fastrnn, other libraries that are installed, and the machine's limit, all in one "
        "run, and print a table. Each result is compared with the NumPy reference before it is "
        "timed. The whole grid takes some ten minutes.",
        "example:\n  fastrnn bench --rows '^train LSTM' --peers torch,jax --threads 2 --plot a.png",
    )
    option = parser.add_argument
    option(
        "--quick",
        action="store_true",
        help="few repeats, and few rows unless --rows says which: under a minute",
    )
    option(
        "--rows",
        type=values.rows,
        metavar="REGEX",
        help="only rows whose name has a match, such as 'train LSTM B32 T50 H128'",
    )
    option(
        "--peers",
        type=values.peers,
        default=",".join(PEERS),
        metavar="LIST",
        help="other libraries, separated by commas; '' for none",
    )
    option(
        "--threads",
        type=values.whole(1, processors()),
        default=1,
        metavar="N",
        help="threads of every library",
    )
    option("--json", type=values.file(), metavar="FILE", help="write every measurement as JSON")
    option("--markdown", type=values.file(), metavar="FILE", help="write what is printed")
    option("--plot", type=values.file(".png", ".svg"), metavar="FILE", help="draw it: .png or .svg")


def _add_demo(commands: values.Commands) -> None:
    parser = values.command(
        commands,
        "demo",
        "see in the browser how a network thinks",
        "Open a page in the browser on which every number of a network can be watched and turned. "
        "It is served on this machine and to this machine alone, and loads nothing from anywhere. "
        "Ctrl-C stops it. Needs the extra fastrnn[demo].",
        "example:\n  fastrnn demo --port 8000 --no-browser",
    )
    parser.add_argument(
        "--port",
        type=values.whole(0, 65535),
        default=None,
        metavar="N",
        help="port to serve it on (default: any that is free, as 0)",
    )
    parser.add_argument("--no-browser", action="store_true", help="only print its address")


def _add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        choices=tuple(_ops.WEIGHTS),
        help="how to store the weights of a float32 model of rnn, lstm or gru cells without layer "
        "normalisation: fewer bits are faster in large models",
    )


def _add_unknown(parser: argparse._ActionsContainer, what: str = "") -> None:
    parser.add_argument(
        "--unknown",
        type=values.policy,
        metavar="POLICY",
        help=what
        or "what becomes of characters that the model does not know, if not as it was "
        "trained: 'error', 'skip' to leave them out, or a character that it reads instead",
    )


def take_files_among_options(arguments: argparse.Namespace, extra: list[str]) -> None:
    """Add the files that came after an option, which argparse leaves over; refuse all else."""
    unknown = any(argument.startswith("-") and argument != "-" for argument in extra)
    if "files" in arguments and not unknown:
        arguments.files = [*arguments.files, *extra]
    elif extra:
        arguments.parser.error(f"unrecognized arguments: {' '.join(extra)}")


def with_names(line: str, parser: argparse.ArgumentParser) -> str:
    """Put options for the arguments of Python calls, such as ``--top-k 0`` for ``top_k=0``."""
    for action in parser._actions:
        if not action.option_strings:
            continue
        option, name = action.option_strings[-1], action.dest
        name = "num_threads" if name == "threads" else name
        line = line.replace(f"{name}=True,", f"{option} {action.metavar},")
        line = re.sub(rf"(?<![\w/.'-]){name}=(?=\S)", f"{option} ", line)
        follows = r"(?![\w/.'])" if "_" in name else r"(?= must | would |=)"
        line = re.sub(rf"(?<![\w/.'-]){name}{follows}=?", option, line)
        line = re.sub(rf"^{name}(?= needs )", option, line)
    return line
