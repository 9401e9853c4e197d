"""Training by truncated backpropagation through time.

A sequence of token ids is cut into parallel streams. Each step takes the next chunk of every
stream, starts from the hidden state that the chunk before ended with, and follows the gradient
no further back than the chunk's beginning. (Williams & Peng, "An efficient gradient-based
algorithm for on-line training of recurrent network trajectories", 1990.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check
from fastrnn.corpus.streams import Ids, Streams
from fastrnn.errors import StopTraining
from fastrnn.network import Network
from fastrnn.training import history as curve
from fastrnn.training.updates import Settings, Updates, progress_bar
from fastrnn.training.validation import Validation

if TYPE_CHECKING:
    from fastrnn.training.records import Recorder
    from fastrnn.training.resume import Saver

# Without evaluate_every the held-out text is evaluated after every pass, but no more often than
# keeps evaluations of a short text below half of the time, and no less often than this.
EVALUATE_EVERY = (50, 1000)

_HELD_OUT_STREAMS, _SHORTEST_HELD_OUT = 32, 1024


@dataclass(kw_only=True)
class Options(Settings):
    """How to train on text; :meth:`fastrnn.CharRNN.fit` describes each option."""

    epochs: int | None
    steps: int | None
    minutes: float | None
    batch_size: int
    seq_len: int
    dropout: float
    seed: int
    patience: int | None = None
    evaluate_every: int | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise ValueError(
                f"epochs and steps exclude each other, got epochs={self.epochs!r} "
                f"and steps={self.steps!r}"
            )
        if self.epochs is not None:
            self.epochs = _check.integer("epochs", self.epochs)
        if self.steps is not None:
            self.steps = _check.integer("steps", self.steps)
        if self.minutes is not None:
            self.minutes = _check.number("minutes", self.minutes, above=0)
        self.dropout = _check.number("dropout", self.dropout, minimum=0, below=1)
        self.batch_size = _check.integer("batch_size", self.batch_size)
        self.seq_len = _check.integer("seq_len", self.seq_len)
        if self.patience is not None:
            self.patience = _check.integer("patience", self.patience)
        if self.evaluate_every is not None:
            self.evaluate_every = _check.integer("evaluate_every", self.evaluate_every)
        super().__post_init__()


def held_out_streams(ids: Ids) -> Streams:
    """Cut two or more held-out ids into streams to evaluate side by side.

    One after another they would take several times as long. There are fewer than 32 streams if
    these were shorter than 1,024 ids, beside which the first few of a stream, which lack what came
    before them, do not count.
    """
    return Streams.split(ids, _HELD_OUT_STREAMS, min(_SHORTEST_HELD_OUT, len(ids) - 1))


@dataclass(frozen=True)
class Position:
    """Where a training is.

    Attributes
    ----------
    step : int
        Updates made.
    chars : int
        Targets seen, in earlier trainings of the model too.
    progress : float
        Share of the training that is done, at least 1 when no steps are left.
    seconds : float
        How long the training had run when it was left.
    state : None, ndarray or tuple of ndarray
        The recurrent state that the last chunk ended with.
    """

    step: int = 0
    chars: int = 0
    progress: float = 0.0
    seconds: float = 0.0
    state: Any = None


class _Course:
    """How far the training has come, in steps and in time."""

    def __init__(self, streams: Streams, options: Options, position: Position) -> None:
        self._limit = math.inf if options.minutes is None else 60 * options.minutes
        self._started = time.monotonic() - position.seconds
        self._shown = min(int(position.seconds), math.ceil(min(self._limit, _check.MAX_SIZE)))
        self._steps: float = math.inf
        self._targets = 0
        self._before = streams.target_count(position.step, options.seq_len)
        if options.minutes is None or options.epochs is not None or options.steps is not None:
            steps = options.steps or (options.epochs or 1) * streams.chunk_count(options.seq_len)
            self._steps = steps
            self._targets = streams.target_count(steps, options.seq_len)

    def bar(self, shown: bool, unit: str) -> Any:
        """Return a progress bar over targets, or over seconds where there is a time limit."""
        if self._limit == math.inf:
            return progress_bar(shown, self._targets, unit, unit_scale=True, initial=self._before)
        return progress_bar(shown, math.ceil(self._limit), "s", initial=self._shown)

    def done(self, step: int) -> float:
        """Return the share of the training that is done after ``step`` steps, 1 at its end."""
        return max(step / self._steps, self.seconds() / self._limit)

    def advance(self, bar: Any, chars: int) -> None:
        """Move the bar on by a step."""
        if self._limit == math.inf:
            bar.update(chars)
            return
        shown = min(int(self.seconds()), math.ceil(self._limit))
        bar.update(shown - self._shown)
        self._shown = shown

    def seconds(self) -> float:
        """Return for how long the training has run, before an interruption too."""
        return time.monotonic() - self._started


class Training:
    """A training that can be left after any step and gone on with later, to the same bits.

    Parameters
    ----------
    network : Network
        Trained in place.
    streams : Streams
        Every pass over them starts from a zero hidden state.
    options : Options
    history : list of dict
        A record is appended after every step: its number ``step``, the mean ``loss`` of the step's
        chunk in nats per token before the update, ``chars``, the number of targets seen so far,
        ``lr``, the learning rate, and, where the held-out text was evaluated after the update,
        ``validation_loss``. :mod:`fastrnn.training.history` says what becomes of very many.
    validation : Validation, optional
        Evaluated every so often and after the last step. To give the network the best weights is
        left to the caller, however the training ends.
    unit : str
        What the progress bar calls a target.

    Attributes
    ----------
    position : Position
        Where the training is.
    """

    def __init__(
        self,
        network: Network,
        streams: Streams,
        options: Options,
        history: list[dict[str, Any]],
        validation: Validation | None = None,
        unit: str = "char",
    ) -> None:
        self.network, self._streams, self._options = network, streams, options
        self.history, self.validation, self._unit = history, validation, unit
        self._earlier = history[-1]["step"] if history else 0
        self.position = Position(chars=history[-1]["chars"] if history else 0)
        self._updates = Updates(network, options, done=self._earlier)
        self._dropped = (
            np.random.SeedSequence(options.seed).generate_state(1, np.uint32).item() << 31
        )
        least, most = EVALUATE_EVERY
        each_pass = min(max(least, streams.chunk_count(options.seq_len)), most)
        self._evaluate_every = options.evaluate_every or each_pass
        self._course = _Course(streams, options, self.position)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: all steps are made, or the patience is at its end."""
        over = self.validation is not None and self.validation.over
        return self.position.progress >= 1 or over

    @property
    def complete(self) -> bool:
        """Whether no step was left half-way, by an interrupt for example."""
        return self._updates.begun == self.position.step

    def run(
        self,
        *,
        recorders: Sequence[Recorder] = (),
        after_step: Callable[[dict[str, Any], float], None] | None = None,
        saver: Saver | None = None,
    ) -> None:
        """Train to the end.

        Parameters
        ----------
        recorders : sequence of Recorder
            Write each step's record.
        after_step : callable, optional
            Called after each step with its record and the share of the training that is done.
            StopTraining, raised by it, ends the training.
        saver : Saver, optional
            Writes checkpoints: every so often, at the end, and at a KeyboardInterrupt between two
            steps.

        Raises
        ------
        NonFiniteLossError
            If a loss or a gradient is NaN or infinite. The network then holds the weights of the
            last step whose loss and gradient were finite, as it does after a KeyboardInterrupt.
        """
        try:
            self._run(recorders, after_step, saver)
        except KeyboardInterrupt:
            if saver is not None and self.complete:
                saver.save(self)
            raise

    def _run(
        self,
        recorders: Sequence[Recorder],
        after_step: Callable[[dict[str, Any], float], None] | None,
        saver: Saver | None,
    ) -> None:
        self._course = _Course(self._streams, self._options, self.position)
        chunks = self._streams.walk(self._options.seq_len, self.position.step)
        with self._course.bar(self._options.progress, self._unit) as bar:
            try:
                while not self.finished:
                    record = self._step(next(chunks), bar, recorders)
                    if after_step is not None:
                        after_step(record, self.position.progress)
                    if saver is not None and not self.finished:
                        saver.after_step(self)
            except StopTraining:
                pass
        if saver is not None:
            saver.save(self)

    def _step(
        self,
        chunk: tuple[np.ndarray, np.ndarray, bool],
        bar: Any,
        recorders: Sequence[Recorder],
    ) -> dict[str, Any]:
        """Make a step, evaluate if it is time, and return the record."""
        inputs, targets, first = chunk
        now = self.position
        self._updates.schedule(now.progress)
        loss, state = self._updates.make(
            inputs,
            targets,
            None if first else now.state,
            dropout=self._options.dropout,
            seed=self._dropped + self._earlier + now.step,
        )
        step, chars = now.step + 1, now.chars + inputs.size
        progress = self._course.done(step)
        record = {
            "step": self._earlier + step,
            "loss": loss,
            "chars": chars,
            "lr": self._updates.lr,
        }
        curve.append(self.history, "step", record)
        if self.validation is not None and (step % self._evaluate_every == 0 or progress >= 1):
            record["validation_loss"] = self.validation.evaluate(self._earlier + step)
            self.history[-1]["validation_loss"] = record["validation_loss"]
        for recorder in recorders:
            recorder.write(record)
        # From here on a checkpoint includes the step: all that it changes is before this line.
        self.position = Position(step, chars, progress, state=state)
        self._show(bar, loss, inputs.size)
        return record

    def _show(self, bar: Any, loss: float, chars: int) -> None:
        text = f"loss {loss:.3f}"
        if self.validation is not None and self.validation.best is not None:
            text += f", validation {self.validation.best_loss:.3f}"
        bar.set_postfix_str(text, refresh=False)
        self._course.advance(bar, chars)

    def state_dict(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return all that the rest of the training depends on: JSON's values, and arrays."""
        position, validation = self.position, self.validation
        parts = _state_parts(position.state)
        facts: dict[str, Any] = {
            "earlier": self._earlier,
            "step": position.step,
            "chars": position.chars,
            "progress": position.progress,
            "seconds": self._course.seconds(),
            "finished": self.finished,
            "state": None if parts is None else len(parts),
            "state_is_tuple": isinstance(position.state, tuple),
        }
        arrays = {f"state.{i}": part for i, part in enumerate(parts or ())}
        arrays.update(
            {f"history.{key}": array for key, array in curve.to_arrays(self.history).items()}
        )
        arrays.update(
            {f"updates.{name}": array for name, array in self._updates.state_dict().items()}
        )
        if validation is not None:
            facts["since"] = validation.since
        if validation is not None and validation.best is not None:
            facts["best_loss"], facts["best_step"] = validation.best_loss, validation.best_step
            arrays.update(
                {f"weights.{name}": array for name, array in self.network.state_dict().items()}
            )
        return facts, arrays

    def load_state_dict(
        self,
        facts: dict[str, Any],
        arrays: dict[str, np.ndarray],
        weights: dict[str, np.ndarray],
    ) -> None:
        """Go on from what :meth:`state_dict` returned; ``weights`` are the model's own.

        Raises
        ------
        KeyError, TypeError, ValueError
            If something is missing or does not fit; the network is then as it was.
        """
        check_facts(facts)
        position = Position(
            step=facts["step"],
            chars=facts["chars"],
            progress=facts["progress"],
            seconds=facts["seconds"],
            state=self._stored_state(facts, arrays),
        )
        records = _stored_history(facts, _under("history.", arrays))
        earlier = facts["earlier"]
        updates = Updates(self.network, self._options, done=earlier)
        updates.load_state_dict(_under("updates.", arrays), position.step)
        if self.validation is not None and "best_loss" in facts:
            self.network.load_state_dict(_under("weights.", arrays))
            self.validation.best, self.validation.best_loss = weights, facts["best_loss"]
            self.validation.best_step = facts["best_step"]
        else:
            self.network.load_state_dict(weights)
        if self.validation is not None:
            self.validation.since = facts["since"]
        self.history[:] = records
        self.position, self._updates, self._earlier = position, updates, earlier
        self._course = _Course(self._streams, self._options, position)

    def _stored_state(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
        """Return the recurrent state that the facts speak of."""
        layer = self.network.layer
        if facts["state"] is None and facts["step"] == 0:
            return None
        sizes = layer.state_sizes
        if facts["state"] != len(sizes) or facts["state_is_tuple"] != (len(sizes) > 1):
            raise ValueError(f"its recurrent state has {facts['state']} parts, not {len(sizes)}")
        parts = tuple(arrays[f"state.{i}"] for i in range(len(sizes)))
        for part, size in zip(parts, sizes, strict=True):
            _check.floats("the recurrent state", part, layer.dtype)
            directions = 1 + layer.bidirectional
            expected = layer.num_layers * directions, self._streams.batch_size, size
            _check.shape("the recurrent state", part, expected)
            _check.finite("the recurrent state", part)
        return parts if len(parts) > 1 else parts[0]


def check_facts(facts: Mapping[str, Any]) -> None:
    """Require facts as :meth:`Training.state_dict` returns them.

    Raises
    ------
    TypeError, ValueError
        If one is missing, or is not of the type and in the range that it has.
    """
    needed = {"earlier", "step", "chars", "progress", "seconds", "finished", "state"}
    needed |= {"state_is_tuple"} | ({"best_step", "since"} if "best_loss" in facts else set())
    missing = sorted(needed - set(facts))
    if missing:
        raise ValueError(f"it does not say {', '.join(missing)}")
    for name in ("earlier", "step", "chars", "best_step", "since"):
        if name in facts:
            _check.integer(name, facts[name], 0, _check.MAX_SEED)
    for name in ("progress", "seconds"):
        _check.number(name, facts[name], minimum=0)
    for name in ("finished", "state_is_tuple"):
        _check.flag(name, facts[name])
    if facts["state"] is not None:
        _check.integer("state", facts["state"])
    if "best_loss" in facts:
        _check.number("best_loss", facts["best_loss"])


def _stored_history(
    facts: Mapping[str, Any], columns: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Return the records of a history, which ends where the facts say that the training is."""
    if facts["step"] > 0 and not {"step", "loss", "chars", "lr"} <= set(columns):
        raise ValueError(f"its history has only {', '.join(columns) or 'nothing'}")
    if not all(np.isfinite(columns[name]).all() for name in ("step", "loss", "chars") if columns):
        raise ValueError("its history has records without step, loss or chars")
    records = curve.from_arrays(columns, counts=("step", "chars"))
    steps = [0, *(record["step"] for record in records)]
    chars = records[-1]["chars"] if records else 0
    ascends = all(step < following for step, following in pairwise(steps))
    if not ascends or (steps[-1], chars) != (facts["earlier"] + facts["step"], facts["chars"]):
        raise ValueError("its history does not lead to the step that it was written after")
    return records


def _state_parts(state: Any) -> tuple[np.ndarray, ...] | None:
    """Return the arrays of a recurrent state, which is one, a tuple of them, or None."""
    return state if state is None or isinstance(state, tuple) else (state,)


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose name begins with ``prefix``, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
