"""The compiled parts: one table of instruction sets, one of extension modules."""

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from importlib.machinery import EXTENSION_SUFFIXES
from multiprocessing import get_start_method
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext

# Instruction set -> compiler flags. csrc/targets/<name>.c is compiled once with each.
ISA_FLAGS = {"baseline": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    ISA_FLAGS["x86_v3"] = ["-mavx2", "-mfma"]
    ISA_FLAGS["x86_v4"] = ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma"]
elif platform.machine().lower() in ("aarch64", "arm64"):
    ISA_FLAGS["neon"] = []

# Extension module -> whether it needs NumPy's headers.
EXTENSIONS = {
    "fastrnn.cpu": False,
    "fastrnn._team": False,
    "fastrnn._forward": True,
    "fastrnn._composed": True,
    "fastrnn._gradients": True,
    "fastrnn._readout": True,
    "fastrnn._backward": True,
    "fastrnn._ops": True,
    "fastrnn._biases": True,
    "fastrnn._equations": False,
    "fastrnn._update": True,
    "fastrnn._cells": True,
    "fastrnn._step": True,
    "fastrnn._generate": True,
    "fastrnn.bench._probe": False,
}
# Python modules that every call goes through, compiled as they are: 62 us for a small training step
# that took 80. Not in place, where what is compiled would hide what is edited. What users call is
# not among them, for its messages; nor is a loop of Python, which would see no signals.
PYTHON_MODULES = [
    *("_check", "_threads", "readout"),
    *(f"layers.{name}" for name in ("gradients", "packed", "recurrent")),
    *(f"layers.{name}" for name in ("rows", "sweep", "workspace")),
]
# What one has beside its .pyx: it is the only one that holds the team's threads.
C_SOURCES = {"fastrnn._team": ["csrc/team.c"]}

# Compilers at work at once, each with up to half a gigabyte; PyTorch's name for it.
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
JOBS = int(os.environ.get("MAX_JOBS") or PROCESSORS or 1)

# No contraction: a multiply-add is fused where the source says so, on every compiler.
C_FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-fvisibility=hidden", "-Wno-unknown-pragmas"]
SANITIZE = []
BUILD_FOLDER = "build/plain"
if os.environ.get("FASTRNN_SANITIZE"):
    SANITIZE = [f"-fsanitize={os.environ['FASTRNN_SANITIZE']}", "-fno-sanitize-recover=all", "-g1"]
    if "address" in os.environ["FASTRNN_SANITIZE"]:
        SANITIZE.append("-O1")  # GCC 12 takes 148 s for the kernels of x86_v4 at -O3, 48 s so
    BUILD_FOLDER = f"build/{os.environ['FASTRNN_SANITIZE'].replace(',', '-')}"

# Without what debuggers read, 20 MB, which Python's own flags ask for, unless CFLAGS has -g too.
SYMBOLS = SANITIZE or ([] if "-g" in os.environ.get("CFLAGS", "").split() else ["-g0"])

# What all objects depend on; this file holds their flags.
DEPENDS = [*sorted(glob("csrc/**/*.h", recursive=True) + glob("csrc/*.def")), "setup.py"]


def kernel_library(name, flags):
    sources = [f"csrc/targets/{name}.c"]
    return (
        f"fastrnn_{name}",
        {"sources": sources, "cflags": C_FLAGS + SYMBOLS + flags, "obj_deps": {"": DEPENDS}},
    )


def dispatch_library():
    offered = [f"-DFR_HAVE_{name.upper()}" for name in ISA_FLAGS if name != "baseline"]
    return (
        "fastrnn_dispatch",
        {
            "sources": ["csrc/dispatch.c", "csrc/fpmode.c"],
            "cflags": C_FLAGS + SYMBOLS + offered,
            "obj_deps": {"": DEPENDS},
        },
    )


class BuildExtensions(build_ext):
    """Compile Python modules only where their sources are not the ones that are edited."""

    def run(self):
        if self.inplace or self.editable_mode:
            left_out = {f"fastrnn.{name}" for name in PYTHON_MODULES}
            self.extensions = [one for one in self.extensions if one.name not in left_out]
        else:
            self.remove_others()
        super().run()

    def remove_others(self):
        """Leave nothing of an earlier build in this folder that would hide a module of this one."""
        own = {Path(self.get_ext_fullpath(one.name)).resolve() for one in self.extensions}
        for suffix in EXTENSION_SUFFIXES:
            for path in Path(self.build_lib).glob(f"**/*{suffix}"):
                if path.resolve() not in own:
                    path.unlink(missing_ok=True)


class BuildLibrariesTogether(build_clib):
    """Compile several instruction sets at a time, the widest first: it takes longest."""

    def build_libraries(self, libraries):
        with ThreadPoolExecutor(JOBS) as pool:
            list(pool.map(lambda one: build_clib.build_libraries(self, [one]), libraries[::-1]))


def extension(name, needs_numpy):
    return Extension(
        name,
        [f"src/{name.replace('.', '/')}.pyx", *C_SOURCES.get(name, [])],
        include_dirs=["csrc", *([np.get_include()] if needs_numpy else [])],
        extra_compile_args=["-O2", "-fvisibility=hidden", *SYMBOLS],
        extra_link_args=SANITIZE,
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        libraries=["m"],
        depends=DEPENDS,
    )


def python_extension(name):
    source = f"src/fastrnn/{name.replace('.', '/')}.py"
    return Extension(f"fastrnn.{name}", [source], extra_compile_args=["-O2", *SYMBOLS])


# A process that is not forked would begin with this file again.
TRANSLATORS = JOBS if get_start_method() == "fork" else 0
TRANSLATED = {"include_path": ["src"], "build_dir": "build/cython", "nthreads": TRANSLATORS}

setup(
    # Objects built with other flags are never linked together.
    options={"build": {"build_base": BUILD_FOLDER}, "build_ext": {"parallel": JOBS}},
    cmdclass={"build_clib": BuildLibrariesTogether, "build_ext": BuildExtensions},
    # The linker reads archives in this order: dispatch refers to the tables.
    libraries=[
        dispatch_library(),
        *(kernel_library(name, flags) for name, flags in ISA_FLAGS.items()),
    ],
    ext_modules=[
        *cythonize(
            [extension(name, needs_numpy) for name, needs_numpy in EXTENSIONS.items()],
            compiler_directives={
                "language_level": 3,
                "boundscheck": False,
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": False,
                "freethreading_compatible": False,
            },
            **TRANSLATED,
        ),
        *cythonize(
            [python_extension(name) for name in PYTHON_MODULES if not SANITIZE],
            compiler_directives={"language_level": 3, "annotation_typing": False},
            **TRANSLATED,
        ),
    ],
)
