"""The folder that an index is handed over in: a folder a form, and `export.json`, which lists every file with its hash.

    export.json               fields of the index, and every file with form, size and SHA-256; its own hash last
    quantizer.safetensors     what makes codes of embeddings
    faiss/ parquet/ lance/ pgvector/

A form is written beside the old one and takes its place when it is whole. `export.json` never lists a file that is
being replaced: first the old form is taken off it, last the new one put on it. All forms in it are of one version.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dqh.errors import ArtifactError, ConfigError, StoreError
from dqh.export.manifest import (
    EXPORT_MANIFEST,
    FORMAT_VERSION,
    INDEX_KIND,
    Listing,
    is_artifact,
    listing_of,
    read_manifest,
    write_files,
    write_manifest,
)
from dqh.files import sha256, sync_folder
from dqh.index.store.newest import versions_in

_STAGING = ".new-"

Makers = Mapping[str, Callable[[Path], None]]
"""Name of a form → what writes it into an empty folder."""


def publish(out: Path, makers: Makers, *, fields: Mapping[str, Any], beside: Mapping[str, bytes]) -> dict[str, int]:
    """Put forms of an index into a folder, in the place of earlier ones of the same names.

    Args:
        out: the folder, new, empty, or one that this has written for the same version, or whose forms are all replaced.
        makers: of the forms.
        fields: of the manifest: `encoder_id`, `index_sha256` and whatever else describes the index.
        beside: other files, the same for all versions of the index: name → content.

    Returns:
        File name → bytes, of what was written.

    Raises:
        ConfigError: `out` is a file or holds something else.
        StoreError: `out` is damaged or holds another index, or another process is writing into it.
        OSError: it cannot be written; `out` is as it was.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; --out names a folder")
    new = [each for each in (out, *out.parents) if not each.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        with _alone(out):
            begun = _files_there(out, makers, fields, beside)
            for each in out.glob(f"{_STAGING}*"):  # of a process that was killed
                shutil.rmtree(each)
            staging = Path(tempfile.mkdtemp(dir=out, prefix=_STAGING))
            try:
                listed: Listing = {}
                for form, make in makers.items():
                    (staging / form).mkdir()
                    make(staging / form)
                    listed |= _flushed(staging, form)
                return _replaced(out, staging, makers, {"fields": fields, "beside": beside}, begun, listed)
            finally:
                shutil.rmtree(staging)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:  # a full disk
            error.filename = str(out)
        for each in new:
            if not any(each.iterdir()):
                each.rmdir()
        raise


def _replaced(
    out: Path, staging: Path, makers: Makers, index: Mapping[str, Any], begun: Listing | None, listed: Listing
) -> dict[str, int]:
    """Move forms from the staging folder to their places, and list them."""
    fields = {**index["fields"], "kind": INDEX_KIND, "format_version": FORMAT_VERSION}
    kept = {file: entry for file, entry in (begun or {}).items() if entry.get("form") not in makers}
    if begun is None:
        kept = write_files(out, index["beside"])
    write_manifest(out, fields | {"files": kept}, EXPORT_MANIFEST)
    for form in makers:
        if (out / form).exists():
            (out / form).rename(staging / f"{form}.old")
        (staging / form).rename(out / form)
    sync_folder(out)
    write_manifest(out, fields | {"files": kept | listed}, EXPORT_MANIFEST)
    return {file: entry["size"] for file, entry in listed.items()}


def _flushed(staging: Path, form: str) -> Listing:
    """The files of a form, all on disk."""
    listed: Listing = {}
    for folder, _, names in os.walk(staging / form):
        for name in sorted(names):
            file = Path(folder) / name
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
            entry = {"sha256": sha256(file), "size": file.stat().st_size, "form": form}
            listed[file.relative_to(staging).as_posix()] = entry
        sync_folder(Path(folder))
    return dict(sorted(listed.items()))


def _files_there(out: Path, makers: Makers, fields: Mapping[str, Any], beside: Mapping[str, bytes]) -> Listing | None:
    """The files of a folder that was begun before, None for an empty one; an error where it holds something else."""
    if is_artifact(out) or versions_in(out):
        what = "an artifact" if is_artifact(out) else "an index"
        raise ConfigError(f"{out} is {what}; choose another folder")
    if not (out / EXPORT_MANIFEST).is_file():
        # of a process that was killed before it wrote a manifest
        if any(
            not each.name.startswith((_STAGING, *(f".{name}." for name in beside))) and each.name not in beside
            for each in out.iterdir()
        ):
            raise ConfigError(f"{out} is not empty; choose another folder or remove it first")
        return None
    try:
        manifest = read_manifest(out, EXPORT_MANIFEST)
        files = listing_of(out, manifest, EXPORT_MANIFEST)
    except ArtifactError as error:
        raise StoreError(f"{out / EXPORT_MANIFEST} is damaged; remove {out}, or choose another folder") from error
    if manifest.get("kind") != INDEX_KIND:
        raise ConfigError(f"{out} holds forms of an artifact; choose another folder")
    found, wanted = manifest.get("encoder_id"), fields["encoder_id"]
    if found != wanted:
        raise StoreError(f"{out} holds an index of encoder {found}, not of {wanted}; choose another folder")
    others = sorted({str(entry["form"]) for entry in files.values() if "form" in entry} - set(makers))
    if others and manifest.get("index_sha256") != fields["index_sha256"]:
        raise StoreError(
            f"{out} holds {', '.join(others)} of version {manifest.get('version')} of an index, this is version "
            f"{fields['version']}; ask for them too: --to {','.join([*makers, *others])}, or choose another folder"
        )
    return files


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A block that no other process enters for this folder, where the platform has such locks; killed ones let go."""
    if os.name != "posix":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{folder} is being written by another process; wait until it ends") from error
        yield
    finally:
        os.close(descriptor)
