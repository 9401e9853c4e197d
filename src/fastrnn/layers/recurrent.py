"""What all recurrent layers share: a stack of sweeps, their states, and how they are called.

A layer checks its input, owns parameters and packed weights, and runs the sweeps of its
directions, one layer after the other. A cell adds its equations' names, how a row of its
pre-activations is laid out, and its call.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

import numpy as np

from fastrnn import _check, _threads, _update
from fastrnn._cells import MOST
from fastrnn._step import Stream
from fastrnn.layers import initial, inputs
from fastrnn.layers.composed import ComposedSweep, dropped_out
from fastrnn.layers.embedding import ONE_HOT, Table, Tokens, choose
from fastrnn.layers.inputs import Form
from fastrnn.layers.module import Module
from fastrnn.layers.outside import Given, Outside
from fastrnn.layers.packed import Blocks, Packed
from fastrnn.layers.rows import Rows, joined
from fastrnn.layers.run import Run, Taken
from fastrnn.layers.steps import checked_cells, stream_of
from fastrnn.layers.sweep import Sweep
from fastrnn.layers.workspace import FRESH, Workspace


class Recurrent(Module):
    """Base of the recurrent layers.

    Attributes
    ----------
    input_size, hidden_size, num_layers : int
    bias, batch_first, bidirectional : bool
    dropout : float
    output_size : int
        Features of the output.
    options : tuple of str
        Names of the keyword arguments that this cell takes beside those of all.
    state_names : tuple of str
        Names of the parts of the initial state.
    """

    input_size: int
    hidden_size: int
    options: ClassVar[tuple[str, ...]] = ()
    state_names: ClassVar[tuple[str, ...]] = ("h_0",)
    _fixed: ClassVar[frozenset[str]] = Module._fixed | {
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "bidirectional",
        "dropout",
        "recurrent_dropout",
        "layer_norm",
        "init",
        "output_size",
    }

    _cell: ClassVar[int]
    _gates: ClassVar[int]  # of W_hh, in units of hidden_size
    _row_gates: ClassVar[int]  # of a row of pre-activations, likewise
    _input_blocks: ClassVar[Blocks]  # where the gates of W_ih stand in such a row
    _hidden_blocks: ClassVar[Blocks]  # and those of W_hh
    _f = 0
    _projects = False  # whether the state is what a projection makes of what the cell gives
    _output_f = 0  # the projection's nonlinearity
    _out = "hr"  # and what its parameters are called
    _out_bias = False  # and whether it has a bias

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        *,
        recurrent_dropout: float,
        layer_norm: bool,
        init: str,
        dtype: Any,
        seed: Any,
    ) -> None:
        self.input_size = _check.integer("input_size", input_size)
        self.hidden_size = _check.integer("hidden_size", hidden_size)
        self.num_layers = _check.integer("num_layers", num_layers, 1, MOST)
        self.bias = _check.flag("bias", bias)
        self.batch_first = _check.flag("batch_first", batch_first)
        self.dropout = _check.number("dropout", dropout, minimum=0, below=1)
        if self.dropout > 0 and self.num_layers == 1:
            raise ValueError(
                f"dropout is between layers and needs num_layers above 1, got dropout="
                f"{self.dropout:g} with num_layers=1"
            )
        self.bidirectional = _check.flag("bidirectional", bidirectional)
        self.recurrent_dropout = _check.number(
            "recurrent_dropout", recurrent_dropout, minimum=0, below=1
        )
        self.layer_norm = _check.flag("layer_norm", layer_norm)
        self.init = _check.choice("init", init, initial.SCHEMES)
        self._directions = [False, True] if self.bidirectional else [False]
        self.output_size = len(self._directions) * self.state_sizes[0]
        self._make_sweeps()
        shapes = {name: shape for sweep in self._sweeps for name, shape in sweep.shapes.items()}
        self._make_arena(shapes, _check.float_dtype("dtype", dtype))
        rng = np.random.default_rng(_check.seed("seed", seed))
        initial.fill(self._views, self.init, self.hidden_size, rng)
        self._drop_seeds = np.random.default_rng(rng.integers(2**63))

    def _make_sweeps(self) -> None:
        composed = self.layer_norm or self.recurrent_dropout > 0 or self._projects
        kind = ComposedSweep if composed else Sweep
        self._sweeps = [
            kind(self, k, backwards, self.output_size if k else self.input_size)
            for k in range(self.num_layers)
            for backwards in self._directions
        ]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        del state["_sweeps"]  # which are this layer's
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._drop_seeds = deepcopy(self._drop_seeds)
        self._make_sweeps()

    def __repr__(self) -> str:
        parts = [str(self.input_size), str(self.hidden_size)]
        parts += [f"{name}={value!r}" for name, value in self._changed_options().items()]
        return f"{type(self).__name__}({', '.join(parts)}, dtype={self.dtype})"

    def _changed_options(self) -> dict[str, Any]:
        """Return the options that are not what they are unless given, and the cell's own."""
        usual = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "recurrent_dropout": 0.0,
            "layer_norm": False,
            "init": "uniform",
        }
        changed = {name: getattr(self, name) for name in usual}
        changed = {name: value for name, value in changed.items() if value != usual[name]}
        own = {name: getattr(self, name) for name in self.options}
        return {name: value for name, value in own.items() if value is not None} | changed

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The last dimensions of the parts of a state."""
        return (self.hidden_size,) * len(self.state_names)

    def _pack(self) -> list[Packed]:
        return [sweep.pack() for sweep in self._sweeps]

    def _renewed(self, packed: list[Packed], sweep: _update.UpdateSweep) -> list[Packed]:
        return [one.renewed(sweep) for one in packed]

    def _gates_of(self, name: str) -> int:
        return self._gates if name.startswith(("weight_ih", "weight_hh")) else 1

    def _call(
        self, x: Any, state: Any, lengths: Any, reset_mask: Any, num_threads: int | None
    ) -> tuple[Any, Any]:
        seed = None
        if self.training and self._drops:
            seed = self._next_seed()
        with _threads.call:
            run = self._forward(
                x, state, num_threads, keep=self.training, lengths=lengths, reset_mask=reset_mask,
                seed=seed,
            )  # fmt: skip
        self._keep(run)
        output = run.rows.spread(self._features(run))
        if self.training:
            output.flags.writeable = False
        return run.form.given(output), self._state_of(self._final(run))

    @property
    def _drops(self) -> bool:
        """Whether anything is dropped in training mode."""
        return self.dropout > 0 or self.recurrent_dropout > 0

    def _next_seed(self) -> int:
        return int(self._drop_seeds.integers(_check.MAX_SEED + 1, dtype=np.uint64))

    def _state_of(self, parts: tuple[np.ndarray, ...]) -> Any:
        """Return a state in the form in which the layer takes it."""
        return parts if len(self.state_names) > 1 else parts[0]

    def _features(self, run: Run) -> np.ndarray:
        """Return the output as rows (N, output_size)."""
        return run.features(self._directions)

    def _final(self, run: Run) -> tuple[np.ndarray, ...]:
        """Return copies of the final states' parts, (D * L, B, H) each, or (D * L, H)."""
        parts = []
        for name in ("h", "c")[: len(self.state_names)]:
            states = [
                run.rows.final(getattr(saved, name), sweep.backwards)
                for sweep, saved in zip(self._sweeps, run.sweeps, strict=True)
            ]
            final = np.array(states) if len(states) > 1 else states[0][None].copy()
            parts.append(final if run.form.batched else final[:, 0])
        return tuple(parts)

    def _last_features(self, run: Run) -> np.ndarray:
        """Return the last layer's final state, directions beside each other: (B, output_size)."""
        last = zip(run.sweeps[-len(self._directions) :], self._directions, strict=True)
        return joined([np.ascontiguousarray(run.rows.final(saved.h, turn)) for saved, turn in last])

    def _taken(
        self,
        x: Any,
        state: Any,
        lengths: Any,
        reset_mask: Any,
        table: Table | None,
        *,
        keep: bool,
    ) -> Taken:
        """Check x and the state, and that there is memory for what the loops leave.

        Threads that the call before had use for take as long to wake up, and do so meanwhile.
        """
        _threads.rouse(self._sweeps[0].helpers)
        known = None if table is None else len(table.weight)
        values, rows, form = inputs.checked(
            x, lengths, reset_mask, self.input_size, known, self.dtype, self.batch_first
        )
        kept = len(self.state_names) + (self._row_gates if self._has_gates and keep else 0)
        each = kept * self.hidden_size * len(self._sweeps)
        _check.memory("the output", form.steps + 1, form.batch, each, self.dtype.itemsize)
        return Taken(values, rows, form, self._checked_states(state, form))

    def _forward(
        self,
        x: Any,
        state: Any,
        num_threads: int | None,
        *,
        keep: bool,
        lengths: Any = None,
        reset_mask: Any = None,
        seed: int | None = None,
        table: Table | None = None,
    ) -> Run:
        """Check x and the state, and run over all steps; ``keep`` what backward needs."""
        taken = self._taken(x, state, lengths, reset_mask, table, keep=keep)
        return self._run(taken, num_threads, keep=keep, seed=seed, table=table)

    def _run(
        self,
        taken: Taken,
        num_threads: int | None,
        *,
        keep: bool,
        workspace: Workspace = FRESH,
        seed: int | None = None,
        dropout: float = 0.0,
        table: Table | None = None,
    ) -> Run:
        """Run over all steps; ``keep`` what backward needs.

        With a ``seed``, the inputs of all layers but the first are dropped out, with ``dropout`` if
        the layer has none of its own. ``table`` is what ids stand for, one-hot vectors otherwise.
        """
        values, rows, form, states = taken
        known = None if table is None else len(table.weight)
        packed = self._packed()
        chosen = None
        if keep and values.ndim == 1:
            width = self._gates * self.hidden_size
            values, chosen = choose(values, known or self.input_size, width)
        tokens = Tokens(table, chosen) if known or chosen is not None else ONE_HOT
        run = Run(rows, form, [], seed, self.dropout or dropout, tokens)
        for k, sweep in enumerate(self._sweeps):
            if k > 0 and not sweep.backwards:
                values = self._dropped(self._features(run), run, sweep)
            begin = [part if part is None else part[k] for part in states]
            run.sweeps.append(
                sweep.forward(
                    packed[k],
                    rows,
                    rows.turned(values) if sweep.backwards else values,
                    [0 if part is None else part for part in begin],
                    keep,
                    num_threads,
                    workspace,
                    run.seed,
                    tokens,
                )
            )
        return run

    def _dropped(self, rows: np.ndarray, run: Run, sweep: Sweep) -> np.ndarray:
        """Return what a layer takes, or what reaches it back, of what the one before gives."""
        if run.seed is None or run.dropout == 0:
            return rows
        return dropped_out(rows, run.dropout, run.seed, 2 * self._sweeps.index(sweep) + 1)

    @property
    def _has_gates(self) -> bool:
        """Whether a row of pre-activations is kept beside the state."""
        return self._row_gates > 1

    def _backpropagate(
        self, grad_output: Any, grad_states: tuple[Any, ...], num_threads: int | None
    ) -> tuple[Any, tuple[np.ndarray, ...]]:
        """Backpropagate from the last call; return the gradients of x and of the state's parts.

        ``grad_states`` are the gradients with respect to the final state's parts.
        """
        run: Run = self._kept()
        rows, form = run.rows, run.form
        names = ["grad_" + name.replace("_0", "_n") for name in self.state_names]
        if grad_output is None and all(grad is None for grad in grad_states):
            listed, all_of = (
                ", ".join(["grad_output", *names[:-1]]),
                "both" if len(names) == 1 else "all",
            )
            raise ValueError(f"{listed} and {names[-1]} are {all_of} None, expected at least one")
        if grad_output is not None:
            grad_output = form.padded("grad_output", grad_output, (self.output_size,))
            grad_output = _check.floats("grad_output", grad_output, self.dtype)
            _check.shape("grad_output", grad_output, form.shape(self.output_size))
            grad_output = Given(np.ascontiguousarray(rows.gather(form.taken(grad_output))))
        grads = [
            None if grad is None else self._checked_state(name, grad, form, size)
            for name, grad, size in zip(names, grad_states, self.state_sizes, strict=True)
        ]
        has_x = run.sweeps[0].x.ndim == 2
        with _threads.call:
            grad_x, grad_initial = self._backward(
                run, grad_output, grads, num_threads=num_threads, with_x=has_x, with_state=True
            )
        if grad_x is not None:
            grad_x = form.given(rows.spread(grad_x))
        parts = [np.array(part) for part in zip(*grad_initial, strict=True)]
        return grad_x, tuple(part if form.batched else part[:, 0] for part in parts)

    def _grad_states(self, grad_h_0: np.ndarray, carry: Any) -> tuple[np.ndarray, ...]:
        """Return the gradients of the initial state's parts.

        ``grad_h_0`` is what came through W_hh, ``carry`` what came past it.
        """
        return (grad_h_0,)

    def _backward(
        self,
        run: Run,
        grad_output: Outside | None,
        grad_final: list[np.ndarray | None],
        *,
        num_threads: int | None,
        workspace: Workspace = FRESH,
        with_x: bool = False,
        with_state: bool = False,
    ) -> tuple[np.ndarray | None, list[list[np.ndarray]]]:
        """Add to the gradients of the parameters; return those of x and of the initial states.

        grad_output is of rows (N, output_size), grad_final the parts of the final state's, (D * L,
        B, H) each. Those of the initial states are a list of parts for each sweep, computed
        ``with_state``; that of x is rows, computed ``with_x``.
        """
        rows, packed, grad = run.rows, self._packed(), grad_output
        if grad is not None and self.bidirectional:  # both directions read it
            grad = Given(grad.whole())
        grad_x: np.ndarray | None = None
        grad_initial: list[list[np.ndarray]] = []
        below: list[np.ndarray] = []
        for k in reversed(range(len(self._sweeps))):
            sweep, saved = self._sweeps[k], run.sweeps[k]
            final = [None if part is None else part[k] for part in grad_final]
            own = None if grad is None else self._share(rows, grad, sweep)
            x_wanted = with_x or k >= len(self._directions)
            reached = sweep.backward(
                packed[k], rows, saved, own, final, num_threads, workspace, run.tokens,
                dz_wanted=x_wanted or with_state,
            )  # fmt: skip
            if with_state:
                grad_initial.insert(
                    0, sweep.grad_initial(packed[k], rows, saved, reached, num_threads)
                )
            if x_wanted:
                of_sweep = sweep.grad_x(packed[k], reached, num_threads)
                below.append(rows.turned(of_sweep) if sweep.backwards else of_sweep)
            if saved.gates is None and saved.more is None:
                workspace.give("dz" + sweep.suffix, reached.dz)
            if not sweep.backwards and below:
                grad_x = below[0] if len(below) == 1 else below[0] + below[1]
                below = []
                if k > 0:
                    grad = Given(self._dropped(grad_x, run, sweep))
        return grad_x if with_x else None, grad_initial

    def _backward_of(
        self,
        run: Run,
        grad: Outside,
        over_time: bool,
        num_threads: int | None,
        workspace: Workspace,
    ) -> None:
        """Add to the gradients from that of `_features`, or else of `_last_features`."""
        final: list[np.ndarray | None] = [None] * len(self.state_names)
        if not over_time:
            every = np.zeros((len(self._sweeps), run.form.batch, self.state_sizes[0]), self.dtype)
            last = grad.whole()
            for i, part in enumerate(np.split(last, len(self._directions), axis=1)):
                every[i - len(self._directions)] = part
            final[0] = every
        self._backward(
            run, grad if over_time else None, final, num_threads=num_threads, workspace=workspace
        )

    def _share(self, rows: Rows, grad: Outside, sweep: Sweep) -> Outside:
        """Return what of a gradient of a layer's output reaches one of its directions."""
        if not self.bidirectional:
            return grad
        size, whole = self.state_sizes[0], grad.whole()
        if sweep.backwards:
            return Given(rows.turned(whole[:, size:]))
        return Given(np.ascontiguousarray(whole[:, :size]))

    def _give_back(self, run: Run, workspace: Workspace) -> None:
        """Let a workspace have what a call has taken."""
        for sweep, saved in zip(self._sweeps, run.sweeps, strict=True):
            if saved.more is not None:
                continue  # not taken from there
            for name, array in ("h", saved.h), ("c", saved.c), ("gates", saved.gates):
                workspace.give(name + sweep.suffix, array)

    def stream(self, batch_size: int = 1, weights: str | None = None) -> Stream:
        """Return an object that keeps the state and is fed one step at a time.

        It has the weights that the layer has now: later changes do not reach it. A step returns
        a new array, or writes into one that it is given and then allocates nothing.

        Parameters
        ----------
        batch_size : int
            How many independent sequences it advances together.
        weights : {"float32", "bfloat16", "int8"}, optional
            What its copies of W_ih and W_hh are stored as; as the layer has them unless given.
            Smaller ones make steps faster whose time is that of reading weights: few sequences
            and hidden_size 256 or more. ``"bfloat16"`` keeps 8 significant bits; ``"int8"``
            rounds each row of a weight to multiples of its largest absolute value / 127. Biases,
            states and sums stay float32, so that states of any size are as they are in a layer
            with the rounded weights. Token ids take their rows of W_ih as the layer has it.

        Returns
        -------
        Stream
            With ``step(x_t, out=None)``, ``state`` and ``reset(state=None, rows=None)``.

        Raises
        ------
        TypeError, ValueError
            If batch_size is not a positive integer, or weights are none of these, or given for
            a float64 layer, a Jordan or one with layer normalisation or projections; if the layer
            is bidirectional.

        Examples
        --------
        >>> import numpy as np, fastrnn
        >>> stream = fastrnn.RNN(3, 5, seed=0).stream()
        >>> stream.step(np.ones(3, np.float32)).shape
        (5,)
        """
        cells, _ = checked_cells(self, batch_size, weights, None)
        return stream_of(self, cells)

    def _checked_states(self, value: Any, form: Form) -> list[np.ndarray | None]:
        """Return the parts of an initial state as (D * L, B, H), or None for zeros."""
        parts = _check.state("state", value, self.state_names)
        if parts is None:
            return [None] * len(self.state_names)
        return [
            self._checked_state(name, part, form, size)
            for name, part, size in zip(self.state_names, parts, self.state_sizes, strict=True)
        ]

    def _checked_state(self, name: str, value: Any, form: Form, size: int) -> np.ndarray:
        """Return a state given as (D * L, B, size), or unbatched (D * L, size), with a batch."""
        array = _check.floats(name, value, self.dtype)
        sweeps = len(self._sweeps)
        expected = (sweeps, form.batch, size) if form.batched else (sweeps, size)
        _check.shape(name, array, expected)
        return array.reshape(sweeps, form.batch, size)
