"""Layers: parameters, whole-sequence forward and backward, streams."""

from fastrnn.layers.embedding import Embedding
from fastrnn.layers.gru import GRU
from fastrnn.layers.jordan import Jordan
from fastrnn.layers.linear import Linear
from fastrnn.layers.lstm import LSTM
from fastrnn.layers.module import Module
from fastrnn.layers.recurrent import Recurrent
from fastrnn.layers.rnn import RNN

__all__ = ["GRU", "LSTM", "RNN", "Embedding", "Jordan", "Linear", "Module", "Recurrent"]
