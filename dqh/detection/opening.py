"""A detector that is kept in a folder, ready to detect."""

import os
from pathlib import Path

from dqh.detection.detector_manifest import (
    MODEL,
    SECOND,
    DetectorManifest,
    read_detector_manifest,
    read_kept,
    read_model,
    read_second,
)
from dqh.detection.golden_inputs import GoldenVerdict, read_golden
from dqh.detection.network import OnnxNetwork
from dqh.detection.onnx_detector import OnnxDetector, Runnable
from dqh.detection.spec import with_threshold
from dqh.detection.trained_manifest import is_trained
from dqh.detection.two_stage import two_stages


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
    network = _network_in(folder, manifest, threads=threads)
    try:
        return OnnxDetector(network, manifest.spec, manifest.detector_id)
    except BaseException:
        network.close()
        raise


def verify_exported(path: Path) -> GoldenVerdict | None:
    """Let the network of a folder that holds ONNX answer its golden inputs, one at a time; None where there are none.

    Every byte is checked against its hash before, and the network is run once as it is by `open_detector`, whose errors
    these are.
    """
    manifest = read_detector_manifest(path)
    network = _network_in(path, manifest, threads=None)
    try:
        OnnxDetector(network, manifest.spec, manifest.detector_id)
        if manifest.golden is None:
            return None
        size = manifest.spec.height
        golden = read_golden(lambda name: read_kept(path, manifest, name), size=size, where=os.fspath(path))
        return golden.compared(*golden.answers(network.run), size=size)
    finally:
        network.close()


def _network_in(folder: Path, manifest: DetectorManifest, *, threads: int | None) -> Runnable:
    """The network of a folder, of one model or of two."""
    model, name = read_model(folder, manifest), os.fspath(folder / MODEL)
    if manifest.second is None:
        return OnnxNetwork(model, name, threads=threads)
    second = read_second(folder, manifest.second)
    names = (name, os.fspath(folder / SECOND))
    return two_stages((model, second), manifest.second.selection, names=names, threads=threads)
