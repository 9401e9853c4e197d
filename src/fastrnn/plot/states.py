"""Hidden states over time: as lines, as a heatmap, and both."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn.plot import values
from fastrnn.plot.axes import BLUE, CYCLE, GRID, current, diverging, figure, heatmap, whole_numbers

# As many as have a colour of their own; of more, all lines look alike.
_MOST_NAMED = len(CYCLE)


def hidden_states(states: Any, labels: Any = None, *, fig: Any = None) -> Any:
    """Draw hidden states over time: a line for each unit, and below a heatmap with the inputs.

    Parameters
    ----------
    states : array_like of shape (T, H)
        h_t of every step: the output of a layer for one sequence, ``layer(x)[0]``, or
        :meth:`fastrnn.CharRNN.states`.
    labels : str, bytes, or sequence of str or of numbers, optional
        What was read at each step, T characters, bytes, words or numbers.
    fig : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; in a new figure of pyplot by default. With ``layout="constrained"`` all
        parts find room.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        The axes of the lines and those of the heatmap.

    Raises
    ------
    ImportError
        If Matplotlib is missing.
    TypeError, ValueError
        If an argument does not hold what it must, or there is not a label for each step.

    Examples
    --------
    >>> import fastrnn
    >>> from fastrnn import plot
    >>> layer = fastrnn.RNN(1, 4, seed=0)
    >>> wave = fastrnn.data.sine(30).astype("float32")
    >>> output, h_n = layer(wave[:, None])
    >>> axes = plot.hidden_states(output, wave)  # doctest: +SKIP
    >>> model = fastrnn.CharRNN(hidden_size=8, vocabulary="to be or not")
    >>> axes = plot.hidden_states(model.states("to be"), "to be")  # doctest: +SKIP
    """
    _checked(states, labels)  # before there is a figure
    axes = figure(fig, (8, 5.5)).subplots(2, sharex=True)
    state_lines(states, labels, ax=axes[0])
    state_heatmap(states, labels, ax=axes[1])
    axes[0].set_xlabel("")
    return axes


def state_lines(states: Any, labels: Any = None, *, ax: Any = None) -> Any:
    """Draw a line for each hidden unit over time.

    Parameters
    ----------
    states, labels
        As :func:`hidden_states` takes them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on pyplot's current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ImportError, TypeError, ValueError
        As :func:`hidden_states` does.

    Examples
    --------
    >>> from fastrnn import plot
    >>> ax = plot.state_lines([[0.0, 0.5], [1.0, -0.5]], ["a", "word"])  # doctest: +SKIP
    """
    states, written = _checked(states, labels)
    steps, units = states.shape
    ax = current(ax)
    if units <= _MOST_NAMED:
        for unit, line in enumerate(ax.plot(states)):
            line.set(color=CYCLE[unit], label=str(unit))
    else:
        lines = ax.plot(states, color=BLUE, linewidth=0.8, alpha=max(0.15, 4 / units))
        lines[0].set_label(f"each of {units}")
    ax.set_title("Hidden state, a line for each unit")
    ax.set_ylabel("$h_t$")
    ax.grid(**GRID)
    # Room for the legend, which would hide lines anywhere else.
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.25 * (high - low))
    legend = ax.legend(
        title="unit", loc="upper right", ncols=_MOST_NAMED, fontsize="small",
        title_fontsize="small", handlelength=1.2, columnspacing=1,
    )  # fmt: skip
    for line in legend.get_lines():
        line.set_alpha(1)
    values.write_below(ax, written, steps)
    return ax


def state_heatmap(states: Any, labels: Any = None, *, ax: Any = None) -> Any:
    """Draw hidden states over time as a heatmap: a row for each unit, a column for each step.

    Parameters
    ----------
    states, labels
        As :func:`hidden_states` takes them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on pyplot's current axes by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ImportError, TypeError, ValueError
        As :func:`hidden_states` does.

    Examples
    --------
    >>> from fastrnn import plot
    >>> ax = plot.state_heatmap([[0.0, 0.5], [1.0, -0.5]], "ab")  # doctest: +SKIP
    """
    states, written = _checked(states, labels)
    ax = current(ax)
    limit = float(np.abs(states).max()) or 1.0
    image = heatmap(ax, states.T, cmap=diverging(), vmin=-limit, vmax=limit)
    ax.figure.colorbar(image, ax=ax, label="$h_t$")
    ax.set_title("Hidden state, a row for each unit")
    ax.set_ylabel("unit")
    whole_numbers(ax.yaxis)
    values.write_below(ax, written, len(states))
    return ax


def _checked(states: Any, labels: Any) -> tuple[np.ndarray, list[str] | None]:
    states = values.table("states", states)
    if labels is None:
        return states, None
    return states, values.labels("labels", labels, len(states), "one for each step of states")
