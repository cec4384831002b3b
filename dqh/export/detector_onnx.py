"""A detector that was trained here, as a folder that detects without torch: its network in ONNX, of fixed outputs.

N images of S × S pixels, n boxes, A anchors, K proposals, C classes. The network has its default boxes, or anchors, and
its normalisation inside; thresholds, and what is done with boxes that lie on one object, stay outside, in numpy, as for
every detector. A detector of two stages becomes two networks, with the choice of the proposals between them. Needs the
extra `onnx`.
"""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dqh.detection.detector_manifest import DetectorManifest
from dqh.detection.golden_inputs import GOLDEN, TOLERANCE
from dqh.detection.network import OnnxNetwork
from dqh.detection.onnx_detector import Runnable
from dqh.detection.origin import Origin
from dqh.detection.proposals import Selection
from dqh.detection.trained_detector import TrainedDetector, load_trained, read_golden_inputs
from dqh.detection.trained_manifest import read_file, read_trained_manifest
from dqh.detection.two_stage import two_stages
from dqh.detection.writing import require_place, write_detector
from dqh.errors import DetectorError
from dqh.export.onnx_export import onnx_bytes, onnx_of, require_onnx
from dqh.models.detectors import surest_boxes
from dqh.models.detectors.faster_rcnn_network import FasterRCNNNetwork


class OnnxModels(NamedTuple):
    """A network as ONNX.

    Attributes:
        models: contents of one model: `images` (N, 3, S, S) float32, 0 … 255, to `boxes` (N, n, 4) and `scores`
            (N, n, C) float32. Or of two: those images to `boxes` (N, A, 4) and `logits` (N, A) of the anchors and to
            maps `map_0` …; and `proposals` (N, K, 4) with the maps to `boxes` (N, K, 4) and `scores` (N, K, C).
        selection: of the proposals, where there are two.
    """

    models: tuple[bytes, ...]
    selection: Selection | None = None

    def opened(self, name: str) -> Runnable:
        """The network, loaded; `name` is what messages call it."""
        if self.selection is None:
            return OnnxNetwork(self.models[0], name)
        return two_stages((self.models[0], self.models[1]), self.selection, names=(name, name))


def export_detector(path: Path, out: Path) -> DetectorManifest:
    """Make a folder that `open_detector` opens without torch of one that a training left.

    The network is asked about the golden inputs of the training, one at a time, in ONNX Runtime, before the folder
    counts; they lie in it too.

    Args:
        path: of the trained detector.
        out: a folder that is not there yet, or is empty.

    Raises:
        NoDetectorError: there is no detector.
        DetectorError: it is damaged, torch cannot export it, or ONNX Runtime answers otherwise than torch.
        ConfigError: the folder is not empty.
        DqhError: the extra `onnx` is not installed.
        OSError: it cannot be written.
    """
    require_onnx()
    require_place(out)
    manifest = read_trained_manifest(path)
    detector = load_trained(path, manifest)
    exported = onnx_models(detector)
    golden = {name: read_file(path, manifest, name) for name in GOLDEN}
    origin = Origin(detector.method, detector.split, detector.boxes_sha256, detector.training)
    with closing(exported.opened(os.fspath(path))) as network:
        _require_parity(network, path, detector)
        return write_detector(
            out, exported.models, detector.spec, network, selection=exported.selection, golden=golden, origin=origin
        )


def onnx_models(detector: TrainedDetector) -> OnnxModels:
    """The network as ONNX, for any number of images.

    Raises:
        DetectorError: a network is larger than an ONNX file can be, or torch cannot export it.
    """
    network, size = detector.network.eval(), detector.spec.height
    images = torch.zeros(2, 3, size, size)
    if not isinstance(network, FasterRCNNNetwork):
        return OnnxModels((_exported(network, images, inputs=["images"], outputs=["boxes", "scores"]),))
    with torch.no_grad():
        maps = [torch.zeros_like(part) for part in network.first_stage(network.trunk(images)).maps]
    names = [f"map_{number}" for number in range(len(maps))]
    first = _exported(_FirstStage(network), images, inputs=["images"], outputs=["boxes", "logits", *names])
    proposals = torch.zeros(2, network.proposals, 4)
    second = _exported(
        _SecondStage(network), proposals, tuple(maps), inputs=["proposals", *names], outputs=["boxes", "scores"]
    )
    return OnnxModels((first, second), _selection_of(network))


class _FirstStage(nn.Module):
    """From images to anchors that were moved, their logits, and the maps."""

    def __init__(self, network: FasterRCNNNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        regions = self.network.first_stage(self.network.trunk(images))
        return (regions.boxes, regions.logits, *regions.maps)


class _SecondStage(nn.Module):
    """From proposals and maps to boxes and scores."""

    def __init__(self, network: FasterRCNNNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, proposals: Tensor, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return self.network.answer(list(maps), proposals)


def _selection_of(network: FasterRCNNNetwork) -> Selection:
    return Selection(
        candidates=surest_boxes.CANDIDATES,
        least_side=surest_boxes.LEAST_SIDE,
        threshold=float(network.objectness),
        iou=float(network.overlap),
        most=network.proposals,
    )


def _exported(
    network: nn.Module, *examples: Tensor | tuple[Tensor, ...], inputs: Sequence[str], outputs: Sequence[str]
) -> bytes:
    return onnx_bytes(onnx_of(network.eval(), *examples, inputs=inputs, outputs=outputs, error=DetectorError))


def _require_parity(network: Runnable, path: Path, detector: TrainedDetector) -> None:
    """Raise `DetectorError` where ONNX Runtime answers golden inputs otherwise than torch did."""
    golden = read_golden_inputs(path)
    verdict = golden.compared(*golden.answers(network.run), size=detector.spec.height)
    if not verdict.holds:
        raise DetectorError(
            f"{path}: in ONNX Runtime boxes differ by {verdict.box_error:.1e} of the side and scores by "
            f"{verdict.score_error:.1e}, wanted at most {TOLERANCE:g}; update torch and onnxruntime"
        )
