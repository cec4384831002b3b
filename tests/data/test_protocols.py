import numpy as np
import pytest

from dqh.data.protocols import Protocol, supported_protocols
from dqh.errors import ConfigError, DataError
from tests.data.memory import Memory

TEN = np.tile(np.arange(10), 700)
PARTS = {"train": range(8), "test": range(8, 12)}
GIVEN = {"query": [0, 1], "database": range(2, 10), "train": range(2, 6), "validation": [10, 11]}


def sets(split):
    return set(split.query), set(split.database), set(split.train), set(split.validation)


def test_full_is_the_official_parts():
    source = Memory(np.zeros(12, int), roles=PARTS)
    split = Protocol("full").draw(source)
    assert split.query == ("row/8", "row/9", "row/10", "row/11")
    assert split.train == split.database == tuple(f"row/{row}" for row in range(8))
    assert split.validation == ()
    assert split.database_includes_train


@pytest.mark.parametrize(("protocol", "database"), [("cifar10", 1000), ("cifar10-1", 6000)])
def test_cifar_protocols_count_by_class(protocol, database):
    """700 images a class: 100 queries, 500 train, 100 others; `cifar10-1` searches train images too."""
    source = Memory(TEN)
    split = Protocol(protocol, validation=50).draw(source)
    query, found, train, validation = sets(split)
    assert (len(query), len(found), len(train), len(validation)) == (1000, database, 4950, 50)
    rows = split.rows(source)
    assert np.bincount(TEN[rows.query]).tolist() == [100] * 10
    assert np.bincount(TEN[np.r_[rows.train, rows.validation]]).tolist() == [500] * 10
    assert np.bincount(TEN[rows.validation]).tolist() == [5] * 10
    assert not query & (found | train | validation)
    assert not train & validation
    assert (found >= train | validation) if protocol == "cifar10-1" else not found & (train | validation)
    assert split.database_includes_train == (protocol == "cifar10-1")


def test_both_cifar_protocols_draw_the_same_queries_and_train_images():
    first, second = (Protocol(name, seed=3).draw(Memory(TEN)) for name in ("cifar10", "cifar10-1"))
    assert first.query == second.query
    assert first.train == second.train


def test_given_is_what_the_source_hands_out():
    split = Protocol("given").draw(Memory(np.zeros(12, int), roles=GIVEN))
    assert [len(ids) for ids in (split.query, split.database, split.train, split.validation)] == [2, 8, 4, 2]


@pytest.mark.parametrize("missing", ["database", "train"])
def test_train_and_database_stand_for_each_other(missing):
    roles = {role: rows for role, rows in GIVEN.items() if role != missing}
    split = Protocol("given").draw(Memory(np.zeros(12, int), roles=roles))
    assert split.train == split.database


def test_a_validation_part_in_train_leaves_train():
    split = Protocol("given").draw(Memory(np.zeros(12, int), roles=GIVEN | {"validation": [4, 5]}))
    assert split.train == ("row/2", "row/3")
    assert {"row/4", "row/5"} <= set(split.database)


@pytest.mark.parametrize(("validation", "wanted"), [(None, 2), (0, 0), (1, 1)])
def test_a_validation_number_overrides_the_part(validation, wanted):
    split = Protocol("given", validation=validation).draw(Memory(np.zeros(12, int), roles=GIVEN))
    assert len(split.validation) == wanted
    assert len(split.train) == (3 if validation == 1 else 4)


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"query": 10}, (10, 90, 90, 0)),
        ({"query": 10, "train": 20}, (10, 90, 20, 0)),
        ({"query": 10, "train": 20, "database_includes_train": False}, (10, 70, 20, 0)),
        ({"query": 10, "train": 20, "database": 30}, (10, 30, 20, 0)),
        ({"query": 10, "train": 20, "database": 30, "database_includes_train": False}, (10, 30, 20, 0)),
        ({"query": 10, "database": 30, "validation": 10}, (10, 30, 20, 10)),
        ({"query": 10, "train": 20, "validation": 10}, (10, 90, 10, 10)),
        ({"query": 10, "train": 20, "even_train": False}, (10, 90, 20, 0)),
    ],
)
@pytest.mark.parametrize("labels", [np.tile(np.arange(5), 20), np.zeros((100, 3), bool)], ids=["single", "multi"])
def test_counts_are_kept(options, sizes, labels):
    source = Memory(labels)
    split = Protocol("counts", **options).draw(source)
    query, database, train, validation = sets(split)
    assert tuple(map(len, (query, database, train, validation))) == sizes
    assert not query & (database | train | validation)
    assert not train & validation
    if options.get("database_includes_train", True):
        assert train | validation <= database
    else:
        assert not (train | validation) & database
    if labels.ndim == 1:
        assert len(set(np.bincount(labels[split.rows(source).query]))) == 1


