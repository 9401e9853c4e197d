"""The C kernels agree with plain loops, on the instruction set in use and under the sanitizers."""

import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fastrnn.cpu

ROOT = Path(__file__).parent.parent
CSRC = ROOT / "csrc"
FLAGS = ["-std=c11", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
X86_TARGETS = {
    "baseline": [],
    "x86_v3": ["-mavx2", "-mfma"],
    "x86_v4": ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma"],
}
ARM_TARGETS = {"baseline": [], "neon": []}
SANITIZERS = ["-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def build(compiler: str, targets: dict[str, list[str]], folder: Path, options: list[str]) -> Path:
    have = [f"-DFR_HAVE_{name.upper()}" for name in targets if name != "baseline"]
    sources = {
        ROOT / "tests/kernels/test_kernels.c": [],
        CSRC / "dispatch.c": have,
        CSRC / "fpmode.c": [],
        **{CSRC / f"targets/{name}.c": flags for name, flags in targets.items()},
    }

    def compiled(source: Path) -> Path:
        out = folder / f"{source.stem}.o"
        command = [compiler, *FLAGS, *options, *sources[source], f"-I{CSRC}", "-c", source]
        subprocess.run([*command, "-o", out], check=True)
        return out

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sources))
    program = folder / "test_kernels"
    subprocess.run([compiler, *options, *objects, "-lm", "-o", program], check=True)
    return program


def run(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


def native_compiler() -> str:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or not (CSRC / "fastrnn.h").exists():
        pytest.skip("needs a C compiler and the source tree")
    return compiler


def native_targets() -> dict[str, list[str]]:
    if platform.machine() in ("x86_64", "AMD64"):
        return X86_TARGETS
    return ARM_TARGETS if platform.machine() in ("aarch64", "arm64") else {"baseline": []}


@pytest.mark.slow
def test_every_kernel_agrees_with_plain_loops_on_the_instruction_set_in_use(tmp_path: Path) -> None:
    in_use = {"baseline", fastrnn.cpu.active()}
    targets = {name: flags for name, flags in native_targets().items() if name in in_use}
    program = build(native_compiler(), targets, tmp_path, ["-O2"])
    assert run(program).split("\n")[:-1] == [f"{isa}: ok" for isa in targets]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the sanitizers are tried on Linux")
def test_no_kernel_does_anything_undefined_or_leaves_its_buffers(tmp_path: Path) -> None:
    program = build(native_compiler(), native_targets(), tmp_path, ["-O1", *SANITIZERS])
    assert run(program).split("\n")[:-1] == [f"{isa}: ok" for isa in fastrnn.cpu.available()]


@pytest.mark.slow
def test_the_arm_kernels_agree_with_plain_loops_in_an_emulator(tmp_path: Path) -> None:
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if compiler is None or emulator is None:
        pytest.skip("needs aarch64-linux-gnu-gcc and qemu-aarch64")
    program = build(compiler, ARM_TARGETS, tmp_path, ["-O2", "-static"])
    assert run(emulator, program) == "baseline: ok\nneon: ok\n"
