from dataclasses import replace

import numpy as np
import pytest
import torch

from dqh.artifact import Artifact
from dqh.codes import unpack
from dqh.evaluation import rows as module
from dqh.evaluation.measure import Retrieved
from dqh.evaluation.references import Reference, References
from dqh.evaluation.retrieval import Retrieval
from dqh.evaluation.rows import NO_BITS, Sides, cut_at_the_medians, measure_rows
from dqh.evaluation.subset import Subset, subset_of
from dqh.index.ways import ways_of
from dqh.quantizers import ClassIndex, ProductQuantizer
from dqh.ranking.side import Side
from tests.evaluation.test_references import RETRIEVAL, artifact, side

ALL = ["binary", "exhaustive", "coarse_to_fine", "class_index", "untrained", "untrained_h", "without_h"]


PRODUCT = ProductQuantizer.from_codebooks(np.random.default_rng(0).random((3, 4, 2), dtype=np.float32))
PRODUCT_ROWS = [way.name for way in ways_of(PRODUCT)]


def measured(
    references: References,
    *,
    own: Artifact | None = None,
    unseen: list[bool],
    retrieval: Retrieval = RETRIEVAL,
    train: Side | None = None,
):
    sides = Sides(side(12, seed=0), side(50, seed=1))
    if own is not None and own.quantizer is PRODUCT:
        sides = Sides(*(each._replace(codes=PRODUCT.encode(each.embedding)) for each in sides))
    encoded: list[str] = []

    def encode(other: Artifact, subset: Subset | None) -> Sides:
        encoded.append(other.method)
        bits = other.quantizer.bits
        everything = Sides(
            side(12, seed=2, bits=bits)._replace(labels=sides.query.labels),
            side(50, seed=3, bits=bits)._replace(labels=sides.database.labels),
        )
        return everything if subset is None else everything.at(subset)

    found = measure_rows(
        own or artifact(),
        sides,
        references=references,
        encode=encode,
        unseen=np.array(unseen),
        retrieval=retrieval,
        device=torch.device("cpu"),
        train=train,
    )
    return found, encoded, sides


def test_all_rows_in_order() -> None:
    plain = replace(artifact(bits=3), method="softmax", quantizer=ClassIndex(3), classifier=None)
    references = References(untrained=replace(artifact(), method="before"), without_h=plain)
    found, encoded, _ = measured(references, unseen=[False] * 3)
    assert [row["search"] for row in found.everything.rows] == ALL == list(found.everything.curves)
    assert list(found.everything.average_precision) == ALL
    assert encoded == ["before", "softmax"]
    assert found.missing == {}
    assert found.unseen is None
    assert [row["search"] for row in found.everything.rows if "accuracy" in row] == ["without_h"]


