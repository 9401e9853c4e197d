"""Model files: one safetensors file with the weights and, in its header, all the rest.

The header's metadata has a single entry, ``"fastrnn"``: a JSON object with the format
version, the kind of model, its configuration and, for text, its vocabulary. (A single entry,
because safetensors does not promise an order for several: equal models give equal files.)
Files are data only: reading one runs no code from it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from fastrnn.errors import ModelFileError

METADATA_KEY = "fastrnn"
FORMAT_VERSION = 1

_DTYPES = ("F32", "F64")

PathLike = str | os.PathLike[str]


def write(
    path: PathLike, description: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> None:
    """Write a model file, whole or not at all.

    The bytes go to a new file in the same folder, are flushed to the disk and then take the
    name ``path`` in one step, so that whatever happens in between leaves an older file at
    ``path`` as it was. A symbolic link is followed.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written to, the disk is full, or ``path``
        is a folder or a device.
    """
    target = _target(path)
    header = json.dumps({"format_version": FORMAT_VERSION, **description}, sort_keys=True)
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    content = to_bytes(contiguous, metadata={METADATA_KEY: header})
    with _temporary(target) as (descriptor, temporary):
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    _flush_folder(os.path.dirname(target))


def read(path: PathLike) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the description and the tensors of a model file.

    The tensors are as large as the file says it is, no larger; whether their names and shapes
    fit the description is for the model to say.

    Raises
    ------
    OSError
        If there is no such file or it cannot be read.
    ModelFileError
        If it is no fastrnn model, is damaged or cut short, or was written by a later version.
    """
    with _opened(path) as file:
        description = _description(path, file.metadata())
        names, tensors = file.keys(), {}
        for name in names:
            dtype = file.get_slice(name).get_dtype()
            if dtype not in _DTYPES:
                raise ModelFileError(
                    f"{_show(path)} is not a fastrnn model that can be used: tensor {name!r} "
                    f"has type {dtype}, expected {' or '.join(_DTYPES)}"
                )
            tensors[name] = file.get_tensor(name)
    return description, tensors


def is_model(path: PathLike) -> bool:
    """Whether ``path`` is a fastrnn model file, judged by its header."""
    try:
        with _opened(path) as file:
            _description(path, file.metadata())
    except ModelFileError:
        return False
    return True


def check_writable(path: PathLike) -> None:
    """Raise the OSError that :func:`write` would raise for this path, leaving nothing behind."""
    with _temporary(_target(path)) as (descriptor, _):
        os.close(descriptor)


@contextlib.contextmanager
def _opened(path: PathLike) -> Iterator[Any]:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ModelFileError(f"{_show(path)} is not a fastrnn model: it is not a regular file")
    with open(path, "rb"):
        pass  # a missing permission surfaces here, as an OSError that names the file
    try:
        file = safe_open(os.fspath(path), framework="np")
    except SafetensorError as error:
        raise ModelFileError(
            f"{_show(path)} is not a fastrnn model, or it is damaged or cut short: {error}"
        ) from None
    with file:
        yield file


def _description(path: PathLike, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    if not metadata or METADATA_KEY not in metadata:
        raise ModelFileError(
            f"{_show(path)} is a safetensors file but not a fastrnn model: "
            f"its metadata has no {METADATA_KEY!r} entry"
        )
    try:
        description = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError):
        description = None
    if not isinstance(description, dict):
        raise ModelFileError(f"{_show(path)} is damaged: its description is not a JSON object")
    version = description.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{_show(path)} has format version {version!r}, this fastrnn reads {FORMAT_VERSION}"
        )
    return description


def _target(path: PathLike) -> str:
    """Return the real path to write to, refusing what a rename must not replace."""
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if os.path.exists(target):
        if not os.path.isfile(target):
            raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
    return target


@contextlib.contextmanager
def _temporary(target: str) -> Iterator[tuple[int, str]]:
    """Create a file beside ``target``, with a new file's permissions, and remove it at the end."""
    temporary = os.path.join(os.path.dirname(target), f".fastrnn-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except OSError as error:
        error.filename = target  # the name the caller knows
        raise
    try:
        yield descriptor, temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _flush_folder(folder: str) -> None:
    """Make the rename itself durable, where the system can open a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _show(path: PathLike) -> str:
    return repr(os.fspath(path))