def test_a_long_tail_is_one_in_training_where_that_is_asked_for():
    """2,000 and 200 images beside the queries. 1,000 of them are 800 and 200 where classes give as evenly as they can;
    where each image is as likely, 909 are of the first, standard deviation √(1000 · 10/11 · 1/11 · 1200/2199) = 6.7."""
    labels = np.repeat([0, 1], [2010, 210])
    source = Memory(labels)
    even, uneven = (
        np.bincount(labels[Protocol("counts", query=20, train=1000, even_train=asked).draw(source).rows(source).train])
        for asked in (True, False)
    )
    assert even.tolist() == [800, 200]
    assert abs(uneven[0] - 909) < 5 * 6.7
    assert uneven.sum() == 1000


def test_the_queries_do_not_depend_on_what_is_drawn_after_them():
    source = Memory(np.tile(np.arange(5), 20))
    splits = [Protocol("counts", query=10, **more).draw(source) for more in ({}, {"train": 20}, {"validation": 5})]
    assert len({split.query for split in splits}) == 1


def test_a_seed_draws_the_same_split_on_every_machine():
    """Pinned: published numbers name this hash. A NumPy that draws otherwise shows here first."""
    source = Memory(np.tile(np.arange(5), 20))
    hashes = [Protocol("counts", query=10, validation=5, seed=seed).draw(source).sha256 for seed in (7, 8)]
    assert hashes[0] == "2b6059ae9fe0686418b8da8402b47f72fe2cff94a1c2150228b4470b6c347672"
    assert hashes[1] != hashes[0]


LONG_TAIL = np.repeat(np.arange(18), [120, 120] + [6] * 16)
MULTI = np.random.default_rng(0).random((300, 7)) < 0.3


@pytest.mark.parametrize(
    ("source", "protocol", "options", "sha256"),
    [
        (Memory(TEN), "cifar10", {"validation": 500, "seed": 1}, "55cdcf2118968189"),
        (Memory(TEN), "cifar10-1", {"seed": 2}, "1824cafd17f3d4d5"),
        (Memory(np.tile([0, 1], 6), roles=PARTS), "full", {"validation": 3, "seed": 3}, "2eeb6a0944906cd7"),
        (Memory(np.zeros(12, int), roles=GIVEN), "given", {}, "24b69eeb314549c1"),
        (Memory(TEN), "counts", {"query": 100, "validation": 100}, "55ba922262124b68"),
        (
            Memory(TEN),
            "counts",
            {"query": 300, "train": 1000, "database": 2000, "validation": 150, "seed": 5}
            | {"database_includes_train": False},
            "f15c36f325000cd9",
        ),
        (Memory(MULTI), "counts", {"query": 50, "validation": 30, "seed": 4}, "ac52a1484f2a1046"),
        (Memory(LONG_TAIL), "counts", {"query": 100, "validation": 100}, "2a92bfe9cbb39883"),
        (Memory(TEN), "counts", {"query": 70, "validation": 40, "unseen": 3, "seed": 9}, "f32ef1fd0ae44855"),
    ],
)
def test_own_numbers_and_published_protocols_draw_what_they_always_drew(source, protocol, options, sha256):
    """Hashes of the code before there were shares."""
    assert Protocol(protocol, **options).draw(source).sha256.startswith(sha256)


@pytest.mark.parametrize(
    ("source", "protocols"),
    [
        (Memory(TEN), ("cifar10", "cifar10-1", "counts")),
        (Memory(TEN[:6000]), ("counts",)),  # 600 a class leave no database
        (Memory(np.eye(10, dtype=bool)[TEN]), ("counts",)),
        (Memory(np.zeros(12, int), roles=PARTS), ("full", "counts")),
        (Memory(np.zeros(12, int), roles=GIVEN), ("given", "counts")),
    ],
)
def test_unsupported_protocols_name_the_supported_ones(source, protocols):
    assert supported_protocols(source) == protocols
    for name in {"full", "cifar10", "cifar10-1", "given"} - set(protocols):
        with pytest.raises(DataError, match=f"{name!r} needs .*supports: {', '.join(protocols)}"):
            Protocol(name).draw(source)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"query": 101}, "query: 101 images wanted, 100 are left"),
        ({"query": 100}, "leaves no database images"),
        ({"query": 90, "train": 11}, "train: 11 images wanted, 10 are left"),
        ({"query": 10, "database": 91}, "database: 91 images wanted, 90 are left"),
        ({"query": 10, "train": 20, "database": 71, "database_includes_train": False}, "database: 71 .*, 70 are left"),
        ({"query": 10, "validation": 91}, r"validation: 91 images wanted, 90 are left .*lower split\.validation"),
        ({"query": 10, "validation": 90}, r"validation=90 of 90, wanted at most 89; lower split\.validation"),
        ({"query": 10, "train": 90, "database_includes_train": False}, "leaves no database images"),
    ],
)
def test_more_than_there_is_is_refused(options, match):
    with pytest.raises(DataError, match=match):
        Protocol("counts", **options).draw(Memory(np.tile(np.arange(5), 20)))


