"""What a layer has learned: its weights, and the eigenvalues of the recurrent ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.layers import GRU, LSTM, Embedding, Jordan
from fastrnn.layers.module import Module
from fastrnn.layers.recurrent import Recurrent
from fastrnn.plot.axes import BLACK, BLUE, GRID, diverging, figure, heatmap, whole_numbers

# The gates of a weight, one below the other.
GATES: dict[type[Recurrent], tuple[str, ...]] = {
    LSTM: ("i", "f", "g", "o"),
    GRU: ("r", "z", "n"),
}

_PANEL, _PLANE = 3.2, 2.4  # inches
_MOST_COLUMNS = 4

# The percentage of weights for which colours tell how large they are.
_SHARE = 99


def weights(module: Module, names: Sequence[str] | None = None, *, fig: Any = None) -> Any:
    """Draw weight matrices as heatmaps, blue below zero, white at zero, orange above.

    Parameters
    ----------
    module : RNN, LSTM, GRU, Jordan, Linear or Embedding
        What has them; of a :class:`fastrnn.CharRNN` ``model.network.layer``.
    names : sequence of str, optional
        Which of ``module.parameters()``; all that are matrices unless given.
    fig : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; in a new figure of pyplot by default. With ``layout="constrained"`` all
        parts find room.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        A panel for each matrix, in this order. All have the same colours for the same numbers; the
        darkest ones are for the largest hundredth of all, without which a few would leave the
        others pale.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If ``module`` is no layer, or a name is none of its matrices or comes twice.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import plot
    >>> axes = plot.weights(fastrnn.LSTM(8, 16, seed=0))  # doctest: +SKIP
    """
    if not isinstance(module, Module):
        raise TypeError(f"module must be a layer, got {_check.describe(module)}")
    matrices = {name: value for name, value in module.parameters().items() if value.ndim == 2}
    if names is not None:
        matrices = {name: matrices[name] for name in _chosen(names, list(matrices))}
    columns = min(len(matrices), _MOST_COLUMNS)
    rows = -(-len(matrices) // columns)
    fig = figure(fig, (_PANEL * columns + 0.8, (_PANEL + 1) * rows))
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[len(matrices) :]:
        ax.remove()
    axes = axes[: len(matrices)]
    sizes = np.concatenate([np.abs(matrix).ravel() for matrix in matrices.values()])
    limit = float(np.percentile(sizes, _SHARE)) or float(sizes.max()) or 1.0
    for ax, (name, matrix) in zip(axes, matrices.items(), strict=True):
        image = heatmap(ax, matrix, cmap=diverging(), vmin=-limit, vmax=limit)
        ax.set_title(f"{name}\n{matrix.shape[0]} × {matrix.shape[1]}", fontsize="medium")
        ax.set_xlabel(_columns(module, name))
        whole_numbers(ax.xaxis)
        _name_gates(ax, module, name, len(matrix))
    fig.colorbar(image, ax=list(axes), label="weight", extend="both")
    return axes


def eigenvalues(layer: Recurrent, name: str = "weight_hh_l0", *, fig: Any = None) -> Any:
    """Draw the eigenvalues of a recurrent matrix, of each gate by itself, and the unit circle.

    Where nothing else acts, a state that is multiplied by the matrix at every step dies away along
    eigenvectors whose eigenvalues lie inside the circle, and grows along those outside; so do
    gradients on their way back. Nonlinearities and gates make both smaller.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        What has the matrix; of a :class:`fastrnn.CharRNN` ``model.network.layer``.
    name : str
        Which: ``"weight_hh_l0"``, of further layers ``"weight_hh_l1"``, …, of the other direction
        ``"weight_hh_l0_reverse"``, ….
    fig : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; in a new figure of pyplot by default. With ``layout="constrained"`` all
        parts find room.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        A panel for each gate: i, f, g, o of an LSTM, r, z, n of a GRU, one of an Elman layer.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If ``layer`` is none of these or has a projection, or has no such recurrent matrix.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import plot
    >>> axes = plot.eigenvalues(fastrnn.GRU(8, 16, init="orthogonal", seed=0))  # doctest: +SKIP
    """
    if not isinstance(layer, Recurrent) or isinstance(layer, Jordan):
        raise TypeError(f"layer must be an RNN, LSTM or GRU, got {_check.describe(layer)}")
    recurrent = [name for name in layer.parameters() if name.startswith("weight_hh")]
    stacked = layer.parameters()[_check.choice("name", name, tuple(recurrent))]
    if layer.state_sizes[0] != layer.hidden_size:
        raise ValueError(
            f"layer must feed back all of its hidden units, got {layer!r}, whose recurrent "
            f"matrices are {layer.hidden_size} × {layer.state_sizes[0]} and have no eigenvalues"
        )
    gates = _gates(layer)
    matrices = stacked.reshape(len(gates), layer.hidden_size, layer.hidden_size)
    found = np.linalg.eigvals(matrices.astype(np.float64))
    columns = 2 if len(gates) == 4 else len(gates)
    rows = len(gates) // columns
    fig = figure(fig, (_PLANE * columns + 0.6, (_PLANE + 0.3) * rows + 1))
    axes = fig.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for ax in axes[-1]:
        ax.set_xlabel("real part")
    for ax in axes[:, 0]:
        ax.set_ylabel("imaginary part")
    axes = axes.ravel()
    for ax, gate, numbers in zip(axes, gates, found, strict=True):
        _draw_plane(ax, numbers)
        which = f"{name}, gate {gate}" if gate else name
        largest = np.abs(numbers).max()
        ax.set_title(f"{which}\nlargest |λ| = {largest:.3g}", fontsize="medium")
    reach = 1.1 * max(1.0, float(np.abs(found).max()))
    axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    fig.legend(handles=axes[0].get_lines(), loc="outside lower center", ncols=2, fontsize="small")
    return axes


def _draw_plane(ax: Any, numbers: np.ndarray) -> None:
    """Draw complex numbers and the unit circle."""
    angles = np.linspace(0, 2 * math.pi, 181)
    ax.plot(np.cos(angles), np.sin(angles), color=BLACK, linewidth=1, label="unit circle")
    ax.plot(
        numbers.real, numbers.imag, "o", color=BLUE, markersize=4, alpha=0.7, label="eigenvalue λ"
    )
    ax.set_aspect("equal")
    ax.grid(**GRID)
    ax.set_axisbelow(True)


def _gates(layer: Module) -> tuple[str, ...]:
    return next((names for kind, names in GATES.items() if isinstance(layer, kind)), ("",))


def _columns(module: Module, name: str) -> str:
    """Return what the columns of a weight stand for."""
    if name.startswith("weight_hh"):
        return "previous output" if isinstance(module, Jordan) else "previous state"
    if name.startswith(("weight_ho", "weight_hr")):
        return "hidden unit"
    if isinstance(module, Embedding):
        return "dimension of the vector"
    return "input"


def _name_gates(ax: Any, module: Module, name: str, rows: int) -> None:
    """Write the gates beside a weight that has several, with a line between them."""
    gates = _gates(module)
    if len(gates) == 1 or not name.startswith(("weight_ih", "weight_hh")):
        ax.set_ylabel("id" if isinstance(module, Embedding) else "row")
        whole_numbers(ax.yaxis)
        return
    size = rows // len(gates)
    ax.set_yticks([size * (place + 0.5) - 0.5 for place in range(len(gates))], gates)
    ax.set_ylabel(f"gate ({size} units each)")
    for place in range(1, len(gates)):
        ax.axhline(size * place - 0.5, color=BLACK, linewidth=0.8)


def _chosen(names: Any, known: list[str]) -> list[str]:
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"names must be a sequence of names, got {_check.describe(names)}")
    if len(names) == 0:
        raise ValueError(f"names is empty, expected some of {', '.join(known)}")
    chosen = [_check.choice("each of names", name, known) for name in names]
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"names must differ from each other, got {_check.describe(names)}")
    return chosen
