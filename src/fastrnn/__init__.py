"""Recurrent neural networks on CPUs.

Data flows one way::

    command/                            the command line: cli.py, options.py, what it takes,
              |                         saying.py, what it says; forecasting/, CSV files
    demo/  bench/                       a page in the browser; the benchmark beside others
    animate/  plot/  sentiment.py       animations and pictures; a small model for them to show
              |
    text.py  sequence/                  models of characters and of series; language.py, what the
              |                         first write, reading.py, what they say of a text
    training/                           character models: train.py, truncated BPTT, updates.py, one
              |                         all-or-nothing step, fitting.py, all of it, resume.py,
              |                         going on after it was killed
    corpus/  checkpoint.py              texts as ids, also larger than memory; model files
              |
    optim/  sampling.py  cells.py       updates, continuing tokens, cells by name; scoring.py, how
              |                         probable tokens are
    network.py  readout.py  losses.py   recurrent layer and read-out, losses; unrolled.py, what
              |                         each step adds to a gradient
    layers/  trace.py                   parameters, whole sequences, streams, traces
              |
    _forward.pyx  _backward.pyx         loops over time: typed, without the GIL; _threads.py
    _gradients.pyx  _readout.pyx        and _limits.py: how many threads share them
    _composed.pyx  _update.pyx  _ops.pyx  and of updates _equations.pyx, _biases.pyx
    _cells.pyx  _step.pyx  _generate.pyx
              |
    cpu.pyx  _team.pyx                  the kernel table, chosen once at import; the threads
              |
    csrc/                               kernels in C, compiled once per instruction set

``_reference/`` holds the same mathematics in NumPy, written to be read; the tests hold the
compiled path against it.
"""

from fastrnn import _limits, cpu, data, losses, optim
from fastrnn._threads import get_num_threads, set_num_threads
from fastrnn._version import __version__
from fastrnn.corpus.corpus import Corpus
from fastrnn.errors import (
    ModelFileError,
    NonFiniteLossError,
    StopTraining,
    UnknownCharacterError,
)
from fastrnn.layers import GRU, LSTM, RNN, Embedding, Jordan, Linear
from fastrnn.network import Network
from fastrnn.sequence import Forecaster, SequenceClassifier, SequenceRegressor
from fastrnn.text import CharRNN, load
from fastrnn.training.fitting import TrainingStep

_limits.watch()

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "CharRNN",
    "Corpus",
    "Embedding",
    "Forecaster",
    "Jordan",
    "Linear",
    "ModelFileError",
    "Network",
    "NonFiniteLossError",
    "SequenceClassifier",
    "SequenceRegressor",
    "StopTraining",
    "TrainingStep",
    "UnknownCharacterError",
    "__version__",
    "cpu",
    "data",
    "get_num_threads",
    "load",
    "losses",
    "optim",
    "set_num_threads",
]
