"""``fastrnn forecast``: what it prints of a CSV file, and what it refuses."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from fastrnn import Forecaster
from fastrnn.command import cli

RNG = np.random.default_rng(0)
MONTHS = [f"{2010 + i // 12}-{i % 12 + 1:02}" for i in range(120)]
SOLD = 50 + 20 * np.sin(np.arange(120) * np.pi / 6) + RNG.normal(0, 2, 120)
BOUGHT = 30 + 10 * np.cos(np.arange(120) * np.pi / 6) + RNG.normal(0, 1, 120)
FAST = ["--epochs", "3", "--hidden-size", "4", "--quiet"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def sales() -> str:
    rows = zip(MONTHS, SOLD.tolist(), BOUGHT.tolist(), strict=True)
    write("sales.csv", [["month", "sold", "bought"], *rows])
    return "sales.csv"


def write(name: str, rows: list) -> None:
    with open(name, "w", newline="") as file:
        csv.writer(file).writerows(rows)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    status = cli.main(["forecast", *arguments])
    return (status, *capsys.readouterr())


def refused(capsys, *arguments: str) -> str:
    status, output, errors = run(capsys, *arguments)
    assert (status, output) == (1, "")
    assert errors.startswith("fastrnn: error: ")
    assert errors.count("\n") == 1
    return errors


def test_it_prints_errors_beside_naive_ones_and_the_rows_to_come(capsys, sales) -> None:
    status, output, errors = run(
        capsys, sales, "--column", "sold", "--steps", "14", "--season", "12", "--quiet"
    )
    assert (status, errors) == (0, "")
    assert "120 rows of sold, 2010-01 to 2019-12" in output
    assert "the last 24 rows, forecast 1 to 14 steps ahead" in output
    maes = {
        name: float(re.search(rf"^{name} +([\d.]+)", output, re.MULTILINE)[1])
        for name in ("fastrnn", "naive", "seasonal naive")
    }
    assert maes["fastrnn"] < 0.5 * maes["naive"]
    rows = output.split("\n\n")[2].splitlines()
    assert rows[0].split() == ["month", "sold"]
    assert [row.split()[0] for row in rows[1:]] == [f"2020-{m:02}" for m in range(1, 13)] + [
        "2021-01",
        "2021-02",
    ]
    truth = 50 + 20 * np.sin(np.arange(120, 134) * np.pi / 6)
    assert np.abs([float(row.split()[1]) for row in rows[1:]] - truth).mean() < 6
    assert len({len(row) for row in rows}) == 1


def test_what_is_printed_is_what_the_forecaster_says(capsys, sales) -> None:
    options = ["--cell", "lstm", "--hidden-size", "5", "--window", "7", "--horizon", "2"]
    options += ["--scaling", "window", "--seed", "3", "--epochs", "2", "--batch-size", "9"]
    options += ["--lr", "0.02", "--held-out", "0.25", "--threads", "1", "--interval", "0.8"]
    _, output, _ = run(
        capsys, sales, "--column", "sold", "--steps", "3", "--season", "9", "--json", *options
    )
    expected = Forecaster(7, cell="lstm", hidden_size=5, horizon=2, scaling="window", seed=3)
    expected.fit(SOLD, calibration=0.25, epochs=2, batch_size=9, lr=0.02, schedule="cosine")
    document = json.loads(output)
    interval = expected.forecast_interval(3, 0.8)
    for step, row in enumerate(document["forecast"]):
        values = row["values"]["sold"]
        assert values["forecast"] == interval.forecast[step]
        assert values["lower"] == interval.lower[step]
        assert values["upper"] == interval.upper[step]
    scores = expected.evaluate(SOLD[90 - 9 :], steps=3, season=9)
    assert document["errors"]["sold"] == scores
    assert document["held_out"] == 30
    assert document["model"]["window"] == 7


def test_several_columns_are_learned_together(capsys, sales) -> None:
    arguments = (sales, "--column", "sold", "--column", "3", "--steps", "2", *FAST)
    _, output, _ = run(capsys, *arguments, "--json")
    document = json.loads(output)
    expected = Forecaster(24, cell="gru", hidden_size=4, variables=2)
    table = np.column_stack([SOLD, BOUGHT])
    expected.fit(table, calibration=0.2, epochs=3, batch_size=64, lr=0.005, schedule="cosine")
    forecast = expected.forecast(2)
    for place, name in enumerate(("sold", "bought")):
        shown = [row["values"][name]["forecast"] for row in document["forecast"]]
        assert shown == forecast[:, place].tolist()
    _, output, _ = run(capsys, *arguments)
    assert len(re.findall(r"^fastrnn ", output, re.MULTILINE)) == 2
    assert output.split("\n\n")[2].splitlines()[0].split() == ["month", "sold", "bought"]


def test_csv_goes_on_where_the_file_ends(capsys, sales) -> None:
    arguments = (sales, "--column", "sold", "--steps", "3", "--interval", "0.5", *FAST)
    _, output, _ = run(capsys, *arguments, "--csv")
    rows = list(csv.reader(io.StringIO(output)))
    assert rows[0] == ["month", "sold", "sold lower", "sold upper"]
    assert [row[0] for row in rows[1:]] == ["2020-01", "2020-02", "2020-03"]
    _, output, _ = run(capsys, *arguments, "--json")
    values = [row["values"]["sold"] for row in json.loads(output)["forecast"]]
    assert [[float(x) for x in row[1:]] for row in rows[1:]] == [
        [one["forecast"], one["lower"], one["upper"]] for one in values
    ]


def test_a_single_column_of_numbers_needs_no_name(capsys) -> None:
    write("one.csv", [["day", "x"], *([f"d{i}", i % 5] for i in range(60))])
    _, output, _ = run(capsys, "one.csv", "--steps", "2", *FAST)
    assert "60 rows of x\n" in output
    assert [row.split()[0] for row in output.split("\n\n")[2].splitlines()] == ["step", "+1", "+2"]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("", "a number is missing (nothing is there)"),
        ("NA", "a number is missing ('NA' is there)"),
        ("2,5", "'2,5' has a decimal comma"),
        ("1 234", "'1 234' has its digits in groups"),
        ("$5", "'$5' is not a number"),
        ("closed", "'closed' is not a number"),
    ],
)
def test_an_index_is_not_forecast_in_place_of_a_column_with_a_flaw(capsys, field, message) -> None:
    write("flaw.csv", [["id", "sold"], *([i, field if i == 7 else i % 5] for i in range(60))])
    errors = refused(capsys, "flaw.csv", *FAST)
    assert f"'flaw.csv', line 9, column 'sold': {message}" in errors
    assert "name one with --column, of 'id', 'sold'" in errors
    assert run(capsys, "flaw.csv", "--column", "id", *FAST)[0] == 0


@pytest.mark.parametrize("style", ["{:.1f}", "{:.1f} %", "{:,}", "${:.2f}"])
def test_a_column_of_numbers_in_another_style_is_still_one_of_numbers(capsys, style) -> None:
    fields = [style.format(1000.5 + i % 5).replace(".", ",") for i in range(60)]
    Path("style.csv").write_text("id;sold\n" + "".join(f"{i};{x}\n" for i, x in enumerate(fields)))
    assert "line 2, column 'sold': '" in refused(capsys, "style.csv", *FAST)


def test_a_column_of_words_with_some_numbers_is_none_of_numbers(capsys) -> None:
    write("words.csv", [["note", "x"], *([i if i < 20 else "w", i % 5] for i in range(60))])
    assert "60 rows of x\n" in run(capsys, "words.csv", *FAST)[1]


def test_the_only_column_of_numbers_is_chosen_with_its_flaw_and_refused_for_it(capsys) -> None:
    write("only.csv", [["note", "x"], *(["w", "" if i == 3 else i % 5] for i in range(60))])
    assert "'only.csv', line 5, column 'x': a number is missing" in refused(capsys, "only.csv")


def test_an_empty_line_in_a_single_column_is_refused(capsys) -> None:
    Path("gap.csv").write_text("x\n" + "1\n2\n" * 20 + "\n" + "1\n2\n" * 20)
    message = "'gap.csv', line 42, column 'x': a number is missing"
    assert message in refused(capsys, "gap.csv", *FAST)


def test_a_column_can_be_named_to_label_the_rows(capsys) -> None:
    write("years.csv", [["year", "x"], *([1900 + i, i % 5] for i in range(60))])
    _, output, _ = run(capsys, "years.csv", "--date", "year", "--steps", "2", *FAST)
    assert "60 rows of x, 1900 to 1959" in output
    assert output.splitlines()[-1].startswith("1961")


def test_a_file_without_a_header_and_with_its_own_delimiter_is_read(capsys) -> None:
    Path("bare").write_text("".join(f"{i} {i % 5}\n" for i in range(60)))
    arguments = ("bare", "--no-header", "--delimiter", " ", "--column", "2", *FAST)
    assert run(capsys, *arguments)[0] == 0


def test_a_short_series_gets_a_short_window(capsys) -> None:
    write("short.csv", [["x"], *([i % 3] for i in range(15))])
    _, output, _ = run(capsys, "short.csv", "--steps", "2", *FAST)
    assert "window 4:" in output
    write("long.csv", [["x"], *([i % 3] for i in range(300))])
    _, output, _ = run(capsys, "long.csv", "--steps", "2", "--season", "36", *FAST)
    assert "window 36:" in output


def test_where_a_naive_forecast_is_better_it_says_so(capsys) -> None:
    walk = np.cumsum(np.random.default_rng(2).normal(0, 1, 100))
    write("walk.csv", [["x"], *([value] for value in walk)])
    _, output, _ = run(capsys, "walk.csv", "--steps", "1", "--epochs", "1", "--quiet")
    assert re.search(r"Of x the naive forecast was better \(MAE [\d.]+\)\.", output)
    write("wave.csv", [["x"], *([value] for value in np.sin(np.arange(300) / 4))])
    _, output, _ = run(capsys, "wave.csv", "--steps", "1", "--epochs", "60", "--quiet")
    assert "better" not in output


def test_a_constant_column_has_no_scaled_error(capsys) -> None:
    write("flat.csv", [["x"], *([7] for _ in range(50))])
    _, output, _ = run(capsys, "flat.csv", "--steps", "1", "--json", *FAST)
    assert json.loads(output)["errors"]["x"]["mase"] is None
    assert run(capsys, "flat.csv", "--steps", "1", *FAST)[0] == 0


def test_progress_is_shown_unless_quiet(capsys, sales) -> None:
    _, _, errors = run(capsys, sales, "--column", "sold", "--epochs", "10", "--hidden-size", "2")
    assert "10/10" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "'nowhere.csv': No such file"),
        (["sales.csv"], "several columns of numbers; name one with --column, of 'sold', 'bought'"),
        (["sales.csv", "--column", "price"], "'sales.csv' has no column 'price'; it has 'month',"),
        (["sales.csv", "--column", "month"], "line 2, column 'month': '2010-01' is not a number"),
        (["sales.csv", "--column", "sold", "--column", "2"], "'sold' is asked for twice"),
        (
            ["sales.csv", "--column", "sold", "--date", "sold"],
            "the column 'sold' cannot be forecast and label the rows",
        ),
        (
            ["sales.csv", "--column", "sold", "--window", "96"],
            "96 learned from; at least 97 to learn from",
        ),
        (["sales.csv", "--column", "sold", "--season", "99"], "at least 100 to learn from"),
        (["sales.csv", "--column", "sold", "--held-out", "0.001"], "0 are held out"),
        (
            ["sales.csv", "--column", "sold", "--steps", "7", "--interval", "0.9"],
            "--interval 0.9 of 7 steps needs at least 25 held-out rows, got 24",
        ),
        (["sales.csv", "--column", "sold", "--window", "1", "--scaling", "window"], "--window"),
        (
            ["sales.csv", "--column", "sold", "--horizon", "90"],
            "96 learned from; at least 114 to learn from, for a window of 24 and a horizon of 90,",
        ),
        (
            ["sales.csv", "--column", "sold", "--lr", "1e300"],
            "is not finite with --lr 1e+300; give one well below",
        ),
        (["sales.csv", "--column", "sold", "--hidden-size", "2000000000"], "GiB"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(capsys, sales, arguments, message) -> None:
    assert message in refused(capsys, *arguments, *([] if "--hidden-size" in arguments else FAST))


def test_what_is_advised_can_be_done(capsys, sales) -> None:
    for options in (["--lr", "1e30"], ["--lr", "1e300"], ["--horizon", "90"], ["--window", "96"]):
        message = refused(capsys, sales, "--column", "sold", *options, *FAST)
        assert "clip_norm" not in message
        assert "nonlinearity" not in message
        assert "values of series" not in message
        assert "fit" not in message.split()


def test_rows_that_run_backwards_in_time_are_refused(capsys) -> None:
    write("new.csv", [["day", "x"], *([f"2024-01-{31 - i:02}", i] for i in range(30))])
    message = refused(capsys, "new.csv", *FAST)
    assert "'new.csv', line 3: 2024-01-30 stands after 2024-01-31; sort the rows by time" in message


def test_times_that_stand_twice_are_refused_for_they_are_of_several_series(capsys) -> None:
    rows = [[f"2024-01-{1 + i // 2:02}", "AB"[i % 2], i] for i in range(40)]
    write("stores.csv", [["day", "store", "x"], *rows])
    message = refused(capsys, "stores.csv", "--column", "x", *FAST)
    assert "line 3: 2024-01-01 stands after 2024-01-01; sort the rows by time, and leave" in message


def test_a_missing_number_is_refused_with_its_place(capsys) -> None:
    write("gap.csv", [["day", "x"], ["a", 1], ["b", ""], ["c", 3]])
    message = refused(capsys, "gap.csv", "--column", "x", *FAST)
    assert "'gap.csv', line 3, column 'x': a number is missing" in message


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--steps", "0", "it must be between 1"),
        ("--interval", "1", "it must be less than 1"),
        ("--season", "0", "it must be between 1"),
        ("--held-out", "0", "it must be greater than 0"),
        ("--delimiter", "::", "it must be a single character, such as ';', or 'tab', got '::'"),
        ("--delimiter", "x", "it must be a single character"),
        ("--plot", "a.pdf", "it must be the name of a file that ends in .png or .svg"),
        ("--cell", "gpt", "invalid choice: 'gpt'"),
    ],
)
def test_a_value_that_is_wrong_in_itself_is_a_usage_error(capsys, option, value, message) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["forecast", "nowhere.csv", f"{option}={value}"])
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_json_and_csv_exclude_each_other(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["forecast", "nowhere.csv", "--json", "--csv"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_help_has_an_example(capsys) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["forecast", "--help"])
    assert left.value.code == 0
    assert "fastrnn forecast sales.csv --column sold" in capsys.readouterr().out


def test_a_plot_without_matplotlib_is_refused_before_any_work(capsys, sales, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(Forecaster, "fit", lambda *_, **__: pytest.fail("it trained"))
    message = refused(capsys, sales, "--column", "sold", "--plot", "a.png")
    assert "pip install 'fastrnn[plot]'" in message
    assert os.listdir() == [sales]


def test_a_plot_that_cannot_be_written_is_refused_before_any_work(
    capsys, sales, monkeypatch
) -> None:
    monkeypatch.setattr(Forecaster, "fit", lambda *_, **__: pytest.fail("it trained"))
    assert "absent" in refused(capsys, sales, "--column", "sold", "--plot", "absent/a.png")


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("name", ["a.png", "a.svg", "A.PNG"])
def test_a_plot_is_drawn(capsys, sales, name: str, labelled: bool) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib, of the extra 'plot', is not installed")
    columns = ["--column", "sold", "--column", "bought"]
    if not labelled:
        write(sales, [["sold", "bought"], *zip(SOLD, BOUGHT, strict=True)])
    arguments = [*columns, "--steps", "3", "--interval", "0.5", "--plot", name, *FAST]
    assert run(capsys, sales, *arguments)[0] == 0
    beginning = Path(name).read_bytes()[:5]
    assert beginning == (b"<?xml" if name.endswith("svg") else b"\x89PNG\r")
    if name.endswith("svg"):
        assert Path(name).stat().st_size > 9000


def test_a_name_with_dollars_is_no_formula(capsys) -> None:
    pytest.importorskip("matplotlib", reason="Matplotlib, of the extra 'plot', is not installed")
    write("money.csv", [["$a_{$"], *([i % 5] for i in range(60))])
    assert run(capsys, "money.csv", "--steps", "2", "--plot", "a.svg", *FAST)[0] == 0


def test_an_interrupt_leaves_nothing_behind(capsys, sales, monkeypatch) -> None:
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Forecaster, "fit", interrupted)
    status, output, errors = run(capsys, sales, "--column", "sold")
    assert (status, output, errors) == (130, "", "fastrnn: interrupted\n")
    assert os.listdir() == [sales]
