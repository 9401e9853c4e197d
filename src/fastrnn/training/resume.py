"""Checkpoints: model files that also hold all that the rest of a training depends on.

Beside the model's own tensors and description, which make it a model like any other, such a file
has tensors whose names begin with ``training.`` and, in its description, an entry ``training``
with the options, hashes of the texts, and how far the training has come.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastrnn import _check, checkpoint
from fastrnn.corpus.corpus import Corpus
from fastrnn.corpus.vocabulary import check_policy
from fastrnn.errors import ModelFileError
from fastrnn.training.records import Recorder
from fastrnn.training.train import Options, Training, check_facts
from fastrnn.training.validation import checked, is_text

_PREFIX = "training."
_ENTRY = "training"

_DEFAULT_MINUTES = 1.0

# What the options say of held-out text that is not a share of the other: its hash says the rest.
A_TEXT = "a text"


def fingerprint(text: Corpus | None) -> dict[str, Any] | None:
    """Return the length of a text and the SHA-256 of its UTF-8, None for none.

    Examples
    --------
    >>> found = fingerprint(Corpus.from_text("to be"))
    >>> found["characters"], found["sha256"][:8]
    (5, '0af1207e')
    """
    if text is None:
        return None
    digest = hashlib.sha256()
    for piece in text._strings():
        digest.update(piece.encode("utf-8", "surrogatepass"))
    return {"characters": len(text), "sha256": digest.hexdigest()}


def model_layout(description: Mapping[str, Any], layout: checkpoint.Layout) -> checkpoint.Layout:
    """Return the tensors that are a model's own, be it in a checkpoint or in a plain file."""
    if _ENTRY not in description:
        return layout
    return {name: entry for name, entry in layout.items() if not name.startswith(_PREFIX)}


