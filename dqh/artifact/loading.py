"""An artifact out of its folder: every hash, and then whether what was written makes sense.

A hash says that a file is as somebody wrote it. What it says is checked here: the fields of the manifest by their
table, weights by the network, the quantizer by its own rules, and each against the others. All that is wrong is told
together. Nothing is unpickled, and nothing is imported that a file names: backbones come from a list of this package.

Format version 2 is written, 1 is read too: its heads never gave embeddings of length 1, and do not say so.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dqh.artifact.artifact import Artifact, Length, architecture_of, encoder_id_of
from dqh.artifact.interface import QUANTIZER, differences, dimension_problems, fields_of, quantizer_of, told
from dqh.artifact.lengths import HEAD, LENGTHS, file_of_length, lengths_in, of_length
from dqh.artifact.manifest import MANIFEST, Listing, listing_of, read_listed, read_manifest
from dqh.artifact.manifest_fields import field_problems
from dqh.artifact.places import INDEX_KIND
from dqh.artifact.reading import parse_json, parse_safetensors
from dqh.data import Split
from dqh.errors import ArtifactError
from dqh.inputs import InputSpec
from dqh.models import BACKBONES, Encoder, HashHead

ENCODER = "encoder.safetensors"
CLASSIFIER, SPLIT = "classifier.safetensors", "split.json"

_TOLD = 5
"""Problems of one file that are named."""

_Part = TypeVar("_Part")


def load_artifact(path: Path, *, bits: int | None = None) -> Artifact:
    """Read an artifact and check the hash of every file that is read, and that its content makes sense.

    Args:
        path: the artifact folder.
        bits: which of its lengths, as an artifact of that length alone; None for the main one, with all others in its
            `lengths`.

    Returns:
        The artifact, on the CPU, in evaluation mode.

    Raises:
        ArtifactError: missing, damaged, of an unknown format version, without that length, or describing nothing that
            can be; all that is wrong with it is named.
    """
    manifest = read_manifest(path)
    artifact, problems = _read(path, manifest, listing_of(path, manifest), bits=bits)
    if artifact is None:
        raise ArtifactError(told(path / MANIFEST, problems))
    return artifact


def require_consistent(path: Path, manifest: Mapping[str, Any], files: Listing, name: str = MANIFEST) -> None:
    """Raise where what was written in a folder makes no sense, although every hash holds.

    Raises:
        ArtifactError: all that is wrong, in one text.
    """
    if name == MANIFEST:
        artifact, problems = _read(path, manifest, files)
        if artifact is not None:
            for bits in artifact.lengths:
                problems += _contradictions(artifact.of_length(bits), of_length(path, manifest, bits))
    else:
        problems = _problems_of_forms(path, manifest, files, name)
    if problems:
        raise ArtifactError(told(path / name, problems))


def in_version_1(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """What version 1 hashed into the id of an encoder."""
    return {**architecture, "head": {k: v for k, v in architecture["head"].items() if k != "normalise"}}


def _problems_of_forms(path: Path, manifest: Mapping[str, Any], files: Listing, name: str) -> list[str]:
    """What is wrong with exported forms, which have a quantizer beside them, and no weights."""
    problems = field_problems(manifest)
    if problems or manifest.get("kind") == INDEX_KIND:
        return problems
    content = read_listed(path, files, QUANTIZER, name)
    quantizer = _part(problems, QUANTIZER, lambda: quantizer_of(manifest, content))
    return problems + ([] if quantizer is None else differences(manifest, fields_of(quantizer)))


def _read(
    path: Path, manifest: Mapping[str, Any], files: Listing, *, bits: int | None = None
) -> tuple[Artifact | None, list[str]]:
    """The artifact of a manifest, or what is wrong with it; only files that it lists are read.

    Args:
        path: of the artifact.
        manifest: of it.
        files: that it lists.
        bits: which length; None for the main one, with the others.
    """
    if problems := field_problems(manifest):
        return None, problems
    names = [ENCODER, QUANTIZER, SPLIT, *([] if manifest["classes"] is None else [CLASSIFIER])]
    contents = {file: read_listed(path, files, file) for file in names}
    encoder = _part(problems, ENCODER, lambda: _encoder_of(manifest, contents[ENCODER]))
    quantizer = _part(problems, QUANTIZER, lambda: quantizer_of(manifest, contents[QUANTIZER]))
    split = _part(problems, SPLIT, lambda: _split_of(manifest, contents[SPLIT]))
    classifier = None
    if CLASSIFIER in contents:
        classifier = _part(problems, CLASSIFIER, lambda: _classifier_of(manifest, contents[CLASSIFIER]))
    elif CLASSIFIER in files:
        problems.append(f"classes must be a number where there is {CLASSIFIER}, got None")
    if encoder is None or quantizer is None or split is None or problems:
        return None, problems
    lengths: dict[int, Length] = {}
    for other in lengths_in(manifest) if bits is None else (bits,):
        if other != manifest["bits"]:
            read = partial(_length_of, path, of_length(path, manifest, other), files, encoder.head)
            if (length := _part(problems, f"{LENGTHS}/{other}", read)) is not None:
                lengths[other] = length
    for head, coder in [(encoder.head, quantizer), *((length.head, length.quantizer) for length in lengths.values())]:
        problems += dimension_problems(coder, head.dimension)
    if problems:
        return None, problems
    artifact = Artifact(
        method=manifest["method"],
        encoder=encoder,
        quantizer=quantizer,
        classifier=classifier,
        class_names=tuple(manifest["class_names"]),
        split=split,
        training=manifest["training"],
        lengths=lengths,
    )
    if bits is not None:
        artifact = artifact.of_length(bits)
    problems = _contradictions(artifact, of_length(path, manifest, bits))
    return (None if problems else artifact), problems


def _contradictions(artifact: Artifact, manifest: Mapping[str, Any]) -> list[str]:
    """Fields of a manifest that the artifact made of it denies."""
    architecture = architecture_of(artifact)
    if manifest["format_version"] == 1:
        architecture = in_version_1(architecture)
    problems = differences(manifest, architecture | fields_of(artifact.quantizer))
    if not problems and encoder_id_of(artifact, architecture) != manifest["encoder_id"]:
        problems.append(f"{MANIFEST} names another encoder than its weights make")
    return problems


def _part(problems: list[str], file: str, make: Callable[[], _Part]) -> _Part | None:
    """What a file makes; where it makes nothing, None, and the reason is added to the problems."""
    try:
        return make()
    except (ArtifactError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = str(error)
        problems.append(reason if reason.startswith(file) else f"{file}: {reason}")
        return None


def _encoder_of(manifest: Mapping[str, Any], content: bytes) -> Encoder:
    """The network of a manifest with its weights, made without drawing random numbers."""
    name, arguments = manifest["backbone"]["name"], manifest["backbone"]["arguments"]
    if name not in BACKBONES:
        raise ArtifactError(f"the artifact names backbone {name!r}, known are {', '.join(BACKBONES)}; update dqh")
    spec = InputSpec.from_json(manifest["input"])
    if set(arguments) != set(BACKBONES[name].architecture):
        raise ValueError(f"a {name} of {arguments} cannot be")
    with torch.device("meta"):
        backbone = BACKBONES[name](size=spec.size, **arguments)
        encoder = Encoder(backbone, _head_of(manifest, backbone.dimension), spec=spec)
    _assign(encoder, content, ENCODER)
    if spec.kind == "image":
        for buffer, values in (("mean", spec.mean), ("std", spec.std)):
            if not torch.allclose(getattr(encoder, buffer).flatten(), 255 * torch.tensor(values), rtol=1e-6, atol=1e-6):
                got = [round(value, 6) for value in (getattr(encoder, buffer).flatten() / 255).tolist()]
                raise ValueError(f"{buffer} must be {list(values)}, as {MANIFEST} says, got {got}")
    encoder.requires_grad_(requires_grad=False)
    return encoder.eval()


def _head_of(manifest: Mapping[str, Any], features: int) -> HashHead:
    """The head of a manifest on the meta device."""
    head = manifest["head"]
    with torch.device("meta"):
        return HashHead(
            features,
            head["dimension"],
            activation=head["activation"],
            normalise=head.get("normalise", False),  # version 1 has none
            hidden=head.get("hidden"),
        )


def _length_of(path: Path, manifest: Mapping[str, Any], files: Listing, head: HashHead) -> Length:
    """A further length by its own manifest; without a head of its own it has that of the main one.

    Raises:
        ArtifactError, KeyError, TypeError, ValueError: a file is missing or damaged, or makes nothing.
    """

    def content(file: str) -> bytes:
        return read_listed(path, files, file_of_length(file, manifest["bits"]))

    if file_of_length(HEAD, manifest["bits"]) in files:
        head = _head_of(manifest, head.features)
        _assign(head, content(HEAD), HEAD)
        head.requires_grad_(requires_grad=False).eval()
    classifier = None if manifest["classes"] is None else _classifier_of(manifest, content(CLASSIFIER))
    return Length(head, quantizer_of(manifest, content(QUANTIZER)), classifier)


def _classifier_of(manifest: Mapping[str, Any], content: bytes) -> nn.Linear:
    classifier = nn.Linear(manifest["head"]["dimension"], manifest["classes"], device="meta")
    _assign(classifier, content, CLASSIFIER)
    classifier.requires_grad_(requires_grad=False)
    return classifier


def _split_of(manifest: Mapping[str, Any], content: bytes) -> Split:
    split = Split.from_json(parse_json(content, SPLIT))
    if split.sha256 != manifest["data"]["split_sha256"]:
        raise ValueError(f"it is not the split that {MANIFEST} names in data.split_sha256")
    names = {"name": split.data, "split": split.protocol, "seed": split.seed}
    if denied := [name for name, value in names.items() if manifest["data"][name] != value]:
        told = ", ".join(f"data.{name} {manifest['data'][name]!r:.60}, here {names[name]!r:.60}" for name in denied)
        raise ValueError(f"it is not the split that {MANIFEST} describes: {told}")
    return split


def _assign(module: nn.Module, content: bytes, file: str) -> None:
    """Give a network of no weights those of a file: these names, shapes and types, finite, and no negative variance."""
    state, wanted = parse_safetensors(content, file), module.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in state]
    problems += [f"{name!r} is unknown" for name in state if name not in wanted]
    for name, tensor in state.items():
        if name not in wanted:
            continue
        if _kind(tensor) != _kind(wanted[name]):
            problems.append(f"{name} must be {_kind(wanted[name])}, got {_kind(tensor)}")
        elif not torch.isfinite(tensor).all():
            problems.append(f"{name} must be finite, it holds NaN or infinity")
        elif name.endswith("running_var") and (tensor < 0).any():
            problems.append(f"{name} must not be negative, it is a variance, got {tensor.min().item():g}")
    if problems:
        more = f"; and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        raise ArtifactError(
            f"{file} does not fit the network that {MANIFEST} describes: {'; '.join(problems[:_TOLD])}{more}"
        )
    module.load_state_dict(state, strict=True, assign=True)


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
