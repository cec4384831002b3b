"""A log over an index is fitted to; what belongs to no image of it is left out, and too little is told."""

import os
from pathlib import Path

import numpy as np
import pytest

from dqh.discovery.related.action_log import UNKNOWN, read_action_log
from dqh.discovery.related.looks import Looks
from dqh.discovery.related.related_fit import LEAST_SAVES, fit_related, measure_lists, of_index
from dqh.discovery.related.related_model import RelatedModel
from dqh.errors import ConfigError, DataError
from tests.discovery.related.conftest import Shop
from tests.discovery.related.listed import made

HEAD = "user,item,action,time,query,position\n"


def test_what_was_fitted(fitted: RelatedModel, shop: Shop) -> None:
    assert fitted.log["name"] == "log.csv"
    assert (fitted.log["items"], fitted.log["unknown_items"], fitted.log["left_out"]) == (80, 0, 0)
    assert (fitted.log["shows"], fitted.log["queries"]) == (12_800, 80)
    assert fitted.log["saves_of_related"] == shop.simulation.shows[:, 4].sum()
    assert fitted.examination.power == pytest.approx(1.0, abs=0.15)
    assert fitted.rankers.all.weights.shape == (10,)
    assert fitted.rankers.looks.weights.shape == (4,)
    assert fitted.detector_id == shop.snapshot.version.manifest.detector_id


def test_lists_that_were_not_learnt_from(fitted: RelatedModel) -> None:
    lift = fitted.measured["lift"]
    assert set(lift) == {"popularity", "visual distance", "visual features", "without visual features", "all features"}
    assert lift["all features"] > lift["popularity"]
    assert lift["all features"] > 1
    assert fitted.measured["queries"] == 80


def test_lift_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries of three candidates, one place: the best of each has all saves; chance finds a third of them."""
    monkeypatch.setattr("dqh.discovery.related.related_fit.CUTOFF", 1)
    lessons = made(queries=2, width=3)
    saves = np.array([1.0, 0, 0, 0, 1, 0])
    features = np.zeros((6, 10))
    features[:, 1], features[:, 6] = -saves, [0, 1, 0, 0, 1, 0]
    whole = lessons._replace(features=features, saves=saves, views=np.ones(6), squares=np.ones(6))
    whole = whole._replace(queries=whole.groups, saved=saves[whole.rows] > 0)
    lift = measure_lists(whole, "ranksvm")["lift"]
    assert lift["visual distance"] == pytest.approx(3.0)
    assert lift["popularity"] == pytest.approx(1.5)


def test_the_same_log_gives_the_same(fitted: RelatedModel, shop: Shop) -> None:
    again = fit_related(shop.snapshot.version, read_action_log(shop.log), shop.log)
    assert again.rankers.all.weights.tolist() == fitted.rankers.all.weights.tolist()
    assert again.measured == fitted.measured


def test_items_by_path_as_files_and_unknown_ones(shop: Shop, tmp_path: Path) -> None:
    looks = Looks(shop.snapshot.version)
    one, two, three = (shop.simulation.name(item) for item in range(3))
    above = os.path.relpath(f"/simulated/{two}", tmp_path)
    lines = f"u,{one},show,1,gone.jpg,1\nu,{above},show,2,/simulated/{three},1\nu,else.jpg,save,3,{one},\n"
    (file := tmp_path / "log.csv").write_text(HEAD + lines)
    part = of_index(read_action_log(file), file, looks)
    assert set(part.log.names) == {one, two, three}
    assert set(part.unknown) == {"gone.jpg", "else.jpg"}
    assert part.left_out == 1
    assert [part.log.names[item] for item in part.log.items] == [one, two]
    assert [UNKNOWN if query < 0 else part.log.names[query] for query in part.log.queries] == [UNKNOWN, three]
    assert [looks.images.paths[image] for image in part.images] == list(part.log.names)


def test_no_item_of_the_index(shop: Shop, tmp_path: Path) -> None:
    (file := tmp_path / "log.csv").write_text(HEAD + "u,x.jpg,show,1,y.jpg,1\n")
    with pytest.raises(DataError, match=r"none of the 2 items of .*log.csv is an image of the index, first 'x.jpg'"):
        fit_related(shop.snapshot.version, read_action_log(file), file)


def few(shop: Shop, *, query: bool = True, saves: int = 99) -> str:
    names = [shop.simulation.name(item) for item in range(6)]
    lines = []
    for number in range(60):
        item, beside = names[1 + number % 5], names[0] if query else ""
        lines.append(f"u{number},{item},show,{number},{beside},{1 + number % 3}")
        if number < saves:
            lines.append(f"u{number},{item},save,{number}.5,{beside},")
    return HEAD + "\n".join(lines) + "\n"


def test_too_little_is_told(shop: Shop, tmp_path: Path) -> None:
    (file := tmp_path / "log.csv").write_text(few(shop, query=False))
    with pytest.raises(DataError, match=f"0 saves of items that were shown beside a query .* at least {LEAST_SAVES}"):
        fit_related(shop.snapshot.version, read_action_log(file), file)
    file.write_text(few(shop, saves=3))
    with pytest.raises(DataError, match=r"3 saves of items .* among 60 such shows"):
        fit_related(shop.snapshot.version, read_action_log(file), file)


def test_a_log_that_tells_nothing_apart(shop: Shop, tmp_path: Path) -> None:
    """Every show beside one query, of one item: there is nothing to compare."""
    one, two = (shop.simulation.name(item) for item in range(2))
    lines = [f"u{number},{one},{action},{number},{two},1" for number in range(40) for action in ("show", "save")]
    (file := tmp_path / "log.csv").write_text(HEAD + "\n".join(lines) + "\n")
    with pytest.raises(DataError, match="says too little to learn from: no two candidates"):
        fit_related(shop.snapshot.version, read_action_log(file), file)


def test_settings(shop: Shop) -> None:
    log, version = read_action_log(shop.log), shop.snapshot.version
    with pytest.raises(ConfigError, match="ranker must be one of ranksvm, lambdamart, got 'trees'"):
        fit_related(version, log, shop.log, ranker="trees")  # type: ignore[arg-type]
    for power in (-1.0, float("nan"), 9.0):
        with pytest.raises(ConfigError, match="the power of the examination must be from 0 to 5"):
            fit_related(version, log, shop.log, power=power)
    given = fit_related(version, log, shop.log, power=0.0, measure=False)
    assert (given.examination.power, given.examination.error, given.measured) == (0.0, None, {})
    assert given.counts.views.sum() == given.log["shows"]
