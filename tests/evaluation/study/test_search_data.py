"""Queries and database of a study of searches: ready vectors, and what an artifact encodes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.artifact import Artifact
from dqh.data import Features, Protocol
from dqh.errors import LeakError, TooManyBadImagesError
from dqh.evaluation import Match, SearchStudy, study_search
from dqh.evaluation.study.search_data import searched_codes, searched_vectors
from dqh.models import Encoder, HashHead, Identity
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold

VECTORS = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)


def source(folder: Path, vectors: np.ndarray, *, labels: bool = True, bad: float = 0.0) -> Features:
    np.save(folder / "x.npy", vectors)
    np.save(folder / "y.npy", np.arange(len(vectors)) % 2)
    names = folder / "y.npy" if labels else None
    return Features(features=folder / "x.npy", labels=names, max_bad_fraction=bad)


def test_vectors_are_read_as_they_are_without_those_that_are_no_numbers(tmp_path: Path) -> None:
    values = VECTORS.copy()
    values[7, 2] = np.nan
    data = source(tmp_path, values, bad=0.05)
    split = Protocol("counts", query=10).draw(data)
    roles = split.rows(data)
    searched = searched_vectors(data, split, skipped_file=tmp_path / "skipped.csv")
    for side, rows in ((searched.query, roles.query), (searched.database, roles.database)):
        rows = rows[rows != 7]
        np.testing.assert_array_equal(side.features, values[rows])
        np.testing.assert_array_equal(side.labels, rows % 2)
        assert side.embedding is side.features
        assert side.codes.shape == (len(rows), 0)
    assert (searched.quantizer, searched.codes, searched.labelled) == (None, "", True)
    assert (searched.about["skipped"], searched.about["split"]) == (1, "counts")
    assert "NaN or infinity" in (tmp_path / "skipped.csv").read_text()
    with pytest.raises(TooManyBadImagesError):
        searched_vectors(source(tmp_path, values), split, skipped_file=tmp_path / "skipped.csv")


def test_vectors_may_have_no_labels(tmp_path: Path) -> None:
    data = source(tmp_path, VECTORS, labels=False)
    split = Protocol("counts", query=10).draw(data)
    assert not searched_vectors(data, split, skipped_file=tmp_path / "skipped.csv").labelled


def test_a_query_that_is_found_again_must_be_meant(tmp_path: Path) -> None:
    data = source(tmp_path, np.ones_like(VECTORS))
    split = Protocol("counts", query=10).draw(data)
    with pytest.raises(LeakError):
        searched_vectors(data, split, skipped_file=tmp_path / "skipped.csv")
    searched = searched_vectors(data, split, skipped_file=tmp_path / "skipped.csv", allow_duplicates=True)
    assert searched.about["duplicates"] == 10


@pytest.mark.parametrize(
    "quantizer",
    [
        Threshold(6, threshold=0),
        ProductQuantizer.from_codebooks(np.random.default_rng(0).standard_normal((3, 4, 2))),
    ],
)
def test_an_artifact_gives_features_and_codes_that_are_searched(tmp_path: Path, quantizer: Quantizer) -> None:
    data = source(tmp_path, VECTORS)
    torch.manual_seed(0)
    encoder = Encoder(Identity(size=4), HashHead(4, 6, activation="tanh")).eval()
    split = Protocol("counts", query=10).draw(data)
    artifact = Artifact("some", encoder, quantizer, None, data.class_names, split, {})
    searched = searched_codes(
        artifact, data, Match(split, ("labels",)), device=torch.device("cpu"), skipped_file=tmp_path / "skipped.csv"
    )
    rows = split.rows(data).database
    np.testing.assert_array_equal(searched.database.features, VECTORS[rows])
    np.testing.assert_array_equal(searched.database.codes, quantizer.encode(searched.database.embedding))
    assert (searched.codes, searched.quantizer, searched.about["other_data"]) == ("some", quantizer, ["labels"])
    study = SearchStudy(cutoffs=(1, 5), pools=(5,), breadths=(5,), probes=(1,), timed_queries=1)
    (result,) = study_search(study, searched)
    found = {(row["search"], row["codes"]): row["bytes_per_item"] for row in result.rows}
    assert found["codes", "some"] == 1
    assert found["coarse_to_fine", "some"] == 1 + 16
    assert result.caption().startswith("OTHER DATA than trained on: labels · data features")
    assert result.protocol["bits"] == 6
