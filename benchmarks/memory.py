"""Peak memory of a training step, fastrnn's and PyTorch's: ``python -m benchmarks.memory``.

Each row runs in a process of its own. What is counted is how far the resident memory rises above
what it was before the first step, when weights and data were already there. Linux only.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fastrnn.bench import peers
from fastrnn.bench.problem import Problem
from fastrnn.bench.rows import select

ROWS = "^train .* (B32 T50 H128|B64 T100 H512|B256 T100 H256)$"
NAMES = ("fastrnn", "torch")
STEPS = 5


def resident(field: str) -> int:
    """Return VmRSS or VmHWM, its peak, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def measure(name: str, row: str) -> None:
    """Print the form of the library and how many bytes its steps take at their peak."""
    (selected,) = select(f"^{row}$")
    contenders = peers.contenders(peers.load(name, 1), Problem(selected))
    peaks = []
    for contender in contenders:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = resident("VmRSS")
        with contender.context():
            for _ in range(STEPS):
                contender.call()
        peaks.append((resident("VmHWM") - before, contender.form))
    print(*min(peaks))


def main() -> None:
    print("| MB | " + " | ".join(NAMES) + " |\n|---|" + "--:|" * len(NAMES))
    for row in select(ROWS):
        cells = []
        for name in NAMES:
            command = [sys.executable, "-m", "benchmarks.memory", name, row.name]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            peak, form = output.split(maxsplit=1)
            cells.append(f"{int(peak) / 1e6:.1f} ({form.strip()})")
        print(f"| {row.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(*sys.argv[1:])
    else:
        main()
