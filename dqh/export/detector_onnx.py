"""A detector that was trained here, as a folder that detects without torch: its network in ONNX, of fixed outputs.

n boxes, C classes. The network has its default boxes and its normalisation inside; thresholds, and what is done with
boxes that lie on one object, stay outside, in numpy, as for every detector. Needs the extra `onnx`.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import torch

from dqh.detection.detector_manifest import DetectorManifest
from dqh.detection.network import OnnxNetwork
from dqh.detection.trained_detector import TOLERANCE, TrainedDetector, load_trained, read_golden_inputs
from dqh.detection.writing import save_detector
from dqh.errors import DetectorError
from dqh.export.onnx_export import onnx_bytes, onnx_of, require_onnx

INPUT, OUTPUTS = "images", ("boxes", "scores")


def export_detector(path: Path, out: Path) -> DetectorManifest:
    """Make a folder that `open_detector` opens without torch of one that a training left.

    The network is asked about the golden inputs of the training, one at a time, in ONNX Runtime, before the folder
    counts.

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
    detector = load_trained(path)
    content = onnx_network(detector)
    _require_parity(content, path, detector)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(content)
        spec = detector.spec
        return save_detector(
            model,
            out,
            decoder=spec.decoder,
            classes=spec.classes,
            size=(spec.height, spec.width),
            settings=spec.settings,
        )


def onnx_network(detector: TrainedDetector) -> bytes:
    """The network as ONNX: `images` (N, 3, S, S) float32, 0 … 255, to `boxes` (N, n, 4) and `scores` (N, n, C) float32.

    Raises:
        DetectorError: the network is larger than an ONNX file can be, or torch cannot export it.
    """
    size = detector.spec.height
    example = torch.zeros(2, 3, size, size)
    return onnx_bytes(onnx_of(detector.network.eval(), example, inputs=INPUT, outputs=OUTPUTS, error=DetectorError))


def _require_parity(content: bytes, path: Path, detector: TrainedDetector) -> None:
    """Raise `DetectorError` where ONNX Runtime answers golden inputs otherwise than torch did."""
    golden = read_golden_inputs(path)
    with OnnxNetwork(content, os.fspath(path)) as network:
        answers = [network.run(image[np.newaxis].astype(np.float32)) for image in golden.inputs]
    boxes, scores = (np.concatenate([answer[place] for answer in answers]) for place in range(len(OUTPUTS)))
    verdict = golden.compared(boxes, scores, size=detector.spec.height)
    if not verdict.holds:
        raise DetectorError(
            f"{path}: in ONNX Runtime boxes differ by {verdict.box_error:.1e} of the side and scores by "
            f"{verdict.score_error:.1e}, wanted at most {TOLERANCE:g}; update torch and onnxruntime"
        )
