"""The settings of a feature study, and the study itself on small data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dqh.data import Digits, Features, Protocol
from dqh.errors import ConfigError, LeakError
from dqh.evaluation import FeatureStudy, study_features
from dqh.evaluation.study.result import StudyResult
from dqh.models import SmallResNet

CPU = torch.device("cpu")


def studied(study: FeatureStudy, source: Any, folder: Path, *, query: int = 40, **more: Any) -> list[StudyResult]:
    split = Protocol("counts", query=query).draw(source)
    return list(study_features(study, source, split, device=CPU, skipped_file=folder / "skipped.csv", **more))


@pytest.fixture
def vectors(tmp_path: Path) -> Features:
    """Sixty vectors of three classes, some values equal."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 60)
    np.save(tmp_path / "x.npy", (generator.integers(-3, 4, (60, 5)) + 2 * labels[:, None]).astype(np.float32))
    np.save(tmp_path / "y.npy", labels)
    return Features(features=tmp_path / "x.npy", labels=tmp_path / "y.npy")


def test_ready_made_features_equal_nested_loops(vectors: Features, tmp_path: Path) -> None:
    study = FeatureStudy(networks={"identity": None}, precision_cutoffs=(1, 5), timed_queries=0)
    split = Protocol("counts", query=8).draw(vectors)
    (result,) = study_features(
        study, vectors, split, device=CPU, skipped_file=tmp_path / "skipped.csv", allow_duplicates=True
    )
    roles = split.rows(vectors)
    values, labels = np.load(tmp_path / "x.npy").astype(np.float64), vectors.labels
    middle = np.median(values[roles.database], axis=0)

    def precision(one: np.ndarray, other: np.ndarray, power: int, cutoff: int) -> float:
        """Expected share of relevant items among the nearest: ties count by their share."""
        total = 0.0
        for q in roles.query:
            apart = np.array([sum(abs(one[q] - other[x]) ** power) for x in roles.database])
            limit = np.sort(apart)[cutoff - 1]
            relevant = labels[roles.database] == labels[q]
            tied = apart == limit
            places = cutoff - (apart < limit).sum()
            total += (relevant & (apart < limit)).sum() + places * (relevant & tied).sum() / tied.sum()
        return total / cutoff / len(roles.query)

    forms = [(values, 2), (values, 1), ((values > 0).astype(float), 1), ((values > middle).astype(float), 1)]
    for row, (form, power) in zip(result.rows, forms, strict=True):
        for cutoff in (1, 5):
            assert row[f"P@{cutoff}"] == pytest.approx(precision(form, form, power, cutoff), abs=1e-12)
    assert [(row["network"], row["weights"], row["tap"], row["dimension"]) for row in result.rows] == [
        ("identity", "none", "input", 5)
    ] * 4
    assert (result.protocol["query"], result.protocol["database"]) == (8, 52)


def test_what_is_done_is_known_after_each_network(tmp_path: Path) -> None:
    study = FeatureStudy(
        networks={"colour_histogram": None, "small_resnet": None}, size=8, taps={"small_resnet": ("pool", "stage1")}
    )
    first, second = studied(study, Digits(), tmp_path, batch_size=500)
    assert [(row["network"], row["tap"]) for row in second.rows[::4]] == [
        ("colour_histogram", "rgb512"),
        ("small_resnet", "stage1"),
        ("small_resnet", "pool"),
    ]
    assert list(second.rows[:4]) == list(first.rows)
    assert {row["weights"] for row in second.rows} == {"none", "random"}
    grey = {row["form"]: row["mAP@all"] for row in first.rows}
    assert grey["> 0"] < grey["> median"] < grey["raw"]
    assert second.protocol["random_order"]["mAP@all"] == pytest.approx(0.1, abs=0.01)  # ten classes
    assert not (tmp_path / "skipped.csv").exists()


