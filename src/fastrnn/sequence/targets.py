"""What an estimator is to predict: numbers or classes, of every sequence or of every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.sequence.sequences import Sequences, as_list
from fastrnn.sequence.series import FLOAT64


def numbers(y: Any, sequences: Sequences, outputs: str) -> tuple[list[np.ndarray], bool]:
    """Return the rows to predict, (1, width) or (length, width) of each, and if y had that axis."""
    _require(y)
    if outputs == "last":
        array = _check.reals("y", y, FLOAT64)
        if array.ndim not in (1, 2) or len(array) != len(sequences) or 0 in array.shape:
            raise ValueError(
                f"y has shape {array.shape}, expected ({len(sequences)},) or "
                f"({len(sequences)}, outputs): a number or a row for each sequence of X"
            )
        return list(array.reshape(len(array), 1, -1)), array.ndim == 2
    parts = [_check.reals(name, part, FLOAT64) for name, part in _of_steps(y, sequences)]
    for i, (one, length) in enumerate(zip(parts, sequences.lengths, strict=True)):
        shape = (length, *parts[0].shape[1:])
        if one.ndim not in (1, 2) or one.shape != shape or 0 in one.shape:
            expected = f"({length},)" if one.ndim == 1 else f"({length}, outputs)"
            raise ValueError(
                f"y[{i}] has shape {one.shape}, expected {expected}: a number or a row for each "
                f"step of X[{i}], of one width in all"
            )
    return [one.reshape(len(one), -1) for one in parts], parts[0].ndim == 2


def r_squared(actual: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean over columns of 1 - sum (a - p)^2 / sum (a - mean a)^2.

    Of a constant column it is 1 if it is predicted exactly and else 0.

    Examples
    --------
    >>> r_squared(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [2.0]]))
    0.5
    """
    left = ((actual - predicted) ** 2).sum(axis=0)
    total = ((actual - actual.mean(axis=0)) ** 2).sum(axis=0)
    constant = total == 0
    ratio = left / np.where(constant, 1.0, total)
    return float(np.where(constant, left == 0, 1.0 - ratio).mean())


def labels(y: Any, sequences: Sequences, outputs: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the classes, sorted, and the positions among them, (1,) or (length,) of each."""
    parts = read_labels(y, sequences, outputs)
    # Beside strings, concatenate would make strings of numbers; beside objects it keeps them.
    kinds = {one.dtype.kind if one.dtype.kind in "USO" else "number" for one in parts}
    if len(kinds) > 1 and "O" not in kinds:
        raise _of_several_kinds("y")
    try:
        classes, positions = np.unique(np.concatenate(parts), return_inverse=True)
    except TypeError:
        raise _of_several_kinds("y") from None
    if len(classes) < 2:
        only = classes.tolist()[0]
        raise ValueError(f"y holds 1 class, {only!r}; at least 2 are expected")
    return classes, np.split(positions.reshape(-1), np.cumsum([len(one) for one in parts])[:-1])


def read_labels(y: Any, sequences: Sequences, outputs: str) -> list[np.ndarray]:
    """Return the labels of each sequence, (1,) or (length,)."""
    _require(y)
    if outputs == "last":
        array = _labels("y", y)
        if array.shape != (len(sequences),):
            raise ValueError(
                f"y has shape {array.shape}, expected ({len(sequences)},): a label for each "
                f"sequence of X"
            )
        return list(array[:, None])
    parts = [_labels(name, part) for name, part in _of_steps(y, sequences)]
    for i, (one, length) in enumerate(zip(parts, sequences.lengths, strict=True)):
        _check.shape(f"y[{i}]", one, (length,))
    return parts


def _require(y: Any) -> None:
    if y is None:
        raise ValueError("y is missing: this requires y to be passed, but the target y is None")


def _of_steps(y: Any, sequences: Sequences) -> list[tuple[str, Any]]:
    """Return what belongs to each sequence, with its name."""
    parts = as_list(y)
    if parts is None:
        array = np.asarray(y)
        if array.ndim < 2:
            raise ValueError(
                f"y has shape {array.shape}, expected a target for each step of each sequence, "
                f"as outputs='all' asks for"
            )
        parts = list(array)
    if len(parts) != len(sequences):
        raise ValueError(f"y has {len(parts)} sequences, expected {len(sequences)} as X has")
    return [(f"y[{i}]", part) for i, part in enumerate(parts)]


def _labels(name: str, value: Any) -> np.ndarray:
    """Return an array of labels: whole numbers, strings, booleans, or objects."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as an array: {error}") from None
    if array.dtype.kind == "f":
        _check.finite(name, array)
        if (array != np.floor(array)).any():
            raise ValueError(
                f"Unknown label type: continuous. {name} must hold class labels, got numbers that "
                f"are not whole; SequenceRegressor predicts those"
            )
    elif array.dtype.kind not in "biuSUO":
        raise TypeError(f"{name} must hold class labels, got {_check.describe(array)}")
    is_list = array.ndim == 1 and isinstance(value, (list, tuple))
    text = {"U": str, "S": bytes}.get(array.dtype.kind)
    if is_list and text is not None and not all(isinstance(one, text) for one in value):
        raise _of_several_kinds(name)
    if array.dtype.kind == "O" and any(one is None or one != one for one in array.reshape(-1)):
        raise ValueError(f"{name} must hold class labels, got a missing value")
    return array


def _of_several_kinds(name: str) -> TypeError:
    return TypeError(
        f"{name} must hold labels of one kind, all numbers or all strings, which can be sorted"
    )


def class_weights(
    value: Any, classes: np.ndarray, positions: list[np.ndarray]
) -> np.ndarray | None:
    """Return what each class counts, or None if all count the same.

    ``"balanced"`` is n / (classes * n_c), n_c of n targets being of the class (King & Zeng,
    "Logistic regression in rare events data", 2001). Classes that a dict does not name count 1;
    labels that y has not are ignored if it names all that y has, as in a fold without a rare one.
    """
    if value is None:
        return None
    if isinstance(value, str) and value == "balanced":
        counts = np.bincount(np.concatenate(positions), minlength=len(classes))
        return np.asarray(counts.sum() / (len(classes) * counts))
    if not isinstance(value, Mapping):
        raise TypeError(
            f"class_weight must be None, 'balanced' or a dict, got {_check.describe(value)}"
        )
    given = {
        label.item() if isinstance(label, np.generic) else label: _check.number(
            f"class_weight[{label!r}]", weight, 0
        )
        for label, weight in value.items()
    }
    labels = classes.tolist()
    unknown = [label for label in given if label not in labels]
    unweighted = [label for label in labels if label not in given]
    if unknown and unweighted:
        raise ValueError(
            f"class_weight has the label {unknown[0]!r}, which y has not, and none for "
            f"{unweighted[0]!r}"
        )
    weights = np.array([given.get(label, 1.0) for label in labels])
    if not weights.any():
        raise ValueError("class_weight is 0 for every class that y has")
    return weights
