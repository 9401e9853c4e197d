"""Batches of a training, and an epoch of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fastrnn.training.updates import Updates


@dataclass(frozen=True)
class Batches:
    """Scaled windows (window, N, features) and targets (N, outputs), in batches of all of them."""

    x: np.ndarray
    y: np.ndarray
    size: int
    rng: np.random.Generator

    def of_epoch(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield every window once: as they are if in one batch, or else in a new random order."""
        count = len(self.y)
        if self.size >= count:
            yield self.x, self.y
            return
        for chosen in shuffled(count, self.size, self.rng):
            yield self.x[:, chosen], self.y[chosen]


def shuffled(count: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the numbers below ``count`` in a new random order, ``size`` at a time."""
    order = rng.permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size]


def order_of(seed: int) -> np.random.Generator:
    """Return what orders the batches: the stream of ``seed`` after those of the weights."""
    return np.random.default_rng(np.random.SeedSequence(seed).generate_state(3)[2])


def train_epoch(updates: Updates, batches: Batches) -> float:
    """Update on every batch once; return the mean of the windows' losses."""
    squares = 0.0
    for x, y in batches.of_epoch():
        loss, _ = updates.make(x, y, loss="mse", outputs="last")
        squares += loss * len(y)
    return squares / len(batches.y)
