"""The folder that an index is handed over in: a folder a form, and `export.json`, which lists every file with its hash.

    export.json               fields of the index, and every file with form, size and SHA-256; its own hash last
    quantizer.safetensors     what makes codes of embeddings
    faiss/ parquet/ lance/ pgvector/

How forms take the place of earlier ones, and what is never touched, is in `dqh.artifact.publishing`. All forms in it
are of one version of the index.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dqh.artifact.manifest import EXPORT_MANIFEST, FORMAT_VERSION, is_artifact, listing_of, read_manifest
from dqh.artifact.places import INDEX_KIND
from dqh.artifact.publishing import Folder, opened
from dqh.errors import ArtifactError, ConfigError, StoreError
from dqh.index.store.newest import versions_in

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
        ConfigError: `out` is a file or holds something else, also in the place of a form.
        StoreError: `out` is damaged or holds another index, or another process is writing into it.
        OSError: it cannot be written; `out` is as it was.
    """
    _require_readable(out)
    forms = {form: partial(_make, form=form, make=make) for form, make in makers.items()}
    with opened(out, EXPORT_MANIFEST, busy=StoreError) as folder:
        _require_same_index(folder, makers, fields)
        listed = folder.publish(
            {**fields, "kind": INDEX_KIND, "format_version": FORMAT_VERSION},
            own=beside if folder.manifest is None else {},
            forms=forms,
        )
    return {file: entry["size"] for file, entry in listed.items() if "form" in entry}


def _make(root: Path, *, form: str, make: Callable[[Path], None]) -> None:
    (root / form).mkdir()
    make(root / form)


def _require_readable(out: Path) -> None:
    """Raise where a folder holds an artifact or an index, or a manifest that is damaged."""
    if is_artifact(out) or versions_in(out):
        what = "an artifact" if is_artifact(out) else "an index"
        raise ConfigError(f"{out} is {what}; choose another folder")
    if not os.path.lexists(out / EXPORT_MANIFEST):
        return
    try:
        listing_of(out, read_manifest(out, EXPORT_MANIFEST), EXPORT_MANIFEST)
    except ArtifactError as error:
        raise StoreError(f"{error}: remove {out}, or choose another folder") from error


def _require_same_index(folder: Folder, makers: Makers, fields: Mapping[str, Any]) -> None:
    """Raise unless a folder has no manifest yet, or one of the same index, whose other forms are of this version."""
    out, manifest = folder.path, folder.manifest
    if manifest is None:
        return
    if manifest.get("kind") != INDEX_KIND:
        raise ConfigError(f"{out} holds forms of an artifact; choose another folder")
    got, wanted = manifest.get("encoder_id"), fields["encoder_id"]
    if got != wanted:
        raise StoreError(f"{out} holds an index of encoder {got}, not of {wanted}; choose another folder")
    others = sorted({str(entry["form"]) for entry in folder.files.values() if "form" in entry} - set(makers))
    if others and manifest.get("index_sha256") != fields["index_sha256"]:
        raise StoreError(
            f"{out} holds {', '.join(others)} of version {manifest.get('version')} of an index, this is version "
            f"{fields['version']}; ask for them too: --to {','.join([*makers, *others])}, or choose another folder"
        )
