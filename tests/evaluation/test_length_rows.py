"""Rows of further lengths: made of features, they are those of the artifact of each length."""

from typing import Any

import numpy as np
import pytest
import torch

from dqh.evaluation.length_rows import measure_lengths, recoded, rows_of_lengths
from dqh.evaluation.references import by_codes, compare
from dqh.evaluation.retrieval import Retrieval
from dqh.evaluation.rows import Sides
from dqh.ranking.side import Side
from tests.artifact.conftest import inputs_of
from tests.artifact.test_lengths import several

LABELS = np.arange(30) % 10


def side(artifact: Any, inputs: np.ndarray) -> Side:
    with torch.inference_mode():
        output = artifact.encoder(torch.from_numpy(inputs))
    embedding = output.embedding.numpy()
    return Side(artifact.quantizer.encode(embedding), embedding, output.features.numpy(), LABELS[: len(inputs)])


@pytest.mark.parametrize("kind", ["binary", "pq"])
def test_a_length_is_encoded_as_its_artifact_does(kind: str) -> None:
    artifact = several(kind)
    inputs = inputs_of(artifact, 30)
    for bits in artifact.lengths:
        other = artifact.of_length(bits)
        made, wanted = recoded(side(artifact, inputs), artifact, other), side(other, inputs)
        np.testing.assert_allclose(made.embedding, wanted.embedding, atol=1e-6)  # another batch may round otherwise
        assert (made.codes != wanted.codes).mean() < 0.01


def test_every_length_has_a_row() -> None:
    artifact = several()
    sides = Sides(*(side(artifact, inputs_of(artifact, 30, seed=seed)) for seed in (0, 1)))
    retrieval = Retrieval(map_cutoffs=(None,), precision_cutoffs=(1,), timed_queries=0)
    names = [str(digit) for digit in range(10)]
    found = measure_lengths(
        artifact, sides, chosen_by=sides, retrieval=retrieval, device=torch.device("cpu"), class_names=names
    )
    assert list(found["lengths"]) == ["8", "20"]
    assert found["lengths"]["8"]["ranking"]["choice"]["queries"] == 30
    for bits, content in found["lengths"].items():
        other = artifact.of_length(int(bits))
        coded = [recoded(part, artifact, other) for part in sides]
        (wanted,) = compare(by_codes(*coded, quantizer=other.quantizer), "binary", items=30, retrieval=retrieval).rows
        assert content["rows"][0]["mAP@all"] == wanted["mAP@all"]
    main = {"search": "binary", "mAP@all": 0.5}
    metrics = found | {"rows": [main], "protocol": {"main": "binary", "bits": 12}}
    assert [row["search"] for row in rows_of_lengths(metrics)] == ["8 bits", "12 bits", "20 bits"]
    assert rows_of_lengths(metrics)[1]["mAP@all"] == 0.5


def test_one_length_has_no_further_rows() -> None:
    artifact = several().of_length(12)
    retrieval, device = Retrieval(timed_queries=0), torch.device("cpu")
    sides = Sides(*(side(artifact, inputs_of(artifact, 3)),) * 2)
    assert measure_lengths(artifact, sides, chosen_by=None, retrieval=retrieval, device=device, class_names=[]) == {}
    assert rows_of_lengths({"rows": [], "protocol": {}}) == []
