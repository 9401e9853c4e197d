"""Layers: parameters, whole-sequence forward and backward, streams."""

from fastrnn.layers.linear import Linear
from fastrnn.layers.module import Module
from fastrnn.layers.recurrent import Recurrent
from fastrnn.layers.rnn import RNN

__all__ = ["RNN", "Linear", "Module", "Recurrent"]
