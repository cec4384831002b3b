"""A detector that was trained here, as an object: into its folder, and out of it. Needs torch.

N golden inputs of S × S pixels, n boxes that a network proposes in one, C classes.
"""

import hashlib
import io
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from dqh.artifact.new_folder import publish_new
from dqh.artifact.reading import parse_safetensors
from dqh.data.splits import Split
from dqh.detection.detector_files import FORMAT_VERSION, MANIFEST, SPLIT
from dqh.detection.golden_inputs import GOLDEN, GoldenInputs, GoldenVerdict, read_golden
from dqh.detection.onnx_detector import OnnxDetector
from dqh.detection.origin import split_bytes, split_of
from dqh.detection.spec import DetectorSpec, with_threshold
from dqh.detection.torch_network import TorchNetwork
from dqh.detection.trained_manifest import (
    BACKEND,
    WEIGHTS,
    TrainedManifest,
    read_file,
    read_trained_manifest,
)
from dqh.errors import ArtifactError, DetectorError, DqhError
from dqh.files import write_bytes
from dqh.models.detectors.detector_networks import ARGUMENTS, NETWORKS, make
from dqh.models.zoo import BACKBONES

_PACKAGES = ("dqh", "numpy", "torch", "torchvision")


@dataclass(frozen=True)
class TrainedDetector:
    """All that the folder of a detector holds.

    Attributes:
        method: that trained it, as in `conf/method/`.
        network: one of `NETWORKS`, with a `trunk`.
        arguments: of the network, see `ARGUMENTS`.
        spec: how it is run.
        split: of its data.
        boxes_sha256: of the annotations, see `BoxSource`.
        training: facts of the training, plain JSON values.
    """

    method: str
    network: Any
    arguments: Mapping[str, Any]
    spec: DetectorSpec
    split: Split
    boxes_sha256: str
    training: Mapping[str, Any] = field(default_factory=dict)


def save_trained(detector: TrainedDetector, path: Path, *, golden: NDArray[np.uint8]) -> None:
    """Write the folder of a detector, whole or not at all, read back before it counts.

    Args:
        detector: what is written.
        path: a folder that is not there yet, or is empty.
        golden: (N, 3, S, S) inputs that are kept with what the network says of them, at least one.

    Raises:
        DetectorError: what would be written cannot be read again, as where weights are not finite.
        ConfigError: the folder holds a detector, or something else.
        OSError: it cannot be written.
    """
    network = TorchNetwork(detector.network.eval(), detector.spec.height, os.fspath(path))
    boxes, scores = network.run(golden.astype(np.float32))
    weights = {name: value.detach().cpu().contiguous() for name, value in detector.network.state_dict().items()}
    files = {
        WEIGHTS: save(weights),
        SPLIT: split_bytes(detector.split),
        **dict(zip(GOLDEN, map(_npy, (golden, boxes, scores)), strict=True)),
    }
    trunk = detector.network.trunk
    around = {
        "format_version": FORMAT_VERSION,
        "backend": BACKEND,
        "method": detector.method,
        "network": {
            "name": next(name for name, kind in NETWORKS.items() if type(detector.network) is kind),
            "arguments": dict(detector.arguments),
            "backbone": {"name": trunk.name, "arguments": trunk.arguments},
        },
        "data": {
            "name": detector.split.data,
            "split_sha256": detector.split.sha256,
            "boxes_sha256": detector.boxes_sha256,
        },
        "training": dict(detector.training),
        "metrics": None,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            for name, content in files.items()
        },
    }
    publish_new(
        path,
        files | {MANIFEST: TrainedManifest(detector.spec, around).to_bytes()},
        kind="detector",
        check=_require_golden,
        error=DetectorError,
    )


