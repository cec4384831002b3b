"""Data that are not those of the artifact."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.artifact import Artifact
from dqh.data.features import Features
from dqh.data.protocols import Protocol
from dqh.data.splits import Split
from dqh.errors import DataError
from dqh.evaluation.evaluate import evaluate_artifact
from dqh.evaluation.other_data import known_trained, redraw, require_data
from dqh.quantizers import Threshold
from tests.data.memory import Memory
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


LABELS = np.arange(60) % 3


class Named(Memory):
    """Rows with ids of one's own."""

    def __init__(self, ids, *args, **options):
        super().__init__(*args, **options)
        self._ids = ids

    @property
    def ids(self):
        return np.array(self._ids, dtype=np.str_)


def trained_on(source, *, recognisable=True, **options) -> Split:
    split = Protocol("counts", query="auto", **options).draw(source)
    return split.recognisable(source) if recognisable else split


def test_no_query_has_an_id_that_was_trained_on():
    """60 images, of which 9 are queries and one is deleted: the eight or nine that are left are the queries."""
    split = trained_on(Memory(LABELS), validation=6)
    ids = [name for name in Memory(LABELS).ids.tolist() if name != split.train[0]]
    places = [int(name.partition("/")[2]) for name in ids]
    drawn = redraw(split, Named(ids, LABELS[places], values=np.array(places)))
    assert drawn.query == split.query
    assert sorted((*drawn.query, *drawn.database)) == sorted(ids)
    assert (drawn.train, drawn.validation) == (drawn.database, ())
    assert drawn.sha256 != split.sha256


@pytest.mark.parametrize("recognisable", [True, False])
def test_content_that_was_trained_on_is_known_under_another_name(recognisable: bool):
    """A class folder was renamed: its 20 images have other ids, and the content that the fingerprint keeps."""
    split = trained_on(Memory(LABELS), recognisable=recognisable)
    ids = np.where(LABELS == 2, np.char.add("other/", np.arange(60).astype(str)), Memory(LABELS).ids)
    source = Named(ids, LABELS)
    trained = {name.partition("/")[2] for name in split.train}
    known = [name.partition("/")[2] for name in ids[known_trained(split, source)].tolist()]
    assert set(known) == (trained if recognisable else {name for name in trained if LABELS[int(name)] != 2})
    queries = {name.partition("/")[2] for name in redraw(split, source).query}
    assert queries
    assert queries.isdisjoint(known)


def test_wholly_other_data_are_split_by_the_same_seed():
    split = trained_on(Memory(LABELS), seed=3)
    other = Named([f"b/{row}" for row in range(40)], np.arange(40) % 2, values=np.arange(100, 140))
    drawn = redraw(split, other)
    assert (drawn.protocol, drawn.seed, drawn.data, len(drawn.query)) == ("counts", 3, "memory", 6)
    assert drawn == redraw(split, other)
    assert drawn.query == trained_on(other, seed=3).query


def test_the_protocol_stays_where_it_suits():
    parts = {"train": range(40), "test": range(40, 60)}
    split = Protocol("full").draw(Memory(LABELS, roles=parts))
    other = Memory(LABELS[:50], roles={"train": range(30), "test": range(30, 50)})
    drawn = redraw(split, other)
    assert drawn.protocol == "full"
    assert drawn.query == tuple(f"row/{row}" for row in range(40, 50))  # 30 … 39 were trained on
    assert drawn.database == tuple(f"row/{row}" for row in range(30))
    assert redraw(split, Memory(LABELS[:50])).protocol == "counts"


def test_several_labels_an_image():
    labels = np.eye(3, dtype=bool)[LABELS]
    split = trained_on(Memory(labels))
    drawn = redraw(split, Memory(labels[:55]))
    assert drawn.query
    assert set(drawn.query).isdisjoint(split.train)


def test_data_that_were_trained_on_give_no_query():
    split = trained_on(Memory(LABELS))
    known = [int(name.partition("/")[2]) for name in split.train]
    with pytest.raises(DataError, match="every image of memory that could be a query was trained on; give images that"):
        redraw(split, Named(split.train, LABELS[known]))
    alone = Named([*split.train, "new/0"], [*LABELS[known], 3], values=[*known, 200])
    with pytest.raises(DataError, match=r"52 images in 4 classes, 1 of them not trained on, and cannot be split"):
        redraw(split, alone)
