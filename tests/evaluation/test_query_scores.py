import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.artifact import Artifact
from dqh.data import Features, Protocol, prepare
from dqh.evaluation.evaluate import evaluate
from dqh.evaluation.measure import PerQuery
from dqh.evaluation.query_scores import UNSEEN, query_scores, write_scores
from dqh.evaluation.retrieval import Retrieval
from dqh.models import Encoder, HashHead, Identity
from dqh.quantizers import Threshold


def per_query(values: list[float], kept: list[bool]) -> PerQuery:
    return PerQuery("mAP@all", np.array(values), np.array(kept))


def test_rows_of_some_of_the_queries_are_left_out() -> None:
    """A row of one query cannot stand beside the ids of two; a query that a convention drops is no number."""
    measured = {"binary": per_query([0.5, 0.25], [True, False]), "untrained": per_query([1.0], [True])}
    scores = query_scores(measured, np.array(["a", "b"]), prefix=UNSEEN)
    assert list(scores) == ["unseen/ids", "unseen/binary"]
    np.testing.assert_array_equal(scores["unseen/binary"], [0.5, np.nan])


def test_the_file_needs_no_pickle(tmp_path: Path) -> None:
    write_scores(tmp_path / "queries.npz", {"ids": np.array(["ä/1.jpg"]), "unseen/binary": np.array([0.5])})
    with np.load(tmp_path / "queries.npz", allow_pickle=False) as read:
        assert {name: read[name].tolist() for name in read.files} == {"ids": ["ä/1.jpg"], "unseen/binary": [0.5]}
    assert [path.name for path in tmp_path.iterdir()] == ["queries.npz"]


def test_an_evaluation_leaves_what_its_means_are_of(tmp_path: Path) -> None:
    """Means over the queries are the numbers of the rows, and of unseen classes those of theirs."""
    draws = np.random.default_rng(0)
    labels = np.arange(120) % 4
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "features.npy", (draws.standard_normal((120, 8)) + 2 * np.eye(4, 8)[labels]).astype(np.float32))
    source = Features(features=tmp_path / "features.npy", labels=tmp_path / "labels.npy")
    split = Protocol("counts", query=24, train=40, unseen=("2",), seed=0).draw(source)
    torch.manual_seed(0)
    encoder = Encoder(Identity(size=8), HashHead(8, 6, activation="tanh")).eval()
    artifact = Artifact("some", encoder, Threshold(6, threshold=0), None, source.class_names, split, {})
    data = prepare(source, split, encoder.spec, allow_duplicates=True, skipped_file=tmp_path / "skipped.csv")
    settings = Retrieval(pool=20, answers=5, timed_queries=1, precision_cutoffs=(1,), recall_cutoffs=(5,))
    found = evaluate(artifact, data, retrieval=settings, device=torch.device("cpu"), batch_size=50)
    found.write(tmp_path, environment={"command": "python train.py"})
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    with np.load(tmp_path / "queries.npz", allow_pickle=False) as read:
        scores = {name: read[name] for name in read.files}
    assert tuple(scores["ids"]) == split.query
    assert [labels[int(query)] for query in scores["unseen/ids"]] == [2] * 6
    for prefix, rows in (("", metrics["rows"]), (UNSEEN, metrics["unseen"]["rows"])):
        assert {row["search"]: row["mAP@all"] for row in rows} == {
            name.removeprefix(prefix): pytest.approx(values.mean())
            for name, values in scores.items()
            if name.startswith(prefix) and "/" not in name.removeprefix(prefix) and not name.endswith("ids")
        }
