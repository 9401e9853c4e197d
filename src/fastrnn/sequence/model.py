"""A trained network with its scaling: predicts what follows windows, and continues them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn.network import Network
from fastrnn.sequence.scaling import PanelScaling
from fastrnn.sequence.series import Series

# Windows that go through the network at a time where there may be very many.
_AT_ONCE = 1024


@dataclass(frozen=True)
class Model:
    """A network that reads scaled windows and answers ``horizon`` scaled steps at once."""

    network: Network
    scaling: PanelScaling
    window: int
    horizon: int

    def predict(self, windows: np.ndarray, known: np.ndarray | None) -> np.ndarray:
        """Return what follows windows (N, window, V), (N, horizon, V).

        ``known`` is (N, window + horizon, columns) where there are known inputs.
        """
        frame = self.scaling.frame(windows, self._dtype)
        outputs, _ = self.network(frame.inputs(windows, known), outputs="last")
        values = frame.values(outputs)
        if not np.isfinite(values).all():
            raise FloatingPointError(
                "a prediction left the range of floating-point numbers: the series grows too "
                "far, or training diverged and needs a smaller learning rate"
            )
        return values

    def require_columns(self, name: str, known: np.ndarray | None) -> None:
        """Refuse known inputs (..., columns) that are not as many as there were in the training."""
        expected = 0 if self.scaling.known is None else len(self.scaling.known.center)
        if known is None and expected:
            raise ValueError(f"{name} is missing: fit was given exogenous of {expected} columns")
        if known is not None and known.shape[-1] != expected:
            raise ValueError(
                f"{name} has {known.shape[-1]} columns, expected the {expected} that fit was given"
            )

    def steps_known(self, steps: int) -> int:
        """Return of how many steps ahead the inputs must be known: whole horizons."""
        return -(-steps // self.horizon) * self.horizon

    def extend(self, windows: np.ndarray, known: np.ndarray | None, steps: int) -> np.ndarray:
        """Return ``steps`` after windows (N, window, V), each horizon read to make the next.

        ``known`` is (N, window + steps_known(steps), columns) where there are known inputs.
        """
        window = self.window
        series = np.empty((len(windows), window + self.steps_known(steps), windows.shape[2]))
        series[:, :window] = windows
        for start in range(0, steps, self.horizon):
            stop = start + window + self.horizon
            behind = None if known is None else known[:, start:stop]
            try:
                predicted = self.predict(series[:, start : start + window], behind)
            except (ValueError, FloatingPointError) as error:
                raise FloatingPointError(f"step {start + 1} cannot be forecast: {error}") from None
            series[:, start + window : stop] = predicted
        return series[:, window : window + steps]

    def places(self, series: Series, step: int) -> int:
        """Return from how many places in a series :meth:`rolling` forecasts ``step`` ahead."""
        ahead = step if series.known is None else self.steps_known(step)
        return max(0, len(series) - self.window - ahead + 1)

    def rolling(self, series: Series, steps: int, first: int = 0) -> Rolling:
        """Forecast from every place in a series that has a window before it and a value after.

        Places begin after ``first`` values, or after a window if that is longer.
        """
        first = max(first, self.window)
        origins = np.arange(first, len(series))
        parts = [
            self._from(series, origins[i : i + _AT_ONCE], steps)
            for i in range(0, len(origins), _AT_ONCE)
        ]
        return Rolling(origins, np.concatenate(parts), _ahead(series.values, origins, steps))

    def _from(self, series: Series, origins: np.ndarray, steps: int) -> np.ndarray:
        """Return forecasts (origins, steps, V), NaN where the known inputs do not reach."""
        windows = _ahead(series.values, origins - self.window, self.window)
        if series.known is None:
            return self.extend(windows, None, steps)
        reach = self.steps_known(steps)
        # What lies beyond the end is made up here, and what was made of it is dropped below.
        padded = np.pad(series.known, ((0, reach), (0, 0)), mode="edge")
        known = _ahead(padded, origins - self.window, self.window + reach)
        forecasts = self.extend(windows, known, steps)
        needed = (np.arange(steps) // self.horizon + 1) * self.horizon
        forecasts[origins[:, None] + needed > len(series)] = np.nan
        return forecasts

    @property
    def _dtype(self) -> np.dtype[Any]:
        return self.network.layer.dtype


@dataclass(frozen=True)
class Rolling:
    """Forecasts from many places of one series beside what came.

    Attributes
    ----------
    origins : ndarray of int, shape (N,)
        How many values stand before each place.
    forecasts, actual : ndarray of float64, shape (N, steps, V)
        NaN where no forecast could be made, and where the series had ended.
    """

    origins: np.ndarray
    forecasts: np.ndarray
    actual: np.ndarray


def _ahead(rows: np.ndarray, starts: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` rows from each start, (starts, count, columns), NaN beyond the end."""
    at = starts[:, None] + np.arange(count)
    taken = rows[np.minimum(at, len(rows) - 1)].astype(np.float64)
    taken[at >= len(rows)] = np.nan
    return taken
