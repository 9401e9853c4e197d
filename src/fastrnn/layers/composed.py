"""A sweep of cells that are more than one product and the cell itself.

Recurrent dropout: W_hh sees the state times a mask, the same for all steps. Layer normalisation:
W_ih x and W_hh h, and the c that an LSTM shows, are normalised. Projection: the state that is put
out and fed back is f(W h + b) of what the cell gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _gradients, _ops, _threads
from fastrnn._cells import Cells
from fastrnn._composed import Loop
from fastrnn.layers.embedding import Tokens
from fastrnn.layers.gradients import ParameterGrads, token_grads
from fastrnn.layers.module import add_product
from fastrnn.layers.outside import Outside
from fastrnn.layers.packed import Packed
from fastrnn.layers.rows import Rows
from fastrnn.layers.sweep import Reached, Saved, Sweep
from fastrnn.layers.workspace import Workspace

# Whether a number is dropped is decided by 16 random bits.
DROPOUT_STEPS = 1 << 16

# Trainings count their seeds: those of one step in different places must not be those of others.
_BETWEEN_PLACES = 0x9E3779B97F4A7C15


def dropped_out(rows: np.ndarray, share: float, seed: int, place: int) -> np.ndarray:
    """Return rows with a share of them zero, the rest scaled up.

    ``place`` says where in a network: 0 is before the read-out, 2 k + 1 before layer k and 2 k + 2
    within its cells, counting directions.
    """
    out = _ops.empty(rows.shape, rows.dtype)
    if rows.size:
        mixed = (seed + place * _BETWEEN_PLACES) % 2**64
        _ops.dropout(out, rows, mixed, dropout_threshold(share))
    return out


def dropout_threshold(share: float) -> int:
    """Return how many of DROPOUT_STEPS mean that a number is dropped."""
    return min(round(share * DROPOUT_STEPS), DROPOUT_STEPS - 1)


class ComposedSweep(Sweep):
    """A sweep whose layer has recurrent dropout, layer normalisation or a projection."""

    _row_cost = 8  # with the statistics of what is normalised

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its parameters by name."""
        layer, suffix, hidden = self._layer, self.suffix, self._layer.hidden_size
        shapes = super().shapes
        if layer._projects:
            shapes[f"weight_{layer._out}{suffix}"] = (self._fed_back, hidden)
            if layer._out_bias:
                shapes[f"bias_{layer._out}{suffix}"] = (self._fed_back,)
        if layer.layer_norm:
            for name in ("ih", "hh"):
                shapes[f"weight_norm_{name}{suffix}"] = (self._columns,)
            if self._has_c:
                shapes[f"weight_norm_c{suffix}"] = shapes[f"bias_norm_c{suffix}"] = (hidden,)
        return shapes

    @property
    def _has_c(self) -> bool:
        return len(self._layer.state_names) > 1

    def _view(self, name: str) -> np.ndarray | None:
        return self._layer._views.get(name + self.suffix)

    def _grad(self, name: str) -> np.ndarray:
        return self._layer._grad_views[name + self.suffix]

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
        """Run over all steps; see `Sweep.forward`."""
        layer = self._layer
        masked = seed is not None and layer.recurrent_dropout > 0
        if not masked and self._is_plain:
            return super().forward(
                packed, rows, x, initial, keep, num_threads, workspace, seed, tokens
            )
        buffers = self._buffers(packed, rows.batch, rows.count, keep)
        rows.begin(buffers["states"], initial[0], self.backwards)
        if self._has_c:
            rows.begin(buffers["c"], initial[1], self.backwards)
        if seed is not None and masked:
            buffers["mask"] = self._mask(rows, seed)
        normal_tokens = None
        if x.ndim == 2:
            buffers |= {"x": x, "packed_ih": packed.ih}
        else:
            buffers["ids"] = x
            buffers["token_rows"], normal_tokens = self._token_rows(packed, tokens, num_threads)
        loop = self._loop(rows, buffers, keep)
        self._run(loop.forward, rows, num_threads, backwards=False)
        more = (loop, buffers, normal_tokens)
        return Saved(x, buffers["states"], buffers.get("c"), buffers.get("gates"), more)

    @property
    def _is_plain(self) -> bool:
        """Whether nothing but a mask keeps its steps from being those of a plain sweep."""
        return not self._layer.layer_norm and not self._layer._projects

    def _mask(self, rows: Rows, seed: int) -> np.ndarray:
        """Return what states are multiplied with, the same for all pieces of a sequence."""
        layer = self._layer
        sequences = rows.batch if rows.sequence is None else int(rows.sequence.max()) + 1
        ones = np.ones((sequences, self._fed_back), layer.dtype)
        place = 2 * layer._sweeps.index(self) + 2
        mask = dropped_out(ones, layer.recurrent_dropout, seed, place)
        return mask if rows.sequence is None else mask[rows.sequence]

    def _buffers(self, packed: Packed, batch: int, count: int, keep: bool) -> dict[str, Any]:
        """Return what the loop forward takes but the input, for ``count`` rows.

        Without ``keep``, what is in between has room for a step alone.
        """
        layer, hidden, size = self._layer, self._layer.hidden_size, self._fed_back
        states = batch + count
        if not keep:
            count = batch
        buffers: dict[str, Any] = {
            "states": self._empty(states, size),
            "passed": self._empty(count, size),
            "row": self._empty(batch, self._width),
            "product": self._empty(batch, self._columns),
            "packed_hh": packed.hh_whole,
            "bias": packed.bias,
        }
        if self._has_c:
            buffers["c"] = self._empty(states if keep else batch, hidden)
        if layer._has_gates:
            buffers["gates"] = self._empty(count, self._width)
        if layer._projects:
            buffers["inner"] = self._empty(count, hidden)
            buffers["packed_out"] = packed.out
            buffers["bias_out"] = self._view(f"bias_{layer._out}")
        if layer.layer_norm:
            buffers |= self._norms(count)
        return buffers

    def _loop(self, rows: Rows, buffers: dict[str, Any], keep: bool) -> Loop:
        layer = self._layer
        loop = Loop(
            layer.dtype == np.float32, layer._cell, layer._f, layer._output_f, rows.batch,
            rows.starts, rows.before, rows.steps, layer.hidden_size, self._fed_back,
            self.input_size, self._width, self._columns, keep,
        )  # fmt: skip
        loop.take(**buffers)
        return loop

    def add_to(self, cells: Cells, packed: Packed, stored: int, tokens: Tokens) -> None:
        """Add its cell to those of a stream."""
        layer = self._layer
        if self._is_plain:
            super().add_to(cells, packed, stored, tokens)
            return
        if stored:
            raise ValueError(
                "weights can be stored smaller only for RNN, LSTM and GRU layers without layer "
                "normalisation and projections"
            )
        buffers = self._buffers(packed, cells.capacity, cells.capacity, keep=True)
        # Those that are views of the parameters would follow them.
        for name in ("gain_hh", "gain_c", "bias_c", "bias_out"):
            if buffers.get(name) is not None:
                buffers[name] = buffers[name].copy()
        buffers["packed_ih"] = packed.ih
        if self._is_first:
            buffers["token_rows"], _ = self._token_rows(packed, tokens, None)
        loop = self._loop(Rows(1, cells.capacity), buffers, True)
        states = [buffers["states"], buffers["c"]] if self._has_c else [buffers["states"]]
        cells.add_composed(loop, states, layer.hidden_size, self._fed_back)

    def _empty(self, *shape: int) -> np.ndarray:
        return _ops.empty(shape, self._layer.dtype)

    def _in_row_order(self, parameter: np.ndarray) -> np.ndarray:
        """Return the gates of a parameter of W_ih's in the order of a row."""
        hidden = self._layer.hidden_size
        parts = sorted(self._layer._input_blocks)
        return np.concatenate(
            [parameter[gate * hidden : (gate + n) * hidden] for _, gate, n in parts]
        )

    def _norms(self, count: int) -> dict[str, Any]:
        hidden, gain_ih = self._layer.hidden_size, self._view("weight_norm_ih")
        assert gain_ih is not None
        norms: dict[str, Any] = {"gain_ih": self._in_row_order(gain_ih)}
        norms["gain_hh"] = self._view("weight_norm_hh")
        for name in ("ih", "hh"):
            norms[f"normal_{name}"] = self._empty(count, self._columns)
            norms[f"spread_{name}"] = self._empty(count)
        if self._has_c:
            norms |= {"gain_c": self._view("weight_norm_c"), "bias_c": self._view("bias_norm_c")}
            norms |= {"normal_c": self._empty(count, hidden), "spread_c": self._empty(count)}
        return norms

    def _token_rows(
        self, packed: Packed, tokens: Tokens, num_threads: int | None
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
        """Return what each token and the biases give, and the normalised part of it."""
        gain = self._view("weight_norm_ih")
        if gain is None:
            return packed.rows_of(tokens, num_threads), None
        return packed.kept_for(tokens, lambda: self._normed_rows(packed, tokens, num_threads, gain))

    def _normed_rows(
        self, packed: Packed, tokens: Tokens, num_threads: int | None, gain: np.ndarray
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        of_tokens = packed.of_tokens(tokens, num_threads)
        normal, spread = self._empty(*of_tokens.shape), self._empty(len(of_tokens))
        _ops.normalise(normal, spread, of_tokens)
        rows = self._empty(len(of_tokens), self._width)
        rows[...] = packed.bias
        rows[:, : self._columns] += self._in_row_order(gain) * normal
        return rows, (normal, spread)

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
        """Add to the parameters' gradients; see `Sweep.backward`."""
        if saved.more is None:
            return super().backward(
                packed, rows, saved, grad_output, grad_final, num_threads, workspace, tokens,
                dz_wanted,
            )  # fmt: skip
        layer, hidden, count = self._layer, self._layer.hidden_size, rows.count
        loop, buffers, _ = saved.more
        carry = self._carry(rows, grad_final)
        outside = None if grad_output is None else grad_output.whole()
        grad_last = rows.grad_last(outside, grad_final[0], self.backwards)
        back = {
            "dz": self._empty(count, self._width),
            "dy": self._empty(count, self._fed_back),
            "carry": carry,
            "grad_output": outside,
            "grad_last": grad_last if grad_last is None else np.ascontiguousarray(grad_last),
            "packed_hh": packed.hh_back,
        }
        if layer._projects:
            back |= {"d_inner": self._empty(rows.batch, hidden), "packed_out": packed.out_back}
        if layer.layer_norm:
            back["dz_hh"] = self._empty(count, self._columns)
            if self._has_c:
                back["d_normal_c"] = self._empty(count, hidden)
        loop.take(**back)
        self._run(loop.backward, rows, num_threads, backwards=True)
        dz: Any = back["dz"]
        columns = self._columns
        if not layer.layer_norm:
            if count:
                sums = ParameterGrads(self, saved.x, buffers["passed"], tokens, num_threads)
                sums.sums.add(dz)
                sums.share(packed)
            reached = Reached(dz, dz[:, :columns], dz[:, -columns:], carry, grad_last)
        else:
            dz_hh: Any = back["dz_hh"]
            dz_ih = self._normed_grads(packed, saved, back, num_threads, tokens)
            reached = Reached(dz, dz_ih, dz_hh, carry, grad_last)
        if layer._projects and count:
            grad_out = self._grad(f"weight_{layer._out}")
            add_product(grad_out, back["dy"], buffers["inner"], num_threads)
            if layer._out_bias:
                _ops.column_sums(self._grad(f"bias_{layer._out}"), back["dy"])
        return reached

    def _run(self, loop: Any, rows: Rows, num_threads: int | None, *, backwards: bool) -> None:
        row_work = self._columns * (self.input_size + self._fed_back)
        threads = _threads.threads_for(rows.count * row_work, rows.batch, num_threads)
        if rows.count:
            segments = _threads.segments(rows.steps, self._row_time(row_work), rows.batch)
            for segment in reversed(segments) if backwards else segments:
                loop(*segment, threads)

    def _normed_grads(
        self,
        packed: Packed,
        saved: Saved,
        back: dict[str, Any],
        num_threads: int | None,
        tokens: Tokens,
    ) -> np.ndarray:
        """Add to the gradients of a layer with normalisation; return that of W_ih x."""
        layer, columns, dz, x = self._layer, self._columns, back["dz"], saved.x
        _, buffers, normal_tokens = saved.more
        blocks = layer._input_blocks, layer._hidden_blocks
        hidden, grad = layer.hidden_size, self._grad
        if not len(dz):
            return dz[:, :columns]
        of_ih, of_hh = dz[:, :columns], dz[:, -columns:]
        grad("weight_norm_hh")[...] += (of_hh * buffers["normal_hh"]).sum(axis=0)
        add_product(grad("weight_hh"), back["dz_hh"], buffers["passed"], num_threads)
        if self._has_c:
            shown = back["d_normal_c"]
            grad("weight_norm_c")[...] += (shown * buffers["normal_c"]).sum(axis=0)
            grad("bias_norm_c")[...] += shown.sum(axis=0)
        sums = np.zeros(self._width, dz.dtype)
        _ops.column_sums(sums, dz)
        gain, dz_ih = buffers["gain_ih"], np.empty((len(dz), 0), dz.dtype)
        if x.ndim == 1:
            normal, spread = normal_tokens
            of_tokens = np.zeros(normal.shape, dz.dtype)
            _ops.scatter_rows(of_tokens, x, of_ih)
            gain_sums = (of_tokens * normal).sum(axis=0)
            per_token = self._empty(*of_tokens.shape)
            _ops.normalise_back(per_token, normal, spread, of_tokens, gain)
            of_each: np.ndarray | None = per_token
        else:
            of_each = None
            gain_sums = (of_ih * buffers["normal_ih"]).sum(axis=0)
            dz_ih = self._empty(len(dz), columns)
            _ops.normalise_back(dz_ih, buffers["normal_ih"], buffers["spread_ih"], of_ih, gain)
        for row, gate, n in layer._input_blocks:
            at = slice(gate * hidden, (gate + n) * hidden)
            of = slice(row * hidden, (row + n) * hidden)
            grad("weight_norm_ih")[at] += gain_sums[of]
            if of_each is None:
                add_product(grad("weight_ih")[at], dz_ih[:, of], x, num_threads)
        _gradients.share_sums(
            sums, of_each if tokens.one_hot else None, grad("weight_ih"),
            grad("bias_ih") if layer.bias else None, grad("bias_hh") if layer.bias else None,
            hidden, *blocks,
        )  # fmt: skip
        if of_each is not None and not tokens.one_hot:
            token_grads(layer, self.suffix, packed, of_each, tokens, num_threads)
        return dz_ih

    def _through_mask(self, saved: Saved, grad: np.ndarray) -> None:
        mask = None if saved.more is None else saved.more[1].get("mask")
        if mask is not None:
            grad *= mask[: len(grad)]
