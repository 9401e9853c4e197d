"""Forecasting series of numbers, and regression and classification of sequences.

``forecaster.py`` and ``estimators.py`` are what users meet. Of the forecaster: ``series.py`` reads
what it is given, ``model.py`` predicts and continues, ``accuracy.py`` sets errors beside those of
naive forecasts, ``intervals.py`` says how far off they were. ``batches.py`` trains both.
"""

from fastrnn.sequence.forecaster import Forecaster, ForecastInterval

__all__ = ["ForecastInterval", "Forecaster"]
