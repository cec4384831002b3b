"""The artifact: a folder with everything that turns an image into a code, for any program, and nothing to execute.

    artifact.json            what it is; canonical JSON whose last field is the hash of the others; written last
    encoder.safetensors      weights
    quantizer.safetensors    thresholds, or codebooks (M, K, D/M) and a rotation
    classifier.safetensors   weight and bias of the classifier over the embedding, where the method has one
    split.json               ids of every role of the training data
    golden/                  inputs with the codes and features that they must give
    encoder.onnx, encoder.pt2, verify_onnx.py, faiss/, triton/    on request, see `dqh.export.forms`

Reading checks the hash of every file that it reads, unpickles nothing and imports nothing that a file names: backbones
and heads come from lists of this package. `dqh verify` checks every file.

Format version 2 is written, 1 is read too: its heads never gave embeddings of length 1, and do not say so.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from dqh.data import Split
from dqh.errors import ArtifactError
from dqh.export.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    Listing,
    is_artifact,
    listing_of,
    read_listed,
    read_manifest,
    write_files,
    write_manifest,
)
from dqh.export.reading import parse_json, parse_safetensors
from dqh.inputs import InputSpec
from dqh.models import BACKBONES, Encoder, HashHead
from dqh.quantizers import QUANTIZERS, ProductQuantizer, Quantizer
from dqh.sealed import canonical


@dataclass(frozen=True)
class Artifact:
    """An encoder with all that belongs to it.

    Attributes:
        method: name of the method that trained it.
        encoder: images → embedding and features, in evaluation mode.
        quantizer: embedding → codes.
        classifier: embedding → class scores, or None.
        class_names: of the training data.
        split: who was who in the training data.
        training: facts about the training, JSON values.
    """

    method: str
    encoder: Encoder
    quantizer: Quantizer
    classifier: nn.Linear | None
    class_names: tuple[str, ...]
    split: Split
    training: Mapping[str, Any]

    @property
    def encoder_id(self) -> str:
        """SHA-256 over weights, preprocessing and quantizer: equal ids give equal codes."""
        return _encoder_id(self, _architecture(self))


def save_artifact(artifact: Artifact, path: Path, *, golden: Mapping[str, bytes]) -> None:
    """Write an artifact folder; `artifact.json` comes last and makes it valid.

    Args:
        artifact: what to write.
        path: the folder; made where it does not exist.
        golden: file name → content of the golden inputs and outputs, see `dqh.export.golden`.

    Raises:
        ArtifactError: the folder already holds a valid or broken artifact.
    """
    if is_artifact(path):
        raise ArtifactError(f"{path} already holds an artifact; choose another folder or remove it first")
    files = {
        "encoder.safetensors": save(_plain(artifact.encoder.state_dict())),
        "quantizer.safetensors": save(_plain(artifact.quantizer.state())),
        "split.json": json.dumps(artifact.split.to_json(), ensure_ascii=True).encode(),
    }
    if artifact.classifier is not None:
        files["classifier.safetensors"] = save(_plain(artifact.classifier.state_dict()))
    files |= {f"golden/{name}": content for name, content in golden.items()}
    write_manifest(path, manifest_of(artifact) | {"files": write_files(path, files)})


def record_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Put an evaluation with its protocol into `artifact.json`, in one step; the encoder and its id stay the same."""
    manifest = read_manifest(path)
    write_manifest(path, manifest | {"metrics": dict(metrics)})


def load_artifact(path: Path) -> Artifact:
    """Read an artifact and check the hash of every file that is read.

    Args:
        path: the artifact folder.

    Returns:
        The artifact, on the CPU, in evaluation mode.

    Raises:
        ArtifactError: missing, damaged, of an unknown format version, or naming an unknown backbone.
    """
    manifest = read_manifest(path)
    files = listing_of(path, manifest)
    first = manifest["format_version"] == 1
    try:
        artifact = _read(path, _in_version_2(manifest) if first else manifest, files)
        claimed = manifest["encoder_id"]
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ArtifactError(f"{path / MANIFEST} does not describe an artifact: {error!r}; export it again") from error
    architecture = _architecture(artifact)
    if _encoder_id(artifact, _in_version_1(architecture) if first else architecture) != claimed:
        raise ArtifactError(f"{path / MANIFEST} names another encoder than its weights make; export the artifact again")
    return artifact


