"""How gradients vanish and explode on their way back in time."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastrnn import _check, unrolled
from fastrnn.layers.recurrent import Recurrent
from fastrnn.plot import values
from fastrnn.plot.axes import CYCLE, GRID, current, legend, legend_handles

_STYLES = ("-", "--", ":", "-.")


def gradient_norms(
    layers: Mapping[str, Recurrent], x: Any, *, scales: Sequence[float] = (1.0,), ax: Any = None
) -> Any:
    """Draw how large the gradient of the last state is, by distance in time.

    Parameters
    ----------
    layers : dict of str to a recurrent layer
        Layers by what the legend shall call them, such as ``{"LSTM": fastrnn.LSTM(2, 16)}``.
    x : array_like
        What all of them read: floats (seq_len, input_size) or token ids (seq_len,), of the
        layers' dtype.
    scales : sequence of float
        Each layer is drawn once for each of these, its recurrent weights W_hh multiplied by it;
        the layers stay as they are. Four at most.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on pyplot's current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on: :func:`fastrnn.unrolled.gradient_norms` of each layer and scale, on a
        logarithmic axis. A norm of 0 or beyond the range of numbers ends its line.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument does not hold what it must, or a layer does not take x or cannot be
        unrolled.

    Examples
    --------
    >>> import numpy as np, fastrnn
    >>> from fastrnn import plot
    >>> layers = {"Elman": fastrnn.RNN(2, 16, seed=0), "GRU": fastrnn.GRU(2, 16, seed=0)}
    >>> x = np.ones((50, 2), np.float32)
    >>> ax = plot.gradient_norms(layers, x, scales=[1, 3])  # doctest: +SKIP
    """
    if not isinstance(layers, Mapping):
        raise TypeError(f"layers must be a dict of layers, got {_check.describe(layers)}")
    if not 1 <= len(layers) <= len(CYCLE):
        raise ValueError(f"layers must hold 1 to {len(CYCLE)} layers, got {len(layers)}")
    names = [values.text_argument("each name of layers", name) for name in layers]
    factors = values.row("scales", scales)
    if len(factors) > len(_STYLES):
        raise ValueError(f"scales must have at most {len(_STYLES)} entries, got {len(factors)}")
    if len(set(factors)) < len(factors):
        raise ValueError(f"scales must differ from each other, got {_check.describe(scales)}")
    norms = [
        [unrolled.gradient_norms(scaled(layer, factor), x) for factor in factors]
        for layer in layers.values()
    ]
    ax = current(ax)
    drawn: list[Any] = []
    for name, colour, of_layer in zip(names, CYCLE, norms, strict=False):
        for factor, style, line in zip(factors, _STYLES, of_layer, strict=False):
            drawn += ax.plot(
                np.where(np.isfinite(line), line, np.nan), style, color=colour,
                label=f"{name}, W_hh × {factor:g}" if len(factors) > 1 else name,
            )  # fmt: skip
    ax.set_yscale("log", nonpositive="mask")
    ax.set_title("What reaches a state $k$ steps before the loss")
    ax.set_xlabel("distance in time $k$ (steps)")
    ax.set_ylabel(r"gradient norm $\|\partial L / \partial s_{T-k}\|$, 1 at $k = 0$")
    ax.grid(**GRID)
    legend(ax, legend_handles(ax, drawn), loc="best", fontsize="small")
    return ax


def scaled(layer: Any, factor: float) -> Recurrent:
    """Return a copy of a layer, its recurrent weights W_hh multiplied by ``factor``.

    Raises
    ------
    TypeError
        If ``layer`` is no recurrent layer.

    Examples
    --------
    >>> import fastrnn
    >>> layer = fastrnn.GRU(2, 3, num_layers=2, seed=0)
    >>> bool((scaled(layer, 2).weight_hh_l1 == 2 * layer.weight_hh_l1).all())
    True
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(f"each of layers must be a recurrent layer, got {_check.describe(layer)}")
    twin = copy.deepcopy(layer)
    for name, weight in twin.parameters().items():
        if name.startswith("weight_hh"):
            setattr(twin, name, weight.dtype.type(factor) * weight)
    return twin
