"""A detector that is kept in a folder, ready to detect."""

import os
from pathlib import Path

from dqh.detection.detector_manifest import MODEL, read_detector_manifest, read_model
from dqh.detection.network import OnnxNetwork
from dqh.detection.onnx_detector import OnnxDetector


def open_detector(path: str | os.PathLike[str], *, threads: int | None = None) -> OnnxDetector:
    """The detector of a folder that `dqh detector` or `dqh.detection.writing.save_detector` made.

    Every byte is checked against its hash, and the network is loaded and run once. No torch is loaded.

    Args:
        path: of the folder.
        threads: that compute; None for as many as there are cores, see `dqh.cores.threads`.

    Raises:
        NoDetectorError: there is none.
        DetectorError: it is damaged, of an unknown format, or its network does not run or not as the folder says.
        DqhError: onnxruntime is not installed.
    """
    folder = Path(path)
    manifest = read_detector_manifest(folder)
    network = OnnxNetwork(read_model(folder, manifest), os.fspath(folder / MODEL), threads=threads)
    try:
        return OnnxDetector(network, manifest.spec, manifest.detector_id)
    except BaseException:
        network.close()
        raise
