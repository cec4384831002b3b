"""Data that are not those of the artifact."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.artifact import Artifact
from dqh.data.features import Features
from dqh.errors import DataError
from dqh.evaluation.evaluate import evaluate_artifact
from dqh.evaluation.other_data import require_data
from dqh.quantizers import Threshold
from tests.evaluation.test_evaluate import SETTINGS, experiment

CPU = torch.device("cpu")
TRAINING = {"search": replace(SETTINGS, baselines=("lsh",)).to_json(), "eval_batch_size": 50, "threads": 1}


def trained(folder: Path) -> tuple[Artifact, Features]:
    """160 vectors of three classes: 20 queries, 140 items, 60 of them trained on."""
    plain, data = experiment(folder, Threshold(6, threshold=0), **TRAINING)
    assert isinstance(data.source, Features)
    return replace(plain, split=plain.split.recognisable(data.source)), data.source


def changed(folder: Path, vectors: np.ndarray, labels: np.ndarray, **options: object) -> Features:
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "changed.npy", labels)
    return Features(features=folder / "vectors.npy", labels=folder / "changed.npy", **options)


def test_other_data_are_refused_unless_they_are_meant(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Labels shifted by one: the numbers would be of no data at all."""
    caplog.set_level("INFO")
    artifact, source = trained(tmp_path)
    assert require_data(artifact, source) == (artifact.split, ())
    assert caplog.messages == []
    labels = np.load(tmp_path / "labels.npy")
    shifted = changed(tmp_path, np.load(tmp_path / "features.npy"), (labels + 1) % 3)
    with pytest.raises(DataError, match=r"features is not what the .* these differ: labels\. .* or other_data=true"):
        evaluate_artifact(artifact, shifted, device=CPU, skipped_file=tmp_path / "skipped.csv")
    match = require_data(artifact, shifted, other_data=True)
    found = evaluate_artifact(artifact, shifted, device=CPU, skipped_file=tmp_path / "skipped.csv", match=match)
    assert found.metrics["protocol"]["other_data"] == ["labels"]
    assert "OTHER DATA than trained on: labels · data features" in found.text()
    found.write(tmp_path, environment={"command": "python evaluate.py"})
    assert "OTHER DATA than trained on: labels" in (tmp_path / "report.html").read_text(encoding="utf-8")
    plain = replace(artifact, split=replace(artifact.split, fingerprint=None))
    assert require_data(plain, shifted) == (plain.split, ())
    assert "has no fingerprint of its data: of features, only the ids were compared" in caplog.text


def test_data_that_lack_images_are_split_anew(tmp_path: Path) -> None:
    """The last vector is gone. Without the key that is a usage error which names it; with it, every table says so."""
    artifact, _ = trained(tmp_path)
    fewer = changed(tmp_path, np.load(tmp_path / "features.npy")[:-1], np.load(tmp_path / "labels.npy")[:-1])
    with pytest.raises(DataError, match=r"ids \(1 of 160 ids of the split not there: '159'\)\. .* or other_data=true"):
        require_data(artifact, fewer)
    match = require_data(artifact, fewer, other_data=True)
    found = evaluate_artifact(artifact, fewer, device=CPU, skipped_file=tmp_path / "skipped.csv", match=match)
    protocol = found.metrics["protocol"]
    assert (protocol["query"], protocol["database"], protocol["left_out"]) == (24, 135, 0)
    assert set(match.split.query).isdisjoint(artifact.split.train)
    assert (protocol["train"], protocol["validation"], protocol["database_includes_train"]) == (None, None, None)
    assert protocol["split_sha256"] == match.split.sha256
    said = "split drawn anew: counts, seed 0, queries without what was trained on by id and content"
    assert said in " ".join(found.text().split())
    found.write(tmp_path, environment={"command": "python evaluate.py"})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert said in page
    assert "A network turns every item of features into 6 bits." in page


def test_classes_of_other_data_are_not_said_to_be_unseen(tmp_path: Path) -> None:
    """Other vectors of two classes, of which the artifact may have seen any; its classifier cannot name them."""
    artifact, _ = trained(tmp_path)
    generator = np.random.default_rng(5)
    other = changed(tmp_path, generator.standard_normal((50, 8)).astype(np.float32), np.arange(50) % 2)
    match = require_data(artifact, other, other_data=True)
    assert match.differences[:2] == (
        "ids (110 of 160 ids of the split not there: '100', '101', '102', …)",
        "class names (now 2: '0', '1')",
    )
    found = evaluate_artifact(artifact, other, device=CPU, skipped_file=tmp_path / "skipped.csv", match=match)
    assert found.metrics["unseen"] is found.metrics["protocol"]["unseen_classes"] is None
    assert "never trained on" not in found.text()


def test_images_that_came_later_are_counted(tmp_path: Path) -> None:
    artifact, source = trained(tmp_path)
    vectors, labels = np.load(tmp_path / "features.npy"), np.load(tmp_path / "labels.npy")
    more = changed(tmp_path, np.concatenate([vectors, vectors[:20] + 1]), np.concatenate([labels, labels[:20]]))
    found = evaluate_artifact(artifact, more, device=CPU, skipped_file=tmp_path / "skipped.csv")
    assert (found.metrics["protocol"]["images"], found.metrics["protocol"]["left_out"]) == (180, 20)
    assert "20 of 180 images are not of the split and are left out" in found.text().splitlines()
    whole = evaluate_artifact(artifact, source, device=CPU, skipped_file=tmp_path / "skipped.csv")
    assert whole.metrics["protocol"]["left_out"] == 0
    assert "left out" not in whole.text()
