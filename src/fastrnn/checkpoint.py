"""Model files: one safetensors file with the weights and, in its header, all the rest.

The header's metadata has a single entry, ``"fastrnn"``: a JSON object with the format
version, the kind of model, its configuration, for text its vocabulary, and a checksum of the
tensors. (A single entry, because safetensors does not promise an order for several: equal
models give equal files.)
Files are data only: reading one runs no code from it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import reprlib
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from fastrnn import _check
from fastrnn.errors import ModelFileError

METADATA_KEY = "fastrnn"
FORMAT_VERSION = 1

# Room for the header of a model file, whose vocabulary takes a few bytes for each character.
HEADER_ROOM = 2**20

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype(np.float32), "F64": np.dtype(np.float64)}

PathLike = str | os.PathLike[str]
Layout = dict[str, tuple[np.dtype[Any], tuple[int, ...]]]


@dataclass(frozen=True)
class ModelFile:
    """A model file that is open.

    Attributes
    ----------
    path : str
        Where it is.
    description : dict
        What was given to :func:`write`, the format version, and the tensors' ``sha256``.
    layout : dict of str to (dtype, shape)
        The tensors by name. As yet none is in memory, and no size in here can be trusted.
    """

    path: str
    description: dict[str, Any]
    layout: Layout
    _file: Any

    def tensors(self) -> dict[str, np.ndarray]:
        """Read all tensors.

        Raises
        ------
        MemoryError
            If they do not fit.
        ModelFileError
            If they are not those that were written.
        """
        tensors = self._read()
        if _checksum(tensors) != self.description["sha256"]:
            raise ModelFileError(
                f"{self.path!r} is damaged: its tensors are not those that were saved "
                f"(their SHA-256 differs)"
            )
        return tensors

    def _read(self) -> dict[str, np.ndarray]:
        try:
            return {name: self._file.get_tensor(name) for name in self.layout}
        except BaseException as error:
            # safetensors answers a failed allocation with pyo3's exception for Rust's panics,
            # which is no Exception and cannot be imported.
            if type(error).__name__ == "PanicException":
                raise MemoryError("its tensors do not fit in memory") from None
            raise


def write(
    path: PathLike, description: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> None:
    """Write a model file, whole or not at all, as :func:`replace` does."""
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    header = json.dumps(
        {"format_version": FORMAT_VERSION, **description, "sha256": _checksum(contiguous)},
        sort_keys=True,
    )
    replace(path, to_bytes(contiguous, metadata={METADATA_KEY: header}))


def replace(path: PathLike, content: bytes) -> None:
    """Write a file, whole or not at all.

    The bytes go to a new file in the same folder, are flushed to the disk and then take the
    name ``path`` in one step, so that whatever happens in between leaves an older file at
    ``path`` as it was. A symbolic link is followed, and an older file's permissions stay.

    Raises
    ------
    TypeError, ValueError
        If ``path`` is no path.
    OSError
        If the folder does not exist or cannot be written to, the disk is full, or ``path``
        is a folder or a device.
    """
    target, mode = _target(path)
    with _naming(target), _temporary(target) as (descriptor, temporary):
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.chmod(temporary, mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    _flush_folder(os.path.dirname(target))


@contextlib.contextmanager
def opened(path: PathLike) -> Iterator[ModelFile]:
    """Open a model file, of which nothing but the header is read.

    Whether its description makes sense and its tensors are those described is for the model to
    say, before it reads them.

    Raises
    ------
    TypeError, ValueError
        If ``path`` is no path.
    OSError
        If there is no such file or it cannot be read.
    ModelFileError
        If it is no fastrnn model, is damaged or cut short, or was written by a later version.
    """
    path = _check.path("path", path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ModelFileError(f"{path!r} is not a fastrnn model: it is not a regular file")
    with open(path, "rb"):
        pass  # a missing permission surfaces here, as an OSError that names the file
    try:
        file: Any = safe_open(path, framework="np")
    except SafetensorError as error:
        raise ModelFileError(
            f"{path!r} is not a fastrnn model, or it is damaged or cut short: {error}"
        ) from None
    except MemoryError:
        raise ModelFileError(
            f"{path!r} cannot be used as a model: it does not fit in memory"
        ) from None
    with file:
        description = _description(path, file.metadata())
        yield ModelFile(path, description, _layout(path, file), file)


def is_model(path: PathLike) -> bool:
    """Whether ``path`` is a fastrnn model file, judged by its header."""
    try:
        with opened(path):
            return True
    except ModelFileError:
        return False


def check_writable(path: PathLike) -> None:
    """Raise what :func:`write` would raise for this path, leaving nothing behind."""
    target, _ = _target(path)
    with _naming(target), _temporary(target) as (descriptor, _):
        os.close(descriptor)


Named = Sequence[tuple[str, PathLike | None]]


def check_apart(outputs: Named, inputs: Named = ()) -> None:
    """Require that no two of the outputs, and no output and input, are the same file.

    Each is the name of an argument and its value, None if it was not given.
    """
    seen = {os.path.realpath(path): name for name, path in inputs if path is not None}
    for name, path in outputs:
        if path is None:
            continue
        real = os.path.realpath(path)
        if real in seen:
            raise ValueError(
                f"{seen[real]} and {name} must be two files, got {os.fsdecode(path)!r} twice"
            )
        seen[real] = name


def check_room(path: PathLike, tensor_bytes: int) -> None:
    """Raise an OSError if tensors of this many bytes do not fit on the disk of ``path``."""
    target, _ = _target(path)
    needed = tensor_bytes + HEADER_ROOM
    free = shutil.disk_usage(os.path.dirname(target)).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{os.strerror(errno.ENOSPC)}: the model takes {needed / 2**20:,.1f} MiB, "
            f"{free / 2**20:,.1f} MiB are free",
            target,
        )


def _checksum(tensors: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of names, dtypes, shapes and little-endian data, in order of names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, tensor.dtype.name, tensor.shape]).encode())
        little_endian = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
        digest.update(np.ascontiguousarray(little_endian).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _layout(path: str, file: Any) -> Layout:
    layout: Layout = {}
    names = file.keys()
    for name in names:
        tensor = file.get_slice(name)
        dtype, shape = tensor.get_dtype(), tuple(tensor.get_shape())
        if dtype not in _DTYPES:
            raise ModelFileError(
                f"{path!r} is not a fastrnn model that can be used: tensor {name!r} "
                f"has type {dtype}, expected {' or '.join(_DTYPES)}"
            )
        layout[name] = _DTYPES[dtype], shape
    return layout


def _description(path: str, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    if not metadata or METADATA_KEY not in metadata:
        raise ModelFileError(
            f"{path!r} is a safetensors file but not a fastrnn model: "
            f"its metadata has no {METADATA_KEY!r} entry"
        )
    try:
        description = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError):
        description = None
    if not isinstance(description, dict):
        raise ModelFileError(f"{path!r} is damaged: its description is not a JSON object")
    version = description.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{path!r} has format version {reprlib.repr(version)}, "
            f"this fastrnn reads {FORMAT_VERSION}"
        )
    if not isinstance(description.get("sha256"), str):
        raise ModelFileError(f"{path!r} is damaged: its description has no checksum 'sha256'")
    return description


def _target(path: PathLike) -> tuple[str, int | None]:
    """Return the real path to write to and, if it is there, its permissions.

    Raises the OSError for what a rename must not replace, or could not.
    """
    path = _check.path("path", path)
    target = os.path.realpath(path)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return target, None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", path)
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return target, stat.S_IMODE(mode)


@contextlib.contextmanager
def _naming(target: str) -> Iterator[None]:
    """Have any OSError name ``target``, the file that the caller knows of."""
    try:
        yield
    except OSError as error:
        error.filename = target
        del error.filename2  # None would be shown as a second file of that name
        raise


@contextlib.contextmanager
def _temporary(target: str) -> Iterator[tuple[int, str]]:
    """Create a file beside ``target``, with a new file's permissions; remove it at the end."""
    prefix, suffix = _around_temporary(target)
    temporary = os.path.join(os.path.dirname(target), prefix + secrets.token_hex(8) + suffix)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        yield descriptor, temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def remove_leftovers(path: PathLike) -> None:
    """Remove what processes that were killed while they wrote ``path`` have left beside it.

    Nothing may be writing ``path`` at the time.
    """
    target, _ = _target(path)
    prefix, suffix = _around_temporary(target)
    folder = os.path.dirname(target)
    for name in os.listdir(folder):
        if name.startswith(prefix) and name.endswith(suffix):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))


def _around_temporary(target: str) -> tuple[str, str]:
    """Return how the names of temporary files for ``target`` begin and end."""
    whose = hashlib.sha256(os.fsencode(os.path.basename(target))).hexdigest()[:16]
    return f".fastrnn-{whose}-", ".tmp"


def _flush_folder(folder: str) -> None:
    """Make the rename itself durable, where the system can open a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
