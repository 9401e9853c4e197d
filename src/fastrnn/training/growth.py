"""A vocabulary that grows: new characters for a model that has learned already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fastrnn.corpus.vocabulary import Symbols, Vocabulary

if TYPE_CHECKING:
    from fastrnn.text import CharRNN


def grow(model: CharRNN, characters: str) -> None:
    """Have ``model`` know each of ``characters``, by a larger network if it must be."""
    network, old = model._ready()
    new = Vocabulary(old.characters + characters)
    if len(new) > len(old):
        model._build(new)
        larger, _ = model._ready()
        larger.load_state_dict(grown(network.state_dict(), larger.state_dict(), old, new))


def grown(
    weights: Mapping[str, np.ndarray],
    larger: Mapping[str, np.ndarray],
    old: Symbols,
    new: Symbols,
) -> dict[str, np.ndarray]:
    """Return the weights of a network for the ``new`` vocabulary that goes on as the old one.

    A known character keeps its weights under its new id, so that its logit after a text of known
    characters has the same bits as before. A new one gets the mean of all known ones, where it
    enters and where it is predicted: it starts as an average character (J. Hewitt, "Initializing
    New Word Embeddings for Pretrained Language Models", 2021). Where outputs are fed back, as in a
    Jordan network, its own enters with zeros, so that it changes no state.

    Parameters
    ----------
    weights : mapping of str to ndarray
        The network's weights, ``state_dict``.
    larger : mapping of str to ndarray
        Weights of the same names with the shapes for ``new``; their values do not matter.
    old, new : Vocabulary
        ``new`` holds every character of ``old``.

    Examples
    --------
    >>> from fastrnn.corpus.vocabulary import Vocabulary
    >>> old, new = Vocabulary("ac"), Vocabulary("abc")
    >>> grown({"bias": np.array([1.0, 3.0])}, {"bias": np.zeros(3)}, old, new)["bias"]
    array([1., 2., 3.])
    """
    places = new.encode(old.characters)
    result = {}
    for name, shape in ((name, array.shape) for name, array in larger.items()):
        weight = weights[name]
        axes = [axis for axis in range(weight.ndim) if weight.shape[axis] != shape[axis]]
        for axis in axes:
            mean = weight.mean(axis=axis, keepdims=True, dtype=np.float64).astype(weight.dtype)
            if "weight_hh" in name:
                mean[...] = 0
            wider = np.repeat(mean, len(new), axis=axis)
            np.moveaxis(wider, axis, 0)[places] = np.moveaxis(weight, axis, 0)
            weight = wider
        result[name] = weight
    return result
