from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dqh.export import golden_files, record_metrics, save_artifact
from dqh.export.ranking_choice import RankingChoice, chosen_ranking
from tests.export.conftest import images, make_kind

CHOICE = RankingChoice("codes", "mAP@all", 0.9, 0.8, queries=10, items=100, pool=50)


def test_an_artifact_keeps_a_choice(tmp_path: Path) -> None:
    path = tmp_path / "artifact"
    save_artifact(made := make_kind("binary"), path, golden=golden_files(made, images()))
    assert chosen_ranking(path) is None
    record_metrics(path, {"ranking": {"choice": CHOICE.to_json(), "reason": None}})
    assert chosen_ranking(path) == CHOICE
    for nonsense in ([], {"choice": 7}, {"choice": CHOICE.to_json() | {"rank": "both"}}, {"reason": "none"}):
        record_metrics(path, {"ranking": nonsense})
        assert chosen_ranking(path) is None


@pytest.mark.parametrize("fields", [{"rank": "x"}, {"pool": 0}, {"queries": True}, {"codes": "1"}, {"other": 1}])
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no choice of a ranking"):
        RankingChoice.from_json(CHOICE.to_json() | fields)


def test_it_says_over_how_many() -> None:
    text = str(replace(CHOICE, items=12_345))
    assert text == "10 validation images among 12,345 images: mAP@all 0.9000 by codes, 0.8000 coarse-to-fine"
