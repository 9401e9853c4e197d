"""A network applied to sequences of different lengths: outputs and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn.network import Network

# Sequences that go through the network at a time where nothing has to be learned from them.
_AT_ONCE = 256


@dataclass(frozen=True)
class Ragged:
    """A network and its loss, for batches of sequences of different lengths.

    Attributes
    ----------
    network : Network
    loss : {"cross_entropy", "mse"}
    outputs : {"all", "last"}
        Whether every step has a target, or the last.
    class_weight : ndarray of shape (classes,), optional
        What a target of each class counts in the cross-entropy.
    num_threads : int, optional
        Threads for each call.
    """

    network: Network
    loss: str
    outputs: str
    class_weight: np.ndarray | None = None
    num_threads: int | None = None

    def batch(
        self, sequences: Sequence[np.ndarray], targets: Sequence[np.ndarray]
    ) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Any]]:
        """Return what the network's loss takes: x and target, and the options."""
        x, lengths = padded(sequences)
        target = padded(targets)[0] if self.outputs == "all" else np.stack(targets)
        options: dict[str, Any] = {"loss": self.loss, "outputs": self.outputs, "lengths": lengths}
        if self.class_weight is not None:
            options["class_weight"] = self.class_weight
        return (x, target), options

    def mean_loss(self, sequences: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> float:
        """Return the mean loss over all targets."""
        total = 0.0
        for start in range(0, len(sequences), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            if not self.count(targets[part]):
                continue
            batch, options = self.batch(sequences[part], targets[part])
            options.update(reduction="sum", num_threads=self.num_threads)
            total += self.network.loss(*batch, **options)[0]
        numbers = targets[0].shape[-1] if self.loss == "mse" else 1
        return total / (numbers * self.count(targets))

    def outputs_of(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for each sequence: (length, outputs), or (outputs,) of its last."""
        found: list[np.ndarray] = []
        for start in range(0, len(sequences), _AT_ONCE):
            x, lengths = padded(sequences[start : start + _AT_ONCE])
            y, _ = self.network(
                x, outputs=self.outputs, lengths=lengths, num_threads=self.num_threads
            )
            if self.outputs == "last":
                found += list(y)
            else:
                found += [y[:length, i] for i, length in enumerate(lengths)]
        return found

    def count(self, targets: Sequence[np.ndarray]) -> float:
        """Return how many targets there are, each as often as its class counts."""
        if self.class_weight is not None:
            return float(sum(self.class_weight[one].sum() for one in targets))
        if self.outputs == "last":
            return len(targets)
        return sum(len(one) for one in targets)


def padded(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """Return arrays (length, …) side by side, (longest, N, …) with zeros below, and the lengths.

    Examples
    --------
    >>> rows, lengths = padded([np.array([1, 2]), np.array([3])])
    >>> rows.tolist(), lengths
    ([[1, 3], [2, 0]], [2, 1])
    """
    lengths = [len(one) for one in parts]
    rows = np.zeros((max(lengths), len(parts), *parts[0].shape[1:]), parts[0].dtype)
    for i, one in enumerate(parts):
        rows[: len(one), i] = one
    return rows, lengths


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log softmax over the last axis.

    Examples
    --------
    >>> np.exp(log_softmax(np.array([0.0, 1000.0]))).tolist()
    [0.0, 1.0]
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
