"""A recurrent layer with a read-out, and its losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _check, _ops, _threads, losses
from fastrnn._cells import Cells
from fastrnn._step import Stream
from fastrnn.layers import Embedding, Linear, Module, Recurrent
from fastrnn.layers.embedding import Table
from fastrnn.layers.parts import Parts
from fastrnn.layers.run import Run, Taken
from fastrnn.layers.steps import checked_cells, stream_of
from fastrnn.layers.workspace import FRESH, Workspace
from fastrnn.readout import Computed, CrossEntropy, How, Outcome, SquaredError

OUTPUTS = ("all", "last")
LOSSES = ("cross_entropy", "mse")


class Network(Parts):
    """Recurrent layer and read-out: y_t = g(W_hy h_t + b_y).

    Parameters
    ----------
    layer : RNN or another recurrent layer
        Gives the states h_t.
    readout : Linear, optional
        W_hy and b_y; ``readout.in_features`` is ``layer.output_size``. Without it the outputs are
        the layer's own, as a Jordan layer's may be.
    embedding : Embedding or "tied", optional
        What token ids stand for: the rows of an embedding, or with ``"tied"`` of the read-out's
        weight (O. Press and L. Wolf, arXiv:1608.05859), of as many features as the layer takes.
        One-hot vectors unless given.
    output : {"linear", "softmax"}
        g.

    Raises
    ------
    TypeError, ValueError
        If the parts do not fit together.

    Examples
    --------
    >>> import numpy as np, fastrnn
    >>> net = fastrnn.Network(fastrnn.RNN(4, 8, seed=0), fastrnn.Linear(8, 4, seed=1),
    ...                       output="softmax")
    >>> y, h_n = net(np.array([[0], [1], [3]]))
    >>> y.shape, bool(np.allclose(y.sum(axis=-1), 1))
    ((3, 1, 4), True)
    """

    def __init__(
        self,
        layer: Recurrent,
        readout: Linear | None = None,
        *,
        embedding: Embedding | str | None = None,
        output: str = "linear",
    ) -> None:
        _check_parts(layer, readout, embedding)
        self._layer, self._readout, self._embedding = layer, readout, embedding
        parts = {"rnn": layer, "readout": readout, "embedding": embedding}
        super().__init__({n: part for n, part in parts.items() if isinstance(part, Module)})
        self._workspace = Workspace()
        self._output = _check.choice("output", output, ("linear", "softmax"))

    def __repr__(self) -> str:
        embedding = "" if self.embedding is None else f", embedding={self.embedding!r}"
        return f"Network({self.layer!r}, {self.readout!r}{embedding}, output={self.output!r})"

    @property
    def layer(self) -> Recurrent:
        """The recurrent layer."""
        return self._layer

    @property
    def readout(self) -> Linear | None:
        """The read-out, if there is one."""
        return self._readout

    @property
    def embedding(self) -> Embedding | str | None:
        """What token ids stand for: an embedding, ``"tied"`` or None."""
        return self._embedding

    @property
    def num_tokens(self) -> int:
        """How many token ids there are."""
        table = self._table
        return self.layer.input_size if table is None else len(table.weight)

    @property
    def out_features(self) -> int:
        """How many outputs there are at each step."""
        readout = self._readout
        return self.layer.output_size if readout is None else readout.out_features

    @property
    def _table(self) -> Table | None:
        embedding, readout = self._embedding, self._readout
        if embedding is None:  # first: to ask an ABC for its instances takes longer
            return None
        if isinstance(embedding, Embedding):
            return embedding._table
        assert readout is not None
        return Table(readout._views["weight"], readout._grad_views["weight"], readout._version)

    @property
    def output(self) -> str:
        """The output function g, ``"linear"`` or ``"softmax"``."""
        return self._output

    def __call__(
        self,
        x: Any,
        h_0: Any = None,
        *,
        outputs: str = "all",
        lengths: Any = None,
        reset_mask: Any = None,
        num_threads: int | None = None,
    ) -> tuple[Any, Any]:
        """Return the outputs and the final state; nothing is kept for gradients.

        Parameters
        ----------
        x, h_0, lengths, reset_mask, num_threads
            As :class:`fastrnn.RNN` takes them.
        outputs : {"all", "last"}
            The output of every step, or of each sequence's last one: of a bidirectional layer, of
            the last state in either direction.

        Returns
        -------
        y : ndarray
            Shape (seq_len, batch, out_features), without batch for unbatched x, and without
            seq_len when ``outputs`` is ``"last"``.
        h_n : ndarray
            The final state, as the layer returns it.

        Raises
        ------
        TypeError, ValueError, MemoryError
            As :class:`fastrnn.RNN` does; an unknown ``outputs``.
        """
        _check.choice("outputs", outputs, OUTPUTS)
        layer = self.layer
        with _threads.call:
            run = layer._forward(
                x, h_0, num_threads, keep=False, lengths=lengths, reset_mask=reset_mask,
                table=self._table,
            )  # fmt: skip
            h = layer._features(run) if outputs == "all" else layer._last_features(run)
            y = h if self._readout is None else self._readout._forward(h, num_threads)
            final = layer._state_of(layer._final(run))  # before a softmax in place of states
        if self.output == "softmax" and len(y):
            _ops.softmax(y)
        if outputs == "all":
            return run.form.given(run.rows.spread(y)), final
        return y if run.form.batched else y[0], final

    def states(
        self,
        x: Any,
        h_0: Any = None,
        *,
        lengths: Any = None,
        reset_mask: Any = None,
        num_threads: int | None = None,
    ) -> tuple[Any, Any]:
        """Return the layer's output of every step, which the read-out reads, and the final state.

        Parameters
        ----------
        x, h_0, lengths, reset_mask, num_threads
            As :class:`fastrnn.RNN` takes them.

        Returns
        -------
        output : ndarray
            Shape (seq_len, batch, output_size), without batch for unbatched x.
        h_n : ndarray
            The final state, as the layer returns it.

        Raises
        ------
        TypeError, ValueError, MemoryError
            As :class:`fastrnn.RNN` does.

        Examples
        --------
        >>> import fastrnn
        >>> net = fastrnn.Network(fastrnn.RNN(4, 8, seed=0), fastrnn.Linear(8, 4, seed=1))
        >>> net.states([0, 1, 3])[0].shape
        (3, 8)
        """
        layer = self.layer
        with _threads.call:
            run = layer._forward(
                x, h_0, num_threads, keep=False, lengths=lengths, reset_mask=reset_mask,
                table=self._table,
            )  # fmt: skip
            output = run.rows.spread(layer._features(run))
        return run.form.given(output), layer._state_of(layer._final(run))

    def stream(self, batch_size: int = 1, weights: str | None = None) -> Stream:
        """Return an object that keeps the state, is fed one step at a time and gives the outputs.

        It has the weights that the network has now: later changes do not reach it.

        Parameters
        ----------
        batch_size, weights
            As :meth:`fastrnn.RNN.stream` takes them; the read-out's weight is stored so too.

        Returns
        -------
        Stream
            With ``step(x_t, out=None)``, which returns the outputs, ``state`` and
            ``reset(state=None, rows=None)``. Of a network with an embedding it takes token ids.

        Raises
        ------
        TypeError, ValueError, MemoryError
            As :meth:`fastrnn.RNN.stream` does.

        Examples
        --------
        >>> import fastrnn
        >>> net = fastrnn.Network(fastrnn.RNN(4, 8, seed=0), fastrnn.Linear(8, 2, seed=1))
        >>> net.stream().step(3).shape
        (2,)
        """
        layer, table = self.layer, self._table
        cells, stored = checked_cells(layer, batch_size, weights, table)
        self._add_readout(cells, stored)
        return stream_of(
            layer,
            cells,
            num_tokens=None if table is None else len(table.weight),
            is_softmax=self.output == "softmax",
        )

    def _add_readout(self, cells: Cells, stored: int) -> None:
        """Have cells put out what the read-out makes of their states."""
        readout = self._readout
        if readout is not None:
            cells.add_readout(stored, readout._packed_stored(stored), readout._views["bias"])

    def loss(
        self,
        x: Any,
        target: Any,
        h_0: Any = None,
        *,
        loss: str = "cross_entropy",
        reduction: str = "mean",
        outputs: str = "all",
        class_weight: Any = None,
        lengths: Any = None,
        reset_mask: Any = None,
        num_threads: int | None = None,
    ) -> tuple[float, Any]:
        """Return the loss and the final state.

        Parameters
        ----------
        x, h_0, lengths, reset_mask, num_threads
            As :class:`fastrnn.RNN` takes them.
        target : array_like
            For cross-entropy token ids shaped as the outputs without their last dimension; for
            the squared error floats shaped as the outputs. Where a sequence has no step, whatever
            stands there is not read.
        loss : {"cross_entropy", "mse"}
            Cross-entropy in nats, of the softmax of the read-out, whatever ``output`` is; or
            the squared error of a linear output.
        reduction : {"mean", "sum"}
            Mean over targets (cross-entropy) or elements (mse), or sum.
        outputs : {"all", "last"}
            Which outputs have targets.
        class_weight : array_like, optional
            What a target of each class counts, (out_features,), of cross-entropy only; a mean is
            the sum divided by that of the targets' weights.

        Returns
        -------
        loss : float
            In nats, or in squared units of the output.
        h_n : ndarray
            The final state, to be carried to the next chunk.

        Raises
        ------
        TypeError, ValueError, MemoryError
            For a wrong dtype, shape or option.
        """
        how = self._how(loss, reduction, outputs, class_weight, num_threads)
        layer, table = self.layer, self._table
        with _threads.call:
            taken = layer._taken(x, h_0, lengths, reset_mask, table, keep=False)
            target = self._checked_target(target, taken, how)
            run = layer._run(taken, num_threads, keep=False, table=table)
            value = self._outcome(run, target, how, FRESH).loss()
        return value, layer._state_of(layer._final(run))

    def loss_and_grad(
        self,
        x: Any,
        target: Any,
        h_0: Any = None,
        *,
        loss: str = "cross_entropy",
        reduction: str = "mean",
        outputs: str = "all",
        dropout: float = 0.0,
        seed: int | None = None,
        class_weight: Any = None,
        lengths: Any = None,
        reset_mask: Any = None,
        num_threads: int | None = None,
    ) -> tuple[float, Any]:
        """Return the loss and the final state, and add to the gradients of all parameters.

        Takes, returns and raises what :meth:`loss` does. The gradient stops at h_0: chunk after
        chunk with the state carried over, this is truncated BPTT.

        Parameters
        ----------
        x, target, h_0, loss, reduction, outputs, class_weight, lengths, reset_mask, num_threads
            As for :meth:`loss`.
        dropout : float
            In [0, 1): the share of the states that is dropped before the read-out, the rest being
            scaled up by 1 / (1 - dropout), and that between layers unless the layer has its own;
            of cross-entropy only.
        seed : int, optional
            Of the choice what to drop, there and in the layer, if that is in training mode; the
            same for any number of threads. The layer draws one, another each time, unless given.

        Examples
        --------
        >>> import numpy as np, fastrnn
        >>> net = fastrnn.Network(fastrnn.RNN(4, 8, seed=0), fastrnn.Linear(8, 4, seed=1))
        >>> loss, h_n = net.loss_and_grad(np.array([[0], [1]]), np.array([[1], [2]]))
        >>> net.readout.grad["bias"].shape
        (4,)
        """
        dropout = _check.number("dropout", dropout, minimum=0, below=1)
        if seed is not None:
            seed = _check.integer("seed", seed, 0, _check.MAX_SEED)
        if dropout > 0 and loss != "cross_entropy":
            raise ValueError(f'dropout needs loss "cross_entropy", got loss {loss!r}')
        if dropout > 0 and self._readout is None:
            raise ValueError(f"dropout is before a read-out, which is missing, got {self!r}")
        how = self._how(loss, reduction, outputs, class_weight, num_threads, dropout)
        layer, workspace, table = self.layer, self._workspace, self._table
        with _threads.call:
            taken = layer._taken(x, h_0, lengths, reset_mask, table, keep=True)
            target = self._checked_target(target, taken, how)
            if dropout > 0 or layer._drops:
                seed = layer._next_seed() if seed is None else seed
                how = how._replace(seed=seed)
            run = layer._run(
                taken, num_threads, keep=True, workspace=workspace,
                seed=seed if layer.training else None, dropout=dropout, table=table,
            )  # fmt: skip
            outcome = self._outcome(run, target, how, workspace)
            final = layer._final(run)
            layer._backward_of(run, outcome, outputs == "all", num_threads, workspace)
        outcome.give_back()
        layer._give_back(run, workspace)
        return outcome.value, layer._state_of(final)

    def _how(
        self,
        loss: str,
        reduction: str,
        outputs: str,
        class_weight: Any,
        num_threads: int | None,
        dropout: float = 0.0,
    ) -> How:
        _check.choice("loss", loss, LOSSES)
        _check.choice("reduction", reduction, losses.REDUCTIONS)
        _check.choice("outputs", outputs, OUTPUTS)
        if loss == "mse" and self.output == "softmax":
            raise ValueError('loss "mse" needs output "linear", got output "softmax"')
        if class_weight is not None:
            if loss != "cross_entropy":
                raise ValueError(f'class_weight needs loss "cross_entropy", got loss {loss!r}')
            if self._readout is None:
                raise ValueError(f"class_weight needs a read-out, got {self!r}")
            class_weight = losses.class_weights(class_weight, self.out_features)
        if num_threads is not None:
            _check.integer("num_threads", num_threads)
        return How(loss, reduction, outputs, class_weight, num_threads, dropout)

    def _outcome(self, run: Run, target: np.ndarray, how: How, workspace: Workspace) -> Outcome:
        """Return what computes the loss, and the gradient of the rows that the read-out reads."""
        over_time = how.outputs == "all"
        h = self.layer._features(run) if over_time else self.layer._last_features(run)
        readout = self._readout
        if readout is None:
            of_outputs = losses.cross_entropy if how.loss == "cross_entropy" else losses.mse
            return Computed(*of_outputs(h, target, how.reduction))
        if how.loss == "cross_entropy":
            return CrossEntropy(readout, h, target, how, workspace)
        return SquaredError(readout, h, target, how)

    def _checked_target(self, target: Any, taken: Taken, how: How) -> np.ndarray:
        """Return the targets of the rows that the read-out reads, ids (N,) or floats (N, O)."""
        form, size = taken.form, self.out_features
        rest = () if how.loss == "cross_entropy" else (size,)
        if how.outputs == "all":
            target, shape = form.padded("target", target, rest), form.shape(*rest)
        else:
            shape = (form.batch, *rest) if form.batched else rest
        if how.loss == "cross_entropy":
            target = losses.target_array(target, shape)
        else:
            target = _check.floats("target", target, self.layer.dtype)
            _check.shape("target", target, shape)
        if how.outputs == "all":
            target = np.ascontiguousarray(taken.rows.gather(form.taken(target)))
        else:
            target = target.reshape(-1, *rest)
        if rest:
            return target
        ids = losses.target_ids(target, size)
        if how.class_weight is not None and not how.class_weight[ids].any():
            raise ValueError("class_weight is 0 for every target, expected one that counts")
        return ids


def _check_parts(layer: Any, readout: Any, embedding: Any) -> None:
    """Require parts of a network that fit together."""
    if not isinstance(layer, Recurrent):
        raise TypeError(f"layer must be a recurrent layer, got {_check.describe(layer)}")
    if readout is not None and not isinstance(readout, Linear):
        raise TypeError(f"readout must be a Linear, got {_check.describe(readout)}")
    if readout is not None and readout.in_features != layer.output_size:
        raise ValueError(
            f"readout takes {readout.in_features} features, "
            f"expected the layer's output_size = {layer.output_size}"
        )
    size = None
    if embedding == "tied":
        if readout is None:
            raise ValueError('embedding "tied" needs a read-out, whose weight it shares')
        size = readout.in_features
    elif isinstance(embedding, Embedding):
        size = embedding.embedding_dim
    elif embedding is not None:
        raise TypeError(
            f'embedding must be an Embedding or "tied", got {_check.describe(embedding)}'
        )
    if size is not None and size != layer.input_size:
        raise ValueError(
            f"embedding gives vectors of {size} features, "
            f"expected the layer's input_size = {layer.input_size}"
        )
    for name, part in ("readout", readout), ("embedding", embedding):
        if isinstance(part, Module) and part.dtype != layer.dtype:
            raise TypeError(f"{name} has dtype {part.dtype}, expected {layer.dtype}")
