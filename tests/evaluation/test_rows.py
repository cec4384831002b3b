from dataclasses import replace

import numpy as np
import pytest
import torch

from dqh.evaluation.references import References
from dqh.evaluation.retrieval import Retrieval
from dqh.evaluation.rows import Sides, measure_rows
from dqh.export import Artifact
from dqh.quantizers import ClassIndex
from tests.evaluation.test_references import RETRIEVAL, artifact, side

ALL = ["binary", "exhaustive", "coarse_to_fine", "class_index", "untrained", "untrained_h", "without_h"]


def measured(
    references: References, *, own: Artifact | None = None, unseen: list[bool], retrieval: Retrieval = RETRIEVAL
):
    sides = Sides(side(12, seed=0), side(50, seed=1))
    encoded: list[str] = []

    def encode(other: Artifact) -> Sides:
        encoded.append(other.method)
        bits = other.quantizer.bits
        return Sides(side(12, seed=2, bits=bits), side(50, seed=3, bits=bits))._replace(
            query=side(12, seed=2, bits=bits)._replace(labels=sides.query.labels),
            database=side(50, seed=3, bits=bits)._replace(labels=sides.database.labels),
        )

    found = measure_rows(
        own or artifact(),
        sides,
        references=references,
        encode=encode,
        unseen=np.array(unseen),
        retrieval=retrieval,
        device=torch.device("cpu"),
    )
    return found, encoded, sides


def test_all_rows_in_order() -> None:
    plain = replace(artifact(bits=3), method="softmax", quantizer=ClassIndex(3), classifier=None)
    references = References(untrained=replace(artifact(), method="before"), without_h=plain)
    found, encoded, _ = measured(references, unseen=[False] * 3)
    assert [row["search"] for row in found.everything.rows] == ALL == list(found.everything.curves)
    assert list(found.everything.average_precision) == ALL
    assert encoded == ["before", "softmax"]
    assert found.missing == {}
    assert found.unseen is None
    assert [row["search"] for row in found.everything.rows if "accuracy" in row] == ["without_h"]


def test_what_is_missing_says_why() -> None:
    found, encoded, _ = measured(References(), own=artifact(classifier=False), unseen=[False] * 3)
    assert [row["search"] for row in found.everything.rows] == ALL[:3]
    assert list(found.missing) == ALL[3:]
    assert "without_h=softmax" in found.missing["without_h"]
    assert encoded == []


def test_unseen_classes_are_measured_among_themselves() -> None:
    """As if the data had nothing but the classes 0 and 2."""
    references = References(untrained=artifact())
    found, _, sides = measured(references, unseen=[True, False, True])
    assert found.unseen is not None
    query, database = (np.isin(each.labels, (0, 2)) for each in sides)
    assert found.unseen_sizes == (query.sum(), database.sum())
    assert [row["search"] for row in found.unseen.rows] == ALL[:6]
    codes = sides.query.embedding[query] > 0.5, sides.database.embedding[database] > 0.5
    distances = (codes[0][:, None] != codes[1]).sum(2)
    relevant = sides.query.labels[query][:, None] == sides.database.labels[database]
    # P@1 by expectation over ties: the share of relevant items among the nearest
    nearest = distances == distances.min(axis=1, keepdims=True)
    wanted = ((nearest & relevant).sum(1) / nearest.sum(1)).mean()
    assert found.unseen.rows[0]["P@1"] == pytest.approx(wanted)
    assert "query_ms" not in found.unseen.rows[0]


def test_unseen_classes_without_queries_are_left_out() -> None:
    found, _, sides = measured(References(), unseen=[False, False, False])
    assert found.unseen is None
    assert sides.of_classes(np.array([False] * 3)) is None
