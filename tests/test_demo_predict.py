"""The page's forecasts are the Forecaster's, and a broken table is told beside its field."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from browser import PATIENCE, drag, eventually, eventually_drawn, numbers
from test_demo_page import ANNOUNCED

import fastrnn
from fastrnn.demo.models import predict


@pytest.fixture
def page(open_view):
    return open_view("predict-a-sequence")


def press(page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def choose(page, label: str, value: str) -> None:
    page.get_by_label(label, exact=True).select_option(value)


def choose_series(page, series: predict.Series) -> None:
    """Choose it, and wait until its window is shown: it would replace one typed before it comes."""
    choose(page, "Series", series.name)
    give_up = time.monotonic() + PATIENCE
    while (shown := page.get_by_label("Window").input_value()) != str(series.window):
        assert time.monotonic() < give_up, f"the window shown is {shown}, not {series.window}"
        page.wait_for_timeout(20)


def upload(page, content: str, name: str = "shop.csv") -> None:
    page.get_by_label("CSV file", exact=True).set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": content.encode()}
    )


def expect(page, forecaster: fastrnn.Forecaster, series: predict.Series, steps: int) -> None:
    start, values = series.learned, series.values
    (first, *_) = forecaster.forecast(steps)
    errors = forecaster.evaluate(
        values[start - forecaster.window :], steps=min(steps, len(values) - start)
    )
    expected = [first, values[start], errors["mae"], errors["naive_mae"]]
    eventually(
        page.get_by_text("The first value of the forecast"),
        [round(float(number), 3) for number in expected],
        lambda text: [float(number) for number in re.findall(r"−?\d+\.\d{3}", text)],
    )
    value = round(float(first), 3)
    eventually(page.locator(".formula"), [value], lambda text: numbers(text)[-1:])


def test_what_is_trained_on_any_series_forecasts_as_the_library_does(page) -> None:
    choose_series(page, predict.sunspots())
    choose(page, "Cell", "GRU")
    choose(page, "Hidden units", "8")
    drag(page.get_by_label("Passes over the series"), 40)
    page.get_by_label("Window").fill("15")
    press(page, "Train")
    page.get_by_text("Done after 40").wait_for()
    series = predict.sunspots()
    forecaster = fastrnn.Forecaster(15, cell="gru", hidden_size=8)
    forecaster.fit(series.values[: series.learned], epochs=40, lr=0.01)
    expect(page, forecaster, series, 24)
    eventually_drawn(page, "loss", [record["loss"] for record in forecaster.history])
    drag(page.get_by_label("Steps to predict"), 7)
    expect(page, forecaster, series, 7)
    last = series.values[series.learned - 1]
    eventually_drawn(page, "forecast", [last, *forecaster.forecast(7)])
    eventually_drawn(page, "naive", [last] * 8)
    eventually_drawn(page, "came", series.values[series.learned - 1 :])
    reads_a_table_of_the_readers_own(page)


def test_scaling_and_window_change_a_training_and_it_can_be_stopped(page, open_view) -> None:
    other = open_view("predict-a-sequence")
    choose_series(page, predict.counting())
    page.get_by_label("Window").fill("41")
    page.get_by_text("Expected a whole number from 2 to 40, got “41”").wait_for()
    press(page, "Train")
    page.get_by_text("The window does not fit the series.", exact=True).wait_for()
    page.get_by_label("Window").fill("5")
    choose(page, "Scaled by", "level of the series")
    drag(page.get_by_label("Passes over the series"), 20)
    press(page, "Train")
    page.get_by_text("Done after 20").wait_for()
    forecaster = fastrnn.Forecaster(5, hidden_size=16).fit(
        predict.counting().values[:80], epochs=20, lr=0.01
    )
    first = [round(float(forecaster.forecast(1)[0]), 3)]
    eventually(
        page.get_by_text("The first value of the forecast"), first, lambda text: numbers(text)[:1]
    )
    choose_series(page, predict.sine())
    stops_and_goes_with_its_series(page)
    assert other.get_by_text("Press Train").count() == 1


def stops_and_goes_with_its_series(page) -> None:
    drag(page.get_by_label("Passes over the series"), 3000)
    choose(page, "Hidden units", "64")
    press(page, "Train")
    page.get_by_text(re.compile(r"\d+%, loss")).wait_for()
    press(page, "Stop")
    page.get_by_text("Stopped after").wait_for()
    epochs, _ = numbers(page.get_by_text("Stopped after").inner_text().replace(",", ""))
    assert 0 < epochs < 3000
    page.get_by_text("The first value of the forecast").wait_for()
    press(page, "Train")
    page.get_by_text(re.compile(r"\d+%, loss")).wait_for()
    choose_series(page, predict.counting())
    page.get_by_role("button", name="Train", exact=True, disabled=False).wait_for()
    assert page.get_by_text("The first value of the forecast").count() == 0


def needs_a_file_first(page) -> None:
    page.get_by_text("Choose a CSV file. Until then the picture still shows: Sunspots.").wait_for()
    press(page, "Train")
    told = "Choose a CSV file first: there is none to learn from."
    page.get_by_text(told, exact=True).wait_for()
    page.wait_for_function(f"{ANNOUNCED}.textContent.trim() === 'Train: {told}'")
    assert page.locator("span", has_text="Done after").count() == 0


def reads_a_table_of_the_readers_own(page) -> None:
    choose(page, "Cell", "RNN (tanh)")
    choose(page, "Hidden units", "16")
    choose(page, "Series", "My CSV file")
    needs_a_file_first(page)
    values = np.round(np.sin(np.arange(60) / 3) * 5, 2)
    rows = "".join(f"{day},{day % 7},{value}\n" for day, value in enumerate(values))
    for content, told in (
        ("", "'shop.csv' has no rows of data"),
        ("day,weather\n" + "Mo,wet\n" * 10, "'shop.csv' has no column of numbers"),
        ("sold\n1\n2\n3\n", "'shop.csv' has 3 rows; this page takes 10"),
        ("day,sold\n" + "Mo,2\n" * 20 + "Mo,\n", "'shop.csv', line 22, column 'sold': a number"),
    ):
        upload(page, content)
        page.get_by_text(told).wait_for()
        page.get_by_text("It is not used: what is shown was chosen before.").wait_for()
    needs_a_file_first(page)
    upload(page, "day,weekday,sold\n" + rows)
    page.get_by_label("Column", exact=True).wait_for()
    eventually(page.locator("[id=message-csv-file]"), "")
    field = page.get_by_label("CSV file", exact=True)
    assert field.evaluate("field => field.files[0].name") == "shop.csv"
    drag(page.get_by_label("Passes over the series"), 20)
    for column, numbers_of in (("sold", values), ("weekday", np.arange(60) % 7.0)):
        choose(page, "Column", column)
        press(page, "Train")
        page.get_by_text("Done after 20").wait_for()
        forecaster = fastrnn.Forecaster(24, hidden_size=16)
        forecaster.fit(numbers_of[:48], epochs=20, lr=0.01)
        first = [round(float(forecaster.forecast(1)[0]), 3)]
        eventually(
            page.get_by_text("The first value of the forecast"),
            first,
            lambda text: numbers(text)[:1],
        )
