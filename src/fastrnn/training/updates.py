"""What the training of any model shares: its settings, and one step of it, all or nothing."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

import numpy as np

from fastrnn import _check, _threads
from fastrnn.errors import NonFiniteLossError
from fastrnn.network import Network
from fastrnn.optim import OPTIMIZERS, clip_grad_value
from fastrnn.training.schedules import LR_DECAY, LR_DECAY_EVERY, SCHEDULES, learning_rate


@dataclass(kw_only=True)
class Settings:
    """How to train; :meth:`fastrnn.CharRNN.fit` describes each of them."""

    optimizer: str
    lr: float
    schedule: str
    clip_norm: float | None
    warmup: float = 0.0
    lr_decay: float | None = None
    lr_decay_every: float | None = None
    weight_decay: float | None = None
    clip_value: float | None = None
    progress: bool
    num_threads: int | None

    def __post_init__(self) -> None:
        _check.choice("optimizer", self.optimizer, tuple(OPTIMIZERS))
        _check.choice("schedule", self.schedule, SCHEDULES)
        self.lr = _check.number("lr", self.lr, above=0)
        self.warmup = _check.number("warmup", self.warmup, minimum=0, below=1)
        if self.warmup > 0 and self.schedule == "one_cycle":
            raise ValueError(
                f"warmup must be 0 with schedule 'one_cycle', which has a warm-up of its own, "
                f"got {self.warmup:g}"
            )
        self._check_decay()
        if self.weight_decay is not None:
            self.weight_decay = _check.number("weight_decay", self.weight_decay, minimum=0)
        if self.clip_norm is not None:
            self.clip_norm = _check.number("clip_norm", self.clip_norm, above=0)
        if self.clip_value is not None:
            self.clip_value = _check.number("clip_value", self.clip_value, above=0)
        self.progress = _check.flag("progress", self.progress)
        if self.num_threads is not None:
            self.num_threads = _check.integer("num_threads", self.num_threads)

    def _check_decay(self) -> None:
        for name in ("lr_decay", "lr_decay_every"):
            value = getattr(self, name)
            if value is None:
                continue
            if self.schedule != "step_decay":
                raise ValueError(
                    f"{name} is for schedule 'step_decay', got {name}={value!r} with schedule "
                    f"{self.schedule!r}"
                )
            setattr(self, name, _check.number(name, value, above=0, below=1))


class Updates:
    """Gradient, clipping and update of a network, whose weights are sound after every step.

    A step that is interrupted or meets a number that is not finite is undone. If it was the loss
    that was not finite, the update before it, which led there, is undone too.

    Parameters
    ----------
    network : Network
        What is trained.
    settings : Settings
        The rule of the updates, how gradients are clipped, and the threads to use.
    done : int
        Steps made before, from which an error message counts on.
    """

    def __init__(self, network: Network, settings: Settings, *, done: int = 0) -> None:
        self._network = network
        self._settings = settings
        options = {"lr": settings.lr}
        if settings.weight_decay is not None:
            options["weight_decay"] = settings.weight_decay
        self._optimizer = OPTIMIZERS[settings.optimizer](network, **options)
        self._weights = [module._arena.copy() for module in network.modules]
        self._count = done

    def schedule(self, done: float) -> None:
        """Set the learning rate to that after a share ``done`` of the training."""
        settings = self._settings
        self._optimizer.lr = learning_rate(
            settings.schedule,
            settings.lr,
            done,
            settings.warmup,
            lr_decay=settings.lr_decay or LR_DECAY,
            lr_decay_every=settings.lr_decay_every or LR_DECAY_EVERY,
        )

    @property
    def lr(self) -> float:
        """The learning rate that :meth:`schedule` has set."""
        return self._optimizer.lr

    @property
    def begun(self) -> int:
        """How many updates have begun; all are complete but, after an interrupt, the last."""
        return self._optimizer.steps

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all that the next step depends on beside weights and their number."""
        previous = {f"previous.{i}": weights.copy() for i, weights in enumerate(self._weights)}
        state = self._optimizer.state_dict()["state"]
        return {**previous, **{f"optimizer.{name}": array for name, array in state.items()}}

    def load_state_dict(self, state_dict: Mapping[str, np.ndarray], begun: int) -> None:
        """Go on from what :meth:`state_dict` returned after ``begun`` updates.

        Raises
        ------
        KeyError, TypeError, ValueError
            If a name is missing or unknown, or a dtype or shape does not fit.
        """
        rest = dict(state_dict)
        previous = [rest.pop(f"previous.{i}") for i in range(len(self._weights))]
        for i, (weights, array) in enumerate(zip(self._weights, previous, strict=True)):
            if array.dtype != weights.dtype:
                raise TypeError(f"previous.{i} has dtype {array.dtype}, expected {weights.dtype}")
            _check.shape(f"previous.{i}", array, weights.shape)
        state = {name.removeprefix("optimizer."): array for name, array in rest.items()}
        now = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**now, "steps": begun, "state": state})
        for weights, array in zip(self._weights, previous, strict=True):
            np.copyto(weights, array)
        self._count += begun

    def make(self, *batch: Any, **options: Any) -> tuple[float, np.ndarray]:
        """Follow the gradient of one batch; what it takes are ``loss_and_grad``'s arguments.

        Returns
        -------
        loss : float
            The batch's loss before the update.
        h_n : np.ndarray
            The final state.

        Raises
        ------
        NonFiniteLossError
            If the loss, or a weight after the update, is NaN or infinite.
        """
        self._count += 1
        with _threads.call:
            self._optimizer.zero_grad()
            loss, h_n = self._network.loss_and_grad(
                *batch, **options, num_threads=self._settings.num_threads
            )
            if not math.isfinite(loss):
                self._undo()
                raise self._not_finite("the loss")
            self._clip_and_update()
        return loss, h_n

    def _clip_and_update(self) -> None:
        settings = self._settings
        if settings.clip_value is not None:
            clip_grad_value(self._network, settings.clip_value)
        update = self._optimizer._prepared(self._weights)
        try:
            self._optimizer._make(update, settings.clip_norm, settings.num_threads)
            if not update.sweep.finite:
                raise FloatingPointError
        except BaseException as error:  # also an interrupt
            if update.sweep.done:
                self._undo()
            if isinstance(error, FloatingPointError):
                raise self._not_finite("the gradient or a weight") from None
            raise

    def _undo(self) -> None:
        for module, weights in zip(self._network.modules, self._weights, strict=True):
            module._arena[...] = weights
            module.invalidate()

    def _not_finite(self, what: str) -> NonFiniteLossError:
        limit = self._settings.clip_norm
        clip = "clip_norm=5.0" if limit is None else f"a smaller clip_norm than {limit:g}"
        unbounded = getattr(self._network.layer, "nonlinearity", None) in ("relu", "linear")
        advice = f", {clip}, or the nonlinearity 'tanh'" if unbounded else f" or {clip}"
        return NonFiniteLossError(
            f"{what} of training step {self._count} is not finite, so training stopped at the "
            f"weights from before; try a learning rate well below lr={self._settings.lr:g}{advice}"
        )


