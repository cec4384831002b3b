"""What is measured on a device is named where there is none."""

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def search_device(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("search_device")


def test_the_page_says_what_was_not_measured(search_device: ModuleType) -> None:
    """Three sizes at two batches, against a stream at one query, faiss and torch; and what is wanted of them."""
    page = search_device.page({})
    cuda, _, cpu = page.partition("## On a CPU")
    rows = [line for line in cuda.splitlines() if line.startswith("| Hamming")]
    assert len(rows) == 3 * (3 + 2)
    assert all(" | not measured | " in row for row in rows)
    assert sum("0.60 | 0.80" in row for row in rows) == sum("1e11 a second | 3e11 a second" in row for row in rows) == 3
    assert "1e11" not in cpu
    for part in ("AQD, M = 8, K = 256", "histograms, 81 labels", "re-ranking"):
        assert f"| {part} |" in cuda
        assert f"| {part} |" in cpu


def test_pairs_take_turns_and_the_ratio_is_of_a_query(
    search_device: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours takes 2 seconds for 40 distances, theirs 3 for a tenth of the queries: 15 times, 20 a second."""
    clock, turns = [0.0], []
    monkeypatch.setattr(search_device.time, "perf_counter", lambda: clock[0])

    def work(name: str, seconds: float) -> None:
        turns.append(name)
        clock[0] += seconds

    case = search_device.Case("a", "b", "c", lambda: work("ours", 2), lambda: work("theirs", 3), 10, 40)
    row = search_device.measured(case, rounds=3, kind="cpu")
    assert (row["ratio"], row["spread"], row["ours"], row["theirs"], row["rate"]) == (15, [15, 15], 2, 30, 20)
    assert turns[2:] == ["theirs", "ours", "ours", "theirs", "theirs", "ours"]
