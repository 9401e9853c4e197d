"""A network applied to sequences of different lengths: outputs, losses and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrnn import losses
from fastrnn.network import Network
from fastrnn.sequence.sequences import of_one_length

# Sequences that go through the network at a time where nothing has to be learned from them.
_AT_ONCE = 256


class Ragged(Network):
    """A network with a loss, for batches of sequences of different lengths; shares its weights.

    Results are those of one call on all sequences, padded, in which no padding counts.

    Parameters
    ----------
    network : Network
    loss : {"cross_entropy", "mse"}
    outputs : {"all", "last"}
        Whether every step has a target, or the last.
    class_weight : ndarray of shape (classes,), optional
        What each class counts in the cross-entropy: the mean is one of weights,
        sum w_t l_t / sum w_t over targets t.
    num_threads : int, optional
        Threads for each call.
    """

    def __init__(
        self,
        network: Network,
        loss: str,
        outputs: str,
        class_weight: np.ndarray | None = None,
        num_threads: int | None = None,
    ) -> None:
        super().__init__(network.layer, network.readout)
        self._loss, self._outputs = loss, outputs
        self._class_weight, self._threads = class_weight, num_threads

    def loss_and_grad(  # type: ignore[override]
        self, sequences: Sequence[np.ndarray], targets: Sequence[np.ndarray], **_: Any
    ) -> tuple[float, None]:
        """Return the mean loss over all targets, and add to the gradients; they must be zero.

        This is what :class:`fastrnn.updates.Updates` calls.
        """
        total = self._pass(sequences, targets, with_grad=True)
        count = self.count(targets)
        for module in self.modules:
            for name in module.grad:
                module.grad[name] *= np.asarray(1 / count, module.dtype)
        return total / count, None

    def mean_loss(self, sequences: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> float:
        """Return the mean loss over all targets."""
        total = 0.0
        for start in range(0, len(sequences), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            total += self._pass(sequences[part], targets[part], with_grad=False)
        return total / self.count(targets)

    def outputs_of(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for each sequence: (length, outputs), or (outputs,) of its last."""
        found: list[np.ndarray] = []
        for start in range(0, len(sequences), _AT_ONCE):
            found += self._at_once(sequences[start : start + _AT_ONCE])
        return found

    def _at_once(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        found: list[Any] = [None] * len(sequences)
        for chosen in of_one_length(_lengths(sequences)):
            x = np.stack([sequences[i] for i in chosen], axis=1)
            y, _ = self(x, outputs=self._outputs, num_threads=self._threads)
            y = np.moveaxis(y, -2, 0)
            for i, one in zip(chosen, y, strict=True):
                found[i] = one
        return found

    def _pass(
        self, sequences: Sequence[np.ndarray], targets: Sequence[np.ndarray], *, with_grad: bool
    ) -> float:
        """Return the sum of all losses, and if asked for add their gradients."""
        total = 0.0
        for chosen in of_one_length(_lengths(sequences)):
            x = np.stack([sequences[i] for i in chosen], axis=1)
            target = np.stack([targets[i] for i in chosen], axis=int(self._outputs == "all"))
            total += self._sum(x, target, with_grad)
        return total

    def _sum(self, x: np.ndarray, target: np.ndarray, with_grad: bool) -> float:
        if self._class_weight is not None:
            return self._weighted(x, target, self._class_weight, with_grad)
        run = super().loss_and_grad if with_grad else super().loss
        value, _ = run(
            x,
            target,
            loss=self._loss,
            reduction="sum",
            outputs=self._outputs,
            num_threads=self._threads,
        )
        return value

    def _weighted(
        self, x: np.ndarray, target: np.ndarray, class_weight: np.ndarray, with_grad: bool
    ) -> float:
        """Return the cross-entropy of every target times the weight of its class, summed."""
        layer, readout = self.layer, self.readout
        states, _ = layer(x, num_threads=self._threads)  # type: ignore[operator]
        h = states if self._outputs == "all" else states[-1]
        logits = readout(h, num_threads=self._threads)
        weights = class_weight[target]
        likelihood = log_softmax(logits.astype(np.float64))
        picked = np.take_along_axis(likelihood, target[..., None], axis=-1)[..., 0]
        if with_grad:
            _, grad = losses.cross_entropy(logits, target, "sum")
            grad *= weights[..., None].astype(grad.dtype)
            grad_h = readout.backward(grad, num_threads=self._threads)
            grad_states = grad_h if self._outputs == "all" else np.zeros_like(states)
            if self._outputs == "last":
                grad_states[-1] = grad_h
            layer.backward(grad_states, num_threads=self._threads)
        return -float((weights * picked).sum())

    def count(self, targets: Sequence[np.ndarray]) -> float:
        """Return what the mean loss is divided by."""
        if self._class_weight is None:
            return sum(np.size(one) for one in targets)
        return float(sum(self._class_weight[one].sum() for one in targets))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log softmax over the last axis.

    Examples
    --------
    >>> np.exp(log_softmax(np.array([0.0, 1000.0]))).tolist()
    [0.0, 1.0]
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _lengths(sequences: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([len(one) for one in sequences])