class Saver:
    """Writes checkpoints of a training, whole or not at all.

    Parameters
    ----------
    path : path-like
        Where to write.
    every : int or None
        Steps between two checkpoints.
    minutes : float or None
        Minutes between two; one if neither is given.
    describe : callable
        Returns the model's own description.
    given : dict
        What a resumed training must be given again: ``options``, ``text`` and ``validation``.
    recorders : sequence of Recorder
        Flushed before a checkpoint, so that they are never behind it.

    Raises
    ------
    TypeError, ValueError, OSError
        If ``path`` is no path, or cannot be written to.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | None,
        minutes: float | None,
        describe: Callable[[], dict[str, Any]],
        given: dict[str, Any],
        recorders: Sequence[Recorder],
    ) -> None:
        self._path = path
        self._every = every
        if every is None and minutes is None:
            minutes = _DEFAULT_MINUTES
        self._seconds = None if minutes is None else 60 * minutes
        self._describe, self._given, self._recorders = describe, given, recorders
        self._saved_at = time.monotonic()
        checkpoint.check_writable(path)

    def after_step(self, training: Training) -> None:
        """Write a checkpoint if it is time."""
        steps = self._every is not None and training.position.step % self._every == 0
        now = time.monotonic()
        if steps or (self._seconds is not None and now - self._saved_at >= self._seconds):
            self.save(training)

    def save(self, training: Training) -> None:
        """Write a checkpoint now."""
        for recorder in self._recorders:
            recorder.flush()
        facts, arrays = training.state_dict()
        entry = {**self._given, "facts": facts}
        best = None if training.validation is None else training.validation.best
        tensors = training.network.state_dict() if best is None else best
        checkpoint.write(
            self._path,
            {**self._describe(), _ENTRY: {**entry, "sha256": _digest(entry)}},
            {**tensors, **{_PREFIX + name: array for name, array in arrays.items()}},
        )
        self._saved_at = time.monotonic()


def check_room(path: str | os.PathLike[str], training: Training) -> None:
    """Raise an OSError if a checkpoint would not fit on the disk of ``path``."""
    copies = 1 if training.validation is None else 2
    model = sum(array.nbytes for array in training.network.state_dict().values())
    rest = sum(array.nbytes for array in training.state_dict()[1].values())
    checkpoint.check_room(path, copies * model + rest)


def stored(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the entry ``training`` of the model file at ``path``, None if it is no checkpoint.

    Raises
    ------
    OSError
        If there is no such file or it cannot be read.
    ModelFileError
        If it is no fastrnn model, or damaged.
    """
    with checkpoint.opened(path) as file:
        return _entry(file)


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Require that a new training may write its checkpoints to ``path``.

    Raises
    ------
    OSError
        If it cannot be written to.
    ValueError
        If there is a file that is not the checkpoint of a finished training.
    """
    checkpoint.check_writable(path)
    if not os.path.exists(path):
        return
    try:
        entry = stored(path)
    except ModelFileError as error:
        raise ValueError(
            f"checkpoint {os.fspath(path)!r} exists and is not a checkpoint that this fastrnn "
            f"reads; choose another file, or delete it"
        ) from error
    if entry is None:
        raise ValueError(
            f"checkpoint {os.fspath(path)!r} exists and is a model but not a checkpoint; choose "
            f"another file, or delete it"
        )
    if not entry["facts"]["finished"]:
        raise ValueError(
            f"checkpoint {os.fspath(path)!r} holds a training that is not finished; go on with it "
            f"by resume=True, or delete it"
        )


def check_given(path: str | os.PathLike[str], given: dict[str, Any]) -> None:
    """Require that the training of the checkpoint at ``path`` was given the same.

    Parameters
    ----------
    path : path-like
    given : dict
        As :class:`Saver` takes it.

    Raises
    ------
    ValueError
        If an option or a text is another.
    ModelFileError
        If the file is no checkpoint, or damaged.
    """
    entry = stored(path)
    if entry is None:
        raise ModelFileError(
            f"{os.fspath(path)!r} is a model but not a checkpoint: it does not say how its "
            f"training goes on"
        )
    for part in ("options", "text", "validation"):
        _compare(path, _flat(part, entry.get(part)), _flat(part, given[part]))


def go_on(path: str | os.PathLike[str], training: Training, description: dict[str, Any]) -> None:
    """Bring ``training`` to where the checkpoint at ``path`` was written.

    Parameters
    ----------
    path : path-like
        What :func:`check_given` accepted.
    training : Training
        One that has not begun.
    description : dict
        Of its model.

    Raises
    ------
    ValueError
        If the model is not that of the checkpoint; the training is as it was.
    ModelFileError
        If the file is damaged.
    """
    with checkpoint.opened(path) as file:
        entry = _entry(file) or {"facts": {}}
        _compare(path, _model(file.description), _model(description))
        tensors = file.tensors()
    own = {name: array for name, array in tensors.items() if not name.startswith(_PREFIX)}
    rest = {name.removeprefix(_PREFIX): tensors[name] for name in tensors if name not in own}
    try:
        training.load_state_dict(entry["facts"], rest, own)
    except (KeyError, TypeError, ValueError) as error:
        raise _misfit(os.fspath(path), error) from None


def _entry(file: checkpoint.ModelFile) -> dict[str, Any] | None:
    entry = file.description.get(_ENTRY)
    if entry is None:
        return None
    damaged = ModelFileError(f"{file.path!r} is damaged: what it says of its training was changed")
    if not isinstance(entry, dict):
        raise damaged
    entry = dict(entry)
    if entry.pop("sha256", None) != _digest(entry):
        raise damaged
    validation = entry.get("validation")
    if not (
        isinstance(entry.get("options"), dict)
        and isinstance(entry.get("facts"), dict)
        and _is_fingerprint(entry.get("text"))
        and (validation is None or _is_fingerprint(validation))
    ):
        raise damaged
    try:
        check_facts(entry["facts"])
        _check_options(entry)
    except (TypeError, ValueError) as error:
        raise _misfit(file.path, error) from None
    return entry


def _misfit(path: str, error: Exception) -> ModelFileError:
    return ModelFileError(f"{path!r} cannot be gone on with, its parts do not fit: {error}")


def _check_options(entry: Mapping[str, Any]) -> None:
    """Require options that a training can have, and no others."""
    rest = dict(entry["options"])
    missing = [name for name in ("unknown", "validation", "grow_vocabulary") if name not in rest]
    if missing:
        raise ValueError(f"it does not say {', '.join(missing)}")
    check_policy("unknown", rest.pop("unknown"))
    _check.flag("grow_vocabulary", rest.pop("grow_vocabulary"))
    held_out = checked(rest.pop("validation"))
    if is_text(held_out) and (held_out != A_TEXT or entry.get("validation") is None):
        raise ValueError("its validation is a text that it does not describe")
    Options(**rest, progress=False, num_threads=None, seed=0)


def _is_fingerprint(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("characters"), int)
        and isinstance(value.get("sha256"), str)
    )


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _model(description: Mapping[str, Any]) -> dict[str, Any]:
    config = description.get("config")
    settings = config if isinstance(config, dict) else {}
    own = {name: description.get(name) for name in ("kind", "vocabulary")}
    return {**settings, **own}


def _flat(part: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options as they are, a text under the name of its argument."""
    return dict(value or {}) if part == "options" else {part: value}


def _compare(
    path: str | os.PathLike[str], before: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if old != new:
            raise ValueError(
                f"{os.fspath(path)!r} was made with {_said(name, old)}, this training has "
                f"{_said(name, new)}; a training goes on with what it began with"
            )


def _said(name: str, value: Any) -> str:
    if not _is_fingerprint(value):
        return f"{name}={_check.describe(value).rsplit(' (', 1)[0]}"
    noun = "a text" if name == "text" else "a validation text"
    return f"{noun} of {value['characters']:,} characters with SHA-256 {value['sha256'][:12]}…"
