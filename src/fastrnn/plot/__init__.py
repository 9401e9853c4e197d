"""Pictures, where Matplotlib is installed.

Functions take numbers, draw on the axes ``ax`` that they are given, on the current ones of pyplot
by default, and return them. Those that need several axes make them in the figure ``fig``, in a new
one of pyplot by default, and return all of them. ``docs/gallery.md`` shows what each draws.

A character that Matplotlib's own font lacks is drawn as a box, with a warning:
``matplotlib.rcParams["font.family"]`` and ``["font.monospace"]`` name others.
"""

from fastrnn.plot.benchmarks import grid, grid_size
from fastrnn.plot.characters import next_characters, surprise
from fastrnn.plot.forecasts import forecast
from fastrnn.plot.gradients import gradient_norms
from fastrnn.plot.learning import learning_curve
from fastrnn.plot.matrices import eigenvalues, weights
from fastrnn.plot.states import hidden_states, state_heatmap, state_lines
from fastrnn.plot.texts import colored_text, unit_text

__all__ = [
    "colored_text",
    "eigenvalues",
    "forecast",
    "gradient_norms",
    "grid",
    "grid_size",
    "hidden_states",
    "learning_curve",
    "next_characters",
    "state_heatmap",
    "state_lines",
    "surprise",
    "unit_text",
    "weights",
]
