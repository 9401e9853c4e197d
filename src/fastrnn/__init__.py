"""Recurrent neural networks on CPUs.

Data flows one way::

    cli.py  train_command.py            the command; options.py and option_values.py, what it takes;
              |                         saying.py, what it says
    text.py  sequence/                 models of characters and of series; language.py, what the
              |                         first say; checkpoint.py, vocabulary.py serve them;
              |                         corpus.py, textfiles.py, codes.py, texts larger than
              |                         memory; forecasting/, what the command does with CSV
              |                         files; plot.py, pictures
    fitting.py  resume.py  records.py   a character model's training: checkpoints to go on from,
              |                         its curve in files; growth.py, new characters
    train.py  validation.py             truncated BPTT; the loss on held-out text and the best
              |                         weights; updates.py, one all-or-nothing training step;
              |                         streams.py, what a step learns from
    optim.py  sampling.py  cells.py     updates, continuing tokens, cells by name; schedules.py, the
              |                         learning rate; scoring.py, how probable tokens are;
              |                         history.py, what a training leaves of its losses
    network.py  readout.py  losses.py   recurrent layer and read-out, losses; unrolled.py, what
              |                         each step adds to a gradient
    layers/  trace.py                   parameters, whole sequences, streams, traces
              |
    _loops.pyx  _composed.pyx           loops over time: typed, without the GIL; _threads.py
    _gradients.pyx  _readout.pyx        and _limits.py: how many threads share them
    _ops.pyx  _step.pyx  _generate.pyx
              |
    cpu.pyx  _team.pyx                  the kernel table, chosen once at import; the threads
              |
    csrc/                               kernels in C, compiled once per instruction set

``_reference/`` holds the same mathematics in NumPy, written to be read; the tests hold the
compiled path against it. ``bench/`` sets all of it beside other libraries, for ``fastrnn bench``.
"""

from fastrnn import _limits, cpu, data, losses, optim
from fastrnn._threads import get_num_threads, set_num_threads
from fastrnn._version import __version__
from fastrnn.corpus import Corpus
from fastrnn.errors import (
    ModelFileError,
    NonFiniteLossError,
    StopTraining,
    UnknownCharacterError,
)
from fastrnn.fitting import TrainingStep
from fastrnn.layers import GRU, LSTM, RNN, Embedding, Jordan, Linear
from fastrnn.network import Network
from fastrnn.sequence import Forecaster, SequenceClassifier, SequenceRegressor
from fastrnn.text import CharRNN, load

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
