"""The manifest of a folder of files: canonical JSON that hashes itself and every file, and is replaced in one step.

The artifact has one (`artifact.json`), and so have forms in a folder of their own (`export.json`), of an artifact or
of an index. Files are written before the manifest that lists them, so that a folder is never half of two states.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dqh.errors import ArtifactError, NoArtifactError
from dqh.files import sha256, sync_folder, write_bytes
from dqh.sealed import seal, unseal

FORMAT_VERSION = 2
READABLE = (1, 2)
MANIFEST = "artifact.json"
EXPORT_MANIFEST = "export.json"

INDEX_KIND = "index"
"""`kind` of an `export.json` whose forms are those of an index."""

_OF_INDEX = b'"kind":"index"'
"""In the bytes of such a manifest."""

MAX_BYTES = 64 * 2**20
"""Largest manifest that is parsed."""

Listing = dict[str, dict[str, Any]]
"""File name → `sha256`, `size` in bytes, and `form` where the file belongs to an exported form."""


def is_artifact(path: Path) -> bool:
    """Whether a folder holds an artifact that was written to its end."""
    return (path / MANIFEST).is_file()


def manifest_name(path: Path) -> str:
    """`export.json` for a folder of exported forms, else `artifact.json`."""
    return EXPORT_MANIFEST if not is_artifact(path) and (path / EXPORT_MANIFEST).is_file() else MANIFEST


def read_manifest(path: Path, name: str = MANIFEST) -> dict[str, Any]:
    """The fields of a manifest, without its hash, in the format version that it was written in.

    Args:
        path: the folder.
        name: `artifact.json` or `export.json`.

    Raises:
        ArtifactError: no manifest there, a broken one, or one of an unknown format version.
    """
    file = path / name
    if not file.is_file():
        raise NoArtifactError(f"no artifact at {path}: {file} is missing; give the artifact/ folder of a run")
    if file.stat().st_size > MAX_BYTES:
        raise ArtifactError(f"{file} is damaged: larger than {MAX_BYTES} bytes; export again")
    content = file.read_bytes()
    again = f"export the {'index' if _OF_INDEX in content else 'artifact'} again"
    try:
        manifest = unseal(content)
    except ValueError as error:
        raise ArtifactError(f"{file} is damaged: {error}; {again}") from error
    if manifest.get("format_version") not in READABLE:
        raise ArtifactError(
            f"{file} has format version {manifest.get('format_version')}, this version of dqh reads "
            f"{' and '.join(map(str, READABLE))}; use the dqh that wrote it"
        )
    return manifest


def write_manifest(path: Path, manifest: Mapping[str, Any], name: str = MANIFEST) -> None:
    """Write a manifest with its hash as its last field, atomically."""
    write_bytes(path / name, seal(manifest))


def listing_of(path: Path, manifest: Mapping[str, Any], name: str = MANIFEST) -> Listing:
    """The files that a manifest lists.

    Raises:
        ArtifactError: it is no listing, or names a file outside the folder.
    """
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(_is_entry(entry) for entry in files.values()):
        raise ArtifactError(f"{path / name} does not describe an artifact: no list of files; export it again")
    outside = [each for each in files if Path(each).is_absolute() or ".." in Path(each).parts]
    if outside:
        raise ArtifactError(f"{path / name} names a file outside its folder: {outside[0]}; do not use it")
    return dict(files)


def damages(path: Path, files: Listing, name: str = MANIFEST) -> list[str]:
    """What is wrong with the files of a folder, one line a file; nothing where all are as they were written."""
    return [problem for each in sorted(files) if (problem := _damage(path, each, files[each], name)) is not None]


def read_listed(path: Path, files: Listing, file: str, name: str = MANIFEST) -> bytes:
    """The content of a listed file, whose hash is taken from the very bytes that are returned.

    Raises:
        ArtifactError: it is not listed, missing, or not what was written.
    """
    if file not in files:
        raise ArtifactError(f"{path / name} does not list {file}; export the artifact again")
    if not (path / file).is_file() or (path / file).stat().st_size != files[file]["size"]:
        raise ArtifactError(_damage(path, file, files[file], name) or f"{path / file} changed while it was read")
    content = (path / file).read_bytes()
    if hashlib.sha256(content).hexdigest() != files[file]["sha256"]:
        raise ArtifactError(_damaged(path / file, name))
    return content


def write_files(path: Path, contents: Mapping[str, bytes], *, form: str | None = None) -> Listing:
    """Write files below a folder, each atomically, and return how a manifest lists them."""
    folders = {path, *((path / file).parent for file in contents)}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        write_bytes(path / file, content)
    for folder in sorted({*folders, *(parent.parent for parent in folders if parent != path)}):
        sync_folder(folder)
    mark = {} if form is None else {"form": form}
    return {
        file: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), **mark}
        for file, content in contents.items()
    }


def replace_forms(
    path: Path,
    forms: Mapping[str, Mapping[str, bytes]],
    name: str = MANIFEST,
    *,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Put forms into a folder that has a manifest, in place of earlier ones of the same names.

    Earlier ones are taken off the manifest first, so that it never lists a file that is being replaced: whenever this
    ends, the folder is whole, with the old forms, without them, or with the new ones.

    Args:
        path: the folder.
        forms: name of the form → file name → content.
        name: of the manifest.
        fields: of the manifest that change too.
    """
    manifest = read_manifest(path, name)
    files = listing_of(path, manifest, name)
    old = {each for each, entry in files.items() if entry.get("form") in forms}
    if old:
        kept = {each: entry for each, entry in files.items() if each not in old}
        write_manifest(path, manifest | {"files": kept}, name)
    listed: Listing = {}
    for form, contents in forms.items():
        listed |= write_files(path, contents, form=form)
    for each in old - set(listed):
        (path / each).unlink(missing_ok=True)
    manifest = read_manifest(path, name)
    write_manifest(path, manifest | dict(fields or {}) | {"files": manifest["files"] | listed}, name)


def unlisted(path: Path, files: Iterable[str], name: str = MANIFEST) -> list[str]:
    """Files below a folder that no manifest vouches for."""
    known = {name, *(str(PurePosixPath(each)) for each in files)}
    found = (each.relative_to(path).as_posix() for each in path.rglob("*") if not each.is_dir())
    return sorted(each for each in found if each not in known)


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and isinstance(entry.get("size"), int)


def _damage(path: Path, file: str, entry: Mapping[str, Any], name: str) -> str | None:
    if not (path / file).is_file():
        return f"{path} is incomplete: {file} is missing; copy the whole folder again"
    if (path / file).stat().st_size != entry["size"] or sha256(path / file) != entry["sha256"]:
        return _damaged(path / file, name)
    return None


def _damaged(file: Path, name: str) -> str:
    return f"{file} is damaged: it does not match the hash in {name}; copy it again"
