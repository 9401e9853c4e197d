"""The NumPy twin of the compiled library, written to be read.

Each function has the name and the meaning of a compiled loop or kernel, and its docstring has the
equation. Tests compare the two; nothing in fastrnn ever calls this package in place of the
compiled code, and this package imports nothing else of fastrnn.

Read `projection` and `rnn` first (the cell and backpropagation through time), then `lstm` and `gru`
(cells with gates), `stack` (layers, directions, lengths), `linear` and `losses` (the readout and
what it is trained for), `optim` (one step of training) and `sampling` (writing text).

Every function of a cell takes one time step, or one sequence, of a whole batch at once. Sizes are
T steps, B sequences, I input features and H hidden units.
"""

from __future__ import annotations

from fastrnn._reference.gru import gru_backward, gru_forward, gru_step
from fastrnn._reference.linear import linear_backward, linear_forward
from fastrnn._reference.losses import cross_entropy, log_softmax, mse, softmax
from fastrnn._reference.lstm import lstm_backward, lstm_forward, lstm_step
from fastrnn._reference.optim import (
    adam_step,
    adamw_step,
    clip_norm,
    clip_value,
    rmsprop_step,
    sgd_step,
)
from fastrnn._reference.projection import input_projection
from fastrnn._reference.rnn import rnn_backward, rnn_forward, rnn_step
from fastrnn._reference.sampling import sample
from fastrnn._reference.stack import Stack, stack_forward

__all__ = [
    "Stack",
    "adam_step",
    "adamw_step",
    "clip_norm",
    "clip_value",
    "cross_entropy",
    "gru_backward",
    "gru_forward",
    "gru_step",
    "input_projection",
    "linear_backward",
    "linear_forward",
    "log_softmax",
    "lstm_backward",
    "lstm_forward",
    "lstm_step",
    "mse",
    "rmsprop_step",
    "rnn_backward",
    "rnn_forward",
    "rnn_step",
    "sample",
    "sgd_step",
    "softmax",
    "stack_forward",
]