def _encoder_id(artifact: Artifact, architecture: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for state in (artifact.encoder.state_dict(), artifact.quantizer.state()):
        digest.update(save(_plain(state)))
    digest.update(canonical(architecture))
    return digest.hexdigest()


def _in_version_2(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest of version 1 with what version 2 says beyond it."""
    return {**manifest, "head": {**manifest["head"], "normalise": False}}


def _in_version_1(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """What version 1 hashed into the id of an encoder."""
    return {**architecture, "head": {k: v for k, v in architecture["head"].items() if k != "normalise"}}


def _architecture(artifact: Artifact) -> dict[str, Any]:
    """What, beside the weights, decides which code an image gets."""
    encoder = artifact.encoder
    return {
        "backbone": {"name": encoder.backbone.name, "arguments": encoder.backbone.arguments},
        "head": {
            "dimension": encoder.head.dimension,
            "activation": encoder.head.activation,
            "normalise": encoder.head.normalise,
        },
        "feature": {"name": encoder.backbone.arguments.get("tap", "input"), "size": encoder.backbone.dimension},
        "input": encoder.spec.to_json(),
        "bits": artifact.quantizer.bits,
        "code_kind": artifact.quantizer.kind,
        "bit_rule": artifact.quantizer.rule,
        "bit_order": "little",
        **_product_quantizer(artifact.quantizer),
    }


def _product_quantizer(quantizer: Quantizer) -> dict[str, Any]:
    """M, K and D of product-quantized codes, whose codebooks are in `quantizer.safetensors`."""
    if not isinstance(quantizer, ProductQuantizer):
        return {}
    fields = {"subspaces": quantizer.subspaces, "codewords": quantizer.codewords, "dimension": quantizer.dimension}
    return {"product_quantizer": {**fields, "rotated": quantizer.rotation is not None}}


def manifest_of(artifact: Artifact) -> dict[str, Any]:
    """The fields of `artifact.json` but for `files`."""
    packages = ["dqh", "torch", "torchvision", "pytorch-lightning", "numpy", "safetensors"]
    if artifact.encoder.backbone.name == "timm":
        packages.append("timm")
    return {
        "format_version": FORMAT_VERSION,
        "encoder_id": artifact.encoder_id,
        "method": artifact.method,
        **_architecture(artifact),
        "classes": None if artifact.classifier is None else artifact.classifier.out_features,
        "class_names": list(artifact.class_names),
        "data": {
            "name": artifact.split.data,
            "split": artifact.split.protocol,
            "seed": artifact.split.seed,
            "split_sha256": artifact.split.sha256,
        },
        "training": dict(artifact.training),
        "code_distance": artifact.quantizer.distance if isinstance(artifact.quantizer, ProductQuantizer) else "hamming",
        "metrics": None,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def _read(path: Path, manifest: Mapping[str, Any], files: Listing) -> Artifact:
    """The artifact of a manifest; only files that it lists are read."""

    def content(name: str) -> bytes:
        return read_listed(path, files, name)

    encoder = _build_encoder(manifest)
    _assign(encoder, content("encoder.safetensors"), path / "encoder.safetensors")
    encoder.requires_grad_(requires_grad=False)
    classifier = None
    if manifest["classes"] is not None:
        classifier = nn.Linear(encoder.head.dimension, manifest["classes"], device="meta")
        _assign(classifier, content("classifier.safetensors"), path / "classifier.safetensors")
        classifier.requires_grad_(requires_grad=False)
    quantizer = quantizer_of(manifest, content("quantizer.safetensors"))
    if quantizer.dimension != encoder.head.dimension:
        raise ValueError(
            f"a {quantizer.kind} quantizer of {quantizer.dimension} dimensions behind a head of "
            f"{encoder.head.dimension} cannot be"
        )
    return Artifact(
        method=manifest["method"],
        encoder=encoder.eval(),
        quantizer=quantizer,
        classifier=classifier,
        class_names=tuple(manifest["class_names"]),
        split=Split.from_json(parse_json(content("split.json"), str(path / "split.json"))),
        training=manifest["training"],
    )


def quantizer_of(manifest: Mapping[str, Any], content: bytes) -> Quantizer:
    """The quantizer of a manifest.

    Args:
        manifest: names kind and bits, and the distance of product-quantized codes.
        content: of `quantizer.safetensors`.

    Raises:
        ArtifactError: an unknown kind, or content that cannot be read.
        KeyError, TypeError, ValueError: what is kept makes no quantizer.
    """
    kind = manifest["code_kind"]
    if kind not in QUANTIZERS:
        raise ArtifactError(f"the artifact has codes of kind {kind!r}, known are {', '.join(QUANTIZERS)}; update dqh")
    quantizer = QUANTIZERS[kind].from_state(manifest["bits"], parse_safetensors(content, "quantizer.safetensors"))
    if isinstance(quantizer, ProductQuantizer):
        distance = manifest.get("code_distance", "l2")  # older artifacts say none
        if distance not in ("l2", "ip"):
            raise ArtifactError(f"the artifact has codes of distance {distance!r}, known are l2, ip; update dqh")
        quantizer.distance = distance
    return quantizer


def _build_encoder(manifest: Mapping[str, Any]) -> Encoder:
    """The network of a manifest, without weights and without drawing random numbers."""
    name = manifest["backbone"]["name"]
    if name not in BACKBONES:
        raise ArtifactError(f"the artifact names backbone {name!r}, known are {', '.join(BACKBONES)}; update dqh")
    spec = InputSpec.from_json(manifest["input"])
    head, arguments = manifest["head"], manifest["backbone"]["arguments"]
    if set(arguments) != set(BACKBONES[name].architecture):
        raise ValueError(f"a {name} of {arguments} cannot be")
    with torch.device("meta"):
        backbone = BACKBONES[name](size=spec.size, **arguments)
        return Encoder(
            backbone,
            HashHead(backbone.dimension, head["dimension"], activation=head["activation"], normalise=head["normalise"]),
            spec=spec,
        )


def _assign(module: nn.Module, content: bytes, file: Path) -> None:
    try:
        module.load_state_dict(parse_safetensors(content, str(file)), strict=True, assign=True)
    except RuntimeError as error:
        raise ArtifactError(f"{file} does not fit the network that {MANIFEST} describes: {error}") from error


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU in their logical order, sorted by name, so that equal weights give equal bytes."""
    return {name: state[name].detach().cpu().contiguous() for name in sorted(state)}
