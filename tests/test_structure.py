"""Data flows one way: no module imports one that stands above it."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fastrnn

PACKAGE = Path(fastrnn.__file__).parent

# From the bottom up; a module may import those in lower rows and in its own.
ROWS = [
    ["errors", "_version", "cpu", "_team", "_reference"],
    [
        *("_ops", "_forward", "_composed", "_gradients", "_biases", "_equations", "_update"),
        *("_readout", "_backward"),
    ],
    ["_check"],
    ["_threads"],
    ["_limits"],
    ["_cells"],
    ["_step", "_generate"],
    ["trace", "layers"],
    ["losses", "readout", "data"],
    ["network"],
    ["unrolled"],
    ["optim", "sampling", "scoring", "cells"],
    ["corpus", "checkpoint"],
    ["training"],
    ["reading"],
    ["language"],
    ["text", "sequence"],
    ["sentiment"],
    ["plot"],
    ["animate"],
    ["bench", "demo"],
    ["command"],
    ["__main__", "__init__"],
]
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}


# Only these may use names that the package re-exports: they stand above everything.
TOP = {"command", "__main__", "__init__"}


def module_files() -> list[Path]:
    """Return the Python files, and the Cython files where they are installed."""
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyx")]
    return [path for path in files if "__pycache__" not in path.parts]


def top_name(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py").removesuffix(".pyx")


def imported(path: Path) -> set[str]:
    """Names of fastrnn's modules that this file imports at run time, one level deep."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".pyx":
        return _imported_by_cython(text)
    names: set[str] = set()
    for node in ast.walk(run_time_tree(text)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            parts = (node.module or "").split(".")
            if parts == ["fastrnn"]:
                names |= {alias.name for alias in node.names}
            elif parts[0] == "fastrnn":
                names.add(parts[1])
        elif isinstance(node, ast.Import):
            dotted = [alias.name.split(".") for alias in node.names]
            names |= {parts[1] for parts in dotted if parts[0] == "fastrnn" and len(parts) > 1}
    return names


def dotted(path: Path) -> str:
    parts = ["fastrnn", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def from_imports(path: Path, modules: set[str]) -> set[str]:
    """Which of ``modules`` this file names in a from-import at run time."""
    names = set()
    for node in ast.walk(run_time_tree(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return {name for name in names & modules if not f"{dotted(path)}.".startswith(f"{name}.")}


def run_time_tree(text: str) -> ast.Module:
    """Return what runs when a module is imported or used, without what is for types alone."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    return tree


def _imported_by_cython(text: str) -> set[str]:
    names = set(re.findall(r"^from fastrnn\.(\w+) c?import", text, re.MULTILINE))
    for line in re.findall(r"^from fastrnn c?import (.+)$", text, re.MULTILINE):
        names |= {name.strip() for name in line.split(",")}
    return names - {"_arrays", "_kernels", "_dispatch", "_rows"}


@pytest.mark.parametrize("path", module_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_one_above_it(path: Path) -> None:
    own = top_name(path)
    assert own in ROW_OF, f"{own} has no row: give it one"
    for name in imported(path) - {own}:
        if own in TOP and name not in ROW_OF:
            continue
        assert name in ROW_OF, f"{own} imports {name} from the top of the package"
        assert ROW_OF[name] <= ROW_OF[own], f"{own} imports {name}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {dotted(path): path for path in module_files() if path.suffix == ".py"}
    graph = {name: from_imports(path, set(names)) for name, path in names.items()}
    assert "fastrnn.training.updates" in graph["fastrnn.training.train"]
    TopologicalSorter(graph).prepare()  # raises a CycleError that names the circle


def test_the_reference_stands_alone() -> None:
    for path in (PACKAGE / "_reference").glob("*.py"):
        assert imported(path) <= {"_reference"}


def test_nothing_falls_back_to_the_reference() -> None:
    for path in module_files():
        if top_name(path) not in ("_reference", "bench"):  # bench checks results against it
            assert "_reference" not in imported(path)


def test_importing_the_package_imports_no_benchmark_and_no_other_library() -> None:
    code = "import sys, fastrnn; print(*(name for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "fastrnn.layers" in loaded.split()
    assert not {"fastrnn.bench", "torch", "jax", "matplotlib", "sklearn", "panel"} & set(
        loaded.split()
    )
