"""A detector that is kept in a folder, ready to detect."""

import os
from pathlib import Path

from dqh.detection.detector_manifest import MODEL, read_detector_manifest, read_model
from dqh.detection.network import OnnxNetwork
from dqh.detection.onnx_detector import OnnxDetector
from dqh.detection.spec import with_threshold
from dqh.detection.trained_manifest import is_trained


def open_detector(
    path: str | os.PathLike[str], *, threads: int | None = None, threshold: float | None = None, device: str = "cpu"
) -> OnnxDetector:
    """The detector of a folder: of one that `dqh detector` or `save_detector` made, or of the artifact of a training.

    Every byte is checked against its hash, and the network is loaded and run once. Torch is loaded for an artifact of a
    training alone; `dqh export ARTIFACT --to onnx` makes a folder of it that does without.

    Args:
        path: of the folder.
        threads: that compute; None for as many as there are cores, see `dqh.cores.threads`. Torch has its own.
        threshold: score below which a box is none, in place of the folder's; the detector has another id by it.
        device: `cpu` or `cuda`, that torch computes on.

    Raises:
        NoDetectorError: there is none.
        DetectorError: it is damaged, of an unknown format, or its network does not run or not as the folder says.
        ConfigError: the threshold is no number in 0 … 1.
        DqhError: onnxruntime is not installed.
    """
    folder = Path(path)
    if is_trained(folder):
        from dqh.detection.trained_detector import open_trained

        return open_trained(folder, threshold=threshold, device=device)
    manifest = read_detector_manifest(folder)
    manifest = manifest._replace(spec=with_threshold(manifest.spec, threshold))
    content = read_model(folder, manifest)
    network = OnnxNetwork(content, os.fspath(folder / MODEL), threads=threads)
    try:
        return OnnxDetector(network, manifest.spec, manifest.detector_id)
    except BaseException:
        network.close()
        raise
