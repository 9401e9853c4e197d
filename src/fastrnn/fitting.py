"""How a character model is trained: what :meth:`fastrnn.CharRNN.fit` puts together."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fastrnn import _check, checkpoint, resume
from fastrnn.growth import grown
from fastrnn.network import Network
from fastrnn.records import CsvFile, Recorder, TensorBoard
from fastrnn.train import Options, Streams, Training, held_out_streams
from fastrnn.validation import Validation, split
from fastrnn.vocabulary import Vocabulary, check_text

if TYPE_CHECKING:
    from fastrnn.text import CharRNN

PathLike = str | os.PathLike[str]

_ANOTHER_VOCABULARY = (
    "fit a new CharRNN, whose vocabulary holds every character of the text, or pass "
    "grow_vocabulary=True to have this one learn the new characters"
)

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
        Characters trained on so far.
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

    validation: str | float | None
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
        self.resume = _check.flag("resume", self.resume)
        self.grow_vocabulary = _check.flag("grow_vocabulary", self.grow_vocabulary)
        for name in ("checkpoint_every", "checkpoint_minutes", "resume"):
            if self.checkpoint is None and getattr(self, name) not in (None, False):
                raise ValueError(
                    f"{name} needs checkpoint, the file to write, got {name}="
                    f"{getattr(self, name)!r} without it"
                )
        if not isinstance(self.callbacks, (list, tuple)) or not all(map(callable, self.callbacks)):
            raise TypeError(
                f"callbacks must be a list of functions, got {_check.describe(self.callbacks)}"
            )
        if self.history_file is not None:
            self.history_file = _check.path("history_file", self.history_file)
            if self.checkpoint is not None and _same(self.history_file, self.checkpoint):
                raise ValueError(
                    f"checkpoint and history_file must be two files, got {self.checkpoint!r} twice"
                )


def fit(model: CharRNN, text: str, options: Options, around: Surroundings) -> None:
    """Train ``model`` on ``text``; a failure before a step is complete leaves it as it was."""
    check_text("text", text, 2)
    _check_validation_options(options, around)
    learned, held_out = split(text, around.validation, options.seq_len)
    if len(learned) < options.seq_len + 1:
        raise ValueError(
            f"text has {len(learned):,} characters, fewer than one window of seq_len + 1 = "
            f"{options.seq_len + 1:,}; use a longer text or a smaller seq_len"
        )
    given = _given(text, held_out, options, around)
    if _goes_on(around):
        resume.check_given(str(around.checkpoint), given)
    before, steps_before = (model.network, model._vocabulary), _steps(model)
    try:
        network, vocabulary = _knowing(model, text, held_out or "", around.grow_vocabulary)
        ids = vocabulary.encode(learned, advice=_ANOTHER_VOCABULARY)
        streams = Streams.split(ids, options.batch_size, options.seq_len)
        validation = None
        if held_out is not None:
            ids = vocabulary.encode(held_out, name="validation", advice=_ANOTHER_VOCABULARY)
            validation = Validation(
                network, held_out_streams(ids), options.patience, options.num_threads
            )
        training = Training(network, streams, options, model.history, validation)
        _train(model, training, around, given)
    except BaseException:
        if _steps(model) == steps_before:
            model.network, model._vocabulary = before
        raise


def _train(model: CharRNN, training: Training, around: Surroundings, given: dict[str, Any]) -> None:
    """Run the training, from a checkpoint on if there is one, with all that looks on."""
    if around.checkpoint is not None:
        if not around.resume:
            resume.refuse_unfinished(around.checkpoint)
        if _goes_on(around):
            resume.go_on(around.checkpoint, training, model._description())
            checkpoint.remove_leftovers(around.checkpoint)
            if around.history_file is not None:
                checkpoint.remove_leftovers(around.history_file)
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


def _check_validation_options(options: Options, around: Surroundings) -> None:
    for name in ("patience", "evaluate_every"):
        if around.validation is None and getattr(options, name) is not None:
            raise ValueError(
                f"{name} needs validation, a share of the text or a text of its own, got {name}="
                f"{getattr(options, name)!r} without it"
            )


def _knowing(
    model: CharRNN, text: str, held_out: str, may_grow: bool
) -> tuple[Network, Vocabulary]:
    """Return the model's network and vocabulary, made or grown if the text asks for it."""
    if model._vocabulary is None:
        model._build(Vocabulary(text + held_out))
    elif may_grow:
        grow(model, text + held_out)
    return model._ready()


def grow(model: CharRNN, text: str) -> None:
    """Have ``model`` know every character of ``text``, by a larger network if it must be."""
    network, old = model._ready()
    new = Vocabulary(old.characters + text)
    if len(new) > len(old):
        model._build(new)
        larger, _ = model._ready()
        larger.load_state_dict(grown(network.state_dict(), larger.state_dict(), old, new))


def _given(
    text: str, held_out: str | None, options: Options, around: Surroundings
) -> dict[str, Any]:
    """Return what a training that goes on must be given again."""
    own = isinstance(around.validation, str)
    settings = {name: value for name, value in asdict(options).items() if name not in _FREE}
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


def _same(one: PathLike, other: PathLike) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
