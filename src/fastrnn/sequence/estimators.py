"""Regression and classification of sequences, as scikit-learn's estimators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fastrnn import _check
from fastrnn.sequence import targets
from fastrnn.sequence.columns import Columns
from fastrnn.sequence.ragged import log_softmax
from fastrnn.sequence.training import SequenceEstimator

Regressor = TypeVar("Regressor", bound="SequenceRegressor")
Classifier = TypeVar("Classifier", bound="SequenceClassifier")


class SequenceRegressor(SequenceEstimator):
    r"""Predict numbers from sequences with a recurrent network.

    An estimator by scikit-learn's conventions, without needing it: parameters are checked by
    :meth:`fit`, ``clone``, ``Pipeline``, ``cross_val_score`` and ``GridSearchCV`` take it.

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn", "jordan"}
        The recurrent layer; that of :class:`fastrnn.Jordan` feeds its predictions back and is one
        layer in one direction.
    hidden_size : int
        Number of hidden units.
    num_layers : int
        Recurrent layers, each but the first reading the states of the one before.
    bidirectional : bool
        Whether each layer has a second direction, which reads sequences from their end.
    nonlinearity : {"tanh", "relu", "sigmoid", "linear"}
        Activation function of the cells ``"rnn"`` and ``"jordan"``; the others have theirs.
    outputs : {"last", "all"}
        Whether there is one target for each sequence, predicted from the state after its last
        step, or one for each step, predicted from the state after that step.
    num_ids : int, optional
        X holds integer ids below this, such as words, instead of numbers.
    scaling : {"global", "none"}
        Whether numbers enter the network as (w - c) / s, with c the mean of a feature over all
        steps of the training and s the mean distance from it. Targets are
        scaled alike.
    epochs : int
        Passes over the sequences.
    batch_size : int
        Sequences per update, in a new random order every epoch.
    optimizer : {"adam", "adamw", "rmsprop", "sgd"}
        See :mod:`fastrnn.optim`.
    lr : float
        Learning rate, of the first epoch if it changes.
    schedule : {"cosine", "linear", "constant", "step_decay", "one_cycle"}
        Course of the learning rate from epoch to epoch: it falls to nearly 0 along half a cosine
        or a line; stays; falls to a tenth after each third; or rises from lr / 25 to ``lr`` and
        falls to almost 0.
    clip_norm : float or None
        Largest global norm of the gradient; None for no limit.
    early_stopping : bool
        Hold out ``validation_fraction`` of the sequences, drawn by ``seed``, stop when the loss on
        them has not fallen for ``patience`` epochs, and keep the weights of the smallest.
    validation_fraction : float
        Above 0 and below 1.
    patience : int
        In epochs.
    dtype : {"float32", "float64"}
        Type of weights and arithmetic.
    seed : int
        Seed of the initial weights, of the order of batches and of what is held out. The same
        seed, data and parameters give the same bits, whatever the number of threads.
    progress : bool
        Show a progress bar on standard error.
    num_threads : int, optional
        Threads for each call; None for the library's setting.

    Attributes
    ----------
    network_ : fastrnn.Network
        What was trained.
    history_ : list of dict
        For each epoch ``epoch``, the mean ``loss`` over its targets (each before the update it
        leads to), and with early stopping ``validation_loss``.
    n_iter_ : int
        Epochs made.
    n_features_in_ : int
        Numbers at each step; not there with ``num_ids``.

    Notes
    -----
    With h_t the states of the layer over a sequence x_1 ... x_T, the prediction is W h_T + b, or
    W h_t + b for every step; what is minimised is the mean squared error of scaled targets.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(0, 1, length) for length in rng.integers(3, 9, 60)]
    >>> y = [x.sum() for x in X]
    >>> model = SequenceRegressor(hidden_size=16, epochs=60).fit(X[:50], y[:50])
    >>> model.score(X[50:], y[50:]) > 0.8
    True
    """

    _estimator_type = "regressor"
    _loss = "mse"

    def fit(self: Regressor, X: Any, y: Any) -> Regressor:
        """Train a new network.

        Parameters
        ----------
        X : array_like, or list of arrays
            Sequences of numbers: a list of arrays of shape (length,) or (length, features), of any
            lengths, or an array of shape (N, length) or (N, length, features). With ``num_ids``
            integer ids: a list of arrays of shape (length,), or an array of shape (N, length).
        y : array_like, or list of arrays
            A number or a row of numbers for each sequence, (N,) or (N, k); with
            ``outputs="all"`` for each step of each sequence: a list of arrays (length,) or
            (length, k), or an array (N, length) or (N, length, k).

        Returns
        -------
        SequenceRegressor
            Itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter or an argument has the wrong type, value or shape.
        MemoryError
            If the network would not fit in the machine's memory.
        NonFiniteLossError
            If the loss or the gradient is NaN or infinite. The estimator then holds the network of
            the last update that was sound, as it does after a KeyboardInterrupt, and can predict.
        """
        sequences, outputs = self._read(X), self._checked_outputs()
        rows, has_width = targets.numbers(y, sequences, outputs)
        scale = Columns.fit(np.concatenate(rows), scaled=self._is_scaled())
        dtype = _check.float_dtype("dtype", self.dtype)
        learned = [scale.inputs(one, dtype) for one in rows]
        self._train(sequences, learned, rows[0].shape[1], (scale, has_width))
        return self

    def predict(self, X: Any) -> Any:
        """Predict numbers.

        Parameters
        ----------
        X : array_like, or list of arrays
            Sequences of numbers: a list of arrays of shape (length,) or (length, features), of any
            lengths, or an array of shape (N, length) or (N, length, features). With ``num_ids``
            integer ids: a list of arrays of shape (length,), or an array of shape (N, length).

        Returns
        -------
        ndarray of float64, or list of them
            (N,) or (N, k), as y was. With ``outputs="all"`` a list of (length,) or (length, k)
            where X is a list, an array (N, length) or (N, length, k) where it is one.

        Raises
        ------
        ValueError
            If the estimator has not been fitted (scikit-learn's NotFittedError, where that has
            been imported), or X does not fit it.
        TypeError
            If X does not hold numbers, or ids.
        """
        trained, sequences, found = self._outputs_of(X)
        scale, has_width = trained.meaning
        rows = [scale.values(one) for one in found]
        return trained.shaped(sequences, rows if has_width else [one[..., 0] for one in rows])

    def score(self, X: Any, y: Any) -> float:
        """Return the coefficient of determination of the predictions, the mean over k.

        R^2 = 1 - sum (y - p)^2 / sum (y - mean y)^2 over all sequences, or all steps of all; where
        y is constant, 1 if it is predicted exactly and else 0. As scikit-learn's ``r2_score``.

        Parameters
        ----------
        X, y
            As :meth:`fit` takes them.

        Returns
        -------
        float
        """
        trained, sequences, found = self._outputs_of(X)
        scale, _ = trained.meaning
        rows, _ = targets.numbers(y, sequences, trained.outputs)
        predicted = scale.values(np.concatenate([np.atleast_2d(one) for one in found]))
        return targets.r_squared(np.concatenate(rows), predicted)


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceClassifier(SequenceEstimator):
    r"""Predict classes of sequences with a recurrent network.

    An estimator by scikit-learn's conventions, without needing it: parameters are checked by
    :meth:`fit`, ``clone``, ``Pipeline``, ``cross_val_score`` and ``GridSearchCV`` take it.

    Parameters
    ----------
    cell : {"gru", "lstm", "rnn", "jordan"}
        The recurrent layer; that of :class:`fastrnn.Jordan` feeds its predictions back and is one
        layer in one direction.
    hidden_size : int
        Number of hidden units.
    num_layers : int
        Recurrent layers, each but the first reading the states of the one before.
    bidirectional : bool
        Whether each layer has a second direction, which reads sequences from their end.
    nonlinearity : {"tanh", "relu", "sigmoid", "linear"}
        Activation function of the cells ``"rnn"`` and ``"jordan"``; the others have theirs.
    outputs : {"last", "all"}
        Whether there is one target for each sequence, predicted from the state after its last
        step, or one for each step, predicted from the state after that step.
    num_ids : int, optional
        X holds integer ids below this, such as words, instead of numbers.
    scaling : {"global", "none"}
        Whether numbers enter the network as (w - c) / s, with c the mean of a feature over all
        steps of the training and s the mean distance from it.
    epochs : int
        Passes over the sequences.
    batch_size : int
        Sequences per update, in a new random order every epoch.
    optimizer : {"adam", "adamw", "rmsprop", "sgd"}
        See :mod:`fastrnn.optim`.
    lr : float
        Learning rate, of the first epoch if it changes.
    schedule : {"cosine", "linear", "constant", "step_decay", "one_cycle"}
        Course of the learning rate from epoch to epoch: it falls to nearly 0 along half a cosine
        or a line; stays; falls to a tenth after each third; or rises from lr / 25 to ``lr`` and
        falls to almost 0.
    clip_norm : float or None
        Largest global norm of the gradient; None for no limit.
    early_stopping : bool
        Hold out ``validation_fraction`` of the sequences, drawn by ``seed``, stop when the loss on
        them has not fallen for ``patience`` epochs, and keep the weights of the smallest.
    validation_fraction : float
        Above 0 and below 1.
    patience : int
        In epochs.
    class_weight : dict, "balanced" or None
        What the targets of a class count in the loss, a mean over weights: by label, at least 0,
        and 1 where it is not named; ``"balanced"`` makes all classes count the same; None all
        targets. A label that y has not is ignored where all others are named, else refused.
    dtype : {"float32", "float64"}
        Type of weights and arithmetic.
    seed : int
        Seed of the initial weights, of the order of batches and of what is held out. The same
        seed, data and parameters give the same bits, whatever the number of threads.
    progress : bool
        Show a progress bar on standard error.
    num_threads : int, optional
        Threads for each call; None for the library's setting.

    Attributes
    ----------
    network_ : fastrnn.Network
        What was trained.
    history_ : list of dict
        For each epoch ``epoch``, the mean ``loss`` over its targets (each before the update it
        leads to), and with early stopping ``validation_loss``.
    n_iter_ : int
        Epochs made.
    n_features_in_ : int
        Numbers at each step; not there with ``num_ids``.
    classes_ : ndarray
        The labels, sorted.

    Notes
    -----
    With h_t the states of the layer over a sequence x_1 ... x_T, the probabilities of the classes
    are softmax(W h_T + b), or softmax(W h_t + b) for every step; what is minimised is the mean
    cross-entropy.

    Examples
    --------
    Which of two letters came last, in sequences of ids:

    >>> rng = np.random.default_rng(0)
    >>> X = [rng.integers(0, 4, length) for length in rng.integers(2, 7, 80)]
    >>> y = ["even" if x[-1] % 2 == 0 else "odd" for x in X]
    >>> model = SequenceClassifier(hidden_size=8, num_ids=4, epochs=30).fit(X[:60], y[:60])
    >>> model.score(X[60:], y[60:])
    1.0
    >>> model.predict(X[60:62]), model.classes_
    (array(['odd', 'even'], dtype='<U4'), array(['even', 'odd'], dtype='<U4'))
    """

    _estimator_type = "classifier"
    _loss = "cross_entropy"

    class_weight: Any = None

    def fit(self: Classifier, X: Any, y: Any) -> Classifier:
        """Train a new network.

        Parameters
        ----------
        X : array_like, or list of arrays
            Sequences of numbers: a list of arrays of shape (length,) or (length, features), of any
            lengths, or an array of shape (N, length) or (N, length, features). With ``num_ids``
            integer ids: a list of arrays of shape (length,), or an array of shape (N, length).
        y : array_like, or list of arrays
            A label for each sequence: whole numbers, strings or anything that can be sorted,
            (N,); with ``outputs="all"`` for each step of each sequence: a list of arrays
            (length,), or an array (N, length).

        Returns
        -------
        SequenceClassifier
            Itself.

        Raises
        ------
        TypeError, ValueError
            If a parameter or an argument has the wrong type, value or shape.
        MemoryError
            If the network would not fit in the machine's memory.
        NonFiniteLossError
            If the loss or the gradient is NaN or infinite. The estimator then holds the network of
            the last update that was sound, as it does after a KeyboardInterrupt, and can predict.
        """
        sequences, outputs = self._read(X), self._checked_outputs()
        classes, positions = targets.labels(y, sequences, outputs)
        weights = targets.class_weights(self.class_weight, classes, positions)
        self._train(sequences, positions, len(classes), classes, weights, classes_=classes)
        return self

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array_like, or list of arrays
            Sequences of numbers: a list of arrays of shape (length,) or (length, features), of any
            lengths, or an array of shape (N, length) or (N, length, features). With ``num_ids``
            integer ids: a list of arrays of shape (length,), or an array of shape (N, length).

        Returns
        -------
        ndarray of float64, or list of them
            (N, classes), in the order of ``classes_``. With ``outputs="all"`` a list of
            (length, classes) where X is a list, an array (N, length, classes) where it is one.

        Raises
        ------
        ValueError
            If the estimator has not been fitted (scikit-learn's NotFittedError, where that has
            been imported), or X does not fit it.
        TypeError
            If X does not hold numbers, or ids.
        """
        trained, sequences, found = self._outputs_of(X)
        rows = [np.exp(log_softmax(one.astype(np.float64))) for one in found]
        return trained.shaped(sequences, rows)

    def predict(self, X: Any) -> Any:
        """Predict the likeliest class.

        Parameters
        ----------
        X : array_like, or list of arrays
            Sequences of numbers: a list of arrays of shape (length,) or (length, features), of any
            lengths, or an array of shape (N, length) or (N, length, features). With ``num_ids``
            integer ids: a list of arrays of shape (length,), or an array of shape (N, length).

        Returns
        -------
        ndarray, or list of them
            (N,) labels. With ``outputs="all"`` a list of (length,) where X is a list, an array
            (N, length) where it is one.

        Raises
        ------
        ValueError
            If the estimator has not been fitted (scikit-learn's NotFittedError, where that has
            been imported), or X does not fit it.
        TypeError
            If X does not hold numbers, or ids.
        """
        trained, sequences, found = self._outputs_of(X)
        return trained.shaped(sequences, [trained.meaning[one.argmax(axis=-1)] for one in found])

    def score(self, X: Any, y: Any) -> float:
        """Return the share of predictions that are right, over all sequences or all their steps.

        Parameters
        ----------
        X, y
            As :meth:`fit` takes them.

        Returns
        -------
        float
        """
        trained, sequences, found = self._outputs_of(X)
        actual = np.concatenate(targets.read_labels(y, sequences, trained.outputs))
        likeliest = np.concatenate([np.atleast_1d(one.argmax(axis=-1)) for one in found])
        return float(np.mean(trained.meaning[likeliest] == actual))
