"""What weights of fewer bits gain in time and cost in accuracy.

``python -m benchmarks.small_weights`` prints microseconds per step of one sequence, by token ids
and by 64 floats, and per character generated from a vocabulary of 65; with
``--model FILE --text FILE`` the loss of a character model with each kind of weights instead. To be
run on one core that nothing else uses: a time is the shortest of many short loops, taken in turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import fastrnn
from fastrnn.sampling import generate_ids

CELLS = {"RNN": fastrnn.RNN, "LSTM": fastrnn.LSTM, "GRU": fastrnn.GRU}
WEIGHTS = ("float32", "bfloat16", "int8")
TOKENS = 65
FEATURES = 64
CHARACTERS = 200
LOOP_SECONDS = 0.002


def seconds(calls: list[Callable[[], object]], repeats: int) -> list[float]:
    """The shortest time of each call, which take turns."""
    counts = []
    for call in calls:
        call()
        started = time.perf_counter()
        call()
        counts.append(max(1, int(LOOP_SECONDS / (time.perf_counter() - started))))
    best = [float("inf")] * len(calls)
    for _ in range(repeats):
        for i, (call, count) in enumerate(zip(calls, counts, strict=True)):
            started = time.perf_counter()
            for _ in range(count):
                call()
            best[i] = min(best[i], (time.perf_counter() - started) / count)
    return best


def rows(cell: str, hidden_size: int) -> dict[str, list[Callable[[], object]]]:
    """What is timed, each with every kind of weights, and how many steps a call is."""
    tokens = CELLS[cell](TOKENS, hidden_size, seed=0)
    features = CELLS[cell](FEATURES, hidden_size, seed=0)
    network = fastrnn.Network(tokens, fastrnn.Linear(hidden_size, TOKENS, seed=1))
    token, x = np.int64(3), np.random.default_rng(0).standard_normal(FEATURES, np.float32)
    out = np.empty(hidden_size, np.float32)
    return {
        "ids": [partial(tokens.stream(weights=w).step, token, out) for w in WEIGHTS],
        "floats": [partial(features.stream(weights=w).step, x, out) for w in WEIGHTS],
        "generate": [partial(generate_ids, network, [3], CHARACTERS, weights=w) for w in WEIGHTS],
    }


def print_times(sizes: list[int], repeats: int) -> None:
    print("| | H | float32 | bfloat16 | int8 | gain |\n|---|--:|--:|--:|--:|--:|")
    for cell in CELLS:
        for hidden_size in sizes:
            for name, calls in rows(cell, hidden_size).items():
                steps = CHARACTERS if name == "generate" else 1
                times = [1e6 * best / steps for best in seconds(calls, repeats)]
                print(
                    f"| {cell} {name} | {hidden_size} | "
                    + " | ".join(f"{t:.3g}" for t in times)
                    + f" | {times[0] / times[1]:.2f}×, {times[0] / times[2]:.2f}× |",
                    flush=True,
                )


def print_losses(model: fastrnn.CharRNN, text: str) -> None:
    print(f"{model}, {len(text):,} characters")
    as_trained = model.evaluate(text, num_threads=1)["loss"]
    for weights in WEIGHTS:
        loss = model.evaluate(text, weights=weights, num_threads=1)["loss"]
        print(f"{weights:9} {loss:.6f} nats, {loss - as_trained:+.6f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--model", type=Path, help="a character model")
    parser.add_argument("--text", type=Path, help="what to measure it on")
    parser.add_argument("--last", type=int, default=0, help="take only the text's last characters")
    arguments = parser.parse_args()
    if arguments.model and arguments.text:
        text = arguments.text.read_text(encoding="utf-8")
        print_losses(fastrnn.load(arguments.model), text[-arguments.last :])
    else:
        print(f"{fastrnn.cpu.active()}, one thread, microseconds")
        print_times(arguments.sizes, arguments.repeats)


if __name__ == "__main__":
    main()
