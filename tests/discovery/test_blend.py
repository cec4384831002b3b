"""Blended lists, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqh.discovery.blend import RANK, SourceHit, blend


def hits(*paths: str) -> list[SourceHit]:
    return [SourceHit(number, path, (), (), 1 - number / 100, float(number)) for number, path in enumerate(paths)]


def test_ranks_by_ratios() -> None:
    """b: .75 · 61/62 + .25 · 61/61 = .98790; a: .75; c: .25 · 61/62 = .24597; d: .75 · 61/63 = .72619."""
    results = blend({"one": hits("a", "b", "d"), "two": hits("b", "c")}, {"one": 0.75, "two": 0.25}, k=10)
    assert [(result.path, round(result.score, 5)) for result in results] == [
        ("b", 0.9879),
        ("a", 0.75),
        ("d", 0.72619),
        ("c", 0.24597),
    ]
    assert [(naming.source, naming.rank) for naming in results[0].named] == [("one", 2), ("two", 1)]
    assert results[0].hit.distance == 1.0


def test_who_brings_most_comes_first() -> None:
    (result,) = blend({"one": hits("a"), "two": hits("a")}, {"one": 0.25, "two": 0.75}, k=1)
    assert (result.score, [naming.source for naming in result.named]) == (1.0, ["two", "one"])


def test_a_source_of_no_ratio_names_nothing() -> None:
    results = blend({"one": hits("a"), "two": hits("a", "b")}, {"one": 1.0, "two": 0.0}, k=5)
    assert [(result.path, len(result.named)) for result in results] == [("a", 1)]
    assert blend({"one": []}, {"one": 1.0}, k=5) == blend({}, {}, k=5) == ()


def test_equal_scores_come_in_the_order_of_the_sources() -> None:
    results = blend({"one": hits("b"), "two": hits("a")}, {"one": 0.5, "two": 0.5}, k=2)
    assert [result.path for result in results] == ["b", "a"]


LISTS = st.lists(st.permutations("abcdefgh").map(lambda own: own[:5]), min_size=1, max_size=3)


@given(LISTS, st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_as_the_plain_formula_has_it(lists: list[list[str]], shares: list[float]) -> None:
    names = ["one", "two", "three"][: len(lists)]
    total = sum(shares[: len(lists)])
    ratios = {name: share / total for name, share in zip(names, shares, strict=False)}
    results = blend({name: hits(*own) for name, own in zip(names, lists, strict=True)}, ratios, k=20)
    wanted = {
        path: sum(
            ratios[name] * (RANK + 1) / (RANK + 1 + own.index(path))
            for name, own in zip(names, lists, strict=True)
            if path in own
        )
        for own in lists
        for path in own
    }
    assert {result.path: result.score for result in results} == pytest.approx(wanted)
    assert [result.score for result in results] == sorted((result.score for result in results), reverse=True)
    assert all(0 < result.score <= 1 + 1e-12 for result in results)
    for result in results:
        assert {naming.source for naming in result.named} == {
            name for name, own in zip(names, lists, strict=True) if result.path in own
        }


def test_errors() -> None:
    with pytest.raises(ValueError, match="k must be a whole number from 1 to 1,048,576, got 0"):
        blend({"one": hits("a")}, {"one": 1.0}, k=0)
    with pytest.raises(ValueError, match="every source must have a ratio"):
        blend({"one": hits("a")}, {}, k=1)
