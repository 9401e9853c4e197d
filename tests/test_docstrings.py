"""Every example in a public docstring runs and gives what it says."""

import doctest
import importlib.util
import inspect
import pkgutil
import re

import pytest

import fastrnn
from fastrnn.cells import CELLS
from fastrnn.optim import OPTIMIZERS
from fastrnn.training.schedules import SCHEDULES

MODULES = [
    module.name
    for module in pkgutil.walk_packages(fastrnn.__path__, "fastrnn.")
    if not module.name.endswith("__main__")
    and not module.name.startswith("fastrnn.bench.peers.")  # import what need not be installed
    and (importlib.util.find_spec("panel") or not module.name.startswith("fastrnn.demo."))
]


@pytest.mark.parametrize("name", ["fastrnn", *MODULES])
def test_examples_give_what_they_say(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module)
    assert results.failed == 0


@pytest.mark.parametrize("name", [name for name in fastrnn.__all__ if not name.startswith("__")])
def test_every_public_name_has_a_docstring(name):
    assert inspect.getdoc(getattr(fastrnn, name))


@pytest.mark.parametrize(
    "owner",
    [
        fastrnn.RNN,
        fastrnn.LSTM,
        fastrnn.GRU,
        fastrnn.Jordan,
        fastrnn.Embedding,
        fastrnn.Linear,
        fastrnn.Network,
        fastrnn.CharRNN,
        fastrnn.Corpus,
        fastrnn.Forecaster,
        fastrnn.SequenceClassifier,
        fastrnn.SequenceRegressor,
        fastrnn.optim.SGD,
        fastrnn.optim.RMSprop,
        fastrnn.optim.Adam,
        fastrnn.optim.AdamW,
    ],
)
def test_every_public_method_has_a_docstring(owner):
    for name, member in inspect.getmembers(owner):
        if not name.startswith("_") and callable(member):
            assert inspect.getdoc(member), f"{owner.__name__}.{name}"


@pytest.mark.parametrize(
    ("owner", "parameter", "choices"),
    [
        *(
            (owner, "cell", CELLS)
            for owner in (
                fastrnn.CharRNN,
                fastrnn.Forecaster,
                fastrnn.SequenceClassifier,
                fastrnn.SequenceRegressor,
            )
        ),
        *(
            (owner, parameter, choices)
            for owner in (
                fastrnn.CharRNN.fit,
                fastrnn.Forecaster.fit,
                fastrnn.SequenceClassifier,
                fastrnn.SequenceRegressor,
            )
            for parameter, choices in (("schedule", SCHEDULES), ("optimizer", OPTIMIZERS))
        ),
    ],
)
def test_every_choice_that_can_be_made_is_listed(owner, parameter, choices):
    (listed,) = re.findall(rf"^{parameter} : \{{(.+)\}}", inspect.getdoc(owner), re.MULTILINE)
    assert sorted(listed.replace('"', "").split(", ")) == sorted(choices)
