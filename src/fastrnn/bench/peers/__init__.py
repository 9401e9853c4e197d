"""The contenders: one module per library.

A module has a class ``Library``, made with a number of threads. Its methods are named after the
kinds of rows; each takes a problem and returns every form in which the library is tried on it,
of which the fastest counts. A kind without a method is one that the library does not do.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastrnn.bench.problem import Outcome, Problem

# The model that these run is built by another package.
ALSO_NEEDED = {"onnxruntime": ("onnx",), "openvino": ("onnx",)}


@dataclass(frozen=True)
class Contender:
    """One way to do a row.

    Attributes
    ----------
    library : whose way it is
    form : what the way is, in a few words
    call : does the work of the row once; this is what is timed
    outcome : does the same work and returns it as NumPy arrays, to be checked
    context : entered around all calls and not timed
    """

    library: str
    form: str
    call: Callable[[], Any]
    outcome: Callable[[], Outcome]
    context: Callable[[], AbstractContextManager[Any]] = nullcontext

    @property
    def who(self) -> str:
        """Library and form, for messages."""
        return f"{self.library} ({self.form})"


def returns_array(call: Callable[[], Any], name: str = "output") -> Callable[[], Outcome]:
    """Return the outcome of a call that returns the one array to be checked."""
    return lambda: {name: np.asarray(call())}


def missing(library: str) -> list[str]:
    """Return the packages that a peer needs and that are not installed."""
    packages = (library, *ALSO_NEEDED.get(library, ()))
    return [package for package in packages if importlib.util.find_spec(package) is None]


def load(library: str, threads: int) -> Any:
    """Return the contender library ``library``, set to use ``threads`` threads."""
    return importlib.import_module(f"fastrnn.bench.peers.with_{library}").Library(threads)


def contenders(library: Any, problem: Problem) -> list[Contender]:
    """Every form in which ``library`` does the row of ``problem``."""
    make = getattr(library, problem.row.kind, None)
    return make(problem) if make else []
