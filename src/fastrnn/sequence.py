"""Forecasting a series of numbers with a recurrent network.

A forecast is made from a window: the network reads the scaled window one value at a time, and a
linear readout of its last state is the scaled next value. Longer forecasts feed predictions back
into the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check, data
from fastrnn import history as curve
from fastrnn.cells import CELLS, make_network
from fastrnn.network import Network
from fastrnn.scaling import SCALINGS, Scaling
from fastrnn.updates import Settings, Updates, progress_bar

FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class _Fitted:
    """All that fitting leaves behind, replaced as one."""

    network: Network
    scaling: Scaling
    history: list[dict[str, float]]
    last_window: np.ndarray | None


class Forecaster:
    r"""A recurrent network that continues a series of numbers.

    Parameters
    ----------
    window : int
        Values the network reads to predict the next one; at least 1, and 2 with
        ``scaling="window"``.
    cell : {"rnn"}
        The recurrent layer; ``"rnn"`` is :class:`fastrnn.RNN`.
    hidden_size : int
        Number of hidden units.
    nonlinearity : {"tanh", "relu", "sigmoid", "linear"}
        The layer's activation function.
    scaling : {"global", "window", "none"}
        How values enter and leave the network, see below. ``"global"`` for a series that stays in
        its range, ``"window"`` for one that leaves it.
    dtype : {float32, float64}
        Type of weights and arithmetic. Scaling is done in float64 whatever it is.
    seed : int
        Seed of the initial weights and of the order of batches, at least 0. The same seed, data
        and options give the same forecasts bit for bit, whatever the number of threads.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an argument is out of range or not one of its choices.
    MemoryError
        If the weights would not fit in the machine's memory.

    Notes
    -----
    The model of the value after a window w_1 … w_n is::

        z_t = (w_t - c) / s
        h_t = f(W_ih z_t + b_ih + W_hh h_{t-1} + b_hh),  h_0 = 0
        o   = W_hy h_n + b_y
        w_{n+1} = c + s u o

    What c, s and u are, ``scaling`` decides.

    * ``"global"``: c is the mean of the training windows, s the mean distance from it, u = 1. The
      network knows the level, and like any network of saturating units does not extrapolate: far
      from the training values its forecast goes flat.
    * ``"window"``: c is the window's last value w_n, s the mean distance \|w_t - c\| of its
      values from that, and u the mean of \|w_{n+1} - c\| / s over the training windows. The
      network sees the shape of the window and nothing else, and predicts the change from its last
      value (a residual connection). So the forecast for a + b w is a + b times the forecast for
      w, for every a and every b > 0. That lets it go on where values leave the range it was
      trained on. For the same reason it cannot learn what depends on the level of the series, and
      a forecast over many steps drifts, for no level or amplitude holds it. All windows of
      consecutive integers look the same to it. Untrained, it answers the last value and some
      noise.
    * ``"none"``: c = 0, s = u = 1. The network reads and answers the values themselves, which
      suits values of about 1.

    A constant window has no distances. With ``"window"`` its s is the mean s of the training
    windows, or 1 if they are all constant.

    Examples
    --------
    >>> import fastrnn
    >>> wave = fastrnn.data.sine(200, periods=4)
    >>> forecaster = Forecaster(window=10, hidden_size=16).fit(wave, epochs=100)
    >>> forecaster.forecast(3).shape
    (3,)
    >>> forecaster.history[-1]["loss"] < 0.05 * forecaster.history[0]["loss"]
    True
    """

    def __init__(
        self,
        window: int,
        *,
        cell: str = "rnn",
        hidden_size: int = 32,
        nonlinearity: str = "tanh",
        scaling: str = "global",
        dtype: Any = np.float32,
        seed: int = 0,
    ) -> None:
        self.window = _check.integer("window", window)
        self.cell = _check.choice("cell", cell, tuple(CELLS))
        self.hidden_size = _check.integer("hidden_size", hidden_size)
        self.nonlinearity = nonlinearity
        self.scaling = _check.choice("scaling", scaling, SCALINGS)
        self.dtype = _check.float_dtype("dtype", dtype)
        self.seed = _check.integer("seed", seed, 0, _check.MAX_SEED)
        if self.scaling == "window" and self.window < 2:
            raise ValueError(
                f"window must be at least 2 with scaling='window', got {window}: scaled by its "
                f"own last value, a single value is always 0"
            )
        self._network()  # the layer checks its own arguments, here rather than in fit
        self._fitted: _Fitted | None = None

    def __repr__(self) -> str:
        return (
            f"Forecaster(window={self.window}, cell={self.cell!r}, "
            f"hidden_size={self.hidden_size}, nonlinearity={self.nonlinearity!r}, "
            f"scaling={self.scaling!r}, dtype={self.dtype.name!r}, seed={self.seed})"
        )

    @property
    def network(self) -> Network | None:
        """The network of the last fit, None before."""
        return None if self._fitted is None else self._fitted.network

    @property
    def history(self) -> list[dict[str, float]]:
        """One dict per epoch of the last fit: ``epoch``, counted from 1, and ``loss``.

        The loss is the mean squared error of the network's outputs o over the epoch's windows,
        each taken before the update it leads to. It has no unit: an error e in a forecast counts
        as (e / (s u))², see the class. Empty before the first fit. After more than 10,000 epochs
        each dict is for several: the mean loss, and the number of the last of them.
        """
        return [] if self._fitted is None else self._fitted.history

    def fit(
        self,
        series: Any,
        targets: Any = None,
        *,
        epochs: int = 300,
        batch_size: int | None = None,
        optimizer: str = "adam",
        lr: float = 0.01,
        schedule: str = "constant",
        clip_norm: float | None = 5.0,
        progress: bool = False,
        num_threads: int | None = None,
    ) -> Forecaster:
        """Train a new network, on a series or on windows and the values that follow them.

        Parameters
        ----------
        series : array_like
            A series of shape (n,) with n > window, all of whose windows are used, or, when
            ``targets`` are given, windows of shape (N, window). Finite real numbers; integers
            beyond 2**53 are rounded.
        targets : array_like, optional
            The value after each window, shape (N,).
        epochs : int
            Passes over the windows. 0 fits the scaling only and leaves the initial weights,
            which shows what the untrained network predicts.
        batch_size : int, optional
            Windows per update, in a new random order every epoch; None takes all at once.
        optimizer : {"adam", "adamw", "rmsprop", "sgd"}
            See :mod:`fastrnn.optim`.
        lr : float
            Learning rate, of the first epoch if it changes.
        schedule : {"constant", "cosine"}
            ``"cosine"`` lowers the learning rate from epoch to epoch, to nearly 0 in the last:
            the next value is predicted more closely, but less is learned in few epochs.
        clip_norm : float or None
            Largest global norm of the gradient; None for no limit.
        progress : bool
            Show a progress bar on standard error.
        num_threads : int, optional
            Threads for this call; None for the library's setting.

        Returns
        -------
        Forecaster
            Itself.

        Raises
        ------
        TypeError
            If an argument has the wrong type.
        ValueError
            If an argument has the wrong shape or is out of range.
        MemoryError
            If the windows would not fit in the machine's memory.
        NonFiniteLossError
            If the loss or the gradient is NaN or infinite. The forecaster then holds the network
            of the last update that was sound, as it does after a KeyboardInterrupt, and can
            predict.
        """
        epochs = _check.integer("epochs", epochs, minimum=0)
        if batch_size is not None:
            batch_size = _check.integer("batch_size", batch_size)
        settings = Settings(
            optimizer=optimizer,
            lr=lr,
            schedule=schedule,
            clip_norm=clip_norm,
            progress=progress,
            num_threads=num_threads,
        )
        windows, targets, last_window = self._training_windows(series, targets)
        network = self._network()
        scaling = Scaling.fit(self.scaling, windows, targets)
        frame = scaling.frame(windows, self.dtype)
        batches = _Batches(
            frame.inputs(windows),
            frame.outputs(targets),
            batch_size or len(windows),
            np.random.default_rng(np.random.SeedSequence(self.seed).generate_state(3)[2]),
        )
        updates = Updates(network, settings)
        self._fitted = _Fitted(network, scaling, [], last_window)
        with progress_bar(settings.progress, epochs, "epoch") as bar:
            for epoch in range(1, epochs + 1):
                updates.schedule((epoch - 1) / epochs)
                loss = _train_epoch(updates, batches)
                curve.append(self._fitted.history, "epoch", {"epoch": epoch, "loss": loss})
                bar.set_postfix_str(f"loss {loss:.3g}", refresh=False)
                bar.update()
        return self

    def predict(self, windows: Any) -> np.ndarray:
        """Predict the value after each window.

        Parameters
        ----------
        windows : array_like of shape (N, window) or (window,)
            Finite real numbers.

        Returns
        -------
        np.ndarray of float64, shape (N,)
            The next value of each window; (1,) for a single one.

        Raises
        ------
        RuntimeError
            If the forecaster has not been fitted.
        TypeError
            If the windows are not real numbers.
        ValueError
            If they have the wrong shape, are not finite, or leave the range of ``dtype`` when
            scaled.
        FloatingPointError
            If a prediction leaves the range of floating-point numbers.
        """
        fitted = self._require_fitted()
        windows = _check.reals("windows", windows, FLOAT64)
        if windows.ndim == 1:
            windows = windows[None]
        self._require_windows("windows", windows)
        return self._predict(fitted, windows)

    def forecast(self, steps: int, *, last_window: Any = None) -> np.ndarray:
        """Continue a series, each forecast becoming part of the window of the next.

        Parameters
        ----------
        steps : int
            Values to forecast, at least 1.
        last_window : array_like of shape (window,), optional
            The values to continue; the end of the series given to :meth:`fit` by default.

        Returns
        -------
        np.ndarray of float64, shape (steps,)
            The forecasts, in order.

        Raises
        ------
        RuntimeError
            If the forecaster has not been fitted, or was fitted on windows, which have no end to
            continue from, and ``last_window`` is not given.
        TypeError, ValueError
            If an argument has the wrong type, shape or value.
        FloatingPointError
            If the values or a forecast leave the range of float64 or, scaled, of ``dtype``.
        """
        fitted = self._require_fitted()
        steps = _check.integer("steps", steps)
        _check.memory("the forecast", self.window + steps, 8)
        if last_window is None:
            last_window = fitted.last_window
        if last_window is None:
            raise RuntimeError(
                "this Forecaster was fitted on windows, not on a series, so there is no end to "
                "continue from; give last_window"
            )
        last_window = _check.reals("last_window", last_window, FLOAT64)
        _check.shape("last_window", last_window, (self.window,))
        series = np.concatenate([last_window, np.empty(steps)])
        for end in range(self.window, len(series)):
            try:
                series[end] = self._predict(fitted, series[None, end - self.window : end])[0]
            except (ValueError, FloatingPointError) as error:
                step = end - self.window + 1
                raise FloatingPointError(f"step {step} cannot be forecast: {error}") from None
        return series[self.window :]

    def _predict(self, fitted: _Fitted, windows: np.ndarray) -> np.ndarray:
        frame = fitted.scaling.frame(windows, self.dtype)
        outputs, _ = fitted.network(frame.inputs(windows), outputs="last")
        values = frame.values(outputs)
        if not np.isfinite(values).all():
            raise FloatingPointError(
                "a prediction left the range of floating-point numbers: the series grows too "
                "far, or training diverged and fit should be given a smaller lr"
            )
        return values

    def _network(self) -> Network:
        return make_network(
            self.cell,
            1,
            self.hidden_size,
            1,
            nonlinearity=self.nonlinearity,
            dtype=self.dtype,
            seed=self.seed,
        )

    def _training_windows(
        self, series: Any, targets: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return windows, targets, and the window that a forecast continues, if there is one."""
        if targets is None:
            windows, targets = data.windows(series, self.window)
            return windows, targets, np.append(windows[-1, 1:], targets[-1])
        windows = _check.reals("windows", series, FLOAT64)
        self._require_windows("windows", windows)
        targets = _check.reals("targets", targets, FLOAT64)
        _check.shape("targets", targets, (len(windows),))
        return windows, targets, None

    def _require_windows(self, name: str, windows: np.ndarray) -> None:
        if windows.ndim != 2 or windows.shape[1] != self.window or len(windows) == 0:
            raise ValueError(
                f"{name} has shape {windows.shape}, expected (N, {self.window}) with N at least 1"
            )

    def _require_fitted(self) -> _Fitted:
        if self._fitted is None:
            raise RuntimeError("this Forecaster has not been fitted; call fit(series) first")
        return self._fitted


@dataclass(frozen=True)
class _Batches:
    """Scaled windows (window, N, 1) and targets (N, 1), in batches that cover them all."""

    x: np.ndarray
    y: np.ndarray
    size: int
    rng: np.random.Generator

    def of_epoch(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield every window once: as they are if in one batch, or else in a new random order."""
        count = len(self.y)
        if self.size >= count:
            yield self.x, self.y
            return
        order = self.rng.permutation(count)
        for start in range(0, count, self.size):
            chosen = order[start : start + self.size]
            yield self.x[:, chosen], self.y[chosen]


def _train_epoch(updates: Updates, batches: _Batches) -> float:
    """Update on every batch once; return the mean of the windows' losses."""
    squares = 0.0
    for x, y in batches.of_epoch():
        loss, _ = updates.make(x, y, loss="mse", outputs="last")
        squares += loss * len(y)
    return squares / len(batches.y)
