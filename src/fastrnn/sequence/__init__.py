"""Forecasting series of numbers, and regression and classification of sequences.

``forecaster.py`` and ``estimators.py`` are what users meet.

Of the forecaster, ``series.py`` and ``fitted.py`` read what it is given, ``scaling.py`` maps its
numbers to those of the network, ``model.py`` predicts and continues, ``accuracy.py`` sets errors
beside those of naive forecasts, and ``intervals.py`` tells how far off forecasts are.

Of the estimators, ``sequences.py`` and ``targets.py`` read what they are given, ``training.py`` and
``learning.py`` train, ``ragged.py`` applies a network to sequences of different lengths, and
``protocol.py`` is what scikit-learn asks of them. ``batches.py`` orders the batches of all, and
``columns.py`` scales tables.
"""

from fastrnn.sequence.estimators import SequenceClassifier, SequenceRegressor
from fastrnn.sequence.forecaster import Forecaster, ForecastInterval

__all__ = ["ForecastInterval", "Forecaster", "SequenceClassifier", "SequenceRegressor"]
