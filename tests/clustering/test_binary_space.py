"""Ways of assignment."""

import numpy as np
import pytest

from dqh.clustering import binary_space as module
from dqh.clustering.binary_space import BinarySpace
from dqh.clustering.distinct_codes import distinct_codes


@pytest.mark.parametrize("assignment", module.ASSIGNMENTS)
def test_codes_in_parts(assignment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the parts, as all at once."""
    codes = np.random.default_rng(0).integers(0, 256, (300, 3), dtype=np.uint8)
    space = BinarySpace(distinct_codes(codes), 24, assignment)
    centres = space.centres_at(np.arange(40))
    labels, distances = space.nearest(centres)
    monkeypatch.setattr(module, "_CHUNK", 7)
    assert [part.tolist() for part in space.nearest(centres)] == [labels.tolist(), distances.tolist()]
    assert labels[:40].tolist() == list(range(40))


def test_the_quicker_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that says that the second way takes less, of codes that are enough to be worth it."""
    monkeypatch.setattr(module, "_FEW", 1)
    codes = np.random.default_rng(0).integers(0, 256, (300, 8), dtype=np.uint8)
    space = BinarySpace(distinct_codes(codes), 64, "auto")
    calls: list[str] = []
    monkeypatch.setattr(BinarySpace, "_is_short", False)
    for name in ("_by_scan", "_by_parts"):
        way = getattr(space, name)
        monkeypatch.setattr(space, name, lambda centres, way=way, name=name: told(way(centres), name, calls))
    moments = iter([0, 5, 10, 11])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(moments))
    space.nearest(space.centres_at(np.arange(9)))
    assert calls == ["_by_scan", "_by_parts", "_by_parts"]


def told(search, name: str, calls: list[str]):
    """A search that writes down that it was called."""

    def wrapped(part: slice):
        calls.append(name)
        return search(part)

    return wrapped
