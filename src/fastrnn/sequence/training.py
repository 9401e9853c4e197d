"""What regressor and classifier share: reading X, training, and the outputs of what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from fastrnn import _check
from fastrnn.cells import CELLS, make_network
from fastrnn.network import OUTPUTS, Network
from fastrnn.sequence import sequences as reading
from fastrnn.sequence.columns import Columns
from fastrnn.sequence.learning import Plan, learn, require_targets
from fastrnn.sequence.protocol import Estimator
from fastrnn.sequence.ragged import Ragged
from fastrnn.sequence.sequences import Sequences
from fastrnn.training.updates import Settings


@dataclass(frozen=True)
class Trained:
    """A network with all that is needed to use it, whatever becomes of the parameters.

    Attributes
    ----------
    network : Network
    outputs : {"last", "all"}
    num_ids : int or None
    inputs : Columns or None
        The scaling of numbers.
    meaning : Any
        What the estimator needs to read the network's outputs.
    """

    network: Network
    outputs: str
    num_ids: int | None
    inputs: Columns | None
    meaning: Any

    def scaled(self, sequences: Sequences) -> list[np.ndarray]:
        """Return sequences as the network reads them."""
        if self.inputs is None:
            return sequences.steps
        return [self.inputs.inputs(one, self.network.layer.dtype) for one in sequences.steps]

    def shaped(self, sequences: Sequences, rows: list[np.ndarray]) -> Any:
        """Return what belongs to each sequence: one array, or a list of the steps' arrays."""
        if self.outputs == "last" or sequences.as_array:
            return np.stack(rows)
        return rows


@dataclass(eq=False, repr=False)
class SequenceEstimator(Estimator):
    """Parameters that regressor and classifier have in common, and what is done with them."""

    cell: str = "gru"
    hidden_size: int = 32
    _: KW_ONLY
    num_layers: int = 1
    bidirectional: bool = False
    nonlinearity: str = "tanh"
    outputs: str = "last"
    num_ids: int | None = None
    scaling: str = "global"
    epochs: int = 100
    batch_size: int = 32
    optimizer: str = "adam"
    lr: float = 0.01
    schedule: str = "cosine"
    clip_norm: float | None = 5.0
    early_stopping: bool = False
    validation_fraction: float = 0.1
    patience: int = 10
    dtype: Any = "float32"
    seed: int = 0
    progress: bool = False
    num_threads: int | None = None

    _loss: ClassVar[str]

    def _read(self, X: Any) -> Sequences:
        num_ids = self.num_ids
        return reading.read(X, None if num_ids is None else _check.integer("num_ids", num_ids))

    def _checked_outputs(self) -> str:
        return _check.choice("outputs", self.outputs, OUTPUTS)

    def _is_scaled(self) -> bool:
        return _check.choice("scaling", self.scaling, ("global", "none")) == "global"

    def _train(
        self,
        sequences: Sequences,
        targets: Sequence[np.ndarray],
        width: int,
        meaning: Any,
        class_weight: np.ndarray | None = None,
        **fitted: Any,
    ) -> None:
        """Train a new network of ``width`` outputs, and take on the attributes of the fit.

        ``targets`` are (length, …) of each sequence, of length 1 where only the last step has one;
        ``fitted`` are more attributes.
        """
        outputs, settings = self._checked_outputs(), self._settings()
        plan = self._plan(len(sequences))
        network = self._network(sequences, width)
        inputs = None
        if self._is_scaled() and self.num_ids is None:
            inputs = Columns.fit(np.concatenate(sequences.steps))
        elif self.num_ids is None:
            inputs = Columns.fit(sequences.steps[0], scaled=False)
        trained = Trained(network, outputs, self.num_ids, inputs, meaning)
        x = trained.scaled(sequences)
        if outputs == "last":
            targets = [one[0] for one in targets]
        ragged = Ragged(network, self._loss, outputs, class_weight, settings.num_threads)
        require_targets(ragged, list(targets), plan)
        self._trained = trained
        self.network_ = network
        self.history_: list[dict[str, Any]] = []
        self.n_iter_ = 0
        vars(self).pop("n_features_in_", None)
        if self.num_ids is None:
            self.n_features_in_ = sequences.features
        vars(self).update(fitted)
        try:
            learn(ragged, x, list(targets), settings, plan, self.history_)
        finally:
            self.n_iter_ = self.history_[-1]["epoch"] if self.history_ else 0

    def _outputs_of(self, X: Any) -> tuple[Trained, Sequences, list[np.ndarray]]:
        """Return what was trained, X as it was read, and the outputs for each of its sequences."""
        self._require_fitted()
        trained = self._trained
        sequences = reading.read(X, trained.num_ids)
        if trained.num_ids is None and sequences.features != self.n_features_in_:
            raise ValueError(
                f"X has {sequences.features} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        ragged = Ragged(trained.network, self._loss, trained.outputs, None, self.num_threads)
        return trained, sequences, ragged.outputs_of(trained.scaled(sequences))

    def _network(self, sequences: Sequences, width: int) -> Network:
        return make_network(
            _check.choice("cell", self.cell, tuple(CELLS)),
            sequences.features if self.num_ids is None else self.num_ids,
            _check.integer("hidden_size", self.hidden_size),
            width,
            nonlinearity=self.nonlinearity,
            dtype=_check.float_dtype("dtype", self.dtype),
            seed=_check.integer("seed", self.seed, 0, _check.MAX_SEED),
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
        )

    def _settings(self) -> Settings:
        return Settings(
            optimizer=self.optimizer,
            lr=self.lr,
            schedule=self.schedule,
            clip_norm=self.clip_norm,
            progress=self.progress,
            num_threads=self.num_threads,
        )

    def _plan(self, count: int) -> Plan:
        share = _check.number("validation_fraction", self.validation_fraction, above=0, below=1)
        early_stopping = _check.flag("early_stopping", self.early_stopping)
        validation = max(1, round(share * count)) if early_stopping else 0
        if validation >= count:
            raise ValueError(
                f"X has {count} sequences, too few to hold out {validation} for early_stopping"
            )
        return Plan(
            epochs=_check.integer("epochs", self.epochs),
            batch_size=_check.integer("batch_size", self.batch_size),
            seed=_check.integer("seed", self.seed, 0, _check.MAX_SEED),
            validation=validation,
            patience=_check.integer("patience", self.patience),
        )
