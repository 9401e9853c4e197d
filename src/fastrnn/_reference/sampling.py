"""Drawing the next token from the logits of a network."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from fastrnn._reference._types import Floats
from fastrnn._reference.losses import softmax


def sample(
    logits: Floats,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    seen: Collection[int] = (),
    u: float = 0.0,
) -> int:
    r"""Return the index drawn from logits (C,) by one uniform number u in [0, 1).

    1. ``repetition_penalty`` divides the logits of the indices ``seen`` where they are positive and
       multiplies them where they are not (Keskar et al., arXiv:1909.05858).
    2. A temperature of zero is greedy: the largest logit wins, and of equal ones the first.
    3. p = softmax(logits / temperature).
    4. ``top_k``: only the k most probable indices stay.
    5. ``top_p``: of those, only the fewest most probable stay that hold at least top_p of their
       common probability. The most probable index always stays.
    6. ``min_p``: of those, only the indices stay whose p is at least min_p times the largest
       (Nguyen et al., arXiv:2407.01082).
    7. p is divided by the sum of what stays, and the result is the first index, counting upwards,
       at which the cumulative sum of p exceeds u.

    Wherever probabilities are equal, the lower index counts as the more probable one.
    """
    logits = penalised(logits, repetition_penalty, seen)
    if temperature == 0:
        return int(np.argmax(logits))
    p = softmax(logits / temperature)
    ranked = np.argsort(-p, kind="stable")
    if top_k is not None:
        ranked = ranked[:top_k]
    if top_p is not None:
        short = np.cumsum(p[ranked]) < top_p * p[ranked].sum()
        ranked = ranked[: np.count_nonzero(short) + 1]
    if min_p is not None:
        ranked = ranked[p[ranked] >= min_p * p.max()]
    kept = np.sort(ranked)
    cumulative = np.cumsum(p[kept] / p[kept].sum())
    passed = int(np.searchsorted(cumulative, u, side="right"))
    return int(kept[min(passed, kept.size - 1)])  # rounding can leave the last sum just below u


def penalised(logits: Floats, penalty: float, seen: Collection[int]) -> Floats:
    """Return logits (C,) of which those of the indices ``seen`` are made smaller."""
    result = logits.copy()
    for index in set(seen):
        result[index] = result[index] / penalty if result[index] > 0 else result[index] * penalty
    return result
