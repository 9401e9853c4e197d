"""Lets threadpoolctl see and limit fastrnn's threads, whichever of the two is imported first.

Importing threadpoolctl takes as long as importing half of fastrnn, so that it is not imported here:
where it is not yet there, the import system is asked to tell.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from fastrnn import _threads
from fastrnn._version import __version__

NAME = "threadpoolctl"


def register(threadpoolctl: Any) -> None:
    """Tell threadpoolctl about fastrnn, as the user API and internal API ``"fastrnn"``."""

    class Controller(threadpoolctl.LibController):  # type: ignore[misc]
        user_api = internal_api = "fastrnn"
        filename_prefixes = ("_team.",)
        check_symbols = ("fastrnn_team",)

        def get_num_threads(self) -> int:
            return _threads.get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            _threads.set_num_threads(num_threads)

        def get_version(self) -> str:
            return __version__

    threadpoolctl.register(Controller)


class Watcher(MetaPathFinder):
    """Finds threadpoolctl as it would be found, and registers with it once it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the usual spec of threadpoolctl, and of anything else nothing."""
        if fullname != NAME:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                self._announce(spec.loader)
                return spec
        return None

    def _announce(self, loader: Any) -> None:
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                register(module)

        # On this one instance, so that the module keeps a loader of the usual class.
        loader.exec_module = exec_module


def watch() -> None:
    """Register with threadpoolctl, now or when it is imported."""
    if hasattr(sys.modules.get(NAME), "register"):
        register(sys.modules[NAME])
    else:
        sys.meta_path.insert(0, Watcher())
