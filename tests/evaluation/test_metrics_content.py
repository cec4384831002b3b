import json
from dataclasses import replace
from pathlib import Path

import pytest

from dqh.data import Protocol, prepare
from dqh.index.ways import ways_of
from dqh.quantizers import Threshold
from tests.evaluation.test_evaluate import PRODUCT, SETTINGS, evaluated, experiment


def test_product_codes_from_encoding_to_metrics(tmp_path: Path) -> None:
    artifact, data = experiment(tmp_path, PRODUCT)
    found = evaluated(artifact, data, untrained=artifact)
    metrics, rows = found.metrics, [row["search"] for row in found.metrics["rows"]]
    assert rows == [*(way.name for way in ways_of(PRODUCT)), "untrained"]
    assert metrics["protocol"]["main"] == rows[0] == "aqd_l2"
    assert metrics["protocol"]["baselines"] == []
    assert list(metrics["missing"]) == ["class_index", "untrained_h", "without_h"]
    assert [pair["search"] for pair in metrics["intervals"]["pairs"]] == ["coarse_to_fine"] * 2 + ["aqd_l2"] * 4
    by_rows, by_name = metrics["rows"][0]["mAP@all"], {row["convention"]: row for row in metrics["conventions"]}
    assert by_name["default"]["mAP@all"] == pytest.approx(by_rows, abs=1e-12)  # the same fractions
    assert by_name["default"]["mAP@all_low"] < by_rows < by_name["default"]["mAP@all_high"]
    assert metrics["health"]["kind"] == "pq"
    assert len(metrics["health"]["perplexity"]) == 3
    assert sum(metrics["health"]["sharing"]) == metrics["health"]["items"] == metrics["protocol"]["database"]
    json.dumps(metrics, allow_nan=False)


def test_binary_codes_name_their_main_row(tmp_path: Path) -> None:
    artifact, data = experiment(tmp_path, Threshold(6, threshold=0))
    metrics = evaluated(artifact, data).metrics
    assert metrics["protocol"]["main"] == metrics["rows"][0]["search"] == "binary"
    assert (metrics["health"]["kind"], metrics["health"]["bits"]) == ("binary", 6)


def test_rows_of_unseen_classes_are_compared_on_their_own_queries(tmp_path: Path) -> None:
    artifact, data = experiment(tmp_path, Threshold(6, threshold=0))
    split = Protocol("counts", query=60, train=60, unseen=1, seed=0).draw(data.source)
    artifact = replace(artifact, split=split)
    spec = artifact.encoder.spec
    data = prepare(data.source, split, spec, allow_duplicates=True, skipped_file=tmp_path / "skipped.csv")
    wanted = replace(SETTINGS, untrained_images=80, baselines=("itq",))
    found = evaluated(artifact, data, wanted, untrained=artifact)
    unseen = found.metrics["unseen"]
    scores = {row["search"]: row["mAP@all"] for row in unseen["rows"]}
    pairs = {(pair["search"], pair["against"]): pair for pair in unseen["intervals"]["pairs"]}
    # those before training were measured on fewer queries, and have no pair
    assert set(pairs) == {
        *(("coarse_to_fine", "binary"), ("coarse_to_fine", "exhaustive")),
        *(("binary", "exhaustive"), ("binary", "itq")),
    }
    assert "untrained" in scores
    for (one, other), pair in pairs.items():
        assert pair["value"] == pytest.approx(scores[one] - scores[other], abs=1e-12)
        assert pair["low"] <= pair["value"] <= pair["high"]
    assert unseen["intervals"]["rows"][0]["value"] == pytest.approx(scores["binary"], abs=1e-12)
    assert found.text().count("mAP@all of binary − itq") == 2
