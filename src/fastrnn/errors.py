"""Exceptions of the library that callers may want to catch by name."""

from __future__ import annotations


class NonFiniteLossError(FloatingPointError):
    """Training met a loss that is NaN or infinite and stopped before using it."""


class ModelFileError(ValueError):
    """A model file is damaged, foreign, or does not fit its own description."""


class UnknownCharacterError(ValueError):
    """A text holds a character that the model's vocabulary lacks."""


class StopTraining(Exception):  # noqa: N818 - a request rather than an error, as StopIteration is
    """What a callback raises to end the training after the step that it was called for."""
