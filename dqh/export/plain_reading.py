"""The manifest and the files of a folder read with numpy alone, and refused where they make no sense.

This file and `dqh.sealed` need numpy alone, and are part of `verify_onnx.py`.
"""

import os
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np

from dqh.sealed import unseal

MAX_MANIFEST = 64 * 2**20
"""Bytes."""

MAX_SIDE, MAX_LENGTH = 2048, 2**20
"""Of an image, pixels, and of a vector; those of `dqh.inputs`."""

INTERPOLATIONS = ("bilinear", "bicubic", "nearest")


class Damaged(Exception):
    """A file is not what was written."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The fields of `artifact.json` or `export.json`, whose hash is its last field."""
    file = next((folder / name for name in ("artifact.json", "export.json") if os.path.lexists(folder / name)), None)
    if file is None:
        raise Damaged("neither artifact.json nor export.json is here")
    content = read_regular(file, MAX_MANIFEST)
    if len(content) > MAX_MANIFEST:
        raise Damaged(f"{file.name} is larger than {MAX_MANIFEST} bytes")
    try:
        manifest = unseal(content)
    except ValueError as error:
        raise Damaged(f"{file.name} is damaged: {error}") from error
    if problems := [name for name, holds in sense(manifest).items() if not holds]:
        raise Damaged(f"{file.name} holds values that make no sense of: {', '.join(problems)}")
    return manifest


def sense(manifest: dict[str, Any]) -> dict[str, bool]:
    """Field of a manifest → whether its value has the type and range that it is written with, of those read here."""
    spec, files = manifest.get("input"), manifest.get("files")
    fields: dict[str, Any] = spec if isinstance(spec, dict) else {}
    size, resize = fields.get("size"), fields.get("resize")
    is_image = fields.get("kind") == "image"
    return {
        "encoder_id": re.fullmatch("[0-9a-f]{1,64}", str(manifest.get("encoder_id"))) is not None,
        "bits": is_count(manifest.get("bits"), 2**20),
        "code_kind": manifest.get("code_kind") in ("binary", "pq", "class_index"),
        "input.kind": is_image or fields.get("kind") == "vector",
        "input.size": is_count(size, MAX_SIDE if is_image else MAX_LENGTH),
        "input.resize": not is_image or (is_count(resize, MAX_SIDE) and is_count(size, int(resize or 0))),
        "input.interpolation": not is_image or fields.get("interpolation") in INTERPOLATIONS,
        "files": isinstance(files, dict)
        and all(
            isinstance(entry, dict) and is_count(entry.get("size"), 2**62, 0) and isinstance(entry.get("sha256"), str)
            for entry in files.values()
        ),
    }


def is_count(value: Any, most: int, least: int = 1) -> bool:
    """Whether a value is a whole number of a range."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """The values, all of which must be finite."""
    if not np.isfinite(values).all():
        raise Damaged(f"{name} holds numbers that are not finite")
    return values


def read_regular(file: Path, most: int) -> bytes:
    """Up to `most` bytes of a regular file and one more; OSError where it is none, without waiting for a pipe."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file", str(file))
        return opened.read(most + 1)
