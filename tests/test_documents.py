"""Every example in the documents runs, and those that say what they give, give it.

Examples are the blocks of Python. One that cannot be run says so in its first line,
```` ```python no-run ````.
"""

from __future__ import annotations

import doctest
import gzip
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import fastrnn

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^`\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PANGRAM = "The statement that the quick brown fox jumps over the lazy dog is a pangram.\n"

# What keeps the default suite fast, by document: the same calls, with less to do.
SHORTER = {
    "gallery.md": {
        "hidden_size=128": "hidden_size=8",
        "steps=2000": "steps=2",
        "steps=1000": "steps=2",
        "validation=0.02": "validation=text[:2_000]",
        "evaluate_every=100": "evaluate_every=1",
        "epochs=60": "epochs=1",
    },
    "animations.md": {
        "animate.vanishing()": "animate.vanishing(hold=1)",
        '"vanishing.gif")': '"vanishing.gif", dpi=40)',
    },
    "README.md": {
        "minutes=0.2": "minutes=0.002",
        "epochs=300": "epochs=3",
        "epochs=30,": "epochs=1,",
    },
    "texts.md": {"minutes=5": "minutes=0.001", "100_000": "1_000"},
    "training.md": {
        "hidden_size=384": "hidden_size=8",
        "epochs=30": "epochs=1",
        "epochs=10": "epochs=1",
        ', tensorboard="board"': "",  # an extra
    },
}


def blocks(path: Path) -> list[tuple[int, str, str]]:
    """Return the line, the tag and the text of every fenced block of Python."""
    text = path.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in FENCE.finditer(text)
        if found[1].startswith("py")
    ]


def to_run(path: Path) -> list[tuple[int, str]]:
    """Return the line and the text of the blocks that are neither marked nor doctests."""
    return [
        (line, text)
        for line, tag, text in blocks(path)
        if tag == "python" and not text.startswith(">>> ")
    ]


def given(name: str) -> dict[str, Any]:
    """Make the files that a document takes for granted, and return the names."""
    if name == "README.md":
        pytest.importorskip("pydoc_data.topics")
        return {}
    if name == "gallery.md":
        pytest.importorskip("pydoc_data.topics")
    if name in ("gallery.md", "animations.md"):
        pytest.importorskip("matplotlib", reason="Matplotlib is not installed").use("agg")
        return {}
    Path("shakespeare.txt.gz").write_bytes(gzip.compress(50 * PANGRAM.encode()))
    Path("more").mkdir()
    Path("more/plays.txt").write_text(50 * PANGRAM, encoding="utf-8")
    small = fastrnn.CharRNN(hidden_size=4).fit(10 * PANGRAM, epochs=1)
    small.save("shakespeare.safetensors")
    return {"fastrnn": fastrnn, "text": 50 * PANGRAM, "sonnets": 50 * PANGRAM.upper()}


def run(path: Path, replaced: dict[str, str]) -> int:
    """Run a document's blocks in order, all in one namespace, and return how many they were."""
    names, count = given(path.name), 0
    whole = "".join(text for _, text in to_run(path))
    assert all(old in whole for old in replaced), "what is replaced is not there any more"
    for line, text in to_run(path):
        for old, new in replaced.items():
            text = text.replace(old, new)
        exec(compile("\n" * line + text, str(path), "exec"), names)
        count += 1
    return count


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_examples_give_what_they_say(path: Path) -> None:
    assert doctest.testfile(str(path), module_relative=False, encoding="utf-8").failed == 0


WITH_BLOCKS = [path for path in DOCUMENTS if to_run(path)]


@pytest.mark.parametrize("path", WITH_BLOCKS, ids=lambda path: path.name)
def test_blocks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        assert run(path, SHORTER[path.name]) == len(to_run(path)) > 0
    finally:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.slow
def test_the_readme_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(ROOT / "README.md", {}) == len(to_run(ROOT / "README.md"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_of_python_is_run_or_marked(path: Path) -> None:
    found = blocks(path)
    assert {tag for _, tag, _ in found} <= {"python", "python no-run"}
    assert path.read_text(encoding="utf-8").count("```py") == len(found)
    doctests = [text for _, tag, text in found if tag == "python" and text.startswith(">>> ")]
    marked = [text for _, tag, text in found if tag == "python no-run"]
    assert len(doctests) + len(marked) + len(to_run(path)) == len(found)
    assert len(marked) <= len(found) / 2, "most of a document's examples should run"


def test_there_are_examples() -> None:
    assert {"README.md", "texts.md", "training.md"} <= {path.name for path in WITH_BLOCKS}
    assert any(">>> " in path.read_text(encoding="utf-8") for path in DOCUMENTS)
