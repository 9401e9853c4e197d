"""Sunspots of the next month, beside naive forecasts and a PyTorch network of the same size.

    python -m benchmarks.sunspots sunspots.csv

The file has a column ``sunspots`` with a number for each month, the oldest first, such as the
monthly means of NOAA or SILSO. The last 20 years are held out; each month of them is forecast from
the months before it. fastrnn trains for so many passes, which takes so long; PyTorch, where it is
installed, is given that time for the same network, windows, scaling, batches, optimiser and
schedule, its initial weights drawn from the same distribution. Everything on one thread. The
options were chosen on the 20 years before those held out.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import time
from collections.abc import Sequence

import numpy as np

import fastrnn
from fastrnn.sequence.tables import read_table

HELD_OUT, SEASON = 240, 132  # months: 20 years, and a solar cycle of 11
WINDOW, HIDDEN, BATCH, LR, CLIP = 48, 32, 64, 0.01, 5.0


def fit_fastrnn(series: np.ndarray, epochs: int, seed: int) -> tuple[fastrnn.Forecaster, float]:
    """Return a forecaster and the seconds that its training took."""
    forecaster = fastrnn.Forecaster(WINDOW, cell="gru", hidden_size=HIDDEN, seed=seed)
    started = time.perf_counter()
    forecaster.fit(
        series,
        epochs=epochs,
        batch_size=BATCH,
        lr=LR,
        schedule="cosine",
        clip_norm=CLIP,
        num_threads=1,
    )
    return forecaster, time.perf_counter() - started


def predict_torch(
    series: np.ndarray, windows: np.ndarray, seconds: float, seed: int
) -> tuple[np.ndarray, float]:
    """Return what a PyTorch network predicts after so much training, and its passes."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    learned, targets = fastrnn.data.windows(series, WINDOW)
    center = learned.mean()
    spread = np.abs(learned - center).mean()

    def scaled(values: np.ndarray) -> torch.Tensor:
        return torch.tensor((values - center) / spread, dtype=torch.float32)

    x, y = scaled(learned).T[:, :, None].contiguous(), scaled(targets)[:, None]
    layer, readout = torch.nn.GRU(1, HIDDEN), torch.nn.Linear(HIDDEN, 1)
    parameters = [*layer.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LR)

    def loss_of(chosen: torch.Tensor) -> torch.Tensor:
        output, _ = layer(x[:, chosen])
        return torch.nn.functional.mse_loss(readout(output[-1]), y[chosen])

    loss_of(torch.arange(BATCH)).backward()  # what is set up by a first call is not counted
    count, updates, started = len(targets), 0, time.perf_counter()
    while (done := (time.perf_counter() - started) / seconds) < 1:
        for chosen in torch.randperm(count).split(BATCH):
            done = min(1.0, (time.perf_counter() - started) / seconds)
            optimizer.param_groups[0]["lr"] = LR * 0.5 * (1 + math.cos(math.pi * done))
            optimizer.zero_grad()
            loss_of(chosen).backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            updates += 1
            if done >= 1:
                break
    with torch.inference_mode():
        output, _ = layer(scaled(windows).T[:, :, None])
        predicted = center + spread * readout(output[-1])[:, 0].double().numpy()
    return predicted, updates / math.ceil(count / BATCH)


def errors(predicted: np.ndarray, actual: np.ndarray, unit: float) -> tuple[float, float, float]:
    """Return the mean absolute error, the root of the mean squared one, and MASE."""
    error = predicted - actual
    mae = float(np.abs(error).mean())
    return mae, float(np.sqrt(np.mean(error**2))), mae / unit


def row(name: str, passes: str, seconds: str, scores: Sequence[Sequence[float]]) -> str:
    """Return a row of the table: means over seeds, and the spread of the MAE."""
    mean, deviation = np.mean(scores, axis=0), np.std(scores, axis=0)[0]
    spread = f" ± {deviation:.2f}" if len(scores) > 1 else ""
    return (
        f"| {name} | {passes} | {seconds} | {mean[0]:.2f}{spread} | {mean[1]:.2f} | {mean[2]:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("file", help="CSV with a column 'sunspots'")
    parser.add_argument("--epochs", type=int, nargs="+", default=[3, 10, 40])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    table = read_table(arguments.file)
    series = table.numbers(table.find("sunspots"))
    train, held_out = series[:-HELD_OUT], series[-HELD_OUT:]
    test = series[-HELD_OUT - SEASON :]
    windows = fastrnn.data.windows(series[-HELD_OUT - WINDOW :], WINDOW)[0]
    unit = float(np.abs(np.diff(train)).mean())

    print("| | passes | seconds | MAE | RMSE | MASE |\n|---|--:|--:|--:|--:|--:|")
    print(
        row("the last month again", "–", "–", [errors(series[-HELD_OUT - 1 : -1], held_out, unit)])
    )
    print(row("the month 11 years ago", "–", "–", [errors(test[:HELD_OUT], held_out, unit)]))
    for epochs in arguments.epochs:
        ours, theirs, times, passes = [], [], [], []
        for seed in range(arguments.seeds):
            forecaster, seconds = fit_fastrnn(train, epochs, seed)
            ours.append(errors(forecaster.predict(windows), held_out, unit))
            times.append(seconds)
            if importlib.util.find_spec("torch") is not None:
                predicted, count = predict_torch(train, windows, seconds, seed)
                theirs.append(errors(predicted, held_out, unit))
                passes.append(count)
        spent = f"{np.mean(times):.2f}"
        print(row("**fastrnn**", str(epochs), spent, ours), flush=True)
        if theirs:
            print(row("PyTorch", f"{np.mean(passes):.1f}", spent, theirs), flush=True)


if __name__ == "__main__":
    main()
