"""Animations of what happens inside a recurrent network, where Matplotlib is installed."""

from fastrnn.animate.backward import bptt
from fastrnn.animate.gradients import scaled_layer, vanishing
from fastrnn.animate.loops import shared_parameters, unrolling
from fastrnn.animate.saving import save
from fastrnn.animate.sentences import hidden_states
from fastrnn.animate.texts import generating

__all__ = [
    "bptt",
    "generating",
    "hidden_states",
    "save",
    "scaled_layer",
    "shared_parameters",
    "unrolling",
    "vanishing",
]
