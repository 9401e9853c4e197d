"""Character models: learn to continue a text, one character or one byte after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastrnn import _check, checkpoint
from fastrnn._version import __version__
from fastrnn.cells import CELLS, make_network
from fastrnn.corpus.corpus import Corpus
from fastrnn.corpus.vocabulary import (
    ERROR,
    SYMBOLS,
    Bytes,
    Symbols,
    Vocabulary,
    check_policy,
    check_text,
    replacement,
)
from fastrnn.errors import ModelFileError
from fastrnn.language import LanguageModel
from fastrnn.network import Network
from fastrnn.training.configuration import ADDED, KIND, settings
from fastrnn.training.fitting import PathLike, Surroundings, TrainingStep, fit
from fastrnn.training.resume import model_layout
from fastrnn.training.train import Options


class CharRNN(LanguageModel):
    r"""A recurrent network that models text character by character.

    The characters of the vocabulary (or the bytes of UTF-8) enter as ids, as one-hot vectors or by
    an embedding, and pass one or more recurrent layers. A linear readout, or the outputs of a
    Jordan layer, followed by a softmax gives the probability of every one to come next.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru", "jordan"}
        The recurrent layer: :class:`fastrnn.RNN`, :class:`fastrnn.LSTM`, :class:`fastrnn.GRU`, or
        :class:`fastrnn.Jordan`, whose outputs are the logits.
    hidden_size : int
        Number of hidden units.
    num_layers : int
        Number of layers, each but the first reading the states of the one before.
    embedding_size : int, optional
        Size of the vectors as which characters enter; one-hot vectors unless given.
    tied : bool
        Whether these vectors are the rows of the readout's weight (Press & Wolf, arXiv:1608.05859),
        of size ``hidden_size``.
    recurrent_dropout : float
        In [0, 1): the share of the state that the recurrent weights do not see in training, the
        same for all characters of a step (Gal & Ghahramani, arXiv:1512.05287).
    layer_norm : bool
        Whether the cells normalise what their weights give (Ba et al., arXiv:1607.06450).
    nonlinearity : {"tanh", "relu", "sigmoid", "linear"}
        The activation function of an ``"rnn"`` or ``"jordan"``; the others have their own.
    dtype : {float32, float64}
        Type of weights and arithmetic.
    seed : int
        Seed of the initial weights, at least 0. The same seed, text and options give the same
        model bit for bit, whatever the number of threads.
    vocabulary : str, optional
        A text that holds every character the model shall know. Without it these are the
        characters of the text that :meth:`fit` first gets. :meth:`fastrnn.Corpus.characters`
        gives one without the rare characters of a text.
    symbols : {"chars", "bytes"}
        What the model reads and writes one of at a time. With ``"bytes"`` these are the 256 bytes,
        of which UTF-8 makes every character: nothing is unknown, and one character of most scripts
        is two or three steps. Lengths and losses are then those of bytes.
    unknown : str
        What becomes of a character that is not in the vocabulary, wherever text goes in:
        ``"error"``, an :class:`UnknownCharacterError`; ``"skip"``, the text is read as if without
        it; or a single character, which is read in its place and is part of the vocabulary
        whatever the text. ``"\ufffd"``, Unicode's own for this, so becomes a symbol that the
        model learns for all it does not know. It is saved with the model.

    Attributes
    ----------
    network : Network or None
        The layer and the readout; None as long as the vocabulary is unknown.
    vocabulary : str
        The distinct characters the model knows, in code point order; empty at first, and in a
        model of bytes.
    history : list of dict
        One record for each training step: its number ``step`` from 1, the mean ``loss`` over
        the step's characters before the update in nats, ``chars``, the number of characters (of
        bytes in a model of bytes) trained on so far, ``lr``, the learning rate, and, where
        held-out text was evaluated after the update, ``validation_loss``. After more than 10,000
        steps each record is for several: the mean of their losses, and all else as after the last
        of them.
    best : dict or None
        The ``step`` whose weights the last :meth:`fit` with ``validation`` kept, and its
        ``validation_loss``; None after one without, and of a loaded model.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.

    Examples
    --------
    >>> model = CharRNN(hidden_size=32).fit("to be or not to be. " * 40, steps=200, lr=0.01)
    >>> model.generate("to be", length=15, temperature=0)
    'to be or not to be. '
    """

    def __init__(
        self,
        cell: str = "rnn",
        hidden_size: int = 256,
        num_layers: int = 1,
        *,
        embedding_size: int | None = None,
        tied: bool = False,
        recurrent_dropout: float = 0.0,
        layer_norm: bool = False,
        nonlinearity: str = "tanh",
        dtype: Any = np.float32,
        seed: int = 0,
        vocabulary: str | None = None,
        symbols: str = "chars",
        unknown: str = ERROR,
    ) -> None:
        self.cell = _check.choice("cell", cell, tuple(CELLS))
        self.hidden_size = _check.integer("hidden_size", hidden_size)
        self.num_layers = _check.integer("num_layers", num_layers)
        self.embedding_size = embedding_size
        if embedding_size is not None:
            self.embedding_size = _check.integer("embedding_size", embedding_size)
        self.tied = _check.flag("tied", tied)
        if self.tied and embedding_size not in (None, hidden_size):
            raise ValueError(
                f"embedding_size must be hidden_size={hidden_size} when tied, got {embedding_size}"
            )
        if self.tied and cell == "jordan":
            raise ValueError(
                "tied needs a read-out, whose rows are then the vectors, and cell 'jordan' has none"
            )
        self.recurrent_dropout = _check.number(
            "recurrent_dropout", recurrent_dropout, minimum=0, below=1
        )
        self.layer_norm = _check.flag("layer_norm", layer_norm)
        self.nonlinearity = nonlinearity
        self.dtype = _check.float_dtype("dtype", dtype)
        self.seed = _check.integer("seed", seed, 0, _check.MAX_SEED)
        self.network: Network | None = None
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self.symbols = _check.choice("symbols", symbols, SYMBOLS)
        check_policy("unknown", unknown)
        self.unknown = unknown
        self._vocabulary: Symbols | None = None
        if symbols == Bytes.name:
            if vocabulary is not None:
                raise ValueError(
                    f"vocabulary must not be given with symbols='bytes', which are always the "
                    f"same 256, got {_check.describe(vocabulary)}"
                )
            self._build(Bytes())
        elif vocabulary is None:
            # The layer is built when the text is known; its options are checked now.
            self._network(1, hidden_size=1)
        else:
            check_text("vocabulary", vocabulary, 1)
            self._build(Vocabulary(vocabulary + replacement(unknown)))

    @property
    def vocabulary(self) -> str:
        """The distinct characters the model knows, in code point order; empty for bytes."""
        return "" if self._vocabulary is None else self._vocabulary.characters

    def __repr__(self) -> str:
        of_bytes = self.symbols == Bytes.name
        known = "256 bytes" if of_bytes else f"vocabulary of {len(self.vocabulary)}"
        return (
            f"CharRNN(cell={self.cell!r}, hidden_size={self.hidden_size}, "
            f"num_layers={self.num_layers}, nonlinearity={self.nonlinearity!r}, "
            f"dtype={self.dtype.name!r}, {known})"
        )

    def fit(
        self,
        text: str | Corpus,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        minutes: float | None = None,
        batch_size: int = 16,
        seq_len: int = 64,
        optimizer: str = "adam",
        lr: float = 3e-3,
        schedule: str = "cosine",
        warmup: float = 0.0,
        lr_decay: float | None = None,
        lr_decay_every: float | None = None,
        dropout: float = 0.0,
        weight_decay: float | None = None,
        clip_norm: float | None = 5.0,
        clip_value: float | None = None,
        unknown: str | None = None,
        grow_vocabulary: bool = False,
        validation: str | Corpus | float | None = None,
        evaluate_every: int | None = None,
        patience: int | None = None,
        checkpoint: PathLike | None = None,
        checkpoint_every: int | None = None,
        checkpoint_minutes: float | None = None,
        resume: bool = False,
        callbacks: Sequence[Callable[[TrainingStep], object]] = (),
        history_file: PathLike | None = None,
        tensorboard: PathLike | None = None,
        progress: bool = False,
        num_threads: int | None = None,
    ) -> CharRNN:
        """Train on a text by truncated backpropagation through time.

        The text is cut into ``batch_size`` streams of equal length that run side by side. Each
        step learns the next ``seq_len`` characters of every stream, from the hidden state that
        the step before ended with. A text too short for that many streams of at least
        ``seq_len`` characters is cut into fewer. Fitting again continues with the weights and
        the vocabulary as they are, and a fresh optimizer.

        A KeyboardInterrupt leaves the model as it was after the last complete step. Whatever
        ends the first fit before a step is complete leaves the model without a vocabulary. With
        ``validation``, however the training ends, the model has the best weights so far.

        With ``checkpoint`` a training can be stopped at any moment, killed too, and gone on with:
        run the same program again with ``resume=True``. Unless ``minutes`` are given, the model
        is then bit for bit the one that an uninterrupted training gives, on the same version of
        fastrnn and the same instruction set.

        Parameters
        ----------
        text : str or Corpus
            At least ``seq_len`` + 1 characters. A corpus may be larger than memory; both give the
            same model, bit for bit.
        epochs : int, optional
            Passes over the text; 1 if neither ``steps`` nor ``minutes`` is given.
        steps : int, optional
            Number of updates, instead of ``epochs``.
        minutes : float, optional
            How long to train: as many updates as fit into the time, or as ``epochs`` or
            ``steps`` says if these are over sooner. The schedule follows whichever is further,
            so the result depends on the machine's speed.
        batch_size : int
            Number of streams.
        seq_len : int
            Characters per stream and step, through which gradients flow back.
        optimizer : {"adam", "adamw", "rmsprop", "sgd"}
            See :mod:`fastrnn.optim`.
        lr : float
            Learning rate, above 0.
        schedule : {"cosine", "linear", "constant", "step_decay", "one_cycle"}
            The course of the learning rate: it falls to 0 along half a cosine or a line; stays;
            is lowered in steps; or rises from lr / 25 to ``lr`` and falls to almost 0.
            :func:`fastrnn.training.schedules.learning_rate` has the equations.
        warmup : float
            In [0, 1): the share of the training in which the learning rate first rises; 0 with
            ``"one_cycle"``, which begins so by itself.
        lr_decay : float, optional
            Of ``"step_decay"``, in (0, 1): what the rate is multiplied by, 0.1 unless given.
        lr_decay_every : float, optional
            Of ``"step_decay"``, in (0, 1): the share of the training after which it is, again and
            again, 1/3 unless given.
        dropout : float
            In [0, 1): the share of the hidden states that each update leaves out of the
            read-out (Zaremba et al., arXiv:1409.2329), against overfitting.
        weight_decay : float, optional
            The optimizer's own default unless given: 0.01 for ``"adamw"``, which shrinks the
            weights by lr * weight_decay, and 0 for the others, which add weight_decay * weights
            to the gradient after it was clipped.
        clip_norm : float or None
            Largest Euclidean norm of the gradient as a whole; None does not clip.
        clip_value : float or None
            Largest absolute value of any gradient entry, applied before ``clip_norm``.
        unknown : str, optional
            What becomes of characters that are not in the vocabulary, in the held-out text too; as
            the model has it unless given.
        grow_vocabulary : bool
            Learn characters too that the model does not know, instead of refusing them. Its
            network is then a new one, in which the known characters have the logits they had, and
            a new one begins as the mean of them. Not for bytes, of which all are known, and not
            with an ``unknown`` other than ``"error"``.
        validation : str, Corpus or float, optional
            Held-out text: of its own, or the share of the text at its end, in (0, 1). It is cut
            into 32 streams, fewer if they were shorter than 1,024 characters. A new model knows
            the characters of a text of its own too, unless ``unknown`` says what becomes of them.
        evaluate_every : int, optional
            Steps between evaluations of the held-out text; as many as a pass over the text has,
            but 50 to 1,000, unless given. The last step is followed by one in any case.
        patience : int, optional
            Stop after so many evaluations in a row without a new lowest validation loss.
        checkpoint : path-like, optional
            A file to write every so often and at the end, for ``resume``. It is a model file too,
            with the weights that stopping there would leave. It replaces that of a training that
            is finished, and no other file.
        checkpoint_every : int, optional
            Steps between checkpoints.
        checkpoint_minutes : float, optional
            Minutes between checkpoints; 1 if neither is given.
        resume : bool
            Go on from ``checkpoint`` if there is such a file, which replaces weights and history;
            begin if there is none. Model, text and options must be those that the training began
            with; progress, threads, files, how often checkpoints are written and callbacks may
            differ. The time used counts on.
        callbacks : list of callable
            Each is called after every step with a :class:`fastrnn.TrainingStep`. What they return
            is ignored. One that raises :class:`fastrnn.StopTraining` ends the training after this
            step; ``resume=True`` would go on with it.
        history_file : path-like, optional
            A CSV file that gets a row for every step: step, chars (bytes, in a model of bytes),
            lr, loss, validation_loss. The rows of earlier steps that it has stay. It is not
            touched before the first step.
        tensorboard : path-like, optional
            A folder to write the losses and the learning rate to, for TensorBoard. Needs the
            extra ``fastrnn[tensorboard]``.
        progress : bool
            Show a tqdm bar with loss, characters per second and time left.
        num_threads : int, optional
            Threads to use, :func:`fastrnn.get_num_threads` by default.

        Returns
        -------
        CharRNN
            The model itself.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or value, or the text is shorter than a window.
        UnknownCharacterError
            If the vocabulary is fixed already and lacks a character of the text.
        OSError
            If a file cannot be read or written.
        ModelFileError
            If ``checkpoint`` is to be gone on with and is none, or damaged.
        ImportError
            If ``tensorboard`` is given and tensorboardX is missing.
        NonFiniteLossError
            If loss, gradient or update overflow. The model keeps its last usable weights.
        RuntimeError
            If a callback fits the model that is being fitted.
        """
        options = Options(
            epochs=epochs,
            steps=steps,
            minutes=minutes,
            batch_size=batch_size,
            seq_len=seq_len,
            dropout=dropout,
            seed=self.seed,
            optimizer=optimizer,
            lr=lr,
            schedule=schedule,
            warmup=warmup,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            clip_value=clip_value,
            lr_decay=lr_decay,
            lr_decay_every=lr_decay_every,
            patience=patience,
            evaluate_every=evaluate_every,
            progress=progress,
            num_threads=num_threads,
        )
        around = Surroundings(
            unknown=self._policy(unknown),
            validation=validation,
            grow_vocabulary=grow_vocabulary,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            checkpoint_minutes=checkpoint_minutes,
            resume=resume,
            callbacks=callbacks,
            history_file=history_file,
            tensorboard=tensorboard,
        )
        fit(self, text, options, around)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, configuration and vocabulary to one safetensors file.

        The file appears whole or not at all: a failure on the way leaves an older file as it
        was. :func:`fastrnn.load` reads it.

        Raises
        ------
        TypeError, ValueError
            If ``path`` is no path.
        OSError
            If the file cannot be written.
        RuntimeError
            If the model has no vocabulary yet.
        """
        network, _ = self._ready()
        checkpoint.write(path, self._description(), network.state_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CharRNN:
        """Read a model that :meth:`save` wrote, or a checkpoint. No code from the file is run.

        Of a checkpoint these are the weights that its training, stopped there, would have left.

        Raises
        ------
        TypeError, ValueError
            If ``path`` is no path.
        OSError
            If there is no such file or it cannot be read.
        ModelFileError
            If it is no fastrnn model, is damaged or cut short, its parts do not fit each
            other, or it holds weights that are not finite.
        """
        with checkpoint.opened(path) as file:
            try:
                layout = model_layout(file.description, file.layout)
                model = cls(**settings(file.description, layout))
                network, _ = model._ready()
                tensors = file.tensors()
                network.load_state_dict({name: tensors[name] for name in layout})
            except ModelFileError:
                raise
            except (TypeError, ValueError, MemoryError) as error:
                raise ModelFileError(f"{file.path!r} cannot be used as a model: {error}") from None
        return model

    def _description(self) -> dict[str, Any]:
        """Return what a model file says of the model beside its weights."""
        return {
            "kind": KIND,
            "written_by": f"fastrnn {__version__}",
            "config": {
                "cell": self.cell,
                "hidden_size": self.hidden_size,
                "nonlinearity": self.nonlinearity,
                "dtype": self.dtype.name,
                "seed": self.seed,
                **{name: getattr(self, name) for name in ADDED},
            },
            "vocabulary": self.vocabulary or None,
        }

    def _build(self, vocabulary: Symbols) -> None:
        self.network = self._network(len(vocabulary), self.hidden_size)
        self._vocabulary = vocabulary

    def _network(self, symbols: int, hidden_size: int) -> Network:
        return make_network(
            self.cell,
            symbols,
            hidden_size,
            symbols,
            nonlinearity=self.nonlinearity,
            dtype=self.dtype,
            seed=self.seed,
            embedding_size=None if self.tied else self.embedding_size,
            tied=self.tied,
            init="uniform" if self.tied or self.embedding_size else "one_hot",
            num_layers=self.num_layers,
            recurrent_dropout=self.recurrent_dropout,
            layer_norm=self.layer_norm,
        )

    def _policy(self, unknown: str | None) -> str:
        """Return what becomes of unknown characters: as asked for, or as the model has it."""
        if unknown is None:
            return self.unknown
        check_policy("unknown", unknown)
        return unknown

    def _ready(self) -> tuple[Network, Symbols]:
        if self.network is None or self._vocabulary is None:
            raise RuntimeError(
                "this CharRNN has no vocabulary yet; call fit(text) first, or fastrnn.load(path)"
            )
        return self.network, self._vocabulary


def load(path: str | os.PathLike[str]) -> CharRNN:
    """Read a model file; see :meth:`CharRNN.load`."""
    return CharRNN.load(path)
