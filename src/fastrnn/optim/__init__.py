"""Optimisers in PyTorch's equations and defaults, and gradient clipping."""

from fastrnn.optim.clipping import clip_grad_norm, clip_grad_value
from fastrnn.optim.optimizer import Optimizer
from fastrnn.optim.rules import OPTIMIZERS, SGD, Adam, AdamW, RMSprop

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm",
    "clip_grad_value",
]
