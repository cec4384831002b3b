"""Whose a folder without a version is: what lies in it, and was not created by a writer of an index."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from dqh.commands import command
from dqh.errors import NoStoreError, StoreError
from dqh.files import is_regular, link_to_nothing
from dqh.index.store.announcing import announced
from dqh.index.store.manifest import CACHE, DELETED, LOCK, SEGMENTS
from dqh.intent import NOTE_NAME

_FOLDERS = re.compile(rf"{SEGMENTS}(/[0-9]{{9}}-[0-9]{{6}})?|{DELETED}|{CACHE}")
_OF_SEGMENT = re.compile(rf"{SEGMENTS}/[0-9]{{9}}-[0-9]{{6}}/.+")


def entries(path: Path) -> Iterator[str]:
    """Names of all that lies below a folder, relative to it: files, links, what else is no folder, and empty folders.

    Empty folders and an empty `LOCK` as an index has them, and empty notes, which a writer that was killed may have
    left, hold nothing, and are left out. Links are not followed.

    Raises:
        OSError: a folder cannot be listed.
    """
    for folder, folders, files in os.walk(path, onerror=_unless_gone):
        below = "" if folder == os.fspath(path) else os.path.relpath(folder, path) + "/"
        linked = [name for name in folders if os.path.islink(f"{folder}/{name}")]  # noqa: PTH114 (thousands)
        for name in (*files, *linked):
            if not _holds_nothing(path, below + name):
                yield below + name
        if below and not files and not folders and not _FOLDERS.fullmatch(below[:-1]):
            yield below[:-1]


def strangers(path: Path) -> list[str]:
    """Names below a folder without a version that no writer has announced.

    Raises:
        OSError: a folder cannot be listed.
    """
    seen = sorted(entries(path))  # before the notes: whatever is created later was announced before
    noted = announced(path)
    own = set(noted).union(*noted.values())
    return [name for name in seen if name not in own or not is_regular(path / name)]


def no_index(path: Path) -> StoreError:
    """The error that says why a folder without a manifest is none: there never was one, or it has lost its manifest."""
    if problem := link_to_nothing(path):
        return NoStoreError(f"no index at {path}: {problem}")
    try:
        others = strangers(path) if path.is_dir() else [path.name] if path.exists() else []
    except OSError:
        others = [path.name]
    if any(_OF_SEGMENT.fullmatch(name) for name in others):
        return StoreError(
            f"{path} has lost its v<N>.json, its segments are there; copy the whole folder again, or put the images "
            "into a new one: dqh index ARTIFACT IMAGES --out NEW"
        )
    make = command("dqh", "index", "ARTIFACT", "IMAGES", "--out", "NEW" if others else path)
    return NoStoreError(f"no index at {path}: it has no v<N>.json; make one with {make}")


def _holds_nothing(path: Path, name: str) -> bool:
    return (name == LOCK or NOTE_NAME.fullmatch(name) is not None) and _is_empty(path / name)


def _is_empty(file: Path) -> bool:
    return is_regular(file) and not file.stat().st_size


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # removed by a writer meanwhile
        raise error
