"""The manifest of a folder of files: canonical JSON that hashes itself and every file, and is replaced in one step.

The artifact has one (`artifact.json`), and so have forms in a folder of their own (`export.json`), of an artifact or
of an index, and clusters (`clusters.json`). Here they are read; how they and what they list come to be is in
`dqh.artifact.publishing`. The folder may be reached by a link; in it, links are never followed, and nothing but regular
files is opened.
"""

import errno
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dqh.artifact.places import file_problems
from dqh.errors import ArtifactError, NoArtifactError
from dqh.files import link_below, open_regular, read_regular, sha256
from dqh.sealed import unseal

FORMAT_VERSION = 2
READABLE = (1, 2)
MANIFEST = "artifact.json"
EXPORT_MANIFEST = "export.json"
CLUSTERS_MANIFEST = "clusters.json"
MANIFESTS = (MANIFEST, EXPORT_MANIFEST, CLUSTERS_MANIFEST)

_OF_INDEX = b'"kind":"index"'
"""In the bytes of a manifest whose forms are those of an index."""

MAX_BYTES = 64 * 2**20
"""Largest manifest that is parsed."""

Listing = dict[str, dict[str, Any]]
"""File name → `sha256`, `size` in bytes, and `form` where the file belongs to an exported form."""

_NO_FILE = (errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.EFBIG)
"""What is there is no regular file, or too large."""


def is_artifact(path: Path) -> bool:
    """Whether a folder holds an artifact that was written to its end, or something else in the manifest's place."""
    return os.path.lexists(path / MANIFEST)


def manifest_name(path: Path) -> str:
    """`export.json` for a folder of exported forms, else `artifact.json`."""
    return EXPORT_MANIFEST if not is_artifact(path) and os.path.lexists(path / EXPORT_MANIFEST) else MANIFEST


def read_manifest(path: Path, name: str = MANIFEST) -> dict[str, Any]:
    """The fields of a manifest, without its hash, in the format version that it was written in.

    Raises:
        ArtifactError: no manifest there, a broken one, or one of an unknown format version.
    """
    file = path / name
    if not os.path.lexists(file) and name == CLUSTERS_MANIFEST:
        maker = "dqh cluster INDEX -k N --out DIR"
        raise NoArtifactError(f"no clusters at {path}: {file} is missing; give a folder that was made by {maker}")
    if not os.path.lexists(file):
        raise NoArtifactError(f"no artifact at {path}: {file} is missing; give the artifact/ folder of a run")
    try:
        content = read_regular(file, most=MAX_BYTES)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise ArtifactError(f"{file} is damaged: {error.strerror}; write it again, into a new folder") from error
    again = f"export the {'index' if _OF_INDEX in content else 'artifact'} again"
    if name == CLUSTERS_MANIFEST:
        again = "cluster again into a new folder"
    try:
        manifest = unseal(content)
    except ValueError as error:
        raise ArtifactError(f"{file} is damaged: {error}; {again}") from error
    number = manifest.get("format_version")
    if type(number) is not int or number not in READABLE:
        raise ArtifactError(
            f"{file} has format version {number!r:.40}, this version of dqh reads {' and '.join(map(str, READABLE))}; "
            "use the dqh that wrote it"
        )
    return manifest


def listing_of(path: Path, manifest: Mapping[str, Any], name: str = MANIFEST) -> Listing:
    """The files that a manifest lists.

    Raises:
        ArtifactError: it is no listing, or names a file that lies outside the folder, or where no such file may lie.
    """
    if problems := file_problems(manifest):
        raise ArtifactError(
            f"{path / name} does not describe {'clusters' if name == CLUSTERS_MANIFEST else 'an artifact'}: "
            f"{'; '.join(problems)}; do not use it, write it again"
        )
    return dict(manifest["files"])


def damages(path: Path, files: Listing, name: str = MANIFEST) -> list[str]:
    """What is wrong with the files of a folder, one line a file; nothing where all are as they were written."""
    return [problem for file in sorted(files) if (problem := _damage(path, file, files[file], name)) is not None]


def read_listed(path: Path, files: Listing, file: str, name: str = MANIFEST) -> bytes:
    """The content of a listed file, whose hash is taken from the very bytes that are returned.

    Raises:
        ArtifactError: it is not listed, missing, no regular file, or not what was written.
    """
    if file not in files:
        raise ArtifactError(f"{path / name} does not list {file}; export the artifact again")
    if (problem := _wrong_kind(path, file, files[file], name)) is not None:
        raise ArtifactError(problem)
    with open_regular(path / file) as opened:
        content = opened.read(files[file]["size"] + 1)
    if hashlib.sha256(content).hexdigest() != files[file]["sha256"]:
        raise ArtifactError(_damaged(path / file, name))
    return content


def unlisted(path: Path, files: Iterable[str], name: str = MANIFEST) -> list[str]:
    """What lies below a folder that no manifest vouches for: files, links and whatever else is no folder."""
    known = {name, *(str(PurePosixPath(file)) for file in files)}
    below = (place for place in path.rglob("*") if place.is_symlink() or not place.is_dir())
    return sorted(file for place in below if (file := place.relative_to(path).as_posix()) not in known)


def _damage(path: Path, file: str, entry: Mapping[str, Any], name: str) -> str | None:
    problem = _wrong_kind(path, file, entry, name)
    if problem is None and sha256(path / file) != entry["sha256"]:
        return _damaged(path / file, name)
    return problem


def _wrong_kind(path: Path, file: str, entry: Mapping[str, Any], name: str) -> str | None:
    """Why a listed file is not opened, where it is not: its hash is not looked at."""
    if (link := link_below(path, file)) is not None:
        return f"{link} is a symbolic link, wanted what was written there; copy the whole folder again"
    try:
        with open_regular(path / file) as opened:
            size = os.fstat(opened.fileno()).st_size
    except (FileNotFoundError, NotADirectoryError):
        return f"{path} is incomplete: {file} is missing; copy the whole folder again"
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        return f"{path / file} is damaged: {error.strerror}; copy the whole folder again"
    return None if size == entry["size"] else _damaged(path / file, name)


def _damaged(file: Path, name: str) -> str:
    return f"{file} is damaged: it does not match the hash in {name}; copy it again"
