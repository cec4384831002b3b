"""How files come into a folder with a manifest, and leave it: nothing but what is ours is ever replaced or removed.

Ours is what the manifest lists, and what a note of intent announced before it was there (`dqh.intent`). A folder that
is not empty and has neither is refused. New files are made in a staging folder, `.new-<N>/`, which is announced first;
when they are whole and can be read, their places are announced, old forms are taken off the manifest, files are moved,
and the manifest that lists them is put in place. Whoever is killed leaves a folder with the old forms, without them, or
with the new ones, and notes of what else may lie there, which the next writer removes. All else is named and left.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from dqh import intent
from dqh.artifact.manifest import MANIFESTS, Listing, listing_of, read_manifest, unlisted
from dqh.artifact.manifest_fields import field_problems
from dqh.artifact.places import form_of, places_of
from dqh.errors import ArtifactError, ConfigError, DqhError
from dqh.files import link_below, make_folders, sha256, sync_folder
from dqh.locks import locked_folder
from dqh.sealed import seal

logger = logging.getLogger(__name__)

Maker = Callable[[Path], None]
"""Writes the files of a form into a staging folder, at the places that they have in the folder itself."""

_STAGING = ".new-"
_TOLD = 3
"""Files of others that a message names."""


class Folder:
    """A folder that this process alone writes into, from `opened`, its manifest, if it has one, and files."""

    def __init__(self, path: Path, name: str, manifest: dict[str, Any] | None) -> None:
        self.path = path
        self.name = name
        self.manifest = manifest
        self.files: Listing = {} if manifest is None else listing_of(path, manifest, name)
        self._others: list[str] = []

    def publish(
        self,
        fields: Mapping[str, Any],
        *,
        own: Mapping[str, bytes] | None = None,
        forms: Mapping[str, Maker] | None = None,
        check: Callable[[Path], None] | None = None,
    ) -> Listing:
        """Put files into the folder, and forms in the place of earlier ones of the same names.

        Args:
            fields: of the manifest, but for `files`.
            own: name → content of files that belong to no form; none of them is there yet.
            forms: name → what writes it.
            check: reads the new files and their manifest back, in the staging folder, and raises where they are wrong.

        Returns:
            The new files as the manifest lists them.

        Raises:
            ArtifactError: fields that no reader would take.
            ConfigError: something that is not ours lies where a file belongs, or a folder on the way is a link.
            OSError: it cannot be written.
        """
        forms = forms or {}
        staging = self._staging()
        write_contents(staging, own or {})
        for make in forms.values():
            make(staging)
        listed = _listed(staging, fields)
        old = {file for file, entry in self.files.items() if entry.get("form") in forms}
        kept = {file: entry for file, entry in self.files.items() if file not in old}
        manifest = {**fields, "files": kept | listed}
        _write_manifest(staging, manifest, self.name)
        if check is not None:
            check(staging)
        _write_manifest(staging, {**fields, "files": kept}, "without.json")  # now: later the disk may be full
        self._require_free(listed, old)
        intent.announce(self.path, {*listed, *old}, ours=old)
        if old:
            self._put_in_place(staging / "without.json")
        self._move(staging, listed, old)
        self._put_in_place(staging / self.name)
        shutil.rmtree(staging)
        intent.withdraw(self.path)
        self.manifest, self.files = manifest, manifest["files"]
        self._name_others()
        return listed

    def _staging(self) -> Path:
        number = 1
        while os.path.lexists(self.path / f"{_STAGING}{number}"):  # of somebody else
            number += 1
        intent.announce(self.path, [f"{_STAGING}{number}/"])
        staging = self.path / f"{_STAGING}{number}"
        staging.mkdir()
        return staging

    def _require_free(self, listed: Collection[str], old: Collection[str]) -> None:
        """Raise `ConfigError` where a file cannot be put in its place, or an old one removed: others would be lost."""
        problems = []
        for file in sorted({*listed, *old}):
            folders = [parent.as_posix() for parent in PurePosixPath(file).parents if parent.name]
            taken = [
                folder
                for folder in folders
                if os.path.lexists(self.path / folder) and not (self.path / folder).is_dir()
            ]
            if folders and (link := link_below(self.path, folders[0])) is not None:
                problems.append(f"{link.relative_to(self.path)} is a symbolic link")
            elif taken:
                problems.append(f"{taken[0]} is no folder")
            elif (self.path / file).is_dir() or (file not in old and os.path.lexists(self.path / file)):
                problems.append(f"{file} is there already")
        if problems := sorted(set(problems)):
            raise ConfigError(
                f"{self.path}: {', '.join(problems[:_TOLD])}, which no manifest of this folder lists; move it away, or "
                "choose another folder"
            )

    def _put_in_place(self, manifest: Path) -> None:
        manifest.replace(self.path / self.name)
        sync_folder(self.path)

    def _move(self, staging: Path, listed: Collection[str], old: Collection[str]) -> None:
        for file in old:
            if file not in listed:
                (self.path / file).unlink(missing_ok=True)
        for file in listed:
            (self.path / file).parent.mkdir(parents=True, exist_ok=True)
            (staging / file).replace(self.path / file)
        _remove_empty_folders(self.path, old)
        for folder in sorted({(self.path / file).parent for file in listed}):
            sync_folder(folder)
        sync_folder(self.path)

    def _name_others(self) -> None:
        others, before = unlisted(self.path, self.files, self.name), self._others
        self._others = others
        if others and others != before:
            more = f" and {len(others) - _TOLD} more" if len(others) > _TOLD else ""
            named = ", ".join(map(repr, others[:_TOLD]))
            logger.warning("%s: left as they are, since no manifest lists them: %s%s", self.path, named, more)


@contextmanager
def opened(path: Path, name: str, *, busy: type[DqhError] = ArtifactError) -> Iterator[Folder]:
    """A block in which a folder is this process's alone; where it raises, the folder is as the last manifest says.

    What a writer that was killed announced is removed first. A folder that is not there is made, and gone again where
    the block raises.

    Raises:
        ArtifactError: its manifest is damaged.
        ConfigError: it is a file or a symbolic link to nothing, or has no manifest and is not empty.
        DqhError: `busy`.
        OSError: it cannot be written.
    """
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    make_folders(path)
    try:
        with locked_folder(path, error=busy):
            folder = Folder(path, name, read_manifest(path, name) if os.path.lexists(path / name) else None)
            if folder.manifest is None:
                require_empty(path)
            _clear(path, folder.files)
            try:
                yield folder
            except BaseException:
                with contextlib.suppress(OSError, ArtifactError):  # the next writer tries again
                    exists = os.path.lexists(path / name)
                    _clear(path, listing_of(path, read_manifest(path, name), name) if exists else {})
                raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:  # a full disk
            error.filename = str(path)
        for folder_made in new:
            with contextlib.suppress(OSError):  # not empty
                folder_made.rmdir()
        raise


def require_empty(path: Path) -> None:
    """Raise `ConfigError` where a folder without a manifest holds something that no note of a writer announces."""
    notes = intent.notes(path)
    names = frozenset().union(*notes.values()) | {note.name for note in notes}
    other = next(_others(path, names), None)
    if other is not None:
        raise ConfigError(
            f"{path} is not empty; choose another folder or remove it first; {other.relative_to(path)} lies there"
        )


def write_contents(root: Path, contents: Mapping[str, bytes]) -> None:
    """Create files below a folder; none of them is there."""
    for file, content in contents.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        with (root / file).open("xb") as opened_file:
            opened_file.write(content)


def _others(folder: Path, names: Collection[str], under: str = "") -> Iterator[Path]:
    """What lies in a folder and has none of the names, nor lies in a folder that has one."""
    for place in sorted(folder.iterdir()):
        name = under + place.name
        if name in names or f"{name}/" in names:
            continue
        if place.is_dir() and not place.is_symlink() and any(listed.startswith(f"{name}/") for listed in names):
            yield from _others(place, names, f"{name}/")
        else:
            yield place


def _clear(path: Path, listed: Collection[str]) -> None:
    """Remove what notes announce and no manifest lists, and folders that are empty for it."""
    names = intent.announced(path)
    for place in intent.clear(path, keep={*MANIFESTS, *listed}):
        logger.warning("%s is not what was announced there, left as it is", place)
    _remove_empty_folders(path, names)


def _remove_empty_folders(path: Path, files: Collection[str]) -> None:
    """Remove the folders that files were in, where nothing is in them any more."""
    folders = {parent.as_posix() for file in files for parent in PurePosixPath(file).parents} - {"."}
    for folder in sorted(folders, reverse=True):  # the deepest first
        if link_below(path, folder) is None:
            with contextlib.suppress(OSError):  # not empty, or not there
                (path / folder).rmdir()


def _listed(staging: Path, fields: Mapping[str, Any]) -> Listing:
    """The files of a staging folder, all on disk, as a manifest lists them."""
    listed: Listing = {}
    places = places_of(fields)
    for folder, _, names in os.walk(staging):
        for name in names:
            file = Path(folder) / name
            with file.open("rb") as opened_file:
                os.fsync(opened_file.fileno())
            place = file.relative_to(staging).as_posix()
            form = form_of(place, places)
            entry = {"sha256": sha256(file), "size": file.stat().st_size}
            listed[place] = {**entry, "form": form} if form else entry
        sync_folder(Path(folder))
    return dict(sorted(listed.items()))


def _write_manifest(staging: Path, manifest: Mapping[str, Any], name: str) -> None:
    """Write a manifest, on disk, and read it as everybody will.

    Raises:
        ArtifactError: fields that no reader would take.
    """
    with (staging / name).open("xb") as file:
        file.write(seal(manifest))
        file.flush()
        os.fsync(file.fileno())
    if problems := field_problems(read_manifest(staging, name)):
        raise ArtifactError(f"what would be written cannot be read again: {'; '.join(problems)}")
