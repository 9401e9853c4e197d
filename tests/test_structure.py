"""Data flows one way: no module imports one that stands above it."""

import ast
from pathlib import Path

import pytest

import fastrnn

PACKAGE = Path(fastrnn.__file__).parent

# From the bottom up; a module may import those in lower rows, and its own row's in order.
ROWS = [
    ["errors", "_version", "cpu", "_reference"],
    ["_check"],
    ["_ops", "_loops", "_step", "_threads"],
    ["trace", "layers"],
    ["network", "losses", "data"],
    ["optim", "sampling", "cells"],
    ["updates", "scaling", "vocabulary", "corpus", "checkpoint", "train"],
    ["text", "sequence"],
    ["cli"],
    ["__main__", "__init__"],
]
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}


def module_files() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts]


def top_name(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Names of fastrnn's modules that this file imports at run time, one level deep."""
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts == ["fastrnn"]:
                names |= {alias.name for alias in node.names if alias.name in ROW_OF}
            elif parts[0] == "fastrnn":
                names.add(parts[1])
        elif isinstance(node, ast.Import):
            names |= {
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("fastrnn.")
            }
    return names


@pytest.mark.parametrize("path", module_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_one_above_it(path: Path) -> None:
    own = top_name(path)
    assert own in ROW_OF, f"{own} has no row: give it one"
    for name in imported(path) - {own}:
        assert ROW_OF[name] <= ROW_OF[own], f"{own} imports {name}"


def test_the_reference_stands_alone() -> None:
    for path in (PACKAGE / "_reference").glob("*.py"):
        assert imported(path) <= {"_reference"}


def test_nothing_falls_back_to_the_reference() -> None:
    for path in module_files():
        if top_name(path) != "_reference":
            assert "_reference" not in imported(path)