def progress_bar(
    shown: bool, total: int, unit: str, *, unit_scale: bool = False, initial: int = 0
) -> Any:
    """Return a tqdm bar over ``total`` units; ``unit_scale`` writes 12.3k for 12,345 of them.

    ``initial`` of the units were done earlier and do not count in the speed that is shown. Where
    standard error is no terminal, a line for each tenth takes the bar's place.
    """
    from tqdm import tqdm  # here, because importing fastrnn should stay cheap

    # Of a training by the clock, the speed would be that of the clock.
    unit_shown, speed = (" s", "") if unit == "s" else ("", ", {rate_fmt}")
    numbers = f"{{n_fmt}}/{{total_fmt}}{unit_shown} [{{elapsed}}<{{remaining}}{speed}{{postfix}}]"
    if shown and sys.stderr is not None and not sys.stderr.isatty():
        line = partial(
            tqdm.format_meter, bar_format="{percentage:3.0f}% " + numbers, unit=unit,
            unit_scale=unit_scale,
        )  # fmt: skip
        return _ProgressLines(line, total, initial)
    return tqdm(
        total=total,
        initial=initial,
        unit=unit,
        unit_scale=unit_scale,
        bar_format="{l_bar}{bar}| " + numbers,
        dynamic_ncols=True,
        mininterval=0.2,
        disable=not shown or sys.stderr is None,
        file=_Unbreakable(sys.stderr) if shown and sys.stderr is not None else None,
    )


class _ProgressLines:
    """What is used of a tqdm bar, as lines for a file: one for each tenth of ``total``."""

    def __init__(self, line: Callable[..., str], total: int, initial: int) -> None:
        self._line, self._total = line, total
        self._file = _Unbreakable(sys.stderr)
        self._done = self._initial = initial
        self._tenths = 10 * initial // total
        self._postfix = ""
        self._started = time.perf_counter()

    def __enter__(self) -> _ProgressLines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Set what the next line ends with."""
        self._postfix = text

    def update(self, count: int = 1) -> None:
        """Count on; write a line if another tenth is complete."""
        self._done += count
        tenths = 10 * self._done // self._total
        if tenths == self._tenths:
            return
        self._tenths = tenths
        line = self._line(
            self._done,
            self._total,
            time.perf_counter() - self._started,
            initial=self._initial,
            postfix=self._postfix,
        )
        self._file.write(line + "\n")


class _Unbreakable:
    """A stream that shows what it can: no failure to write is worth the training."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # a full disk, a reader that left; a closed stream
            pass

    def flush(self) -> None:
        """Nothing waits: :meth:`write` flushes."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
