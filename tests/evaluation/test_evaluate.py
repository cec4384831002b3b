import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.artifact import Artifact, Length
from dqh.data import Prepared, Protocol, prepare
from dqh.data.features import Features
from dqh.errors import ConfigError
from dqh.evaluation.evaluate import Evaluation, evaluate, evaluate_artifact
from dqh.evaluation.references import References
from dqh.evaluation.report.rows import rows_content
from dqh.evaluation.retrieval import Retrieval
from dqh.index.ways import ways_of
from dqh.models import Encoder, HashHead, Identity
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold

CPU = torch.device("cpu")
SETTINGS = Retrieval(pool=20, answers=5, timed_queries=1, precision_cutoffs=(1, 5), recall_cutoffs=(5,))
PRODUCT = ProductQuantizer.from_codebooks(np.random.default_rng(0).standard_normal((3, 4, 2)))


def vectors(folder: Path, *, count: int = 160) -> Features:
    """Eight dimensions, three classes."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, count)
    features = (generator.standard_normal((count, 8)) + 2 * np.eye(3, 8)[labels]).astype(np.float32)
    np.save(folder / "features.npy", features)
    np.save(folder / "labels.npy", labels)
    return Features(features=folder / "features.npy", labels=folder / "labels.npy")


def experiment(folder: Path, quantizer: Quantizer, **training: object) -> tuple[Artifact, Prepared]:
    source = vectors(folder)
    torch.manual_seed(0)
    split = Protocol("counts", query=20, train=60, seed=0).draw(source)
    encoder = Encoder(Identity(size=8), HashHead(8, 6, activation="tanh")).eval()
    artifact = Artifact("some", encoder, quantizer, None, source.class_names, split, training)
    data = prepare(source, split, encoder.spec, allow_duplicates=True, skipped_file=folder / "skipped.csv")
    return artifact, data


def evaluated(
    artifact: Artifact, data: Prepared, retrieval: Retrieval = SETTINGS, **references: Artifact
) -> Evaluation:
    return evaluate(artifact, data, retrieval=retrieval, device=CPU, batch_size=50, references=References(**references))


@pytest.mark.slow
@pytest.mark.parametrize(("quantizer", "main"), [(Threshold(6, threshold=0), "binary"), (PRODUCT, "aqd_l2")])
def test_the_report_of_each_kind_of_codes(tmp_path: Path, quantizer: Quantizer, main: str) -> None:
    artifact, data = experiment(tmp_path, quantizer)
    found = evaluated(artifact, data)
    assert found.text().splitlines()[2].startswith(main)
    assert found.code_map is not None
    assert found.code_map.items == found.metrics["protocol"]["database"]
    found.write(tmp_path, environment={"command": "python train.py"})
    assert main in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "metrics.json").read_bytes())["protocol"]["main"] == main


@pytest.mark.parametrize(("quantizer", "further"), [(Threshold(6, threshold=0), []), (PRODUCT, ["pq_embedding"])])
def test_baselines_are_fitted_on_the_training_rows(tmp_path: Path, quantizer: Quantizer, further: list[str]) -> None:
    wanted = replace(SETTINGS, baselines=("lsh", "itq", "ksh", "vq", "pq"))
    artifact, data = experiment(tmp_path, quantizer, search=wanted.to_json(), eval_batch_size=50, threads=1)
    metrics = evaluated(artifact, data, wanted).metrics
    own = len(ways_of(quantizer))
    names = ["lsh", "itq", "ksh", "pq", *further]  # 60 training vectors are fewer than 64 codewords
    assert [row["search"] for row in metrics["rows"]][own:] == names == metrics["protocol"]["baselines"]
    assert metrics["missing"]["vq"].startswith("it could not be fitted: codewords must be at most")
    again = evaluate_artifact(artifact, data.source, device=CPU, skipped_file=tmp_path / "skipped.csv")
    timed = ("query_ms", "qps")
    for one, other in zip(metrics["rows"], again.metrics["rows"], strict=True):
        assert {k: v for k, v in one.items() if k not in timed} == {k: v for k, v in other.items() if k not in timed}


def test_a_radius_in_bits_is_refused_for_product_codes(tmp_path: Path) -> None:
    artifact, data = experiment(tmp_path, PRODUCT)
    with pytest.raises(ConfigError, match=r"search\.radius: 2 bits were asked for, but product-quantized codes"):
        evaluated(artifact, data, replace(SETTINGS, radius=2))


def test_validation_images_choose_what_ranks(tmp_path: Path) -> None:
    artifact, data = experiment(tmp_path, Threshold(6, threshold=0))
    assert not len(data.roles.validation)
    settings = {"retrieval": SETTINGS, "device": CPU, "batch_size": 50}
    found = evaluate(artifact, data, choose_rank=True, **settings)
    assert found.metrics["ranking"]["choice"] is None
    assert "no validation image chose" in found.text()
    roles = data.roles._replace(validation=data.roles.train[:10], train=data.roles.train[10:])
    found = evaluate(artifact, replace(data, roles=roles), choose_rank=True, **settings)
    choice = found.metrics["ranking"]["choice"]
    items = len(set(data.roles.database.tolist()) - set(roles.validation.tolist()))
    assert (choice["queries"], choice["items"], choice["pool"]) == (10, items, 20)
    assert "as validation images chose" in found.text()
    assert "ranking" not in evaluate(artifact, data, **settings).metrics


def test_the_network_before_training_sees_some_of_the_images(tmp_path: Path) -> None:
    """20 queries and 140 items, of which 50 are drawn for it: told wherever a number of it stands."""
    artifact, data = experiment(tmp_path, Threshold(6, threshold=0))
    whole = evaluated(artifact, data, replace(SETTINGS, timed_queries=0, untrained_images=140), untrained=artifact)
    assert whole.metrics["subset"] is None
    assert (
        whole.metrics
        == evaluated(
            artifact, data, replace(SETTINGS, timed_queries=0, untrained_images=None), untrained=artifact
        ).metrics
    )
    found = evaluated(artifact, data, replace(SETTINGS, timed_queries=0, untrained_images=50), untrained=artifact)
    rows = {row["search"]: row for row in found.metrics["rows"]}
    assert (rows["untrained"]["queries"], rows["untrained"]["candidates"]) == (20, 50)
    assert rows["binary"] == {row["search"]: row for row in whole.metrics["rows"]}["binary"]
    subset = found.metrics["subset"]
    assert (subset["searches"], subset["query"], subset["database"]) == (["untrained", "untrained_h"], 20, 50)
    text = " ".join(found.text().split())
    assert (
        "untrained and untrained_h: 20 of 20 queries and 50 of 140 database items (search.untrained_images=null" in text
    )
    pairs = {pair["against"]: pair for pair in found.metrics["intervals"]["pairs"] if pair["search"] == "binary"}
    assert pairs["untrained"]["queries"] == 20
    gained = subset["rows"][0]["mAP@all"] - rows["untrained"]["mAP@all"]
    assert pairs["untrained"]["value"] == pytest.approx(gained)
    assert "95 % interval, 20 queries)" in text
    found.write(tmp_path, environment={"command": "python train.py"})
    assert "20 of 20 queries and 50 of 140 database items" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "metrics.json").read_bytes())["subset"] == subset


def test_a_row_of_each_length_has_the_columns_of_the_others(tmp_path: Path) -> None:
    """P@k whose k is more than any query has relevant items stands in no first table."""
    artifact, data = experiment(tmp_path, Threshold(6, threshold=0))
    artifact = replace(artifact, lengths={3: Length(HashHead(8, 3), Threshold(3), None)})
    found = evaluated(artifact, data, replace(SETTINGS, precision_cutoffs=(1, 70)))
    main, lengths = found.text().split("each length by codes alone, from the same training\n")
    assert "left out, as no query has so many relevant items: P@70" in main
    assert "P@1 " in lengths
    assert not re.search(r"^search.*P@70", lengths, flags=re.MULTILINE)
    assert [line.split()[:2] for line in lengths.splitlines()[2:4]] == [["3", "bits"], ["6", "bits"]]
    page = str(rows_content(found.metrics))
    table = page[page.index("Every length") :]
    assert ">P@1<" in table[: table.index("<tbody>")]
    assert ">P@70<" not in table[: table.index("<tbody>")]


@pytest.mark.parametrize(("epochs", "told"), [(3, "from the same training"), (0, "computed from the same features")])
def test_what_lengths_share_is_told(epochs: int, told: str, tmp_path: Path) -> None:
    """Of closed forms there was no training."""
    artifact, data = experiment(tmp_path, Threshold(6, threshold=0))
    artifact = replace(artifact, lengths={3: Length(HashHead(8, 3), Threshold(3), None)}, training={"epochs": epochs})
    found = evaluated(artifact, data, SETTINGS)
    assert f"each length by codes alone, {told}\n" in found.text()
    page = str(rows_content(found.metrics))
    assert ("come from this one training" in page) == (epochs > 0)
    assert ("Each was computed from the same features" in page) == (epochs == 0)
