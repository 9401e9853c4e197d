"""The estimated limit: about the time below which a row cannot fall, from a machine's constants.

A step of a batch B with weights W takes at least as long as its arithmetic at the machine's peak
and at least as long as reading W once from the cache that holds it, whichever is longer. Work
that can be done for all steps at once (the input projection of a sequence, gradients of weights)
counts as arithmetic only. With B = 1 nothing hides the serial tail between a step's last
multiply-add and the next step's first, which is added; in a batch, other sequences hide it.

Weights that do not fit L1 are taken to come wholly from L2, and what exceeds a share of L2 from L3.

The estimate allows nothing for a Python call, for reading inputs or for writing outputs.
"""

from __future__ import annotations

from fastrnn.bench.probe import Constants
from fastrnn.bench.rows import VOCABULARY, Row

# Cycles from the last multiply-add of a step to the first of the next. Every cell finishes that
# multiply-add (4), reduces the accumulators (12), and in the end stores the state and loads it back
# as a broadcast (10). In between, the Elman cell has one tanh, a rational function with a true
# division (39). A GRU has a sigmoid, whose exponential is twice as deep a chain as the rational
# function (54), then n's multiply-add with r (4), tanh (39) and h = n + z (h' - n) (7). An LSTM has
# a sigmoid (54), c = f c' + i g (8), tanh (39) and the product with o (4): one cycle more, within
# what such a count can mean.
TAIL_CYCLES = {"RNN": 65, "GRU": 130, "LSTM": 130}

# Cycles from logits to a character: maximum, exponentials, sum, search in the cumulated sum.
SAMPLE_CYCLES = 243

# Of L2, the share that a sweep over weights finds again: states, inputs and code take the rest.
L2_SHARE = 25 / 32

FLOAT_BYTES = 4


def limit_seconds(row: Row, constants: Constants, threads: int) -> float:
    """Return the estimated limit of one unit of ``row`` in seconds.

    Threads multiply the arithmetic. Of a batch, each reads all weights; of one sequence, each reads
    those of its own units. A step or a generated character is one core's work.
    """
    machine = _Machine(constants, 1 if row.kind in ("step", "gen") else threads)
    hidden, batch = row.hidden_size, row.batch
    input_weights, weights = row.gates * hidden * row.input_size, row.gates * hidden * hidden
    readout_weights = hidden * VOCABULARY
    tail = machine.cycles(TAIL_CYCLES[row.cell]) if batch == 1 else 0.0

    if row.kind == "step":
        return machine.product(input_weights + weights, batch) + tail
    if row.kind == "gen":
        drawing = machine.cycles(SAMPLE_CYCLES)
        return machine.product(weights + readout_weights, batch) + tail + drawing
    if row.kind == "train":
        # Forward and backward through time; the gradient of W_hh; three products of the readout.
        # Characters make the products with W_ih a gather and a scatter.
        through_time = 2 * (machine.product(weights, batch) + tail)
        hoisted = machine.arithmetic(2 * batch * (weights + 3 * readout_weights))
    else:
        through_time = machine.product(weights, batch) + tail
        hoisted = machine.arithmetic(2 * batch * input_weights)
    return row.steps * (through_time + hoisted)


class _Machine:
    """Seconds that pieces of work take at the best that a machine does."""

    def __init__(self, constants: Constants, threads: int) -> None:
        self.constants = constants
        self.threads = threads

    def cycles(self, count: float) -> float:
        return count / self.constants.clock_ghz / 1e9

    def arithmetic(self, operations: float) -> float:
        return operations / self.constants.peak_gflops / 1e9 / self.threads

    def product(self, weights: int, batch: int) -> float:
        """Return the seconds of a product of ``weights`` weights with ``batch`` vectors."""
        read_by_each = weights / self.threads if batch == 1 else weights
        return max(self.arithmetic(2 * batch * weights), self.read(FLOAT_BYTES * read_by_each))

    def read(self, size: float) -> float:
        """Read ``size`` bytes again that were read a step before."""
        l1_size, l2_size, _ = self.constants.cache_bytes
        l1, l2, l3 = (rate * 1e9 for rate in self.constants.read_gbytes)
        if size < l1_size:
            return size / l1
        in_l2 = min(size, int(L2_SHARE * l2_size))
        return in_l2 / l2 + (size - in_l2) / l3
