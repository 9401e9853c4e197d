"""CSV files as strangers write them are read, or refused with the line, the column and a hint."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastrnn.sequence.tables import Table, read_table


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(content: str | bytes, **options) -> Table:
    raw = content if isinstance(content, bytes) else content.encode()
    Path("t.csv").write_bytes(raw)
    return read_table("t.csv", **options)


def column(table: Table, name: str = "x") -> list[float]:
    return table.numbers(table.find(name)).tolist()


@pytest.mark.parametrize(
    "content",
    [
        "day,x\na,1\nb,2.5\n",
        "day,x\r\na,1\r\nb,2.5\r\n",
        "day;x\na;1\nb;2.5",
        "day\tx\na\t1\nb\t2.5\n",
        "day|x\na|1\nb|2.5\n",
        "\ufeffday,x\na,1\nb,2.5\n",
        "\nday,x\n\na,1\n   \nb,2.5\n\n",
        "day,x\na,1\nb,2.5\n,\n,\n",
        ' day , x\na, 1\n "b, or so", 2.5 \n',
        '"day","x"\n"a, or so","1"\n"b","2.5"\n',
        "day,x\na,+1e0\nb,2.5E0\n",
        "day,x,\na,1,\nb,2.5,\n",
    ],
    ids=[
        "plain",
        "Windows",
        "semicolons",
        "tabs",
        "bars",
        "byte order mark",
        "empty lines",
        "rows of delimiters at the end",
        "blanks",
        "quotes",
        "exponents",
        "a delimiter too many",
    ],
)
def test_the_same_table_is_read_from_many_styles(content: str) -> None:
    assert column(read(content)) == [1.0, 2.5]


@given(
    st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_whatever_python_writes_is_read_again(rows: list[list[float]], delimiter: str) -> None:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter)
    writer.writerows([["a", "b c", "d"], *rows])
    table = read(written.getvalue())
    assert table.names == ["a", "b c", "d"]
    assert np.array_equal([table.numbers(place) for place in range(3)], np.transpose(rows))


def test_a_single_column_needs_no_delimiter() -> None:
    assert column(read("x\n1\n2\n")) == [1, 2]


@pytest.mark.parametrize("gap", ["", "   ", '""', "NA"])
def test_a_gap_in_a_single_column_is_a_missing_number(gap: str) -> None:
    table = read(f"x\n1\n{gap}\n3\n")
    with pytest.raises(ValueError, match="line 3, column 'x': a number is missing"):
        column(table)
    table = read(f"1\n{gap}\n3\n", header=False)
    with pytest.raises(ValueError, match="line 2, column '1': a number is missing"):
        column(table, "1")


def test_empty_lines_around_a_single_column_are_none_of_its_rows() -> None:
    table = read("\nx\n\n1\n2\n\n\n")
    assert column(table) == [1, 2]
    assert table.lines == [4, 5]


def test_a_delimiter_that_is_given_is_the_one_used() -> None:
    assert column(read("a x\n3 4\n", delimiter=" ")) == [4]


def test_without_a_header_columns_have_numbers() -> None:
    table = read("5,6\n7,8\n", header=False)
    assert table.names == ["1", "2"]
    assert column(table, "2") == [6, 8]


def test_a_column_is_found_by_its_number_unless_that_is_a_name() -> None:
    assert column(read("a,x\n3,4\n"), "2") == [4]
    assert column(read("2,x\n3,4\n"), "2") == [3]
    assert read(",x\n3,4\n").names == ["1", "x"]


def test_standard_input_is_a_file(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x\n3\n")))
    assert column(read_table("-")) == [3]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x\nno\n")))
    with pytest.raises(ValueError, match="standard input, line 2, column 'x': 'no' is not"):
        column(read_table("-"))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("", r"'t.csv', line 4, column 'x': a number is missing \(nothing is there\); fill it"),
        ("NA", r"line 4, column 'x': a number is missing \('NA' is there\)"),
        ("NaN", r"a number is missing \('NaN' is there\)"),
        ("null", "a number is missing"),
        ("-", "a number is missing"),
        ('"3,5"', "'3,5' has a decimal comma; write numbers with a point, 3.5"),
        ('"1,234,567.5"', "'1,234,567.5' has its digits in groups"),
        ("1 234", "'1 234' has its digits in groups"),
        ("1.234.567", "has its digits in groups"),
        ("1_000", "has its digits in groups"),
        ("inf", "'inf' is not a number"),
        ("1e999", "'1e999' is not a number"),
        ("12%", "'12%' is not a number"),
        ("$5", "is not a number"),
        ("0x10", "is not a number"),
        ("\u0663", "is not a number"),
        ("y" * 99, r"'y{37}\.\.\.' is not a number"),
    ],
)
def test_what_is_no_number_is_refused_with_its_place(field: str, message: str) -> None:
    table = read(f"day,x\na,1\n\nb,{field}\nc,2\n")
    with pytest.raises(ValueError, match=message):
        column(table)


def test_a_decimal_comma_between_semicolons_is_recognised() -> None:
    with pytest.raises(ValueError, match="line 2, column 'x': '1,5' has a decimal comma"):
        column(read("day;x\na;1,5\nb;2,5\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "'t.csv' has no rows of data"),
        ("\n\n", "'t.csv' has no rows of data"),
        ("a,b\n", "'t.csv' has no rows of data"),
        ("a,b\n1,2\n3\n", r"'t.csv', line 3 has 1 field, expected 2 as in its first line"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, expected 2 .*, separated by ','"),
        ("1,2\n3,4\n", r"begins with numbers \(1, 2\) where names .* say --no-header"),
        ('a,b\n"1,2\n', "line 2 cannot be read as CSV: unexpected end of data"),
        (b"a,b\n\xff\xfe,2\n", "not text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"a\0b\n", "binary"),
    ],
)
def test_what_is_no_table_is_refused(content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("z", "'t.csv' has no column 'z'; it has 'a', 'x', 'x'"),
        ("4", "has no column '4'"),
        ("0", "has no column '0'"),
        ("x", "has 2 columns 'x'; give the number of one, which are 2 and 3"),
    ],
)
def test_a_column_that_is_not_there_or_not_alone_is_refused(name: str, message: str) -> None:
    table = read("a,x,x\n1,2,3\n")
    with pytest.raises(ValueError, match=message):
        table.find(name)


def test_many_columns_are_not_all_listed() -> None:
    table = read(",".join(f"c{i}" for i in range(50)) + "\n" + ",".join(["1"] * 50))
    with pytest.raises(ValueError, match="'c19' and 30 more"):
        table.find("z")
