"""Which ways there are, and that the new one of the how-to is a class and its name, wherever ways are asked.

That `dqh search` finds it, too, is in `tests/verbs/test_searching.py`.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh.evaluation.metrics import average_precision
from dqh.evaluation.retrieval import Retrieval, neighbours, retrieve
from dqh.evaluation.study.forms import TapSide, form_rows
from dqh.index import ways
from dqh.index.ways import WAYS, main_way, way_by_codes, ways_of
from dqh.quantizers import ClassIndex, ProductQuantizer, Threshold
from dqh.quantizers.quantizer import Coder
from dqh.ranking.side import Side

BOOKS = np.random.default_rng(0).random((4, 8, 5), dtype=np.float32)
PRODUCT, BY_PRODUCT = (ProductQuantizer.from_codebooks(BOOKS, distance=distance) for distance in ("l2", "ip"))


def names(quantizer: Coder | None) -> tuple[str, ...]:
    return tuple(way.name for way in ways_of(quantizer))


def test_the_quantizer_says_which_ways_fit_and_which_leads() -> None:
    for quantizer in (Threshold(12), ClassIndex(5)):
        assert names(quantizer) == ("binary", "exhaustive", "coarse_to_fine")
    floats = ("embedding_l2", "embedding_ip", "embedding_cosine", "exhaustive", "coarse_to_fine")
    assert names(PRODUCT) == ("aqd_l2", "aqd_ip", "aqd_cosine", "sqd_l2", *floats)
    assert names(BY_PRODUCT) == ("aqd_ip", "aqd_l2", "aqd_cosine", "sqd_ip", *floats)
    assert names(None) == ("exhaustive", "exhaustive_l1")
    assert (main_way(PRODUCT).name, way_by_codes(PRODUCT, "aqd_cosine").distance) == ("aqd_l2", "cosine")
    with pytest.raises(ValueError, match="way must be one of binary for these codes, got 'exhaustive'"):
        way_by_codes(Threshold(12), "exhaustive")
    with pytest.raises(ValueError, match="way must be one of aqd_l2, aqd_ip, aqd_cosine, sqd_l2 for these codes, got"):
        way_by_codes(PRODUCT, "binary")


PAGE = Path(__file__).parents[3] / "docs" / "own_way.md"
OWN: dict[str, Any] = {}
exec("".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)), OWN)


@pytest.fixture
def bytewise(monkeypatch: pytest.MonkeyPatch) -> None:
    (way,) = OWN["WAYS"]
    monkeypatch.setitem(WAYS, way.name, way)


def side(count: int, *, seed: int) -> Side:
    generator = np.random.default_rng(seed)
    embedding = generator.random((count, 20), dtype=np.float32)
    return Side(Threshold(20).encode(embedding), embedding, embedding[:, :6], generator.integers(0, 3, count))


@pytest.mark.usefixtures("bytewise")
def test_a_new_way_is_a_row_of_an_evaluation() -> None:
    query, database = side(8, seed=0), side(60, seed=1)
    retrieval = Retrieval(timed_queries=2, answers=5, map_cutoffs=(None,))
    found = retrieve(query, database, quantizer=Threshold(20), retrieval=retrieval)
    assert [row["search"] for row in found.rows] == ["binary", "bytewise", "exhaustive", "coarse_to_fine"]
    row = found.rows[1]
    apart = OWN["differing"](query.codes, database.codes)
    hits = query.labels[:, None] == database.labels
    (tied,) = OWN["ByteOrder"](query, database).buckets()
    assert tied.total_relevant.tolist() == hits.sum(1).tolist()
    assert row["mAP@all"] == pytest.approx(float(average_precision(tied).mean()), abs=1e-12)
    assert 0 < row["mAP@all"] < 1
    assert (row["bytes_per_item"], row["candidates"]) == (3, 60)
    assert row["query_ms"] > 0
    ranking = neighbours(query, database, quantizer=Threshold(20), retrieval=retrieval, k=4, search="bytewise")
    assert np.array_equal(ranking.distances, np.sort(apart, axis=1)[:, :4])


@pytest.mark.usefixtures("bytewise")
def test_a_new_way_is_a_row_of_a_study() -> None:
    query, database = (side(count, seed=seed) for count, seed in ((8, 0), (60, 1)))
    rows = form_rows(
        *(TapSide(each.embedding - 0.5, each.labels) for each in (query, database)),
        tally=Retrieval(map_cutoffs=(None,)).tally,
        answers=5,
        timed=1,
    )
    forms = [(row["form"], row["distance"]) for row in rows]
    assert forms[:2] == [("raw", "L2"), ("raw", "L1")]
    assert forms[2:] == [(form, word) for form in ("> 0", "> median") for word in ("Hamming", "bytes")]


def test_one_way_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    (way,) = OWN["WAYS"]
    monkeypatch.setitem(WAYS, "bytewise", way)
    assert main_way(Threshold(20)).name == "binary"
    monkeypatch.setattr(way, "distance", "hamming", raising=False)
    with pytest.raises(ValueError, match="one way must lead where codes are searched by hamming, got binary, bytewise"):
        main_way(Threshold(20))


def test_names_are_those_of_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqh.index.ways.sqd.WAYS", (WAYS["binary"],))
    with pytest.raises(ValueError, match=r"sqd\.py: there is a way 'binary' already; give this one another name"):
        ways._listed()
