"""The weights, inputs and right answer of one row, shared by every contender."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from fastrnn import _reference as reference
from fastrnn.bench import answer
from fastrnn.bench.answer import Array, Outcome
from fastrnn.bench.rows import VOCABULARY, Row

__all__ = ["Array", "Outcome", "Problem", "WrongResultError"]

# A step row's contender carries its state over this many steps when it is checked.
STEPS_CHECKED = 5

# float32 against float64, relative to the largest element. The longest sums have 25 600 terms;
# a library that adds them one after the other loses about sqrt(25600) units of 6e-8.
AGREEMENT = 1e-4

# Standard deviations. A right sampler passes this bound in all but one of two million runs.
SURPRISE = 5.0

# With PyTorch's initial weights the next character hardly depends on the state. In `gen` rows the
# layer's are this much larger, which makes it remember more, and the readout is scaled so that
# logits have this standard deviation: a sampler with a wrong state shows.
LAYER_GAIN, LOGIT_SPREAD = 1.5, 3.0


class WrongResultError(ValueError):
    """A contender computes something else than the row asks for."""


class Problem:
    """One row's arrays: float32 weights, inputs and targets, and what must come out.

    Attributes
    ----------
    layer : the cell's parameters by PyTorch's names and in its order of gates, (G H, I), (G H, H),
        (G H,), (G H,)
    readout : "weight" (V, H) and "bias" (V,)
    x : (T, B, I) float32 features
    ids, targets : (T, B) int64 characters
    """

    def __init__(self, row: Row, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        hidden, width = row.hidden_size, row.input_size
        bound = hidden**-0.5

        def uniform(*shape: int) -> Array:
            return rng.uniform(-bound, bound, shape).astype(np.float32)

        steps = STEPS_CHECKED if row.kind == "step" else row.steps
        self.row = row
        rows = row.gates * hidden
        self.layer = {
            "weight_ih_l0": uniform(rows, width),
            "weight_hh_l0": uniform(rows, hidden),
            "bias_ih_l0": uniform(rows),
            "bias_hh_l0": uniform(rows),
        }
        self.readout = {"weight": uniform(VOCABULARY, hidden), "bias": uniform(VOCABULARY)}
        self.x = rng.standard_normal((steps, row.batch, width)).astype(np.float32)
        self.ids, self.targets = rng.integers(VOCABULARY, size=(2, steps, row.batch))
        if row.kind == "gen":
            self._spread()

    def check(self, who: str, outcome: Outcome) -> None:
        """Raise `WrongResultError` unless ``outcome`` is right."""
        if self.row.kind == "gen":
            self._check_sample(who, outcome["ids"])
            return
        for name, right in self._expected.items():
            got = np.asarray(outcome[name], dtype=np.float64)
            if got.shape != right.shape:
                raise WrongResultError(
                    f"{self.row.name}: {name} of {who} has shape {got.shape}, not {right.shape}"
                )
            error = np.abs(got - right).max() / np.abs(right).max()
            if not error <= AGREEMENT:
                raise WrongResultError(
                    f"{self.row.name}: {name} of {who} is off by {error:.1e} of its largest "
                    f"element; {AGREEMENT:.0e} is allowed"
                )

    @cached_property
    def _expected(self) -> Outcome:
        layer, readout = _doubles(self.layer), _doubles(self.readout)
        if self.row.kind == "train":
            return answer.training(self.row.cell, self.ids, self.targets, layer, readout)
        return {"output": answer.output(self.row.cell, self.x.astype(np.float64), layer)}

    def _spread(self) -> None:
        for value in self.layer.values():
            value *= np.float32(LAYER_GAIN)
        logits = answer.logits(self.row.cell, self.ids[:100], self.layer, self.readout)
        self.readout["weight"] *= np.float32(LOGIT_SPREAD / logits.std())

    def _check_sample(self, who: str, ids: Array) -> None:
        """Ask whether ``ids`` can have been drawn from the model, starting after character 0.

        Given the characters before it, the surprise -log p of a character drawn from p exceeds
        the entropy of p by zero on average. The sum of these excesses over its standard deviation
        is near a standard normal variable if, and hardly ever unless, each was drawn from its p.
        """
        ids = np.asarray(ids)
        if ids.shape != (self.row.steps,) or ids.min() < 0 or ids.max() >= VOCABULARY:
            raise WrongResultError(
                f"{self.row.name}: {who} returned ids of shape {ids.shape} from {ids.min()} to "
                f"{ids.max()}, expected {self.row.steps} ids below {VOCABULARY}"
            )
        seen = np.concatenate(([0], ids[:-1]))[:, np.newaxis]
        logits = answer.logits(self.row.cell, seen, self.layer, self.readout)
        log_p = reference.log_softmax(logits[:, 0])
        p = np.exp(log_p)
        entropy = -(p * log_p).sum(axis=1)
        variance = (p * log_p**2).sum(axis=1) - entropy**2
        surprise = -log_p[np.arange(len(ids)), ids]
        deviation = (surprise - entropy).sum() / np.sqrt(variance.sum())
        if not abs(deviation) <= SURPRISE:
            raise WrongResultError(
                f"{self.row.name}: the characters of {who} are {deviation:.1f} standard "
                f"deviations away from what the model says; {SURPRISE:g} are allowed"
            )


def _doubles(arrays: Outcome) -> Outcome:
    return {name: value.astype(np.float64) for name, value in arrays.items()}
