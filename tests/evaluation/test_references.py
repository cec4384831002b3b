from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dqh.artifact import Artifact, golden_files, save_artifact
from dqh.data import Split
from dqh.errors import ArtifactError
from dqh.evaluation.references import (
    References,
    accuracy,
    by_codes,
    by_features,
    class_index,
    class_scores,
    compare,
    read_references,
    require_same_split,
)
from dqh.evaluation.retrieval import Retrieval, Side, retrieve
from dqh.models import Encoder, HashHead, Identity
from dqh.quantizers import ClassIndex, Threshold

RETRIEVAL = Retrieval(pool=5, timed_queries=0, precision_cutoffs=(1, 5), recall_cutoffs=(5,), map_cutoffs=(None, 5))


def artifact(*, classifier: bool = True, bits: int = 6, seed: int = 0) -> Artifact:
    torch.manual_seed(0)
    backbone = Identity(size=4)
    split = Split("counts", seed, "vectors", ("0",), ("1",), ("1",), ())
    return Artifact(
        method="dlbhc",
        encoder=Encoder(backbone, HashHead(4, bits)).eval(),
        quantizer=Threshold(bits),
        classifier=nn.Linear(bits, 3) if classifier else None,
        class_names=("a", "b", "c"),
        split=split,
        training={},
    )


def side(count: int, *, seed: int, bits: int = 6) -> Side:
    generator = np.random.default_rng(seed)
    embedding = generator.random((count, bits), dtype=np.float32)
    labels = generator.integers(0, 3, count)
    features = (generator.standard_normal((count, 4)) + labels[:, None]).astype(np.float32)
    return Side(Threshold(bits).encode(embedding), embedding, features, labels)


@pytest.mark.parametrize("convention", ["default", "dlbhc"])
def test_codes_and_features_are_measured_as_the_searches_are(convention: str) -> None:
    query, database = side(9, seed=0), side(60, seed=1)
    retrieval = replace(RETRIEVAL, convention=convention)
    found = retrieve(query, database, quantizer=Threshold(6), retrieval=retrieval)
    for reference, place in ((by_codes(query, database, quantizer=Threshold(6)), 0), (by_features(query, database), 1)):
        (row,), curves, values = compare(reference, "some", items=60, retrieval=retrieval)
        wanted, name = found.rows[place], found.rows[place]["search"]
        assert row == {key: wanted[key] for key in row} | {"search": "some"}
        assert curves["some"] == found.curves[name]
        assert np.array_equal(values["some"].values, found.average_precision[name].values)


def test_the_class_index_ranks_items_of_the_named_class_first() -> None:
    """Query named class 1, its label; of four items two are named 1, one of them rightly, and one of the rest is.

    AP by expectation: the first hit is at rank 1 or 2, the second at rank 3 or 4: means over the four orders
    (1 + 2/3 + 1 + 2/4 + 1/2 + 2/3 + 1/2 + 2/4) / 8 = (3 + 7/3) / 8 = 2/3.
    """
    method = artifact(bits=3)
    with torch.no_grad():
        method.classifier.weight.copy_(torch.eye(3))
        method.classifier.bias.zero_()
    named = np.eye(3, dtype=np.float32)
    query = Side(np.zeros((1, 1), np.uint8), named[[1]], np.zeros((1, 4), np.float32), np.array([1]))
    items = Side(np.zeros((4, 1), np.uint8), named[[0, 1, 2, 1]], np.zeros((4, 4), np.float32), np.array([0, 1, 1, 2]))
    reference = class_index(method, query, items)
    assert reference is not None
    (row,), _, _ = compare(reference, "class_index", items=4, retrieval=replace(RETRIEVAL, precision_cutoffs=(1,)))
    assert row["mAP@all"] == pytest.approx(2 / 3)
    assert row["P@1"] == 0.5
    assert row["bytes_per_item"] == 1
    assert accuracy(method, query) == 1.0


def test_class_scores() -> None:
    method = artifact()
    embedding = np.random.default_rng(0).random((5, 6), dtype=np.float32)
    expected = method.classifier(torch.from_numpy(embedding)).detach().numpy()
    assert np.array_equal(class_scores(method, embedding), expected)
    assert class_scores(artifact(classifier=False), embedding) is None
    assert class_index(artifact(classifier=False), side(2, seed=0), side(3, seed=1)) is None
    plain = replace(method, quantizer=ClassIndex(6), classifier=None)
    assert class_scores(plain, embedding) is embedding


def test_accuracy_compares_names_where_classes_are_numbered_otherwise() -> None:
    """Of a query of another class, as d, nobody knows whether its name is wrong or the classifier."""
    method, query = artifact(), side(30, seed=0)
    scores = class_scores(method, query.embedding)
    assert scores is not None
    named = np.array(["a", "b", "c"])[scores.argmax(1)]
    true = np.array(["c", "a", "b"])[query.labels]
    right = float((named == true).mean())
    assert accuracy(method, query, ("c", "a", "b", "d")) == right
    assert right != accuracy(method, query) == accuracy(method, query, ("a", "b", "c"))
    assert accuracy(method, query, ("c", "a", "d")) is None
    assert accuracy(method, query, ("x", "y", "z")) is None


def test_accuracy_needs_one_label_an_image() -> None:
    query = side(5, seed=0)
    assert accuracy(artifact(), query._replace(labels=np.eye(5, 3, dtype=bool))) is None
    assert accuracy(artifact(classifier=False), query) is None


def test_references_are_read_from_beside_the_artifact(tmp_path: Path) -> None:
    assert read_references(tmp_path) == References()
    own = artifact()
    save_artifact(own, tmp_path / "untrained", golden=golden_files(own, np.zeros((2, 4), np.float32)))
    found = read_references(tmp_path)
    assert found.without_h is None
    assert found.untrained is not None
    assert found.untrained.encoder_id == own.encoder_id
    require_same_split(own, found)
    with pytest.raises(ArtifactError, match="the untrained/ folder beside the artifact belongs to another split"):
        require_same_split(artifact(seed=1), found)
