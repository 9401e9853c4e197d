"""Names for the two kinds of arrays, real numbers and token ids, and for what BPTT returns."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.integer[Any]]


class ProjectionGradients(TypedDict):
    """The gradients of both projections, named as the arguments of a cell's forward pass."""

    x: Floats | None
    weight_ih: Floats
    weight_hh: Floats
    bias_ih: Floats
    bias_hh: Floats


class Gradients(ProjectionGradients):
    """What BPTT returns, named as the arguments of the cell's forward pass."""

    h_0: Floats
