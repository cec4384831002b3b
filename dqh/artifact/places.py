"""Which file may lie where: an artifact's own files, the forms of an artifact or an index, and files of clusters.

A manifest from elsewhere may say anything. What it lists is read, replaced and removed only where such a file belongs,
so that marking the weights as a form, or a photo as a golden input, gives nobody a way to lose them.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from dqh.schema import HASH, integer, mapping, record, wanted

Places = Mapping[str, tuple[str, ...]]
"""Name of a form → files, and folders with a `/` at the end; `""` for files that belong to no form."""

OF_ARTIFACT: Places = {
    "": ("encoder.safetensors", "quantizer.safetensors", "classifier.safetensors", "split.json", "golden/", "lengths/"),
    "onnx": ("encoder.onnx", "verify_onnx.py"),
    "pt2": ("encoder.pt2",),
    "faiss": ("faiss/",),
    "triton": ("triton/",),
}

OF_INDEX: Places = {
    "": ("quantizer.safetensors",),
    "faiss": ("faiss/",),
    "parquet": ("parquet/",),
    "lance": ("lance/",),
    "pgvector": ("pgvector/",),
}

RESULT, STAGES, SIDES = "result", ("quantizer", "cells", "codes", "iterations", "distances"), (0, 1)
"""Forms of a folder of clusters: what was asked for, and stages of an unfinished run, each on one of two sides."""

OF_CLUSTERS: Places = {
    RESULT: (
        "labels.npy",
        "distances.npy",
        "centres.npy",
        "clusters.csv",
        "members.csv",
        "skipped.csv",
        "clusters.html",
        "quantizer.safetensors",
    ),
    **{f"{stage}.{side}": (f"unfinished/{stage}.{side}/",) for stage in STAGES for side in SIDES},
}

UNTRAINED, WITHOUT_H = "untrained", "without_h"
"""Folders beside the artifact of a run: the same network before training, and one trained without H."""

INDEX_KIND, CLUSTERS_KIND = "index", "clusters"
"""`kind` of an `export.json` whose forms are those of an index, and of a `clusters.json`."""

_FILE = record(
    {
        "sha256": HASH,
        "size": integer(),
        "form": wanted("the name of a form", lambda value: type(value) is str and bool(value)),
    },
    optional=["form"],
)

FILES = mapping(_FILE)
"""What the list of files in a manifest must be."""

_MOST = 2**36
"""Bytes of the largest file; weights of 64 GiB."""

_MOST_OWN = {"quantizer.safetensors": 2**32, "split.json": 2**32, "golden/": 2**31, "lengths/": 2**32}
"""Bytes of files that are held in memory whole, whatever the network is."""


def misplaced(file: str, form: str, places: Places) -> str | None:
    """Why a file cannot be listed as of a form, "" for none, where it cannot."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        return "lies outside the folder"
    if str(path) != file or not path.parts or "\0" in file or "\\" in file:
        return "is not how a name is written here"
    if form not in places:
        return f"is of a form {form!r}, known are {', '.join(known for known in places if known)}"
    if not any(file == place or (place.endswith("/") and file.startswith(place)) for place in places[form]):
        of = f"the form {form}" if form else "no form"
        return f"is said to be of {of}, whose files are {', '.join(places[form])}"
    return None


def most_bytes(file: str) -> int:
    """Bytes that a file of this name has at most."""
    return next((most for place, most in _MOST_OWN.items() if file.startswith(place)), _MOST)


def form_of(file: str, places: Places) -> str:
    """The form that a file belongs to by its place, `""` for none; `ValueError` where it has no place."""
    for form in places:
        if misplaced(file, form, places) is None:
            return form
    raise ValueError(f"{file!r} has no place among {', '.join(place for group in places.values() for place in group)}")


def places_of(manifest: Mapping[str, Any]) -> Places:
    """Where the files of a manifest may lie."""
    if manifest.get("kind") == CLUSTERS_KIND:
        return OF_CLUSTERS
    return OF_INDEX if is_of_index(manifest) else OF_ARTIFACT


def file_problems(manifest: Mapping[str, Any]) -> list[str]:
    """Which of the files that a manifest lists cannot be, one line a problem."""
    files = manifest.get("files")
    if problems := FILES(files, "files"):
        return problems
    assert isinstance(files, dict)
    for file, entry in files.items():
        if (reason := misplaced(file, entry.get("form", ""), places_of(manifest))) is not None:
            problems.append(f"{file!r} {reason}")
        elif entry["size"] > most_bytes(file):
            problems.append(f"{file!r} is said to have {entry['size']} bytes, wanted at most {most_bytes(file)}")
    return problems


def is_of_index(manifest: Mapping[str, Any]) -> bool:
    """Whether the forms of a manifest are those of an index."""
    return manifest.get("kind") == INDEX_KIND
