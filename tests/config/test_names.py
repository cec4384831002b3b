import pytest

from dqh.config.names import differences, flatten, hint, nearest, show

KEYS = ["bits", "seed", "optimizer.lr", "optimizer.momentum", "trainer.epochs", "trainer.max_steps"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bitz", "bits"),
        ("BITS", "bits"),
        ("lr", "optimizer.lr"),
        ("trainer.lr", "optimizer.lr"),
        ("trainner.epochs", "trainer.epochs"),
        ("epoch", "trainer.epochs"),
        ("learning_rate", "optimizer.lr"),
        ("trainer.maximal_steps", "trainer.max_steps"),
        ("optimizer.learning_rate", "optimizer.lr"),
        ("ms", "trainer.max_steps"),
        ("optimizer.momentun", "optimizer.momentum"),
        ("colour", None),
        ("", None),
    ],
)
def test_nearest(name, expected):
    assert nearest(name, KEYS) == expected


def test_nearest_takes_the_more_similar_of_two_with_the_same_last_part():
    assert nearest("trainner.lr", ["optimizer.lr", "trainer.lr"]) == "trainer.lr"


@pytest.mark.parametrize(
    ("valid", "expected"),
    [
        (["lr", "momentum"], "; did you mean optimizer.lr? valid: lr, momentum"),
        (["pool"], "; valid: pool"),
        ([], "; valid: none"),
        ([f"k{n:02}" for n in range(14)], "; valid: k00, k01, k02, k03, k04, k05, k06, k07, k08, k09, k10, k11, …"),
    ],
)
def test_hint(valid, expected):
    assert hint("lrr", valid, listed=valid, prefix="optimizer.") == expected


def test_flatten_keeps_lists_and_empty_mappings():
    config = {"bits": 48, "data": {"root": None, "split": {"counts": [1, 2], "extra": {}}}}
    assert flatten(config) == {
        "bits": 48,
        "data.root": None,
        "data.split.counts": [1, 2],
        "data.split.extra": {},
    }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"bits": 48}, {"bits": 48}, []),
        ({"a": {"size": (1, 2), "nan": float("nan")}}, {"a": {"size": [1, 2], "nan": float("nan")}}, []),
        ({"bits": 48}, {"bits": 32}, ["bits: 48 in the checkpoint, 32 now"]),
        ({"flag": 1}, {"flag": True}, ["flag: 1 in the checkpoint, true now"]),
        ({"a": {"b": None}}, {"a": {"b": "x y"}}, ['a.b: null in the checkpoint, "x y" now']),
        (
            {"a": 1, "c": {"d": 2}},
            {"b": 1, "c": {"e": 2}},
            [
                "a: 1 in the checkpoint, missing now",
                "c.d: 2 in the checkpoint, missing now",
                "b: missing in the checkpoint, 1 now",
                "c.e: missing in the checkpoint, 2 now",
            ],
        ),
    ],
)
def test_differences(old, new, expected):
    assert differences(old, new) == expected


@pytest.mark.parametrize(("value", "expected"), [(None, "null"), (True, "true"), ("é", '"é"'), ((1, 0.5), "[1, 0.5]")])
def test_show(value, expected):
    assert show(value) == expected
