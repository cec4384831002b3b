"""What every export to ONNX refuses, whatever the network is for."""

import pytest

from dqh.errors import ArtifactError, DetectorError, DqhError
from dqh.export import onnx_export
from dqh.export.artifact.onnx_form import onnx_model
from dqh.export.detector_onnx import onnx_models
from tests.artifact.conftest import make
from tests.detection.test_trained_detector import detector_of


def test_a_missing_package_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqh.encoding.onnx_runtime.find_spec", lambda name: None)
    for export in (lambda: onnx_model(make()), lambda: onnx_models(detector_of())):
        with pytest.raises(DqhError, match=r"needs the package onnx; install it: uv sync --inexact --extra onnx"):
            export()


def test_a_network_beyond_an_onnx_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST", 100)
    with pytest.raises(ArtifactError, match=r"the weights take \d+ bytes, more than an ONNX file holds; export pt2"):
        onnx_model(make())
    with pytest.raises(DetectorError, match=r"the weights take \d+ bytes, more than an ONNX file holds$"):
        onnx_models(detector_of())
