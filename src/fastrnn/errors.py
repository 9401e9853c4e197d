"""Exceptions of the library that callers may want to catch by name."""

from __future__ import annotations

import numpy as np


class NonFiniteLossError(FloatingPointError):
    """A loss, or what a model puts out, is NaN or infinite, and was not used."""


class ModelFileError(ValueError):
    """A model file is damaged, foreign, or does not fit its own description."""


class UnknownCharacterError(ValueError):
    """A text holds a character that the model's vocabulary lacks."""


class StopTraining(Exception):  # noqa: N818 - a request rather than an error, as StopIteration is
    """What a callback raises to end the training after the step that it was called for."""


def not_finite(what: str, dtype: np.dtype) -> NonFiniteLossError:
    """Return the error for a model's outputs that are no numbers, and what they prevent."""
    return NonFiniteLossError(
        f"{what}: the model's outputs exceed the range of {dtype.name}; train it again with a "
        "lower learning rate"
    )
