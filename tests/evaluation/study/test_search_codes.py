"""Codes that are fitted on vectors, those that are there already, and made-up vectors behind."""

import numpy as np
import pytest

from dqh.errors import ConfigError
from dqh.evaluation.study.search_codes import Codes, Searched, enlarged, rows_of
from dqh.quantizers import Quantizer, Threshold
from dqh.ranking.side import Side


def vectors(count: int, seed: int = 0, *, width: int = 8) -> Side:
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((count, width)).astype(np.float32)
    return Side(np.empty((count, 0), np.uint8), values, values, generator.integers(0, 3, count))


def searched(quantizer: Quantizer | None = None, *, labelled: bool = True) -> Searched:
    return Searched(vectors(5), vectors(300, 1), quantizer, "dlbhc" if quantizer else "", labelled, {})


def test_codes_of_both_sides_are_those_of_one_quantizer() -> None:
    data, missing = searched(), {}
    codes = Codes(("lsh", "itq"), 8, training=200, seed=0)
    parts = codes.of(data, data.query, data.database, real=300, missing=missing)
    assert [part.name for part in parts] == ["lsh", "itq"]
    assert missing == {}
    for part in parts:
        for side in (part.query, part.database):
            np.testing.assert_array_equal(side.codes, part.quantizer.encode(side.features))
            np.testing.assert_array_equal(side.embedding, side.features)
        assert min(part.fit_seconds, part.item_seconds) > 0


def test_quantizers_are_fitted_on_the_first_real_items_alone() -> None:
    data = searched()
    larger = enlarged(data.database, 500, seed=0)
    few = rows_of(data.database, np.arange(100))
    fitted = [
        Codes(("itq",), 8, training=training, seed=0).of(data, data.query, side, real=real, missing={})[0]
        for side, real, training in ((larger, 300, 100), (larger, 100, 1000), (few, 100, 1000))
    ]
    assert [len(part.database.codes) for part in fitted] == [500, 500, 100]
    for part in fitted[1:]:
        np.testing.assert_array_equal(part.query.codes, fitted[0].query.codes)


def test_what_cannot_be_fitted_says_why() -> None:
    data, missing = searched(), {}
    codes = Codes(("itq", "lsh"), 16, training=200, seed=0)  # more bits than dimensions, which lsh minds less
    assert [part.name for part in codes.of(data, data.query, data.database, real=300, missing=missing)] == ["lsh"]
    assert missing["itq"].startswith("it could not be fitted: ")


def test_defaults_are_those_of_vectors_or_of_an_artifact() -> None:
    plain, own = searched(), searched(Threshold(8))
    default = Codes(None, None, training=200, seed=0)
    assert (default.bits_of(plain), default.bits_of(own)) == (64, 8)
    (part,) = default.of(own, own.query, own.database, real=300, missing={})
    assert (part.name, part.quantizer, part.fit_seconds) == ("dlbhc", own.quantizer, 0)
    names = [
        part.name
        for part in Codes(("itq",), None, training=200, seed=0).of(own, own.query, own.database, real=300, missing={})
    ]
    assert names == ["dlbhc", "itq"]


def test_codes_that_cannot_be_are_refused_together() -> None:
    with pytest.raises(ConfigError) as caught:
        Codes(("ksh", "itq", "itq_cca"), 16, training=200, seed=0).require(searched(Threshold(8), labelled=False))
    assert [line.partition(" ")[0] for line in caught.value.problems] == ["study.bits:", "study.codes:", "study.codes:"]
    assert "ksh learns from labels, which these vectors do not have; leave it out" in str(caught.value)
    Codes(("ksh",), 8, training=200, seed=0).require(searched())


def test_a_side_grows_behind_and_keeps_its_features_as_its_embedding() -> None:
    side = vectors(300)
    larger = enlarged(side, 450, seed=0)
    assert [len(values) for values in larger] == [450] * 4
    assert larger.embedding is larger.features
    np.testing.assert_array_equal(larger.features[:300], side.features)
    np.testing.assert_array_equal(larger.labels[:300], side.labels)
    assert enlarged(side, 200, seed=0) is side


def test_rows_come_in_the_order_asked_for() -> None:
    side = vectors(10)
    order = np.array([3, 1, 7])
    part = rows_of(side, order)
    assert part.embedding is part.features
    np.testing.assert_array_equal(part.features, side.features[order])
    np.testing.assert_array_equal(part.labels, side.labels[order])
    apart = rows_of(side._replace(embedding=side.features + 1), order)
    np.testing.assert_array_equal(apart.embedding, side.features[order] + 1)
