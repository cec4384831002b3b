"""What goes into the encoder of an artifact and what comes out, without its network: all that needs no torch.

Enough for a program that has the codes and features computed elsewhere, as by ONNX Runtime. The weights are not read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dqh.artifact.lengths import file_of_length, of_length
from dqh.artifact.manifest import MANIFEST, listing_of, read_listed, read_manifest
from dqh.artifact.manifest_fields import field_problems
from dqh.artifact.reading import parse_arrays
from dqh.errors import ArtifactError
from dqh.inputs import InputSpec
from dqh.quantizers import QUANTIZERS, Quantizer
from dqh.sealed import canonical

QUANTIZER = "quantizer.safetensors"


class Interface(NamedTuple):
    """What goes into an encoder and what comes out; the quantizer has the dimension of the embedding."""

    encoder_id: str
    spec: InputSpec
    quantizer: Quantizer
    feature_size: int


def load_interface(path: Path, *, bits: int | None = None) -> Interface:
    """Read what an artifact says of its encoder, and its quantizer; of format version 1, the whole artifact.

    Args:
        path: the artifact folder.
        bits: which of its lengths; None for the main one.

    Raises:
        ArtifactError: missing, of an unknown format version, without that length, the manifest or the quantizer is
            damaged, or they describe nothing that can be; all that is wrong with them is named.
    """
    manifest = read_manifest(path)
    if manifest["format_version"] == 1:  # its id was made in another way, and the one of today takes the weights
        from dqh.artifact.loading import load_artifact

        return load_artifact(path, bits=bits).interface
    files = listing_of(path, manifest)
    problems = field_problems(manifest)
    if problems:
        raise ArtifactError(told(path / MANIFEST, problems))
    main = manifest["bits"]
    manifest = of_length(path, manifest, bits)
    content = read_listed(
        path, files, QUANTIZER if manifest["bits"] == main else file_of_length(QUANTIZER, manifest["bits"])
    )
    try:
        quantizer = quantizer_of(manifest, content)
        spec = InputSpec.from_json(manifest["input"])
    except (ArtifactError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(told(path / MANIFEST, [str(error)])) from error
    problems = differences(manifest, fields_of(quantizer)) + dimension_problems(
        quantizer, manifest["head"]["dimension"]
    )
    if problems:
        raise ArtifactError(told(path / MANIFEST, problems))
    return Interface(manifest["encoder_id"], spec, quantizer, manifest["feature"]["size"])


def quantizer_of(manifest: Mapping[str, Any], content: bytes) -> Quantizer:
    """The quantizer of a manifest.

    Raises:
        ArtifactError: an unknown kind, or content that cannot be read.
        KeyError, TypeError, ValueError: what is kept makes no quantizer.
    """
    kind = manifest["code_kind"]
    if kind not in QUANTIZERS:
        raise ArtifactError(f"the artifact has codes of kind {kind!r}, known are {', '.join(QUANTIZERS)}; update dqh")
    state = parse_arrays(content, QUANTIZER)
    return QUANTIZERS[kind].from_state(manifest["bits"], state, distance=manifest.get("code_distance"))


def fields_of(quantizer: Quantizer) -> dict[str, Any]:
    """What a manifest says of codes."""
    return {
        "bits": quantizer.bits,
        "code_kind": quantizer.kind,
        "bit_rule": quantizer.rule,
        "product_quantizer": quantizer.layout().get("product_quantizer"),
    }


def differences(manifest: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Fields of a manifest that are not what the files beside it make them."""
    return [
        f"{name} must be {value!r}, as the files beside it make it, got {manifest.get(name)!r}"
        for name, value in wanted.items()
        if canonical({name: manifest.get(name)}) != canonical({name: value})
    ]


def dimension_problems(quantizer: Quantizer, dimension: int) -> list[str]:
    """What is wrong with a quantizer behind a head of a dimension."""
    if quantizer.dimension == dimension:
        return []
    return [f"a {quantizer.kind} quantizer of {quantizer.dimension} dimensions behind a head of {dimension} cannot be"]


def told(file: Path, problems: Sequence[str]) -> str:
    """All that is wrong with what a manifest describes, in one text."""
    return f"{file} does not describe an artifact: {'; '.join(problems)}; export it again"
