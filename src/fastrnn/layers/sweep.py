"""One layer in one direction: its loops over time, there and back."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrnn import _backward, _forward, _ops, _threads
from fastrnn._cells import Cells
from fastrnn.layers.embedding import Tokens
from fastrnn.layers.gradients import ParameterGrads
from fastrnn.layers.module import product
from fastrnn.layers.outside import Outside
from fastrnn.layers.packed import Packed
from fastrnn.layers.rows import Rows
from fastrnn.layers.workspace import FRESH, Workspace

if TYPE_CHECKING:
    from fastrnn.layers.recurrent import Recurrent


# The way back goes chunk by chunk of rows, so that an Elman cell's dz, its states and what reaches
# them from outside are still in L2, of 1 MB, for the products: so many numbers of each up to
# H = 256, beyond it so many rows, as a product's sums are loaded and stored once a chunk. With
# gates dz is four times as large, which still was better than all rows (docs/performance.md).
CHUNK_NUMBERS = 1 << 16
CHUNK_ROWS = 256

# Of fewer sequences than the first, threads share the units of each step; up to the second they do
# if as many can: a thread's share of the sequences would be tiles of few rows, whose multiply-adds
# wait for each other and for all of the weights (docs/performance.md, "Threads"; two threads). The
# third takes the place of the second where W_hh is of more bytes than an L2 mostly has room for;
# those whose units are shared have to be one group on the way back (`GROUP_SEQUENCES`).
FEW_SEQUENCES = 8
SOME_SEQUENCES = 16
MORE_SEQUENCES = 32
FAR_WEIGHTS = 2 << 20


# A batch of twice this many sequences is done in two groups on the way back, so that two threads
# wait for nothing and fetch nothing from each other: of fewer, a product's tiles have too few rows.
# A thread then has all of W_hh's gradient, not half of its rows: of more weights than these this
# displaces from L2 as much as it saves.
GROUP_SEQUENCES = 16
MOST_GROUPS = 2
GROUP_WEIGHTS = 1 << 16


class Saved(NamedTuple):
    """What the way back needs of the way there, in rows."""

    x: np.ndarray  # (N, I), or token ids (N,)
    h: np.ndarray  # (B + N, R), the states that are fed back
    c: np.ndarray | None  # (B + N, H)
    gates: np.ndarray | None  # (N, width)
    more: Any = None  # of a composed cell


class Reached(NamedTuple):
    """What the loop back leaves, in rows; of dz nothing that counts unless it was wanted."""

    dz: np.ndarray  # (N, width), of the pre-activations
    dz_ih: np.ndarray  # (N, G H), of what W_ih gives
    dz_hh: np.ndarray  # (N, G H), of what W_hh gives
    carry: np.ndarray | None  # (B, H), what reaches the initial states past the weights
    grad_last: np.ndarray | None  # (B, R), what reaches the final ones


class Sweep:
    """One direction of one layer of a recurrent network.

    It sees rows from the first step to the last; for the direction that reads sequences from their
    end, the caller turns them.

    Parameters
    ----------
    layer : Recurrent
        Whose parameters it uses, those that end in ``suffix``, and which owns it: it keeps no
        reference that would have the layer's memory wait for the garbage collector.
    number : int
        Which layer it is, from 0.
    backwards : bool
        Whether it reads sequences from their end.
    input_size : int

    Attributes
    ----------
    helpers : int
        How many threads the last way there had beside the caller's.
    """

    # For each gate, in ROW_WORK: activations, which in float64 are libm's.
    _row_cost = 2

    def __init__(self, layer: Recurrent, number: int, backwards: bool, input_size: int) -> None:
        self.suffix = f"_l{number}" + ("_reverse" if backwards else "")
        self.backwards, self.input_size = backwards, input_size
        self._owner, self._is_first, self.helpers = weakref.ref(layer), number == 0, 0
        self._width = layer._row_gates * layer.hidden_size
        self._columns = layer._gates * layer.hidden_size
        self._fed_back = layer.state_sizes[0]

    def __getstate__(self) -> dict[str, Any]:
        # A copied layer makes its own, but a subclass may hand over all that it has.
        return {name: value for name, value in self.__dict__.items() if name != "_owner"}

    @property
    def _layer(self) -> Recurrent:
        layer = self._owner()
        assert layer is not None
        return layer

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its parameters by name."""
        rows = self._columns
        shapes: dict[str, tuple[int, ...]] = {
            f"weight_ih{self.suffix}": (rows, self.input_size),
            f"weight_hh{self.suffix}": (rows, self._fed_back),
        }
        if self._layer.bias:
            shapes |= {f"bias_ih{self.suffix}": (rows,), f"bias_hh{self.suffix}": (rows,)}
        return shapes

    def pack(self) -> Packed:
        """Return packed copies of its weights."""
        layer, suffix = self._layer, self.suffix
        view = layer._views.get
        return Packed(
            layer._views["weight_ih" + suffix],
            layer._views["weight_hh" + suffix],
            (view("bias_ih" + suffix), view("bias_hh" + suffix)),
            self._width,
            layer._gates,
            layer._input_blocks,
            layer._hidden_blocks,
            view(f"weight_{layer._out}{suffix}"),
        )

    def forward(
        self,
        packed: Packed,
        rows: Rows,
        x: np.ndarray,
        initial: list[Any],
        keep: bool,
        num_threads: int | None,
        workspace: Workspace,
        seed: int | None,
        tokens: Tokens,
    ) -> Saved:
        """Run over all steps from the initial states (B, H), or 0.

        Kept is what backward needs, or nothing. The seed is of what is dropped within, if any is.
        """
        layer, width, batch = self._layer, self._width, rows.batch
        hidden, dtype, is_dense = layer.hidden_size, layer.dtype, x.ndim == 2
        row_work = self._columns * (hidden + (self.input_size if is_dense else 0))
        threads, by_units = self._threads(rows, row_work, num_threads)
        self.helpers = threads - 1
        h = workspace.take("h" + self.suffix, (batch + rows.count, hidden), dtype)
        rows.begin(h, initial[0], self.backwards)
        c = gates = projection = None
        if keep and layer._has_gates:
            gates = workspace.take("gates" + self.suffix, (rows.count, width), dtype)
        if len(initial) > 1:
            count = batch + rows.count if keep else batch
            c = workspace.take("c" + self.suffix, (count, hidden), dtype)
            rows.begin(c, initial[1], self.backwards)
        together = 0
        if is_dense:
            together = _forward.projection_steps(
                rows.steps, batch, width * dtype.itemsize, threads if by_units else 1
            )
        if together:
            projection = _ops.empty((together * batch, width), dtype)
        read = (
            x if is_dense else None,
            None if is_dense else x,
            packed.ih if projection is not None else None,
            packed.ih_gates if is_dense and projection is None else None,
            packed.bias,
            None if is_dense else packed.rows_of(tokens, num_threads),
            packed.hh,
        )
        segments = _threads.segments(rows.steps, self._row_time(row_work), batch)
        for segment in segments if rows.count else ():
            _forward.forward(
                layer._cell, layer._f, batch, rows.starts, rows.before, h, c, gates, *read,
                projection, together, self._columns, *segment, threads, by_units,
            )  # fmt: skip
        return Saved(x, h, c, gates)

    def backward(
        self,
        packed: Packed,
        rows: Rows,
        saved: Saved,
        grad_output: Outside | None,
        grad_final: list[np.ndarray | None],
        num_threads: int | None,
        workspace: Workspace,
        tokens: Tokens,
        dz_wanted: bool,
    ) -> Reached:
        """Add to the parameters' gradients.

        grad_output is of all states, (N, R); grad_final of the parts of the final state, (B, …)
        each. In a workspace that is not FRESH, dz takes the place of the gates, or where it is not
        wanted, there is only as much of it as is used at a time.
        """
        layer, columns, batch = self._layer, self._columns, rows.batch
        work = columns * layer.hidden_size
        of_outputs = self._on_the_way(rows, grad_output, grad_final)
        groups = self._groups(rows, work, of_outputs)
        readout = outside = grad_last = grad_h = None
        if grad_output is not None and rows.count:
            if of_outputs:
                readout = grad_output.on_the_way(groups)
            else:
                outside = grad_output.whole()
        of_inputs = columns * self.input_size if saved.x.ndim == 2 else 0
        row_time = self._row_time(2 * work + of_inputs + 3 * of_outputs)
        segment = _threads.segment_size(row_time, batch)
        at_once = min(segment, self._steps_at_once(rows))
        is_whole = dz_wanted or layer._has_gates or rows.starts is not None
        dz = None if workspace is FRESH else saved.gates
        if dz is None:  # not whole: a chunk's, with a step after its last
            count = rows.count if is_whole else (at_once + 1) * batch
            dz = workspace.take("dz" + self.suffix, (count, self._width), layer.dtype)
        carry = self._carry(rows, grad_final)
        if readout is None:
            grad_last = rows.grad_last(outside, grad_final[0], self.backwards)
        if dz_wanted:
            reached = Reached(dz, dz[:, :columns], dz[:, -columns:], carry, grad_last)
        else:
            reached = Reached(dz, dz, dz, carry, grad_last)
        if not rows.count:
            return reached
        if readout is not None:
            grad_h = workspace.take("grad_h", (at_once * batch, self._fed_back), layer.dtype)
        grads = ParameterGrads(
            self, saved.x, rows.previous(saved.h), tokens, num_threads, workspace, groups
        )
        threads, by_units = self._threads(rows, work, num_threads)
        readers = readout.threads if readout else 1
        sharers = min(groups, max(threads, grads.threads, readers))
        _backward.backward(
            layer._cell, layer._f, batch, rows.starts, rows.before, rows.steps, dz, carry, saved.h,
            saved.c, saved.gates, packed.hh_back, outside, grad_last, grad_h,
            readout.rows if readout else None, grads.sums, is_whole, groups, at_once, segment,
            sharers, _share(threads, sharers), _share(grads.threads, sharers),
            _share(readers, sharers), by_units,
        )  # fmt: skip
        workspace.give("grad_h", grad_h)
        grads.share(packed)
        return reached

    def _row_time(self, work: int) -> int:
        """Return how long a row of so many multiply-adds takes, in multiply-adds, if it has few."""
        return max(work, self._row_cost * self._layer._row_gates * _threads.ROW_WORK)

    def _on_the_way(
        self, rows: Rows, grad_output: Outside | None, grad_final: list[np.ndarray | None]
    ) -> int:
        """Return the multiply-adds of a row's outputs if the way back computes their gradient.

        It does not where what reaches the last states has to be known before, nor where a step of
        it would take too long: by itself it is cut into fewer rows.
        """
        if grad_output is None or rows.starts is not None or grad_final[0] is not None:
            return 0
        row_work = grad_output.row_work
        return 0 if 3 * rows.batch * row_work > _threads.SEGMENT_WORK else row_work

    def _groups(self, rows: Rows, row_work: int, of_outputs: int) -> int:
        """Return in how many groups the way back is done, for any number of threads."""
        if rows.starts is not None or rows.batch < SOME_SEQUENCES:
            return 1
        work = rows.count * row_work
        if max(row_work, of_outputs) > GROUP_WEIGHTS or work < 2 * _threads.MINIMUM_SHARE:
            return 1
        return max(1, min(rows.batch // GROUP_SEQUENCES, MOST_GROUPS))

    def _steps_at_once(self, rows: Rows) -> int:
        """Return how many steps a chunk of the way back has."""
        most = max(CHUNK_ROWS, CHUNK_NUMBERS // self._layer.hidden_size)
        return max(1, min(rows.steps, most // max(1, rows.batch)))

    def _carry(self, rows: Rows, grad_final: list[np.ndarray | None]) -> np.ndarray | None:
        """Return what reaches the final states of a cell with gates past its weights."""
        if not self._layer._has_gates:
            return None
        carry = _ops.empty((rows.batch, self._layer.hidden_size), self._layer.dtype)
        grad_c = grad_final[1] if len(grad_final) > 1 else None
        carry[...] = 0 if grad_c is None else rows.spread_final(grad_c, self.backwards)
        return carry

    def grad_x(self, packed: Packed, reached: Reached, num_threads: int | None) -> np.ndarray:
        """Return the gradient of x, (N, I)."""
        grad = _ops.empty((len(reached.dz), self.input_size), self._layer.dtype)
        if len(grad):
            product(grad, reached.dz_ih, packed.ih_back, num_threads)
        return grad

    def grad_initial(
        self,
        packed: Packed,
        rows: Rows,
        saved: Saved,
        reached: Reached,
        num_threads: int | None,
    ) -> list[np.ndarray]:
        """Return the gradients of the parts of the initial state, (B, …) each."""
        begun, last = rows.first_row(1) if rows.steps else 0, reached.grad_last
        grad_h = _ops.empty((rows.batch, self._fed_back), self._layer.dtype)
        if begun:
            product(grad_h[:begun], reached.dz_hh[:begun], packed.hh_back, num_threads)
            self._through_mask(saved, grad_h[:begun])
        if begun < rows.batch:  # a sequence without steps ends in what it begins with
            grad_h[begun:] = 0 if last is None else last[begun:]
        parts = self._layer._grad_states(grad_h, reached.carry)
        return [rows.grad_initial(part, self.backwards) for part in parts]

    def add_to(self, cells: Cells, packed: Packed, stored: int, tokens: Tokens) -> None:
        """Add its cell to those of a stream."""
        layer = self._layer
        cells.add(
            layer._cell, layer._f, stored, packed.ih_stored(stored), packed.bias,
            packed.hh_stored(stored), packed.rows_of(tokens, None) if self._is_first else None,
            self._columns, layer.hidden_size,
        )  # fmt: skip

    def _through_mask(self, saved: Saved, grad: np.ndarray) -> None:
        """Let a gradient of what W_hh is multiplied with become that of the states."""

    def _threads(self, rows: Rows, row_work: int, num_threads: int | None) -> tuple[int, bool]:
        """Return how many threads to use for all rows, and whether they share units of a step.

        They share sequences if there are more than a few, which takes less waiting. Of a few, each
        thread would read all weights, which is what takes the time.
        """
        work, layer = rows.count * row_work, self._layer
        have_all_steps = rows.batch == 1 or rows.starts is None
        by_sequences = _threads.threads_for(work, rows.batch, num_threads)
        weights = self._columns * layer.hidden_size
        are_far = weights * layer.dtype.itemsize > FAR_WEIGHTS
        some = MORE_SEQUENCES if are_far else SOME_SEQUENCES
        if have_all_steps and rows.batch < some and work >= 2 * _threads.MINIMUM_SHARE:
            parts = _threads.unit_parts(rows.batch * weights)
            if parts > 1:
                parts = min(parts, _ops.unit_blocks(layer.hidden_size, layer.dtype))
            threads = _threads.threads_for(work, parts, num_threads)
            if threads > 1 and (rows.batch < FEW_SEQUENCES or threads >= by_sequences):
                return threads, True
        return by_sequences, False


def _share(threads: int, groups: int) -> int:
    """Return how many of the threads a group's loops are shared by; they need not be there."""
    return -(-threads // groups)
