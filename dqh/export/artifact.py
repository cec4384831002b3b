"""The artifact: a folder with everything that turns an image into a code, for any program, and nothing to execute.

    artifact.json            what it is; canonical JSON whose last field is the hash of the others; written last
    encoder.safetensors      weights
    quantizer.safetensors    thresholds, or codebooks (M, K, D/M) and a rotation
    classifier.safetensors   weight and bias of the classifier over the embedding, where the method has one
    split.json               ids of every role of the training data
    golden/                  inputs with the codes and features that they must give

Reading checks the hash of every file, unpickles nothing and imports nothing that a file names: backbones and heads come
from lists of this package.
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
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from dqh.data import Split
from dqh.errors import ArtifactError, NoArtifactError
from dqh.files import sha256, sync_folder, write_bytes
from dqh.inputs import InputSpec
from dqh.models import BACKBONES, Encoder, HashHead
from dqh.quantizers import QUANTIZERS, ProductQuantizer, Quantizer

FORMAT_VERSION = 2
MANIFEST = "artifact.json"


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
        digest = hashlib.sha256()
        for state in (self.encoder.state_dict(), self.quantizer.state()):
            digest.update(save(_plain(state)))
        digest.update(_canonical(_architecture(self)))
        return digest.hexdigest()


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
    (path / "golden").mkdir(parents=True, exist_ok=True)
    files = {
        "encoder.safetensors": save(_plain(artifact.encoder.state_dict())),
        "quantizer.safetensors": save(_plain(artifact.quantizer.state())),
        "split.json": json.dumps(artifact.split.to_json(), ensure_ascii=True).encode(),
    }
    if artifact.classifier is not None:
        files["classifier.safetensors"] = save(_plain(artifact.classifier.state_dict()))
    files |= {f"golden/{name}": content for name, content in golden.items()}
    for name, content in files.items():
        write_bytes(path / name, content)
    sync_folder(path)
    listing = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in files.items()
    }
    _write_manifest(path, _manifest(artifact) | {"files": listing})


def record_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Put an evaluation with its protocol into `artifact.json`, in one step; the encoder and its id stay the same."""
    manifest = read_manifest(path)
    _write_manifest(path, manifest | {"metrics": dict(metrics)})


def is_artifact(path: Path) -> bool:
    """Whether a folder holds an artifact that was written to its end."""
    return (path / MANIFEST).is_file()


def read_manifest(path: Path) -> dict[str, Any]:
    """The fields of `artifact.json`, without its hash.

    Raises:
        ArtifactError: no artifact there, a broken one, or one of another format version.
    """
    file = path / MANIFEST
    if not is_artifact(path):
        raise NoArtifactError(f"no artifact at {path}: {file} is missing; give the artifact/ folder of a run")
    try:
        manifest = json.loads(file.read_bytes())
        claimed = manifest.pop("self_sha256")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ArtifactError(f"{file} is damaged: not the JSON that was written; export the artifact again") from error
    if hashlib.sha256(_canonical(manifest)).hexdigest() != claimed:
        raise ArtifactError(f"{file} is damaged: its content does not match its hash; export the artifact again")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            f"{file} has format version {manifest.get('format_version')}, this version of dqh reads {FORMAT_VERSION}; "
            "use the dqh that wrote it"
        )
    return dict(manifest)


def load_artifact(path: Path) -> Artifact:
    """Read an artifact and check every byte of it.

    Args:
        path: the artifact folder.

    Returns:
        The artifact, on the CPU, in evaluation mode.

    Raises:
        ArtifactError: missing, damaged, of another format version, or naming an unknown backbone.
    """
    manifest = read_manifest(path)
    try:
        _check_files(path, manifest["files"])
        artifact = _read(path, manifest)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ArtifactError(f"{path / MANIFEST} does not describe an artifact: {error!r}; export it again") from error
    if artifact.encoder_id != manifest["encoder_id"]:
        raise ArtifactError(f"{path / MANIFEST} names another encoder than its weights make; export the artifact again")
    return artifact


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


def _manifest(artifact: Artifact) -> dict[str, Any]:
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


def _check_files(path: Path, files: Mapping[str, Any]) -> None:
    """Raise `ArtifactError` unless every file is there, inside the folder, and as it was written."""
    outside = [name for name in files if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise ArtifactError(f"{path / MANIFEST} names a file outside its folder: {outside[0]}; do not use it")
    for name, entry in files.items():
        file = path / name
        if not file.is_file():
            raise ArtifactError(f"{path} is incomplete: {name} is missing; copy the whole folder again")
        if file.stat().st_size != entry["size"] or sha256(file) != entry["sha256"]:
            raise ArtifactError(f"{file} is damaged: it does not match the hash in {MANIFEST}; copy it again")


def _read(path: Path, manifest: Mapping[str, Any]) -> Artifact:
    """The artifact of a manifest; only files that it lists are read."""
    files = manifest["files"]
    encoder = _build_encoder(manifest)
    _assign(encoder, _listed(path, files, "encoder.safetensors"))
    encoder.requires_grad_(requires_grad=False)
    classifier = None
    if manifest["classes"] is not None:
        classifier = nn.Linear(encoder.head.dimension, manifest["classes"], device="meta")
        _assign(classifier, _listed(path, files, "classifier.safetensors"))
        classifier.requires_grad_(requires_grad=False)
    kind = manifest["code_kind"]
    if kind not in QUANTIZERS:
        raise ArtifactError(f"the artifact has codes of kind {kind!r}, known are {', '.join(QUANTIZERS)}; update dqh")
    state = _read_tensors(_listed(path, files, "quantizer.safetensors"))
    quantizer = QUANTIZERS[kind].from_state(manifest["bits"], state)
    if isinstance(quantizer, ProductQuantizer) and manifest.get("code_distance", "l2") == "ip":
        quantizer.distance = "ip"
    if quantizer.dimension != encoder.head.dimension:
        raise ValueError(
            f"a {kind} quantizer of {quantizer.dimension} dimensions behind a head of {encoder.head.dimension} "
            "cannot be"
        )
    return Artifact(
        method=manifest["method"],
        encoder=encoder.eval(),
        quantizer=quantizer,
        classifier=classifier,
        class_names=tuple(manifest["class_names"]),
        split=Split.from_json(json.loads(_listed(path, files, "split.json").read_bytes())),
        training=manifest["training"],
    )


def _listed(path: Path, files: Mapping[str, Any], name: str) -> Path:
    if name not in files:
        raise ArtifactError(f"{path / MANIFEST} does not list {name}; export the artifact again")
    return path / name


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


def _assign(module: nn.Module, file: Path) -> None:
    try:
        module.load_state_dict(_read_tensors(file), strict=True, assign=True)
    except RuntimeError as error:
        raise ArtifactError(f"{file} does not fit the network that {MANIFEST} describes: {error}") from error


def _read_tensors(file: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(file))
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{file} cannot be read: {error}; copy it again") from error


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU in their logical order, sorted by name, so that equal weights give equal bytes."""
    return {name: state[name].detach().cpu().contiguous() for name in sorted(state)}


def _canonical(content: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, ASCII only and no spaces: equal content gives equal bytes."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    digest = hashlib.sha256(_canonical(manifest)).hexdigest()
    body = _canonical(manifest)[:-1]
    write_bytes(path / MANIFEST, body + f',"self_sha256":"{digest}"}}\n'.encode())