def test_features_that_no_training_changed_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ready-made vectors `untrained` is the row `exhaustive`, equal to what measuring again gives."""
    sides = Sides(side(12, seed=0), side(50, seed=1))
    compared: list[str] = []
    compare, equal = module.compare, module._equal_features

    def noted(reference: Reference, name: str, **options: object) -> Retrieved:
        compared.append(name)
        return compare(reference, name, **options)

    monkeypatch.setattr(module, "compare", noted)
    both = []
    for way in (equal, lambda one, other: False):
        monkeypatch.setattr(module, "_equal_features", way)
        found = measure_rows(
            artifact(),
            sides,
            references=References(untrained=artifact()),
            encode=lambda other, subset: sides,
            unseen=np.array([True, True, False]),
            retrieval=replace(RETRIEVAL, timed_queries=1),
            device=torch.device("cpu"),
        )
        both.append(found)
        assert compared.count("untrained") == (0 if way is equal else 2)
    for once, again in zip(*([found.everything, found.unseen] for found in both), strict=True):
        rows = [next(row for row in found.rows if row["search"] == "untrained") for found in (once, again)]
        assert rows[0] == rows[1]
        assert once.curves["untrained"] == again.curves["untrained"]
        values = [found.average_precision["untrained"].values for found in (once, again)]
        assert np.array_equal(*values)


def test_features_are_equal_only_where_both_sides_are() -> None:
    one = Sides(side(12, seed=0), side(50, seed=1))
    assert module._equal_features(one, one)
    assert not module._equal_features(one, one._replace(database=side(50, seed=2)))
    assert not module._equal_features(one._replace(query=side(12, seed=2)), one)
    assert not module._equal_features(one, one._replace(database=one.database.at(range(49))))


def test_untrained_codes_are_cut_at_the_medians_of_the_database() -> None:
    """Units that all lie above the threshold, as those of an untrained network may, still make codes that differ."""
    query, database = side(12, seed=2), side(50, seed=3)
    above = Sides(*(each._replace(embedding=1 + each.embedding) for each in (query, database)))
    cut = cut_at_the_medians(above)
    bits = unpack(cut.database.codes, 6)
    assert (bits.sum(axis=0) == 25).all()
    assert np.array_equal(bits, database.embedding > np.median(database.embedding, axis=0))
    assert np.array_equal(unpack(cut.query.codes, 6), query.embedding > np.median(database.embedding, axis=0))


def test_rows_of_product_codes() -> None:
    own = replace(artifact(), quantizer=PRODUCT, classifier=None)
    found, encoded, _ = measured(References(untrained=replace(own, method="before")), own=own, unseen=[True] * 3)
    assert [row["search"] for row in found.everything.rows] == [*PRODUCT_ROWS, "untrained"]
    assert found.unseen is not None
    assert [row["search"] for row in found.unseen.rows] == [*PRODUCT_ROWS, "untrained"]
    assert list(found.missing) == ["class_index", "untrained_h", "without_h"]
    assert found.missing["untrained_h"] == NO_BITS
    assert encoded == ["before"]
    before = replace(artifact(), method="before")
    found, _, _ = measured(References(untrained=before), own=own, unseen=[False] * 3)
    assert "untrained_h" in found.everything.curves


def test_baselines_stand_before_the_references() -> None:
    wanted = replace(RETRIEVAL, baselines=("lsh", "vq", "pq"))
    found, _, _ = measured(References(), unseen=[True] * 3, retrieval=wanted, train=side(80, seed=4))
    rows = [*ALL[:3], "lsh", "vq", "pq", "class_index"]
    assert [row["search"] for row in found.everything.rows] == rows
    assert found.unseen is not None
    assert [row["search"] for row in found.unseen.rows] == rows
    assert found.baselines == ("lsh", "vq", "pq")
    assert all(row["bytes_per_item"] == 1 and row["candidates"] == 50 for row in found.everything.rows[3:6])
    own = replace(artifact(), quantizer=PRODUCT, classifier=None)
    found, _, _ = measured(References(), own=own, unseen=[False] * 3, retrieval=wanted, train=side(30, seed=4))
    assert [row["search"] for row in found.everything.rows] == [*PRODUCT_ROWS, "lsh", "pq", "pq_embedding"]
    assert found.missing["vq"].startswith("it could not be fitted: codewords must be at most the number of training")
    with pytest.raises(ValueError, match="train must be given to fit the baselines lsh, vq, pq"):
        measured(References(), unseen=[False] * 3, retrieval=wanted)


def test_what_is_missing_says_why() -> None:
    found, encoded, _ = measured(References(), own=artifact(classifier=False), unseen=[False] * 3)
    assert [row["search"] for row in found.everything.rows] == ALL[:3]
    assert list(found.missing) == ALL[3:]
    assert "without_h=softmax" in found.missing["without_h"]
    assert encoded == []


def test_unseen_classes_are_measured_among_themselves() -> None:
    """As if the data had nothing but the classes 0 and 2."""
    references = References(untrained=artifact())
    found, _, sides = measured(references, unseen=[True, False, True])
    assert found.unseen is not None
    query, database = (np.isin(each.labels, (0, 2)) for each in sides)
    assert found.unseen_sizes == (query.sum(), database.sum())
    assert [row["search"] for row in found.unseen.rows] == ALL[:6]
    codes = sides.query.embedding[query] > 0.5, sides.database.embedding[database] > 0.5
    distances = (codes[0][:, None] != codes[1]).sum(2)
    relevant = sides.query.labels[query][:, None] == sides.database.labels[database]
    # P@1 by expectation over ties: the share of relevant items among the nearest
    nearest = distances == distances.min(axis=1, keepdims=True)
    wanted = ((nearest & relevant).sum(1) / nearest.sum(1)).mean()
    assert found.unseen.rows[0]["P@1"] == pytest.approx(wanted)
    assert "query_ms" not in found.unseen.rows[0]


def test_unseen_classes_without_queries_are_left_out() -> None:
    found, _, sides = measured(References(), unseen=[False, False, False])
    assert found.unseen is None
    assert sides.of_classes(np.array([False] * 3)) is None


@pytest.mark.parametrize("own", [artifact(), replace(artifact(), quantizer=PRODUCT, classifier=None)])
def test_the_network_before_training_is_measured_on_some(own: Artifact) -> None:
    """Its rows are those of an experiment with these queries and items alone, and so are the codes beside them."""
    references = References(untrained=replace(artifact(), method="before"), without_h=artifact())
    wanted = replace(RETRIEVAL, untrained_images=20)
    found, _, sides = measured(references, own=own, unseen=[True, False, True], retrieval=wanted)
    subset = subset_of(12, 50, most=20)
    assert subset is not None
    assert found.subset is not None
    assert found.subset.sizes == (12, 20)
    assert found.subset.searches == ("untrained", "untrained_h")
    rows = {row["search"]: row for row in found.everything.rows}
    assert {name for name in rows if "queries" in rows[name]} == {"untrained", "untrained_h"}
    before, some = sides.at(subset), Sides(side(12, seed=2), side(50, seed=3))
    some = Sides(*(each._replace(labels=own.labels) for each, own in zip(some, sides, strict=True))).at(subset)
    alone = measure_rows(
        own,
        before,
        references=References(untrained=artifact()),
        encode=lambda other, subset: some,
        unseen=np.array([True, False, True]),
        retrieval=wanted,
        device=torch.device("cpu"),
    )
    assert alone.subset is None
    same = {row["search"]: row for row in alone.everything.rows}
    for name in ("untrained", "untrained_h"):
        assert rows[name] == same[name] | {"queries": 12}
        assert rows[name]["candidates"] == 20
    main = ways_of(own.quantizer)[0].name
    counterparts = found.subset.counterparts()
    assert list(counterparts) == ["untrained", "untrained_h"]
    values = alone.everything.average_precision[main].values
    assert np.array_equal(counterparts["untrained"].values, values)
    (row,) = found.subset.main.rows
    assert row["mAP@all"] == pytest.approx(values.mean())
    assert found.subset.limits == alone.limits
    assert found.unseen is not None
    part = {row["search"]: row for row in found.unseen.rows}
    assert part["untrained"]["queries"] == found.unseen_sizes[0]
    assert part["untrained"]["candidates"] < part[main]["candidates"]


def test_untrained_features_of_a_subset_are_no_other_row() -> None:
    """Ready-made vectors: the row `exhaustive` is that of all, and the subset has its own."""
    sides = Sides(side(12, seed=0), side(50, seed=1))
    found = measure_rows(
        artifact(),
        sides,
        references=References(untrained=artifact()),
        encode=lambda other, subset: sides if subset is None else sides.at(subset),
        unseen=np.array([False] * 3),
        retrieval=replace(RETRIEVAL, untrained_images=30),
        device=torch.device("cpu"),
    )
    rows = {row["search"]: row for row in found.everything.rows}
    assert rows["untrained"]["mAP@all"] != rows["exhaustive"]["mAP@all"]
    assert rows["untrained"]["candidates"] == 30
