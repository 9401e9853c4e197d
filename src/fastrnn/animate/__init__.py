"""Animations of what happens inside a recurrent network, where Matplotlib is installed."""

from fastrnn.animate.loops import shared_parameters, unrolling
from fastrnn.animate.saving import save

__all__ = ["save", "shared_parameters", "unrolling"]
