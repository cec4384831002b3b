from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dqh.artifact import golden_files, load_artifact, read_manifest, record_metrics, save_artifact
from dqh.artifact.ranking_choice import RankingChoice, chosen_ranking
from dqh.errors import ArtifactError
from dqh.export.verify import verify
from tests.artifact.conftest import images, make_kind
from tests.artifact.forging import write_manifest

CHOICE = RankingChoice("codes", "mAP@all", 0.9, 0.8, queries=10, items=100, pool=50)


def test_an_artifact_keeps_a_choice(tmp_path: Path) -> None:
    path = tmp_path / "artifact"
    save_artifact(made := make_kind("binary"), path, golden=golden_files(made, images()))
    assert chosen_ranking(path) is None
    record_metrics(path, {"ranking": {"choice": CHOICE.to_json(), "reason": None}})
    assert chosen_ranking(path) == CHOICE


@pytest.mark.parametrize(
    ("ranking", "problem"),
    [
        ([], "metrics.ranking must be an object, got []"),
        ({"choice": 7}, "metrics.ranking.choice must be an object, got 7"),
        ({"choice": CHOICE.to_json() | {"rank": "speed"}}, "metrics.ranking.choice.rank must be 'codes' or 'fine'"),
        ({"choice": CHOICE.to_json() | {"codes": "a"}}, "metrics.ranking.choice.codes must be a number from 0 to 1"),
        ({"choice": CHOICE.to_json() | {"queries": -5}}, "metrics.ranking.choice.queries must be an integer from 1"),
    ],
)
def test_a_choice_that_makes_no_sense_is_named(ranking: Any, problem: str, tmp_path: Path) -> None:
    """By who writes it, and by every reader where somebody wrote it all the same."""
    path = tmp_path / "artifact"
    save_artifact(made := make_kind("binary"), path, golden=golden_files(made, images()))
    with pytest.raises(ArtifactError, match="they are not written") as refused:
        record_metrics(path, {"ranking": ranking})
    assert problem in str(refused.value)
    write_manifest(path, read_manifest(path) | {"metrics": {"ranking": ranking}})
    for read in (chosen_ranking, load_artifact, verify):
        with pytest.raises(ArtifactError, match="does not describe an artifact") as refused:
            read(path)
        assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"rank": "x"}, "choice.rank must be"),
        ({"pool": 0}, "choice.pool must be"),
        ({"queries": True}, "choice.queries must be"),
        ({"codes": "1"}, "choice.codes must be"),
        ({"other": 1}, "choice.other is unknown"),
    ],
)
def test_nonsense_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        RankingChoice.from_json(CHOICE.to_json() | fields)


def test_it_says_over_how_many() -> None:
    text = str(replace(CHOICE, items=12_345))
    assert text == "10 validation images among 12,345 images: mAP@all 0.9000 by codes, 0.8000 coarse-to-fine"
