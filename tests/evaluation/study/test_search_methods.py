"""Each method at each setting over a small database."""

import numpy as np
import pytest

from dqh.codes import pack
from dqh.evaluation.study.search_methods import Coded, Database, Effort, first_items, list_count, methods
from dqh.quantizers import Threshold
from dqh.ranking.side import Side

EFFORT = Effort(lists=None, probes=(1, 3, 99, 100), breadths=(20,), pools=(10, 500))


def side(count: int, seed: int, *, width: int = 8) -> Side:
    values = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return Side(pack(values > 0), values, values, np.zeros(count, np.int64))


def database(*, width: int = 8) -> Database:
    query, items = side(12, 1, width=width), side(200, 2, width=width)
    coded = Coded("bits", Threshold(width, threshold=0.0), query, items, fit_seconds=2, item_seconds=0.5)
    return Database(query, items, [coded], bits=8, training=150, k=5, seed=0)


def test_a_method_a_setting_the_exhaustive_one_first_and_none_twice() -> None:
    """√200 ≈ 14 lists, so that 99 and 100 of them are all; and pools of at most 200 items."""
    missing: dict[str, str] = {}
    names = [(method.name, method.codes, method.setting) for method in methods(database(), EFFORT, missing=missing)]
    probes = ("nprobe 1", "nprobe 3", "nprobe 14")
    assert names == [
        ("exhaustive", "", ""),
        *(("ivf_flat", "", value) for value in probes),
        *(("ivfpq", "", value) for value in probes),
        ("hnsw", "", "efSearch 20"),
        ("codes", "bits", ""),
        *(("coarse_to_fine", "bits", value) for value in ("pool 10", "pool 200")),
    ]
    assert missing == {}


def test_what_reads_everything_finds_the_truly_nearest_and_settings_hold_while_a_method_is_shown() -> None:
    data = database()
    query, items = data.query.features, data.items.features
    truth = np.argsort(np.square(query[:, None] - items).sum(2), axis=1)[:, :5]
    shares = {}
    for method in methods(data, EFFORT, missing={}):
        ids = method.search(method.query.embedding, method.query.features).ids
        assert ids.shape == (12, 5)
        shares[method.name, method.setting] = np.mean(ids[:, :, None] == truth[:, None]) * 5
    full = [("exhaustive", ""), ("ivf_flat", "nprobe 14"), ("coarse_to_fine", "pool 200")]
    assert [shares[key] for key in full] == [1, 1, 1]
    assert shares["ivf_flat", "nprobe 1"] < shares["ivf_flat", "nprobe 3"] < 1
    assert shares["codes", ""] < shares["coarse_to_fine", "pool 10"] < 1


def test_what_is_compared_kept_and_built() -> None:
    rows = {(method.name, method.setting): method for method in methods(database(), EFFORT, missing={})}
    work = {key: method.work() for key, method in rows.items() if key[0] not in ("ivf_flat", "ivfpq", "hnsw")}
    assert work == {
        ("exhaustive", ""): (200, 0),
        ("codes", ""): (0, 200),
        ("coarse_to_fine", "pool 10"): (10, 200),
        ("coarse_to_fine", "pool 200"): (200, 200),
    }
    assert [rows[key].theory for key in work] == [200, 200, 210, 400]
    assert rows["ivf_flat", "nprobe 3"].theory == pytest.approx(14 + 3 * 200 / 14)
    assert rows["hnsw", "efSearch 20"].theory is None
    kept = {key[0]: (method.item_bytes, method.scanned_bytes) for key, method in rows.items()}
    assert kept["exhaustive"] == (32, 32)
    assert kept["codes"] == (1, 1)
    assert kept["coarse_to_fine"] == (33, 1)
    assert kept["ivf_flat"] == (40, 40)
    assert kept["ivfpq"] == (9, 9)
    assert rows["codes", ""].build_seconds >= 2 + 200 * 0.5  # fitting, and encoding each item
    assert rows["coarse_to_fine", "pool 10"].build_seconds == rows["codes", ""].build_seconds


def test_bits_that_fit_no_product_quantizer_leave_it_out_with_a_reason() -> None:
    """Eight bits of seven dimensions: one subspace of 256 codewords, which 200 items cannot be."""
    missing: dict[str, str] = {}
    data = database(width=7)
    assert "ivfpq" not in {method.name for method in methods(data, EFFORT, missing=missing)}
    assert missing["ivfpq"].startswith("no product quantizer of 8 bits fits vectors of 7 dimensions and 200 of them")
    missing.clear()
    wide = data._replace(items=side(1100, 3, width=7), coded=[], bits=10)
    assert "ivfpq" not in {method.name for method in methods(wide, EFFORT, missing=missing)}
    assert missing["ivfpq"] == "10 bits of 7 dimensions would take 1,024 codewords a subspace"


def test_more_lists_than_items_are_refused() -> None:
    with pytest.raises(ValueError, match="lists must be from 1 to the number of vectors, 200, got 201"):
        list(methods(database(), EFFORT._replace(lists=201), missing={}))


def test_first_items_are_views() -> None:
    whole = database()
    part = whole.coded[0].first(7).database
    assert [len(values) for values in part] == [7] * 4
    assert all(map(np.shares_memory, part, first_items(whole.items, 7)))


def test_list_count_is_the_root() -> None:
    assert [list_count(items) for items in (1, 10_000, 99_000)] == [1, 100, 315]
