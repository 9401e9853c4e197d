"""The weights, inputs and right answer of one row, shared by every contender."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from benchmarks.grid.rows import VOCABULARY, Row
from fastrnn import _reference as reference

Array = np.ndarray
Outcome = dict[str, Array]

# A step row's contender carries its state over this many steps when it is checked.
STEPS_CHECKED = 5

# float32 against float64, relative to the largest element. The longest sums have 25 600 terms;
# a library that adds them one after the other loses about sqrt(25600) units of 6e-8.
AGREEMENT = 1e-4

# Standard deviations. A right sampler passes this bound in all but one of two million runs.
SURPRISE = 5.0

# A readout this much larger than PyTorch's initialization makes the next character depend on the
# state, so that a sampler with a wrong state shows.
READOUT_GAIN = 8.0


class WrongResultError(AssertionError):
    """A contender computes something else than the row asks for."""


class Problem:
    """One row's arrays: float32 weights, inputs and targets, and what must come out.

    Attributes
    ----------
    rnn : the cell's parameters by PyTorch's names, (H, I), (H, H), (H,), (H,)
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
        self.rnn = {
            "weight_ih_l0": uniform(hidden, width),
            "weight_hh_l0": uniform(hidden, hidden),
            "bias_ih_l0": uniform(hidden),
            "bias_hh_l0": uniform(hidden),
        }
        self.readout = {
            "weight": np.float32(READOUT_GAIN) * uniform(VOCABULARY, hidden),
            "bias": uniform(VOCABULARY),
        }
        self.x = rng.standard_normal((steps, row.batch, width)).astype(np.float32)
        self.ids, self.targets = rng.integers(VOCABULARY, size=(2, steps, row.batch))

    @property
    def bias(self) -> Array:
        """b_ih + b_hh, for contenders that keep one bias."""
        return self.rnn["bias_ih_l0"] + self.rnn["bias_hh_l0"]

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
        rnn = {name: value.astype(np.float64) for name, value in self.rnn.items()}
        h_0 = np.zeros((self.row.batch, self.row.hidden_size))
        if self.row.kind != "train":
            h = reference.rnn_forward(self.x.astype(np.float64), h_0, *rnn.values(), "tanh")
            return {"output": h[1:]}

        readout = {name: value.astype(np.float64) for name, value in self.readout.items()}
        h = reference.rnn_forward(self.ids, h_0, *rnn.values(), "tanh")
        logits = reference.linear_forward(h[1:], **readout)
        loss, grad_logits = reference.cross_entropy(logits, self.targets)
        from_readout = reference.linear_backward(h[1:], readout["weight"], grad_logits)
        weights = rnn["weight_ih_l0"], rnn["weight_hh_l0"]
        from_rnn = reference.rnn_backward(self.ids, h, *weights, "tanh", from_readout["x"])
        return {
            "loss": np.asarray(loss),
            "weight_ih_l0": from_rnn["weight_ih"],
            "weight_hh_l0": from_rnn["weight_hh"],
            "bias_l0": from_rnn["bias_ih"],
            "weight": from_readout["weight"],
            "bias": from_readout["bias"],
        }

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
        h_0 = np.zeros((1, self.row.hidden_size))
        h = reference.rnn_forward(seen, h_0, *self.rnn.values(), "tanh")
        log_p = reference.log_softmax(reference.linear_forward(h[1:, 0], **self.readout))
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
