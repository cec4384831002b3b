"""Several lengths of code in one artifact: what its manifest says of each, and where the files of each lie.

The artifact itself is that of its main length, as one of a single length is. `lengths` in its manifest has for each
further one, under its number of bits, the fields that differ; its files lie in `lengths/BITS/`:

    head.safetensors         weights of the head, where it has one of its own
    quantizer.safetensors    as beside the manifest
    classifier.safetensors   likewise, where the method has one

The codes that its golden inputs must get are in `golden/codes_BITS.npy`.
`of_length` makes of the two the manifest of an ordinary artifact of that length.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dqh.artifact.manifest import MANIFEST, read_manifest
from dqh.errors import ArtifactError

LENGTHS = "lengths"
HEAD = "head.safetensors"


def lengths_in(manifest: Mapping[str, Any]) -> tuple[int, ...]:
    """Bits of all lengths of a manifest whose fields were checked, ascending."""
    return tuple(sorted([manifest["bits"], *map(int, manifest.get(LENGTHS, ()))]))


def of_length(path: Path, manifest: Mapping[str, Any], bits: int | None) -> dict[str, Any]:
    """The manifest of one length.

    Args:
        path: of the artifact, for errors.
        manifest: of the artifact, its fields checked.
        bits: of the length; None for the main one.

    Raises:
        ArtifactError: there is no such length.
    """
    main = {name: value for name, value in manifest.items() if name != LENGTHS}
    if bits is None or bits == manifest["bits"]:
        return main
    if bits not in lengths_in(manifest):
        known = ", ".join(map(str, lengths_in(manifest)))
        raise ArtifactError(f"{path / MANIFEST} has codes of {known} bits, got bits={bits}; ask for one of them")
    own: dict[str, Any] = manifest[LENGTHS][str(bits)]
    return main | {"metrics": None} | own


def length_of_encoder(path: Path, encoder_id: str) -> int | None:
    """Bits of the further length of an artifact that has an id; None where it is that of the main one, or of none.

    Raises:
        ArtifactError: there is no artifact, or its manifest is damaged.
    """
    lengths = read_manifest(path).get(LENGTHS)
    named = lengths.items() if isinstance(lengths, dict) else ()
    hits = [bits for bits, fields in named if isinstance(fields, dict) and fields.get("encoder_id") == encoder_id]
    return int(hits[0]) if hits and hits[0].isdecimal() else None


def file_of_length(file: str, bits: int) -> str:
    """Where a file of a further length lies in the artifact."""
    return f"{LENGTHS}/{bits}/{file}"
