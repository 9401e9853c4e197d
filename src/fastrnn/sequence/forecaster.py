"""Forecasting series of numbers with a recurrent network.

A forecast is made from a window: the network reads the scaled window one step at a time, and a
linear read-out of its last state is the scaled next value, or all values of a horizon at once.
Longer forecasts feed predictions back into the window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastrnn import _check
from fastrnn.cells import CELLS, make_network
from fastrnn.errors import StopTraining
from fastrnn.network import Network
from fastrnn.sequence import accuracy, intervals
from fastrnn.sequence import series as reading
from fastrnn.sequence.batches import Batches, order_of, train_epoch
from fastrnn.sequence.fitted import Fitted, Start, read_training
from fastrnn.sequence.model import Model
from fastrnn.sequence.scaling import SCALINGS, PanelScaling
from fastrnn.sequence.series import FLOAT64
from fastrnn.training import history as curve
from fastrnn.training.updates import Settings, Updates, progress_bar


class ForecastInterval(NamedTuple):
    """A forecast and the bounds of its prediction intervals, all of one shape."""

    forecast: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Forecaster:
    r"""A recurrent network that continues a series of numbers.

    Parameters
    ----------
    window : int
        Values the network reads to predict the next one; at least 1, and 2 with
        ``scaling="window"``.
    cell : {"rnn", "lstm", "gru", "jordan"}
        The recurrent layer; ``"rnn"`` is :class:`fastrnn.RNN`. That of :class:`fastrnn.Jordan`
        feeds back what it predicts, and is one layer.
    hidden_size : int
        Number of hidden units.
    num_layers : int
        Number of layers, each but the first reading the states of the one before.
    nonlinearity : {"tanh", "relu", "sigmoid", "linear"}
        Activation function of the cells ``"rnn"`` and ``"jordan"``; the others have theirs.
    scaling : {"global", "window", "none"}
        How values enter and leave the network, see below. ``"global"`` for a series that stays in
        its range, ``"window"`` for one that leaves it.
    horizon : int
        Values that the network answers at once. Forecasts of more steps are made horizon by
        horizon, each becoming part of the window of the next.
    variables : int, optional
        Variables of a series, all of which are read and predicted. Everything that is one number
        for a step, None, is then ``variables`` of them: a series has shape (n, variables), a
        forecast (steps, variables).
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

    With a horizon o has an element for each of the next values, and u is the mean over all of
    them. Each variable has a c, s and u of its own. What is known beforehand (``exogenous``) is
    scaled as ``"global"`` scales, column by column, unless nothing is; the network reads at each
    step z_t and what is known of that step and of the horizon after it.

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
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        scaling: str = "global",
        horizon: int = 1,
        variables: int | None = None,
        dtype: Any = np.float32,
        seed: int = 0,
    ) -> None:
        self.window = _check.integer("window", window)
        self.cell = _check.choice("cell", cell, tuple(CELLS))
        self.hidden_size = _check.integer("hidden_size", hidden_size)
        self.num_layers = _check.integer("num_layers", num_layers)
        self.nonlinearity = nonlinearity
        self.scaling = _check.choice("scaling", scaling, SCALINGS)
        self.horizon = _check.integer("horizon", horizon)
        self.variables = None if variables is None else _check.integer("variables", variables)
        self.dtype = _check.float_dtype("dtype", dtype)
        self.seed = _check.integer("seed", seed, 0, _check.MAX_SEED)
        if self.scaling == "window" and self.window < 2:
            raise ValueError(
                f"window must be at least 2 with scaling='window', got {window}: scaled by its "
                f"own last value, a single value is always 0"
            )
        self._network(0)  # the layer checks its own arguments, here rather than in fit
        self._fitted: Fitted | None = None

    def __repr__(self) -> str:
        more = "" if self.horizon == 1 else f", horizon={self.horizon}"
        more += "" if self.num_layers == 1 else f", num_layers={self.num_layers}"
        more += "" if self.variables is None else f", variables={self.variables}"
        return (
            f"Forecaster(window={self.window}, cell={self.cell!r}, "
            f"hidden_size={self.hidden_size}, nonlinearity={self.nonlinearity!r}, "
            f"scaling={self.scaling!r}{more}, dtype={self.dtype.name!r}, seed={self.seed})"
        )

    @property
    def network(self) -> Network | None:
        """The network of the last fit, None before."""
        return None if self._fitted is None else self._fitted.model.network

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
        exogenous: Any = None,
        calibration: float = 0.0,
        epochs: int = 300,
        batch_size: int | None = None,
        optimizer: str = "adam",
        lr: float = 0.01,
        schedule: str = "constant",
        clip_norm: float | None = 5.0,
        callbacks: Sequence[Callable[[dict[str, float]], object]] = (),
        progress: bool = False,
        num_threads: int | None = None,
    ) -> Forecaster:
        """Train a new network, on series or on windows and the values that follow them.

        Parameters
        ----------
        series : array_like, or list of arrays
            A series of shape (n,) with n >= window + horizon, all of whose windows are used;
            a list of several such arrays, of any lengths; or, when ``targets`` are given, windows
            of shape (N, window). Finite real numbers; integers beyond 2**53 are rounded.
        targets : array_like, optional
            What follows each window: shape (N,), or (N, horizon) with a horizon above 1.
        exogenous : array_like, or list of arrays, optional
            What is known of every step beforehand, such as the day of the week: for a series of
            n steps shape (n, columns), for windows (N, window + horizon, columns). To forecast
            is then to be told the ``future`` of it.
        calibration : float
            The share of each series, at its end, that is held out from the training to learn how
            far off forecasts are, for :meth:`forecast_interval`; in [0, 1).
        epochs : int
            Passes over the windows. 0 fits the scaling only and leaves the initial weights,
            which shows what the untrained network predicts.
        batch_size : int, optional
            Windows per update, in a new random order every epoch; None takes all at once.
        optimizer : {"adam", "adamw", "rmsprop", "sgd"}
            See :mod:`fastrnn.optim`.
        lr : float
            Learning rate, of the first epoch if it changes.
        schedule : {"constant", "cosine", "linear", "step_decay", "one_cycle"}
            Course of the learning rate from epoch to epoch: it stays; falls to nearly 0 along half
            a cosine or a line, so that the next value is predicted more closely, but less is
            learned in few epochs; falls to a tenth after each third; or rises from lr / 25 to
            ``lr`` and falls to almost 0.
        clip_norm : float or None
            Largest global norm of the gradient; None for no limit.
        callbacks : list of callable
            Each is called after every epoch with a dict of its ``epoch`` and ``loss``, and may
            forecast. What they return is ignored. One that raises :class:`fastrnn.StopTraining`
            ends the training after this epoch.
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
        RuntimeError
            If a callback fits the forecaster that is being fitted.
        """
        epochs = _check.integer("epochs", epochs, minimum=0)
        _check.callbacks("callbacks", callbacks)
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
        calibration = _check.number("calibration", calibration, minimum=0, below=1)
        sizes = reading.Sizes(self.window, self.horizon, self.variables)
        windows, memory = read_training(series, targets, exogenous, calibration, sizes)
        fitted = Fitted(self._model(windows), memory, [])
        frame = fitted.model.scaling.frame(windows.values, self.dtype)
        batches = Batches(
            frame.inputs(windows.values, windows.known),
            frame.outputs(windows.targets),
            batch_size or len(windows.values),
            order_of(self.seed),
        )
        updates = Updates(fitted.model.network, settings)
        self._fitted = fitted
        with progress_bar(settings.progress, epochs, "epoch") as bar:
            for epoch in range(1, epochs + 1):
                updates.schedule((epoch - 1) / epochs)
                loss = train_epoch(updates, batches)
                curve.append(fitted.history, "epoch", {"epoch": epoch, "loss": loss})
                bar.set_postfix_str(f"loss {loss:.3g}", refresh=False)
                bar.update()
                stop = False
                try:
                    for callback in callbacks:
                        callback({"epoch": epoch, "loss": loss})
                except StopTraining:
                    stop = True
                if self._fitted is not fitted:
                    raise RuntimeError(
                        "a callback fitted this Forecaster, which is being fitted; it may fit a "
                        "copy of it"
                    )
                if stop:
                    break
        return self

    def predict(self, windows: Any, *, exogenous: Any = None) -> np.ndarray:
        """Predict what follows each window.

        Parameters
        ----------
        windows : array_like of shape (N, window) or (window,)
            Finite real numbers.
        exogenous : array_like of shape (N, window + horizon, columns), optional
            What is known of every window and of what follows it.

        Returns
        -------
        np.ndarray of float64, shape (N,), or (N, horizon) with a horizon above 1
            What follows each window; one row for a single one.

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
        model = self._require_fitted().model
        values = _check.reals("windows", windows, FLOAT64)
        if values.ndim == (1 if self.variables is None else 2):
            values = values[None]
        values = reading.require_windows("windows", values, self.window, self.variables)
        steps = self.window + self.horizon
        known = reading.known_of_windows(exogenous, len(values), steps)
        model.require_columns("exogenous", known)
        shape = reading.steps_and_variables(self.horizon, self.variables)
        return model.predict(values, known).reshape(len(values), *shape)

    def forecast(
        self,
        steps: int,
        *,
        last_window: Any = None,
        future: Any = None,
        last_exogenous: Any = None,
    ) -> np.ndarray:
        """Continue a series, each horizon becoming part of the window of the next.

        Parameters
        ----------
        steps : int
            Values to forecast, at least 1.
        last_window : array_like of shape (window,), optional
            The values to continue; the end of the series given to :meth:`fit` by default. After
            a fit on several series also a window of each of any number of them, (S, window).
        future : array_like of shape (m, columns), optional
            What is known of the steps to come, if :meth:`fit` was given ``exogenous``: m is
            ``steps``, rounded up to whole horizons. (S, m, columns) for several series.
        last_exogenous : array_like of shape (window, columns), optional
            What is known of ``last_window``, to be given with it.

        Returns
        -------
        np.ndarray of float64, shape (steps,)
            The forecasts, in order; of several series (S, steps).

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
        start = self._start(steps, last_window, future, last_exogenous)
        model = self._require_fitted().model
        return start.shaped(model.extend(start.windows, start.known, steps), self.variables)

    def forecast_interval(
        self,
        steps: int,
        coverage: float = 0.9,
        *,
        last_window: Any = None,
        future: Any = None,
        last_exogenous: Any = None,
    ) -> ForecastInterval:
        r"""Continue a series and say between which bounds what comes will lie.

        The bounds are split conformal: what :meth:`fit` held out as ``calibration`` is forecast
        from every place in it, and the errors found there, for each step ahead by itself, give
        the quantiles that are added to the forecast. Errors are in units of s, see the class.

        With n errors of a step, its interval holds the truth with a probability of at least
        ``coverage``, and below ``coverage + 2 / (n + 1)`` where no two errors are equal, *if* the
        new error is exchangeable with those n: if any order of them was as likely. Errors of a
        series are that only roughly, for those near each other resemble each other. The coverage
        comes close where much was held out and the series goes on as it did there; where it
        changes its ways, the bounds do not know. Each value by itself is meant, not all steps
        together.

        The forecast itself need not lie between its bounds. Where all errors lean to one side, as
        those of a constant series do, so do both bounds.

        Parameters
        ----------
        steps, last_window, future, last_exogenous
            As for :meth:`forecast`.
        coverage : float
            The share of intervals that shall hold what comes, above 0 and below 1.

        Returns
        -------
        ForecastInterval
            ``forecast``, which is what :meth:`forecast` returns, ``lower`` and ``upper``, of its
            shape.

        Raises
        ------
        RuntimeError
            If nothing was held out, and as :meth:`forecast` does.
        TypeError, ValueError, FloatingPointError
            As :meth:`forecast` does; if too little was held out for as many steps and such a
            coverage: 2 / (1 - coverage) - 1 values for every step are needed.

        References
        ----------
        J. Lei et al., "Distribution-free predictive inference for regression", JASA 113 (2018).

        Examples
        --------
        >>> noise = np.random.default_rng(0).normal(0, 1, 300)
        >>> forecaster = Forecaster(4, hidden_size=4).fit(noise, epochs=5, calibration=0.3)
        >>> forecast, lower, upper = forecaster.forecast_interval(2, coverage=0.8)
        >>> bool((lower < forecast).all() and (forecast < upper).all())
        True
        """
        coverage = _check.number("coverage", coverage, above=0, below=1)
        start = self._start(steps, last_window, future, last_exogenous)
        fitted = self._require_fitted()
        if not fitted.memory.held_out:
            raise RuntimeError(
                "nothing was held out to learn from how far off forecasts are; "
                "fit with calibration=0.2 or another share"
            )
        intervals.require_errors(fitted.model, fitted.memory.held_out, steps, coverage)
        scores = intervals.scores(fitted.model, fitted.memory.held_out, steps)
        lower, upper = intervals.bounds(scores, coverage)
        forecast = fitted.model.extend(start.windows, start.known, steps)
        spread = fitted.model.scaling.frame(start.windows, FLOAT64).spread[:, None]
        parts = (forecast, forecast + spread * lower, forecast + spread * upper)
        return ForecastInterval(*(start.shaped(part, self.variables) for part in parts))

    def evaluate(
        self,
        series: Any,
        *,
        steps: int | None = None,
        season: int | None = None,
        exogenous: Any = None,
        average: bool = True,
    ) -> dict[str, Any]:
        r"""Measure forecasts of a series that was not trained on, beside naive ones.

        Forecasts are made from every place in the series that has a window before it, as many
        steps ahead as asked for and as the series goes on; errors are means over all of them.

        Parameters
        ----------
        series : array_like, or list of arrays
            As :meth:`fit` takes it. The first ``window`` values of each (or ``season``, if that
            is more) are only read: to measure all of a held-out part, let them be the last of
            what was trained on.
        steps : int, optional
            How many steps ahead to forecast; ``horizon`` unless given.
        season : int, optional
            After how many steps the series is expected to repeat itself.
        exogenous : array_like, or list of arrays, optional
            As :meth:`fit` takes it.

        average : bool
            Whether errors are means over variables as well, or arrays with one for each.

        Returns
        -------
        dict
            ``mae`` and ``rmse``, the mean absolute error and the root of the mean squared one.
            ``mase``, the mean absolute scaled error: the ``mae`` divided by how far on average
            the values of the training series lie from the one before,

            .. math:: \frac{1}{n-1} \sum_{t=2}^{n} |y_t - y_{t-1}|,

            NaN if that is 0. ``naive_mae`` and so on are those of repeating the last value, and
            with ``season`` ``seasonal_naive_mae`` and so on those of repeating the last season,
            over the same places and steps.

        Raises
        ------
        RuntimeError
            If the forecaster has not been fitted.
        TypeError, ValueError, FloatingPointError
            As :meth:`fit` and :meth:`forecast` do; if a series is too short.

        References
        ----------
        R. J. Hyndman & A. B. Koehler, "Another look at measures of forecast accuracy",
        International Journal of Forecasting 22 (2006).

        Examples
        --------
        >>> import fastrnn
        >>> wave = fastrnn.data.sine(240, periods=12)
        >>> forecaster = Forecaster(10, hidden_size=8).fit(wave[:200], epochs=100)
        >>> scores = forecaster.evaluate(wave[180:], season=20)
        >>> scores["mase"] < 0.5 * scores["naive_mase"]
        True
        >>> scores["seasonal_naive_mase"] < 0.1
        True
        """
        fitted = self._require_fitted()
        steps = self.horizon if steps is None else _check.integer("steps", steps)
        season = None if season is None else _check.integer("season", season)
        several = reading.read("series", series, exogenous, self.variables)
        unit = fitted.memory.naive_error
        scores = accuracy.scores(fitted.model, several, steps, season, unit)
        if _check.flag("average", average):
            return {name: float(values.mean()) for name, values in scores.items()}
        return scores

    def _network(self, columns: int) -> Network:
        """Return a new network that reads this many known inputs at every step."""
        variables = self.variables or 1
        return make_network(
            self.cell,
            variables + columns * (self.horizon + 1),
            self.hidden_size,
            variables * self.horizon,
            nonlinearity=self.nonlinearity,
            dtype=self.dtype,
            seed=self.seed,
            num_layers=self.num_layers,
        )

    def _model(self, windows: reading.Windows) -> Model:
        """Return a new network, with the scaling of the windows it shall learn from."""
        columns = 0 if windows.known is None else windows.known.shape[2]
        network = self._network(columns)
        scaling = PanelScaling.fit(self.scaling, windows.values, windows.targets, windows.known)
        return Model(network, scaling, self.window, self.horizon)

    def _start(self, steps: int, last_window: Any, future: Any, last_exogenous: Any) -> Start:
        fitted = self._require_fitted()
        _check.integer("steps", steps)
        _check.memory("the forecast", self.window + steps, self.variables or 1, 8)
        return fitted.start(steps, self.variables, last_window, future, last_exogenous)

    def _require_fitted(self) -> Fitted:
        if self._fitted is None:
            raise RuntimeError("this Forecaster has not been fitted; call fit(series) first")
        return self._fitted
