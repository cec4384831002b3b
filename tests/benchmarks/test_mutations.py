"""Changes of a module, and whether its tests catch them."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOURCE = '''
"""A module."""
from operator import add

LIMIT: int = 3


def larger(a: int, b: int = 1) -> bool:
    """Whether a is larger, and not too large."""
    if a < 0 or not b:
        raise ValueError(f"got {a + 1}")
    return a > b and add(a, b) - 1 < LIMIT


def evens(values: list[int]) -> list[int]:
    found = [value for value in values if value % 2 == 0]
    found.sort()
    return found if found else None
'''

NAMES = {
    "module: 3 → 4",
    "larger: 1 → 2",
    "larger: if a < 0 or not b: → if not (a < 0 or not b):",
    "larger: a < 0 or not b → a < 0 and (not b)",
    "larger: a < 0 → a <= 0",
    "larger: 0 → 1",
    "larger: not b → b",
    "larger: raise ValueError(f'got {a + 1}') → pass",
    "larger: return a > b and add(a, b) - 1 < LIMIT → return None",
    "larger: a > b and add(a, b) - 1 < LIMIT → a > b or add(a, b) - 1 < LIMIT",
    "larger: a > b → a >= b",
    "larger: add(a, b) - 1 < LIMIT → add(a, b) - 1 <= LIMIT",
    "larger: add(a, b) - 1 → add(a, b) + 1",
    "larger: add(a, b) → add(b, a)",
    "larger: 1 → 2 (2)",
    "evens: [value for value in values if value % 2 == 0] → [value for value in values if not value % 2 == 0]",
    "evens: value % 2 == 0 → value % 2 != 0",
    "evens: 2 → 3",
    "evens: 0 → 1",
    "evens: found.sort() → pass",
    "evens: return found if found else None → return None",
    "evens: found if found else None → found if not found else None",
}


def test_every_kind_of_change_is_made_once_and_texts_and_annotations_stay(
    benchmark_module: Callable[[str], ModuleType],
) -> None:
    found = list(benchmark_module("mutations").mutants(SOURCE))
    assert {mutant.name for mutant in found} == NAMES
    assert len(found) == len(NAMES)
    assert next(mutant.line for mutant in found if mutant.name == "evens: found.sort() → pass") == 17
    for mutant in found:
        compile(mutant.tree, "module.py", "exec")


def test_what_is_known_to_be_equivalent_is_a_change(benchmark_module: Callable[[str], ModuleType]) -> None:
    """A line that has changed since would leave its reason behind."""
    mutations = benchmark_module("mutations")
    names = {
        f"{name}: {mutant.name}"
        for name, (file, _) in mutations.TARGETS.items()
        for mutant in mutations.mutants((mutations.ROOT / file).read_text())
    }
    assert set(mutations.EQUIVALENT) <= names


def test_changes_are_caught_or_told(
    benchmark_module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests see neither the limit of `larger` nor that it refuses numbers below 0."""
    mutations = benchmark_module("mutations")
    source = SOURCE.partition("def evens")[0]
    caught = {"larger: a > b → a >= b", "larger: return a > b and add(a, b) - 1 < LIMIT → return None"}

    def passes(file: str, tree: Any, tests: list[str], *, loaded: Path | None = None) -> bool:
        if loaded is not None:
            loaded.write_text("operator")
        given: dict[str, Any] = {}
        exec(compile(tree, file, "exec"), given)
        try:
            return given["larger"](2, 1) is True and given["larger"](1, 1) is False
        except ValueError:
            return False

    (tmp_path / "part.py").write_text(source)
    monkeypatch.setattr(mutations, "ROOT", tmp_path)
    monkeypatch.setattr(mutations, "TARGETS", {"part": ("part.py", ["tests"])})
    monkeypatch.setattr(mutations, "EQUIVALENT", {"part: larger: add(a, b) → add(b, a)": "a sum"})
    monkeypatch.setattr(mutations, "passes", passes)
    found = mutations.measured("part")
    told = {row["change"] for row in found["survivors"]}
    assert found["mutants"] == found["killed"] + len(told) + 1
    assert found["equivalent"] == [{"line": 12, "change": "larger: add(a, b) → add(b, a)", "reason": "a sum"}]
    assert "larger: raise ValueError(f'got {a + 1}') → pass" in told
    assert not told & caught
