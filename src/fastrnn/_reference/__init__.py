"""The NumPy twin of the compiled library, written to be read.

Each function has the name and the meaning of a compiled loop or kernel, and its docstring has the
equation. Tests compare the two; nothing in fastrnn ever calls this package in place of the
compiled code, and this package imports nothing else of fastrnn.

Read `rnn` first (the cell and backpropagation through time), then `linear` and `losses` (the
readout and what it is trained for), `optim` (one step of training) and `sampling` (writing text).
"""

from __future__ import annotations

from fastrnn._reference.linear import linear_backward, linear_forward
from fastrnn._reference.losses import cross_entropy, log_softmax, mse, softmax
from fastrnn._reference.optim import (
    adam_step,
    adamw_step,
    clip_norm,
    clip_value,
    rmsprop_step,
    sgd_step,
)
from fastrnn._reference.rnn import rnn_backward, rnn_forward, rnn_step
from fastrnn._reference.sampling import sample

__all__ = [
    "adam_step",
    "adamw_step",
    "clip_norm",
    "clip_value",
    "cross_entropy",
    "linear_backward",
    "linear_forward",
    "log_softmax",
    "mse",
    "rmsprop_step",
    "rnn_backward",
    "rnn_forward",
    "rnn_step",
    "sample",
    "sgd_step",
    "softmax",
]
