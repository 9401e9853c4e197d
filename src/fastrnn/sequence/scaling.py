"""The map between a user's numbers and the small numbers that a network works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastrnn.sequence.columns import ROUNDING, TOO_FAR, Columns, representable

SCALINGS = ("global", "window", "none")


@dataclass(frozen=True)
class Frame:
    """The scaling of N windows: w enters as (w - c) / s, an output o means c + d o.

    Attributes
    ----------
    center, spread, reach : np.ndarray of float64, shape (N,)
        c, s and d of every window.
    dtype : np.dtype
        Type of what enters the network.
    """

    center: np.ndarray
    spread: np.ndarray
    reach: np.ndarray
    dtype: np.dtype[Any]

    def inputs(self, windows: np.ndarray) -> np.ndarray:
        """Return windows (N, window) as the network reads them, (window, N, 1)."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = ((windows - self.center[:, None]) / self.spread[:, None]).astype(self.dtype)
        return np.ascontiguousarray(representable(scaled).T[:, :, None])

    def outputs(self, values: np.ndarray) -> np.ndarray:
        """Return next values (N,) or (N, horizon) as the network should answer, (N, horizon)."""
        values = values.reshape(len(values), -1)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scaled = ((values - self.center[:, None]) / self.reach[:, None]).astype(self.dtype)
        return representable(scaled)

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return the values in float64 that outputs (N, horizon) mean, (N,) if they are (N, 1)."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = self.center[:, None] + self.reach[:, None] * outputs.astype(np.float64)
        return values[:, 0] if outputs.shape[1] == 1 else values


@dataclass(frozen=True)
class Scaling:
    """How to scale windows, fitted to those of the training; the rules are Forecaster's.

    Attributes
    ----------
    kind : {"global", "window", "none"}
        Where c and s come from.
    center, spread : float
        c and s of every window. With ``"window"`` every window has its own, and ``spread`` is
        the s of those that are constant.
    unit : float
        d / s.
    """

    kind: str
    center: float = 0.0
    spread: float = 1.0
    unit: float = 1.0

    @classmethod
    def fit(cls, kind: str, windows: np.ndarray, targets: np.ndarray) -> Scaling:
        """Return the scaling for training windows (N, window) and what follows, (N[, horizon])."""
        if kind == "none":
            return cls(kind)
        with np.errstate(over="ignore", invalid="ignore"):
            if kind == "global":
                center = float(windows.mean())
                return cls(kind, center, _divisor(np.abs(windows - center).mean()))
            spread = _divisor(_deviation(windows).mean())
            frame = cls(kind, spread=spread).frame(windows, np.dtype(np.float64))
            unit = _divisor(np.abs(frame.outputs(targets)).mean())
        return cls(kind, spread=spread, unit=unit)

    def frame(self, windows: np.ndarray, dtype: np.dtype[Any]) -> Frame:
        """Return c, s and d for every one of the windows (N, window).

        Raises
        ------
        ValueError
            If the values differ by more than float64 can hold.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.kind == "window":
                center, spread = windows[:, -1], _deviation(windows)
                constant = spread <= ROUNDING * np.abs(center)
                spread = np.where(constant, self.spread, spread)
            else:
                center, spread = np.full((2, len(windows)), [[self.center], [self.spread]])
            reach = spread * self.unit
        if not (np.isfinite(center).all() and np.isfinite(reach).all()):
            raise ValueError(TOO_FAR)
        return Frame(center, spread, reach, dtype)


@dataclass(frozen=True)
class PanelScaling:
    """The scaling of windows of several variables, with known inputs beside them.

    Attributes
    ----------
    variables : tuple of Scaling
        One for each variable.
    known : Columns or None
        That of the known inputs, if there are any.
    """

    variables: tuple[Scaling, ...]
    known: Columns | None

    @classmethod
    def fit(
        cls, kind: str, windows: np.ndarray, targets: np.ndarray, known: np.ndarray | None
    ) -> PanelScaling:
        """Return the scaling for windows (N, window, V), what follows and known inputs."""
        variables = tuple(
            Scaling.fit(kind, np.ascontiguousarray(windows[:, :, v]), targets[:, :, v])
            for v in range(windows.shape[2])
        )
        if known is None:
            return cls(variables, None)
        return cls(variables, Columns.fit(known.reshape(-1, known.shape[2]), scaled=kind != "none"))

    def frame(self, windows: np.ndarray, dtype: np.dtype[Any]) -> PanelFrame:
        """Return the scaling of every variable in every one of the windows (N, window, V)."""
        windows = np.moveaxis(windows, 2, 0)
        return PanelFrame(
            tuple(
                scaling.frame(np.ascontiguousarray(of_variable), dtype)
                for scaling, of_variable in zip(self.variables, windows, strict=True)
            ),
            self.known,
        )


@dataclass(frozen=True)
class PanelFrame:
    """The scaling of N windows of several variables."""

    variables: tuple[Frame, ...]
    known: Columns | None

    @property
    def spread(self) -> np.ndarray:
        """The s of every window and variable, (N, V)."""
        return np.stack([frame.spread for frame in self.variables], axis=-1)

    def inputs(self, windows: np.ndarray, known: np.ndarray | None) -> np.ndarray:
        """Return what the network reads: (window, N, V), and what is known behind each step.

        ``known`` is (N, window + horizon, E); each step reads its own and those of the horizon
        after it, so that the last step reads what is known about all that it predicts.
        """
        parts = [
            frame.inputs(np.ascontiguousarray(windows[:, :, v]))
            for v, frame in enumerate(self.variables)
        ]
        if known is not None and self.known is not None:
            steps = windows.shape[1]
            scaled = self.known.inputs(known, self.variables[0].dtype)
            ahead = sliding_window_view(scaled, known.shape[1] - steps + 1, axis=1)
            parts.append(ahead[:, :steps].transpose(1, 0, 3, 2).reshape(steps, len(known), -1))
        return np.concatenate(parts, axis=2)

    def outputs(self, targets: np.ndarray) -> np.ndarray:
        """Return targets (N, horizon, V) as the network should answer, (N, horizon V)."""
        parts = [frame.outputs(targets[:, :, v]) for v, frame in enumerate(self.variables)]
        return np.stack(parts, axis=-1).reshape(len(targets), -1)

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return the values (N, horizon, V) that the network's outputs (N, horizon V) mean."""
        count, variables = len(outputs), len(self.variables)
        outputs = outputs.reshape(count, -1, variables)
        parts = [
            frame.values(outputs[:, :, v]).reshape(count, -1)
            for v, frame in enumerate(self.variables)
        ]
        return np.stack(parts, axis=-1)


def _deviation(windows: np.ndarray) -> np.ndarray:
    """Return the mean distance from the last value of every window, (N,)."""
    return np.abs(windows - windows[:, -1:]).mean(axis=1)


def _divisor(size: float) -> float:
    """Return what to divide by: 1 in place of 0, where nothing differs."""
    return float(size) if size != 0 else 1.0
