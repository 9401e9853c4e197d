"""How a character model is trained: what :meth:`fastrnn.CharRNN.fit` puts together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fastrnn import _check, checkpoint
from fastrnn.corpus.corpus import Corpus, CorpusIds, as_corpus
from fastrnn.corpus.streams import Streams
from fastrnn.corpus.vocabulary import ERROR, Bytes, Vocabulary, check_length, replacement
from fastrnn.training import resume
from fastrnn.training.growth import grow
from fastrnn.training.records import CsvFile, Recorder, TensorBoard
from fastrnn.training.train import Options, Training, held_out_streams
from fastrnn.training.validation import Validation, check_lengths, checked, is_text, split

if TYPE_CHECKING:
    from fastrnn.text import CharRNN

PathLike = str | os.PathLike[str]

_ANOTHER_VOCABULARY = (
    "fit a new CharRNN, whose vocabulary holds every character of the text, pass "
    "grow_vocabulary=True to have this one learn the new characters, or say with unknown= what "
    "becomes of them"
)

# The models that are, by id: a copy that a callback makes of its model is none of them.
_BEING_FITTED: set[int] = set()

# Options that a resumed training may change: its result does not depend on them.
_FREE = {"progress", "num_threads", "seed"}


@dataclass(frozen=True)
class TrainingStep:
    """What a callback of :meth:`fastrnn.CharRNN.fit` is told after a training step.

    Attributes
    ----------
    model : CharRNN
        The model, with the weights after the step: it may generate, evaluate and be saved.
    step : int
        The step's number, from 1, counting those of earlier trainings.
    chars : int
        Characters trained on so far; of a model of bytes, bytes.
    loss : float
        Mean loss of the step's characters before the update, in nats.
    validation_loss : float or None
        Mean loss of the held-out characters after the update, if this step evaluated them.
    lr : float
        The learning rate.
    progress : float
        The share of the training that is done, 1 or a little more after the last step.
    """

    model: CharRNN
    step: int
    chars: int
    loss: float
    validation_loss: float | None
    lr: float
    progress: float


@dataclass(kw_only=True)
class Surroundings:
    """What a training is given beside its options; ``fit`` describes each of them."""

    unknown: str
    validation: str | Corpus | float | None
    grow_vocabulary: bool
    checkpoint: PathLike | None
    checkpoint_every: int | None
    checkpoint_minutes: float | None
    resume: bool
    callbacks: Sequence[Callable[[TrainingStep], object]]
    history_file: PathLike | None
    tensorboard: PathLike | None

    def __post_init__(self) -> None:
        if self.checkpoint is not None:
            self.checkpoint = _check.path("checkpoint", self.checkpoint)
        if self.checkpoint_every is not None:
            self.checkpoint_every = _check.integer("checkpoint_every", self.checkpoint_every)
        if self.checkpoint_minutes is not None:
            self.checkpoint_minutes = _check.number(
                "checkpoint_minutes", self.checkpoint_minutes, minimum=0
            )
        self.validation = checked(self.validation)
        self.resume = _check.flag("resume", self.resume)
        self.grow_vocabulary = _check.flag("grow_vocabulary", self.grow_vocabulary)
        if self.grow_vocabulary and self.unknown != ERROR:
            raise ValueError(
                f"grow_vocabulary=True and unknown={self.unknown!r} exclude each other: the "
                f"characters that a model does not know are learned, or what becomes of them is "
                f"said; use unknown='error' to have them learned"
            )
        for name in ("checkpoint_every", "checkpoint_minutes", "resume"):
            if self.checkpoint is None and getattr(self, name) not in (None, False):
                raise ValueError(
                    f"{name} needs checkpoint, the file to write, got {name}="
                    f"{getattr(self, name)!r} without it"
                )
        _check.callbacks("callbacks", self.callbacks)
        if self.history_file is not None:
            self.history_file = _check.path("history_file", self.history_file)
        checkpoint.check_apart(
            [("checkpoint", self.checkpoint), ("history_file", self.history_file)]
        )


def fit(model: CharRNN, text: str | Corpus, options: Options, around: Surroundings) -> None:
    """Train ``model`` on ``text``; a failure before a step is complete leaves it as it was."""
    corpus = as_corpus("text", text)
    _check_together(model, options, around)
    learned, held_out = split(corpus, around.validation)
    if around.checkpoint is not None and not _goes_on(around):
        resume.check_replaceable(around.checkpoint)
    given = _given(corpus, held_out, options, around)
    if _goes_on(around):
        resume.check_given(str(around.checkpoint), given)
    with _alone(model):
        before, steps_before = (model.network, model._vocabulary, model.best), _steps(model)
        try:
            _meet(model, corpus, held_out, around)
            training = _training(model, learned, held_out, options, around)
            _train(model, training, around, given)
        except BaseException:
            if _steps(model) == steps_before:
                model.network, model._vocabulary, model.best = before
            raise


@contextmanager
def _alone(model: CharRNN) -> Iterator[None]:
    """Refuse a fit within a fit, by a callback or another thread."""
    if id(model) in _BEING_FITTED:
        raise RuntimeError(
            "this CharRNN is being fitted: a callback, or another thread, may fit it again when "
            "that is over, or a copy of it now"
        )
    _BEING_FITTED.add(id(model))
    try:
        yield
    finally:
        _BEING_FITTED.discard(id(model))


def _training(
    model: CharRNN, learned: Corpus, held_out: Corpus | None, options: Options, around: Surroundings
) -> Training:
    """Return the training of a model on texts that it can read."""
    network, symbols = model._ready()

    def encoded(name: str, text: Corpus) -> CorpusIds:
        return text._encode(symbols, around.unknown, name=name, advice=_ANOTHER_VOCABULARY)

    ids = encoded("text", learned)
    held_out_ids = None if held_out is None else encoded("validation", held_out)
    lengths = len(ids), None if held_out_ids is None else len(held_out_ids)
    check_lengths(*lengths, around.validation, symbols.unit, options.seq_len)
    streams = Streams.split(ids, options.batch_size, options.seq_len)
    validation = None
    if held_out_ids is not None:
        validation = Validation(
            network, held_out_streams(held_out_ids), options.patience, options.num_threads
        )
    return Training(network, streams, options, model.history, validation, symbols.short)


def _train(model: CharRNN, training: Training, around: Surroundings, given: dict[str, Any]) -> None:
    """Run the training, from a checkpoint on if there is one; keep the best of its weights."""
    try:
        if around.checkpoint is not None and _goes_on(around):
            resume.go_on(around.checkpoint, training, model._description())
            checkpoint.remove_leftovers(around.checkpoint)
            if around.history_file is not None:
                checkpoint.remove_leftovers(around.history_file)
        _run(model, training, around, given)
    finally:
        validation, model.best = training.validation, None
        if validation is not None and validation.best is not None:
            validation.restore()
            model.best = {"step": validation.best_step, "validation_loss": validation.best_loss}


def _run(model: CharRNN, training: Training, around: Surroundings, given: dict[str, Any]) -> None:
    """Run the training with all that looks on."""
    with ExitStack() as stack:
        recorders: list[Recorder] = []
        for kind, path in ((CsvFile, around.history_file), (TensorBoard, around.tensorboard)):
            if path is not None:
                recorders.append(kind(path, _steps(model)))
                stack.callback(recorders[-1].close)
        saver = None
        if around.checkpoint is not None:
            saver = resume.Saver(
                around.checkpoint,
                around.checkpoint_every,
                around.checkpoint_minutes,
                model._description,
                given,
                recorders,
            )
            resume.check_room(around.checkpoint, training)

        def after_step(record: dict[str, Any], progress: float) -> None:
            step = TrainingStep(model, **{"validation_loss": None, **record}, progress=progress)
            for callback in around.callbacks:
                callback(step)

        training.run(
            recorders=recorders,
            after_step=after_step if around.callbacks else None,
            saver=saver,
        )


def _check_together(model: CharRNN, options: Options, around: Surroundings) -> None:
    """Require what some options need of others, or of the model."""
    for name in ("patience", "evaluate_every"):
        if around.validation is None and getattr(options, name) is not None:
            raise ValueError(
                f"{name} needs validation, a share of the text or a text of its own, got {name}="
                f"{getattr(options, name)!r} without it"
            )
    check_dropout(model.cell, options.dropout)
    if around.grow_vocabulary and model.symbols == Bytes.name:
        raise ValueError(
            "grow_vocabulary=True is not for a model with symbols='bytes', which knows every "
            "character; leave it out"
        )


def check_dropout(cell: str, dropout: float) -> None:
    """Require a read-out where something is to be dropped before it."""
    if cell == "jordan" and dropout > 0:
        raise ValueError(
            f"dropout must be 0 with cell 'jordan', which has no read-out to drop states before, "
            f"got {dropout:g}"
        )


def _meet(model: CharRNN, text: Corpus, held_out: Corpus | None, around: Surroundings) -> None:
    """Have the model know the characters that it shall know: those of a first text, or new ones."""
    first = model._vocabulary is None
    if first:
        check_length("text", len(text), 2)
    if not (first or around.grow_vocabulary):
        return
    characters = text.characters()
    # With a policy, it is what becomes of characters that only the held-out text has.
    if held_out is not None and around.unknown == ERROR:
        characters += held_out.characters()
    if first:
        # The model's own policy has to fit its vocabulary even if this training has another.
        substitutes = replacement(around.unknown) + replacement(model.unknown)
        model._build(Vocabulary(characters + substitutes))
    else:
        grow(model, characters)


def _given(
    text: Corpus, held_out: Corpus | None, options: Options, around: Surroundings
) -> dict[str, Any]:
    """Return what a training that goes on must be given again."""
    own = is_text(around.validation)
    settings = {name: value for name, value in asdict(options).items() if name not in _FREE}
    settings["unknown"] = around.unknown
    settings["validation"] = resume.A_TEXT if own else around.validation
    settings["grow_vocabulary"] = around.grow_vocabulary
    return {
        "options": settings,
        "text": resume.fingerprint(text) if around.checkpoint else None,
        "validation": resume.fingerprint(held_out) if own and around.checkpoint else None,
    }


def _goes_on(around: Surroundings) -> bool:
    """Return whether there is a checkpoint to go on from."""
    return around.resume and os.path.exists(str(around.checkpoint))


def _steps(model: CharRNN) -> int:
    """Return how many steps the model was trained for."""
    return model.history[-1]["step"] if model.history else 0
