"""What fitting a forecaster begins with and leaves behind, and where its forecasts start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.sequence import series as reading
from fastrnn.sequence.model import Model
from fastrnn.sequence.series import FLOAT64, Series, Sizes, Windows


@dataclass(frozen=True)
class Memory:
    """What a forecaster remembers of what it was trained on.

    Attributes
    ----------
    ends : list of Series
        The last window of each series; empty if windows were given.
    held_out : list of Series
        What was held out at the end of each, with the window before it.
    are_several : bool
        Whether series came in a list.
    naive_error : ndarray, shape (V,)
        The mean distance of each value that was trained on from the one before it.
    """

    ends: list[Series]
    held_out: list[Series]
    are_several: bool
    naive_error: np.ndarray


def read_training(
    series: Any, targets: Any, exogenous: Any, calibration: float, sizes: Sizes
) -> tuple[Windows, Memory]:
    """Return what :meth:`fastrnn.Forecaster.fit` was given, checked and cut into windows."""
    if targets is not None:
        if calibration:
            raise ValueError(
                f"calibration is for series, which have an end to hold out; "
                f"got calibration={calibration:g} and windows with targets"
            )
        windows = reading.given(series, targets, exogenous, sizes)
        change = _mean_distance(windows.targets[:, 0], windows.values[:, -1])
        return windows, Memory([], [], False, change)
    several = reading.read("series", series, exogenous, sizes.variables)
    cuts = [_cut(one, calibration, sizes) for one in several]
    learned = [one.part(0, cut) for one, cut in zip(several, cuts, strict=True)]
    held_out = [one.part(cut - sizes.window) for one, cut in zip(several, cuts, strict=True)]
    return reading.cut(learned, sizes), Memory(
        [one.part(len(one) - sizes.window) for one in several],
        held_out if calibration else [],
        reading.are_several(series),
        _naive_error(learned),
    )


def _naive_error(several: Sequence[Series]) -> np.ndarray:
    """Return the mean distance of each value from the one before it, of each variable (V,)."""
    return _mean_distance(
        *(np.concatenate([one.values[i:j] for one in several]) for i, j in ((1, None), (None, -1)))
    )


def _mean_distance(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how far apart rows (N, V) lie on average, (V,); infinite if float64 cannot tell."""
    with np.errstate(over="ignore"):
        return np.asarray(np.abs(ones - others).mean(axis=0))


def _cut(one: Series, calibration: float, sizes: Sizes) -> int:
    """Return where the part of a series that is held out begins."""
    held_out = int(calibration * len(one))
    cut, least = len(one) - held_out, sizes.window + sizes.horizon
    if calibration and (held_out < 1 or cut < least):
        raise ValueError(
            f"calibration={calibration:g} holds out {held_out} of the {len(one)} values of "
            f"{one.name} and leaves {cut} to learn from; at least 1 and {least} are expected"
        )
    return cut


@dataclass(frozen=True)
class Start:
    """Windows (S, window, V) to continue, and what is known (S, window + steps, columns)."""

    windows: np.ndarray
    known: np.ndarray | None
    are_several: bool

    def shaped(self, forecasts: np.ndarray, variables: int | None) -> np.ndarray:
        """Return forecasts (S, steps, V) without the axes that their user does not have."""
        forecasts = forecasts[..., 0] if variables is None else forecasts
        return forecasts if self.are_several else forecasts[0]


@dataclass(frozen=True)
class Fitted:
    """All that fitting leaves behind, replaced as one."""

    model: Model
    memory: Memory
    history: list[dict[str, float]]

    def start(
        self, steps: int, variables: int | None, last_window: Any, future: Any, last_exogenous: Any
    ) -> Start:
        """Return what :meth:`fastrnn.Forecaster.forecast` continues, checked."""
        memory = self.memory
        if last_window is None and not memory.ends:
            raise RuntimeError(
                "this Forecaster was fitted on windows, not on a series, so there is no end to "
                "continue from; give last_window"
            )
        if last_window is not None:
            several, windows = self._windows(last_window, variables)
        elif last_exogenous is None:
            several = memory.are_several
            windows = np.stack([one.values for one in memory.ends])
            last_exogenous = _stacked([one.known for one in memory.ends], several)
        else:
            raise ValueError("last_exogenous is of last_window, which was not given")
        window, ahead = self.model.window, self.model.steps_known(steps)
        behind = self._known("last_exogenous", last_exogenous, window, windows, several)
        known = self._known("future", future, ahead, windows, several)
        if behind is not None and known is not None:
            known = np.concatenate([behind, known], axis=1)
        return Start(windows, known, several)

    def _windows(self, last_window: Any, variables: int | None) -> tuple[bool, np.ndarray]:
        """Return whether these are windows of several series, and they as (S, window, V)."""
        values = _check.reals("last_window", last_window, FLOAT64)
        shape = (self.model.window, *(() if variables is None else (variables,)))
        several = self.memory.are_several and values.ndim == len(shape) + 1 and len(values) > 0
        _check.shape("last_window", values, (len(values), *shape) if several else shape)
        return several, values.reshape(-1, self.model.window, variables or 1)

    def _known(
        self, name: str, value: Any, steps: int, windows: np.ndarray, several: bool
    ) -> np.ndarray | None:
        """Return what is known of so many steps of each series, (S, steps, columns), if anything.

        A single column may come without its axis.
        """
        columns = 0 if self.model.scaling.known is None else len(self.model.scaling.known.center)
        if columns == 0:
            if value is not None:
                raise ValueError(f"{name} was given, but fit was not given exogenous")
            return None
        expected = (*((len(windows),) if several else ()), steps, columns)
        if value is None:
            raise ValueError(
                f"{name} is missing: fit was given exogenous, so an array of shape {expected} "
                f"is expected"
            )
        known = _check.reals(name, value, FLOAT64)
        if columns == 1 and known.shape == expected[:-1]:
            known = known[..., None]
        _check.shape(name, known, expected)
        return known.reshape(-1, steps, columns)


def _stacked(parts: list[np.ndarray | None], several: bool) -> np.ndarray | None:
    known = [part for part in parts if part is not None]
    if not known:
        return None
    return np.stack(known) if several else known[0]
