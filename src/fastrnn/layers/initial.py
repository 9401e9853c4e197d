"""Initial parameters by name."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

SCHEMES = ("uniform", "one_hot", "glorot", "orthogonal", "identity")

# The deviation of what a token gives to a pre-activation, one of W_ih's columns and no sum of many.
# After 3.7 M characters of Tiny Shakespeare a GRU of 256 units was at 1.516, 1.508, 1.522 and 1.516
# nats with 0.3, 0.5, 0.7 and 1, and at 1.535 with "uniform", whose deviation there is 0.036; of
# three seeds with 0.5 and "uniform" the means were 1.519 and 1.528.
_OF_TOKEN = 0.5


def fill(
    views: Mapping[str, np.ndarray], scheme: str, hidden: int, rng: np.random.Generator
) -> None:
    """Set a recurrent layer's parameters.

    ``"uniform"``: all from U(-1/sqrt(H), 1/sqrt(H)), as PyTorch. ``"one_hot"``: so too, but the
    first layer's W_ih, of which a token takes one column, from N(0, 1/4).

    Of the others the biases are zero and each gate of W_ih is uniform as X. Glorot and Y. Bengio
    have it (AISTATS 2010); each gate of W_hh is so too (``"glorot"``), a random orthogonal matrix
    (``"orthogonal"``: A. Saxe et al., arXiv:1312.6120; Keras' default), or the identity
    (``"identity"``: Q. Le et al., arXiv:1504.00941, for ReLU). Projections of the state are as
    W_ih. Gains of a layer normalisation are 1, its biases 0.
    """
    for name, view in views.items():
        if "_norm_" in name:
            view[...] = name.startswith("weight")
        elif scheme == "one_hot" and name.startswith("weight_ih_l0"):
            view[...] = rng.normal(0, _OF_TOKEN, view.shape)
        elif scheme in ("uniform", "one_hot"):
            bound = 1 / math.sqrt(hidden)
            view[...] = rng.uniform(-bound, bound, view.shape)
        elif name.startswith("bias"):
            view[...] = 0
        else:
            height = hidden if "_ih_" in name or "_hh_" in name else len(view)
            for gate in view.reshape(-1, height, view.shape[1]):
                gate[...] = _gate(scheme if "_hh_" in name else "glorot", gate.shape, rng)


def _gate(scheme: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if scheme == "identity":
        return np.eye(shape[0], shape[1])
    if scheme == "orthogonal":
        q, r = np.linalg.qr(rng.standard_normal((max(shape), min(shape))))
        q *= np.sign(np.diag(r))  # else of a distribution that is not uniform
        return q if shape[0] >= shape[1] else q.T
    bound = math.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape)
