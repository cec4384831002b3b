"""Manifests and files as somebody with bad intentions would make them: hashes right, checks left out."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dqh.artifact.manifest import MANIFEST
from dqh.sealed import seal


def write_manifest(path: Path, manifest: Mapping[str, Any], name: str = MANIFEST) -> None:
    (path / name).write_bytes(seal(manifest))


def write_files(path: Path, contents: Mapping[str, bytes], *, form: str | None = None) -> dict[str, dict[str, Any]]:
    """Write files, and return how a manifest lists them."""
    mark = {} if form is None else {"form": form}
    listed = {}
    for file, content in contents.items():
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_bytes(content)
        listed[file] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), **mark}
    return listed
