"""What a worker makes of a partition, until it is in the index: two files, written once and checked when they are read.

    part-<id>.safetensors   rows, codes, features, hashes
    part-<id>.bin       or, in its place, the bytes of an array that workers map into their memory
    part-<id>.json      sealed JSON: size and SHA-256 of the other, and what else is known; a part is there once this is

A name holds the hash of what a part is made of, so that the same images give the same names, and others do not.
"""

import contextlib
import hashlib
import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dqh.errors import DqhError
from dqh.files import create, is_regular, open_regular, read_regular, sync_folder
from dqh.sealed import canonical, seal, unseal
from dqh.tensors import read_arrays, write_arrays

FORMAT_VERSION = 1

T = TypeVar("T")

_NOTE_BYTES = 2**28
_NOTE, _ARRAYS, _BYTES = ".json", ".safetensors", ".bin"


class PartFile(NamedTuple):
    """A part as it was read: arrays by name, and the fields of its note."""

    arrays: Mapping[str, NDArray[Any]]
    fields: Mapping[str, Any]


def part_name(identity: Mapping[str, Any]) -> str:
    """The name of the part of what has this identity."""
    return f"part-{hashlib.sha256(canonical(identity)).hexdigest()[:32]}"


def write_part(folder: Path, name: str, arrays: Mapping[str, NDArray[Any]], fields: Mapping[str, Any]) -> None:
    """Write a part, or leave the one that another attempt has written.

    Raises:
        OSError: it cannot be written.
    """
    if read_part(folder, name) is None:
        _write(folder, name, _ARRAYS, write_arrays(arrays), fields)


def write_bytes_part(folder: Path, name: str, content: memoryview) -> None:
    """Write bytes as a part of their own, or leave the one that is there; errors as of `write_part`."""
    if mapped_part(folder, name) is None:
        _write(folder, name, _BYTES, content, {})


def read_part(folder: Path, name: str) -> PartFile | None:
    """A part, if it is there and as it was written."""
    try:
        fields, size = _note(folder, name)
        content = read_regular(folder / f"{name}{_ARRAYS}", most=size)
        return PartFile(read_arrays(content), fields) if _digest(content) == fields["data"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def mapped_part(folder: Path, name: str) -> mmap.mmap | None:
    """The bytes of a part of their own, if it is there and as it was written; changes to them are seen here alone."""
    try:
        fields, _ = _note(folder, name)
        with open_regular(folder / f"{name}{_BYTES}") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        return content if _digest(content) == fields["data"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def required(part: T | None, folder: Path, name: str) -> T:
    """A part that was read; `DqhError` where it was not there, or not as it was written."""
    if part is None:
        raise DqhError(
            f"{name} is not in {folder} here, or damaged; name a folder that all machines see (--parts, or parts= of "
            "evaluate.py)"
        )
    return part


def remove_parts(folder: Path, names: Sequence[str]) -> None:
    """Remove parts: notes first, so that none is taken for whole."""
    for name in names:
        for file in _files(folder, name):
            if is_regular(file):
                file.unlink(missing_ok=True)


def _files(folder: Path, name: str) -> list[Path]:
    """The files that a part may have, its note first."""
    return [folder / f"{name}{ending}" for ending in (_NOTE, _ARRAYS, _BYTES)]


def _write(folder: Path, name: str, ending: str, content: bytes | memoryview, fields: Mapping[str, Any]) -> None:
    for file in _files(folder, name):
        file.unlink(missing_ok=True)  # of an attempt that was killed, or damaged
    with contextlib.suppress(FileExistsError):  # another attempt, which is not as dead as it seemed
        create(folder / f"{name}{ending}", content)
        sync_folder(folder)
        note = {"format_version": FORMAT_VERSION, "data": _digest(content), **fields}
        create(folder / f"{name}{_NOTE}", seal(note))
        sync_folder(folder)


def _note(folder: Path, name: str) -> tuple[dict[str, Any], int]:
    """The fields of the note of a part, and the bytes that its data must have."""
    note = folder / f"{name}{_NOTE}"
    fields = unseal(read_regular(note, most=min(_NOTE_BYTES, note.lstat().st_size)))
    if fields["format_version"] != FORMAT_VERSION:
        raise ValueError(f"{note} is of format {fields['format_version']}, wanted {FORMAT_VERSION}")
    return fields, int(fields["data"]["size"])


def _digest(content: bytes | memoryview | mmap.mmap) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def stacked(hashes: Sequence[bytes]) -> NDArray[np.uint8]:
    """(n, bytes) uint8 of n hashes of one length."""
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1 if hashes else 0)