def test_random_weights_depend_on_the_seed_and_no_global_state_moves(tmp_path: Path) -> None:
    before = torch.get_rng_state()

    def scores(seed: int) -> list[Any]:
        study = FeatureStudy(networks={"small_resnet": None}, size=8, seed=seed, limit=50, timed_queries=0)
        return [row["mAP@all"] for row in studied(study, Digits(), tmp_path)[-1].rows]

    assert scores(1) == scores(1) != scores(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_limit_that_leaves_nothing_to_find_is_refused(tmp_path: Path) -> None:
    study = FeatureStudy(networks={"colour_histogram": None}, size=8, limit=1)
    with pytest.raises(ConfigError, match=r"study.limit: 1 leaves too few: none of the 1 database images .* raise it"):
        studied(study, Digits(), tmp_path)


def test_a_limit_draws_evenly_from_both_roles(tmp_path: Path) -> None:
    study = FeatureStudy(networks={"colour_histogram": None}, size=8, limit=30)
    (result,) = studied(study, Digits(), tmp_path, query=100)
    assert (result.protocol["query"], result.protocol["database"]) == (30, 30)
    # three of thirty are relevant to each: a random order finds a tenth
    assert result.protocol["random_order"]["P@5"] == pytest.approx(0.1)


def test_queries_found_again_in_the_database_stop_the_study(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((20, 2), np.float32))
    np.save(tmp_path / "y.npy", np.arange(20) % 2)
    source = Features(features=tmp_path / "x.npy", labels=tmp_path / "y.npy")
    study = FeatureStudy(networks={"identity": None})
    with pytest.raises(LeakError):
        studied(study, source, tmp_path, query=4)
    assert studied(study, source, tmp_path, query=4, allow_duplicates=True)[0].protocol["duplicates"] == 4


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ({"networks": {}}, ["networks: none given"]),
        (
            {
                "networks": {"alexnett": None, "small_resnet": None},
                "taps": {"small_resnet": ("stage9",), "vgg": ("fc",)},
            },
            [
                "networks: no network 'alexnett'; did you mean 'alexnet'?",
                "taps.small_resnet: no tap 'stage9'; did you mean 'stage",
                "taps: 'vgg' is not among the networks",
            ],
        ),
        (
            {"networks": {"small_resnet": "nowhere.pt"}, "limit": 0, "precision_cutoffs": (0,), "map_cutoffs": ()},
            [
                "networks.small_resnet: weights: no file at",
                "limit must be at least 1",
                "precision_cutoffs",
                "map_cutoffs",
            ],
        ),
        ({"networks": {"colour_histogram": "a.pt"}}, ["networks.colour_histogram: colour_histogram takes no weights"]),
        ({"networks": {"identity": "a.pt"}}, ["networks.identity: has no weights; write null"]),
        ({"networks": {"alexnet": None}, "size": 8}, ["networks.alexnet: size 8 is too small"]),
        ({"networks": {"small_resnet": None}, "taps": {"small_resnet": ()}}, ["taps.small_resnet: none given; wanted"]),
        ({"networks": {"resnet18": "IMAGENET1K_V9"}}, ["networks.resnet18: weights must be null, the path of"]),
    ],
)
def test_mistakes_are_reported_together(arguments: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        FeatureStudy(**arguments)
    for message in messages:
        assert message in str(caught.value)
    assert len(caught.value.problems) == len(messages)


def test_weights_to_fetch_are_named_with_the_key_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ConfigError, match=r"pass study\.download=true to fetch it"):
        FeatureStudy(networks={"resnet18": "IMAGENET1K_V1"})


def test_weights_that_do_not_fit_are_found_at_once(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(
        ConfigError, match=r"networks.small_resnet: weights: .*other.pt does not fit small_resnet: missing"
    ):
        FeatureStudy(networks={"small_resnet": str(tmp_path / "other.pt")})


def test_a_file_needs_no_weights_behind_the_last_tap(tmp_path: Path) -> None:
    torch.save(SmallResNet(tap="stage1").state_dict(), tmp_path / "stem.pt")
    arguments = {"networks": {"small_resnet": str(tmp_path / "stem.pt")}}
    FeatureStudy(**arguments, taps={"small_resnet": ("stage1",)})
    with pytest.raises(ConfigError, match="missing stages"):
        FeatureStudy(**arguments)


def test_networks_and_data_must_be_of_one_kind(vectors: Features) -> None:
    with pytest.raises(
        ConfigError, match="small_resnet takes images, features has vectors; leave it out and name iden"
    ) as caught:
        FeatureStudy(networks={"small_resnet": None}, size=8).require_source(vectors)
    assert "size: vectors have none" in str(caught.value)
    with pytest.raises(ConfigError, match="identity takes vectors, digits has images; leave it out"):
        FeatureStudy(networks={"identity": None}).require_source(Digits())
    FeatureStudy(networks={"identity": None}).require_source(vectors)