def load_trained(path: Path, manifest: TrainedManifest | None = None) -> TrainedDetector:
    """Read the folder of a detector, every hash checked, the network on the CPU in evaluation mode.

    Args:
        path: of the folder.
        manifest: that was read of it; None to read it.

    Raises:
        NoDetectorError: there is none.
        DetectorError: it is damaged, or what it says makes no sense.
    """
    manifest = read_trained_manifest(path) if manifest is None else manifest
    fields = manifest.around
    try:
        network = _network_of(manifest, read_file(path, manifest, WEIGHTS))
    except DetectorError:
        raise
    except (ArtifactError, DqhError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DetectorError(f"{path / MANIFEST} describes no detector: {error}; train it again") from error
    return TrainedDetector(
        fields["method"],
        network,
        fields["network"]["arguments"],
        manifest.spec,
        split_of(path, read_file(path, manifest, SPLIT), sha256=fields["data"]["split_sha256"]),
        fields["data"]["boxes_sha256"],
        fields["training"],
    )


def open_trained(path: Path, *, threshold: float | None = None, device: str = "cpu") -> OnnxDetector:
    """The detector of a folder that a training left, ready to detect; errors are those of `open_detector`.

    Args:
        path: of the folder.
        threshold: score below which a box is none, in place of the folder's.
        device: that computes.
    """
    manifest = read_trained_manifest(path)
    detector = load_trained(path, manifest)
    spec = with_threshold(manifest.spec, threshold)
    network = TorchNetwork(detector.network.to(device), spec.height, os.fspath(path))
    return OnnxDetector(network, spec, manifest._replace(spec=spec).detector_id)


def record_detection(path: Path, metrics: Mapping[str, Any]) -> None:
    """Put an evaluation into `detector.json`, in one step; the detector and its id stay the same.

    Raises:
        DetectorError: there is no detector, or it is damaged.
        OSError: it cannot be written; the folder is as it was.
    """
    manifest = read_trained_manifest(path)
    around = manifest.around | {"metrics": dict(metrics)}
    write_bytes(path / MANIFEST, manifest._replace(around=around).to_bytes())


def read_golden_inputs(path: Path) -> GoldenInputs:
    """The golden inputs of a folder, with what they must get.

    Raises:
        DetectorError: the folder or its golden inputs are damaged.
    """
    manifest = read_trained_manifest(path)
    return read_golden(lambda name: read_file(path, manifest, name), size=manifest.spec.height, where=os.fspath(path))


def verify_trained(path: Path, detector: TrainedDetector | None = None) -> GoldenVerdict:
    """Let a network answer the golden inputs of a folder again, and compare.

    Args:
        path: of the folder.
        detector: what answers; None for that of the folder.

    Raises:
        DetectorError: the folder or its golden inputs are damaged, or the answers have other shapes.
    """
    golden = read_golden_inputs(path)
    own = load_trained(path) if detector is None else detector
    size = own.spec.height
    answers = TorchNetwork(own.network, size, os.fspath(path)).run(golden.inputs.astype(np.float32))
    return golden.compared(*answers, size=size)


def _network_of(manifest: TrainedManifest, content: bytes) -> nn.Module:
    """The network of a manifest with its weights, made without drawing random numbers."""
    fields, spec = manifest.around["network"], manifest.spec
    name, backbone = fields["name"], fields["backbone"]
    if name not in NETWORKS or backbone["name"] not in BACKBONES:
        raise ValueError(f"there is no network {name!r} on {backbone['name']!r} here; update dqh")
    if problems := ARGUMENTS[name](fields["arguments"], "network.arguments"):
        raise ValueError("; ".join(problems))
    if set(backbone["arguments"]) != set(BACKBONES[backbone["name"]].architecture) or spec.height != spec.width:
        raise ValueError(f"a {backbone['name']} of {backbone['arguments']} for {spec.height} × {spec.width} cannot be")
    tensors = parse_safetensors(content, WEIGHTS)
    if bad := [key for key, value in tensors.items() if not bool(torch.isfinite(value).all())]:
        raise ValueError(f"{WEIGHTS} holds numbers that are not finite, in {bad[0]}")
    with torch.device("meta"):
        backbone_of = BACKBONES[backbone["name"]](size=spec.height, **backbone["arguments"])
        network = make(name, backbone_of, len(spec.classes), fields["arguments"])
    own = network.state_dict()
    problems = [f"{key} is missing" for key in own if key not in tensors]
    problems += [f"{key} is unknown" for key in tensors if key not in own]
    problems += [
        f"{key} is {tensors[key].dtype} {tuple(tensors[key].shape)}, wanted {value.dtype} {tuple(value.shape)}"
        for key, value in own.items()
        if key in tensors and (tensors[key].dtype, tensors[key].shape) != (value.dtype, value.shape)
    ]
    if problems:
        raise ValueError(f"{WEIGHTS}: {'; '.join(problems[:3])}")
    network.load_state_dict(tensors, assign=True)
    network.requires_grad_(requires_grad=False)
    return network.to(memory_format=torch.channels_last).eval()


def _require_golden(path: Path) -> None:
    """Raise `DetectorError` where a folder answers its golden inputs otherwise than it says."""
    verdict = verify_trained(path)
    if not verdict.holds:
        raise DetectorError(f"what would be written answers otherwise than the network: {verdict}; it is not kept")


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
