"""What a cell has to offer so that networks, models and the sampling loop can use it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastrnn.layers.module import Module


class Saved(NamedTuple):
    """What backward needs of a call: the inputs and all states."""

    x: np.ndarray  # (T, B, I), or token ids (T, B)
    h: np.ndarray  # (T + 1, B, H)
    batched: bool


class Recurrent(Module):
    """Base of the recurrent layers: the contract with the rest of the package.

    Attributes
    ----------
    input_size, hidden_size : int
    options : tuple of str
        Names of the keyword arguments that this cell takes beside ``dtype`` and ``seed``.
    """

    input_size: int
    hidden_size: int
    options: ClassVar[tuple[str, ...]] = ()
    _fixed = Module._fixed | {"input_size", "hidden_size"}

    @abstractmethod
    def __init__(
        self, input_size: int, hidden_size: int, *, dtype: Any, seed: Any, **options: Any
    ) -> None:
        """Take the sizes, and of ``options`` those that the class names."""

    @abstractmethod
    def _forward(self, x: Any, h_0: Any, num_threads: int | None) -> Saved:
        """Check x and h_0, run over all steps."""

    @abstractmethod
    def _backward(
        self,
        saved: Saved,
        grad_output: np.ndarray | None,
        grad_h_n: np.ndarray | None,
        num_threads: int | None,
    ) -> np.ndarray:
        """Add to the gradients of the parameters; return dz (T, B, G * H).

        grad_output is (T, B, H) and grad_h_n (B, H), contiguous; one of them may be None.
        """

    @abstractmethod
    def _generate(
        self,
        prompt: np.ndarray,
        packed_out: np.ndarray,
        bias_out: np.ndarray,
        tokens: np.ndarray,
        generators: list[np.random.Generator],
        temperature: float,
        top_k: int,
        top_p: float,
    ) -> None:
        """Fill tokens (length, samples) with what follows the prompt, ids (prompt_len,)."""
