"""The options of ``fastrnn forecast``, and their help."""

from __future__ import annotations

from fastrnn import _check
from fastrnn.cells import CELLS
from fastrnn.command import option_values as values
from fastrnn.sequence import Forecaster
from fastrnn.sequence.scaling import SCALINGS


def add(commands: values.Commands) -> None:
    """Add the command to those of ``fastrnn``."""
    parser = values.command(
        commands,
        "forecast",
        "continue columns of numbers in a CSV file",
        "Learn how columns of numbers go on, and print what comes next, with errors on rows that "
        "were held out beside those of naive forecasts: repeating the last value, and the last "
        "season. Rows are steps in time, the oldest first.",
        "example:\n"
        "  fastrnn forecast sales.csv --column sold --steps 12 --season 12 --interval 0.9",
    )
    parser.add_argument("file", metavar="CSV", help="table in UTF-8, '-' for standard input")
    option = parser.add_argument
    option(
        "--column",
        action="append",
        metavar="NAME",
        help="column to forecast, by name or number; several are learned together "
        "(default: the only one of numbers)",
    )
    option("--steps", type=values.whole(), default=12, metavar="N", help="rows to forecast")
    option(
        "--interval",
        type=values.real(above=0, below=1),
        dest="coverage",
        metavar="X",
        help="print bounds that hold what comes with this probability, such as 0.9",
    )
    option("--season", type=values.whole(), metavar="N", help="rows after which the series repeats")
    option(
        "--held-out",
        type=values.real(above=0, below=1),
        dest="calibration",
        default=0.2,
        metavar="X",
        help="share of the rows, at the end, to measure on and not to learn from",
    )
    option(
        "--date",
        metavar="NAME",
        help="column that labels the rows (default: the first of dates such as 2024-12-31)",
    )
    option(
        "--delimiter", type=values.delimiter, metavar="C", help="what separates fields, or 'tab'"
    )
    option("--no-header", action="store_true", help="the first row is data; columns have numbers")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print errors and forecast as JSON")
    shown.add_argument("--csv", action="store_true", help="print the forecast as CSV")
    option("--plot", type=values.file(".png", ".svg"), metavar="FILE", help="draw it: .png or .svg")
    option("--quiet", action="store_true", help="show no progress bar")
    option("--threads", type=values.whole(), metavar="N", help="threads to use")
    model = parser.add_argument_group("model")
    model.add_argument("--cell", choices=tuple(CELLS), default="gru", help="recurrent cell")
    model.add_argument(
        "--hidden-size", type=values.whole(), metavar="N", help="number of hidden units"
    )
    model.add_argument(
        "--window",
        type=values.whole(),
        metavar="N",
        help="rows to read (default: 24 or a season, fewer for a short series)",
    )
    model.add_argument(
        "--horizon",
        type=values.whole(),
        metavar="N",
        help="rows to predict at once, not one by one",
    )
    model.add_argument(
        "--scaling",
        choices=SCALINGS,
        help="'global' for a series that stays in its range, 'window' for one that leaves it",
    )
    model.add_argument("--seed", type=values.whole(0, _check.MAX_SEED), metavar="N", help="seed")
    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs",
        type=values.whole(),
        metavar="N",
        help="passes over the rows (default: 40, more for a short series)",
    )
    training.add_argument(
        "--batch-size", type=values.whole(), default=64, metavar="N", help="windows per update"
    )
    training.add_argument(
        "--lr", type=values.real(above=0), default=0.005, metavar="X", help="learning rate"
    )
    values.take_defaults(parser, Forecaster.__init__, "hidden_size", "horizon", "scaling", "seed")