def test_validation_may_not_take_all_of_a_published_train_part():
    """700 images a class: 10 · 500 are train images."""
    with pytest.raises(DataError, match=r"'cifar10' leaves no train .*=5000 of 5000, wanted at most 4999; lower split"):
        Protocol("cifar10", validation=5000).draw(Memory(TEN))


@pytest.mark.parametrize(
    ("protocol", "options", "match"),
    [
        ("cifar", {}, "protocol must be one of full, cifar10"),
        ("counts", {}, "needs query"),
        ("counts", {"query": 0}, "query must be a whole number of at least 1 or auto, got 0"),
        ("counts", {"query": -3, "train": 2.5, "seed": None}, "query .*-3\ntrain .*2.5\nseed .*None"),
        ("counts", {"query": True}, "query .*got True"),
        ("full", {"query": 10}, "query=10 belongs to protocol 'counts'"),
        ("full", {"database_includes_train": False}, "belongs to 'counts'"),
        ("counts", {"query": 1, "train": 5, "database": 4}, "train=5 is more than database=4"),
        ("counts", {"query": 1, "train": 5, "validation": 5}, r"leaves nothing of train=5; lower split\.validation"),
        ("counts", {"query": 1, "database_includes_train": False}, "needs train"),
        ("full", {"even_train": False}, "even_train=False belongs to 'counts'"),
        ("counts", {"query": 1, "even_train": False}, "even_train=False needs train"),
    ],
)
def test_impossible_values_are_refused(protocol, options, match):
    with pytest.raises(ConfigError, match=match):
        Protocol(protocol, **options)


@pytest.mark.parametrize(
    ("protocol", "options", "allowed"),
    [
        ("full", {}, True),
        ("given", {}, False),
        ("given", {"allow_duplicates": True}, True),
        ("cifar10", {}, True),
        ("cifar10-1", {}, True),
        ("counts", {"query": 1}, False),
        ("counts", {"query": 1, "allow_duplicates": True}, True),
        ("full", {"allow_duplicates": False}, False),
    ],
)
def test_published_splits_may_hold_duplicates(protocol, options, allowed):
    assert Protocol(protocol, **options).duplicates_allowed is allowed


def test_unseen_classes_are_not_trained_on():
    """Two of four classes: train and validation lose them, query and database are as without."""
    labels = np.tile(np.arange(4), 25)
    source = Memory(labels)
    plain, left_out = (Protocol("counts", query=20, validation=10, seed=5, unseen=count) for count in (0, 2))
    plain, split = plain.draw(source), left_out.draw(source)
    assert (split.query, split.database) == (plain.query, plain.database)
    rows = split.rows(source)
    seen = set(labels[rows.train]) | set(labels[rows.validation])
    assert len(seen) == 2
    assert len(rows.train) + len(rows.validation) == 40
    assert set(labels[rows.query]) == {0, 1, 2, 3}


def test_unseen_classes_by_name_and_with_several_labels_an_image():
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 1, 0]], bool)
    split = Protocol("counts", query=1, unseen=("2",), seed=1).draw(Memory(labels))
    rows = split.rows(Memory(labels))
    assert not labels[rows.train, 2].any()
    assert set(rows.database) - set(rows.train) == set(np.flatnonzero(labels[:, 2])) - set(rows.query)


def test_unseen_classes_are_drawn_from_those_with_images():
    """Labels 0, 10, 20 of 21 classes: whichever is drawn, a third of the images is not trained on."""
    labels = np.tile([0, 10, 20], 30)
    source = Memory(labels, classes=21)
    for seed in range(5):
        rows = Protocol("counts", query=9, unseen=1, seed=seed).draw(source).rows(source)
        assert len(set(labels[rows.train])) == 2
    with pytest.raises(DataError, match="unseen: class '5' of memory has no images; leave it out"):
        Protocol("counts", query=9, unseen=("5",)).draw(source)


@pytest.mark.parametrize(
    ("unseen", "error", "message"),
    [
        (-1, ConfigError, "unseen must be a whole number of at least 0"),
        (2.5, ConfigError, "unseen must be a whole number of at least 0, or names of classes, got 2.5"),
        ("01", ConfigError, "or names of classes, got '01'"),
        (5, DataError, "unseen=5 is more than the 4 classes of memory that have images"),
        (3, DataError, "unseen=3 leaves 4 train images of 1 classes of memory, wanted at least two"),
        (("0", "1", "2", "3"), DataError, "leaves 0 train images of 0 classes"),
        (("zebra",), DataError, "unseen: 'zebra' is no class of memory, known are 0, 1, 2, 3"),
    ],
)
def test_unseen_classes_that_cannot_be(unseen, error, message):
    with pytest.raises(error, match=message):
        Protocol("counts", query=4, unseen=unseen).draw(Memory(np.tile(np.arange(4), 5)))
