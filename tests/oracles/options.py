"""A table of a layer's options in which every value of each meets every value of every other."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Combination = dict[str, Any]
Pair = frozenset[tuple[str, Any]]

# The combination with most new pairs is taken of so many allowed ones, and no more draws than that.
CANDIDATES, DRAWS = 20, 2000


def pairs(combination: Mapping[str, Any]) -> set[Pair]:
    """All pairs of options with their values that meet in a combination."""
    return set(map(frozenset, itertools.combinations(combination.items(), 2)))


def all_pairs(
    options: Mapping[str, Sequence[Any]], allowed: Callable[[Combination], bool]
) -> list[Combination]:
    """Return allowed combinations that hold every pair of values that one of them can hold.

    They are drawn at random, always the same.
    """
    draw = random.Random(0)
    chosen: list[Combination] = []
    held: set[Pair] = set()

    def completed(fixed: Combination) -> list[Combination]:
        drawn = (
            {name: fixed.get(name, draw.choice(values)) for name, values in options.items()}
            for _ in range(DRAWS)
        )
        return list(itertools.islice(filter(allowed, drawn), CANDIDATES))

    for (a, a_values), (b, b_values) in itertools.combinations(options.items(), 2):
        for a_value, b_value in itertools.product(a_values, b_values):
            if frozenset([(a, a_value), (b, b_value)]) in held:
                continue
            candidates = completed({a: a_value, b: b_value})
            if candidates:
                best = max(candidates, key=lambda one: len(pairs(one) - held))
                chosen.append(best)
                held |= pairs(best)
    return chosen
