"""Notes of intent: what a writer is about to create in a folder, told before it is created.

    .intent-<N>.json    sealed JSON: {"format_version": 1, "creates": [names relative to the folder]}

A name that ends with `/` is a folder that the writer makes itself, with everything that comes to lie in it. Whoever
finds notes of a writer that was killed may remove what they name, and nothing else: a name proves nothing, a note does.
One writer at a time: notes are read and written under the lock of the folder.
"""

import contextlib
import errno
import itertools
import os
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from dqh.files import create, is_regular, link_below, read_regular, sync_folder
from dqh.sealed import seal, unseal

FORMAT_VERSION = 1
NOTE_NAME = re.compile(r"\.intent-[1-9][0-9]{0,8}\.json")
"""Of a note."""

MAX_BYTES = 16 * 2**20
"""Largest note that is read."""


def announce(folder: Path, names: Iterable[str], *, ours: Collection[str] = ()) -> Path:
    """Note what is about to be created, before any of it is; the note is flushed to disk when this returns it.

    Names are relative to the folder, of files, and of folders with a `/` at the end. `ours` are those that a manifest
    lists, which may be there already: they are about to be taken off it, and to be replaced or removed.

    Raises:
        FileExistsError: one of them is there already, so that it is somebody else's.
        ValueError: a name leads out of the folder.
        OSError: the note cannot be written.
    """
    creates = sorted(set(names))
    for name in creates:
        if not _is_inside(name):
            raise ValueError(f"{name!r} does not lie below {folder}")
        if name not in ours and os.path.lexists(folder / name.rstrip("/")):
            raise FileExistsError(errno.EEXIST, "there already, and not ours", str(folder / name))
    content = seal({"format_version": FORMAT_VERSION, "creates": creates})
    for number in itertools.count(1):
        note = folder / f".intent-{number}.json"
        with contextlib.suppress(FileExistsError):
            create(note, content)
            break
    sync_folder(folder)
    return note


def notes(folder: Path) -> dict[Path, frozenset[str]]:
    """The notes in a folder with the names that each announces; files that are no whole note are left out."""
    whole = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if NOTE_NAME.fullmatch(file.name) and (names := _read(file)) is not None:
            whole[file] = names
    return whole


def announced(folder: Path) -> frozenset[str]:
    """All names that notes in a folder announce."""
    return frozenset().union(*notes(folder).values())


def clear(folder: Path, *, keep: Collection[str] = ()) -> list[Path]:
    """Remove what notes announce, and then the notes.

    A file goes if it is a regular file in a real folder below `folder`, a folder with a `/` with all that is in it, its
    links not followed. Folders above them that are empty afterwards are not removed.

    Names to `keep` are those that a manifest lists. What is returned is there and was left, since it is no longer a
    file, lies behind a link, or holds what stays.

    Raises:
        OSError: something cannot be removed; its note stays.
    """
    left = []
    for note, names in notes(folder).items():
        for name in sorted(names - set(keep), key=lambda name: (-name.count("/"), name)):  # the deepest first
            place = folder / name.rstrip("/")
            if not os.path.lexists(place):
                continue
            holds = name.endswith("/") and any(stays.startswith(name) for stays in keep)
            if holds or link_below(folder, name.rstrip("/")) is not None:
                left.append(place)
            elif name.endswith("/") and place.is_dir():
                shutil.rmtree(place)
            elif not name.endswith("/") and is_regular(place):
                place.unlink()
            else:
                left.append(place)
        note.unlink(missing_ok=True)
    sync_folder(folder)
    return left


def withdraw(folder: Path) -> None:
    """Remove the notes alone: a manifest vouches for what they announced, or it was removed."""
    for note in notes(folder):
        note.unlink(missing_ok=True)


def _read(note: Path) -> frozenset[str] | None:
    try:
        fields = unseal(read_regular(note, most=MAX_BYTES))
    except (OSError, ValueError):
        return None
    names = fields.get("creates")
    if fields.get("format_version") != FORMAT_VERSION or not isinstance(names, list):
        return None
    if not all(isinstance(name, str) and _is_inside(name) for name in names):
        return None
    return frozenset(names)


def _is_inside(name: str) -> bool:
    """Whether a name is in its one spelling, and cannot lead out of a folder."""
    plain = name.removesuffix("/")
    path = PurePosixPath(plain)
    return (
        bool(path.parts)
        and str(path) == plain
        and not path.is_absolute()
        and ".." not in path.parts
        and "\0" not in name
    )
