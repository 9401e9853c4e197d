"""Epochs over sequences of different lengths, with or without early stopping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn.sequence.batches import order_of, shuffled
from fastrnn.sequence.ragged import Ragged
from fastrnn.training import history as curve
from fastrnn.training.updates import Settings, Updates, progress_bar


@dataclass(frozen=True)
class Plan:
    """How long to learn, from what.

    Attributes
    ----------
    epochs, batch_size, seed : int
    validation : int
        How many sequences are held out, drawn by ``seed``, to see when learning stops to help.
    patience : int
        After how many epochs without a better validation loss to stop.
    """

    epochs: int
    batch_size: int
    seed: int
    validation: int
    patience: int


def learn(
    ragged: Ragged,
    sequences: list[np.ndarray],
    targets: list[np.ndarray],
    settings: Settings,
    plan: Plan,
    history: list[dict[str, Any]],
) -> None:
    """Train in place; with a validation, end at the weights that were best in it.

    A record is appended to ``history`` after every epoch: ``epoch``, the mean ``loss`` of its
    targets, each before the update it leads to, and ``validation_loss`` after them.
    """
    rng = order_of(plan.seed)
    learned, held_out = _split(len(sequences), plan, rng)
    updates = Updates(ragged.network, settings)
    best = _Best(ragged)
    try:
        with progress_bar(settings.progress, plan.epochs, "epoch") as bar:
            for epoch in range(1, plan.epochs + 1):
                updates.schedule((epoch - 1) / plan.epochs)
                record: dict[str, Any] = {"epoch": epoch, "loss": 0.0}
                count = 0.0
                for chosen in shuffled(len(learned), plan.batch_size, rng):
                    wanted = _of(learned[chosen], targets)
                    if not ragged.count(wanted):
                        continue
                    batch, options = ragged.batch(_of(learned[chosen], sequences), wanted)
                    loss, _ = updates.make(*batch, **options)
                    record["loss"] += loss * ragged.count(wanted)
                    count += ragged.count(wanted)
                record["loss"] /= count
                if plan.validation:
                    validation = ragged.mean_loss(_of(held_out, sequences), _of(held_out, targets))
                    record["validation_loss"] = validation
                    best.see(epoch, validation)
                curve.append(history, "epoch", record)
                bar.set_postfix_str(f"loss {record['loss']:.3g}", refresh=False)
                bar.update()
                if plan.validation and epoch - best.epoch >= plan.patience:
                    break
    finally:
        best.restore()


def require_targets(ragged: Ragged, targets: list[np.ndarray], plan: Plan) -> None:
    """Refuse to learn from targets, or to hold out targets, of which none counts."""
    learned, held_out = _split(len(targets), plan, order_of(plan.seed))
    for part, what in ((learned, "learned from"), (held_out, "held out")):
        if len(part) and not ragged.count(_of(part, targets)):
            raise ValueError(f"class_weight is 0 for all that is {what}, expected some that counts")


def _split(count: int, plan: Plan, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions that are learned from, and those that are held out."""
    order = rng.permutation(count) if plan.validation else np.arange(count)
    return np.sort(order[plan.validation :]), order[: plan.validation]


def _of(positions: np.ndarray, values: list[np.ndarray]) -> list[np.ndarray]:
    return [values[i] for i in positions]


class _Best:
    """The weights with the smallest validation loss so far."""

    def __init__(self, ragged: Ragged) -> None:
        self._network = ragged.network
        self._weights: dict[str, np.ndarray] | None = None
        self._loss = np.inf
        self.epoch = 0

    def see(self, epoch: int, loss: float) -> None:
        """Keep the weights if they are better than those kept."""
        if loss < self._loss:
            self._loss, self.epoch = loss, epoch
            self._weights = self._network.state_dict()

    def restore(self) -> None:
        """Give the network the weights that were kept, if there are any."""
        if self._weights is not None:
            self._network.load_state_dict(self._weights)
