import threading
from collections.abc import Iterator

import pytest
import torch

from dqh.ranking.parallel import in_order


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_whatever_finishes_first() -> None:
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(timeout=60)
        else:
            second_done.set()
        return item * item

    assert list(in_order(work, range(20), device="cpu")) == [item * item for item in range(20)]


def test_operations_run_on_one_thread_and_the_setting_comes_back() -> None:
    assert set(in_order(lambda _: torch.get_num_threads(), range(9), device="cpu")) == {1}
    assert torch.get_num_threads() == 2
    assert list(in_order(lambda item: item, [], device="cpu")) == []


def test_an_error_passes_through() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("item 3")
        return item

    with pytest.raises(ValueError, match="item 3"):
        list(in_order(work, range(9), device="cpu"))
    assert torch.get_num_threads() == 2


def test_stopping_early_restores_the_setting_and_takes_no_further_items() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    results = in_order(lambda item: item, items(), device="cpu")
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert len(taken) < 10
    assert torch.get_num_threads() == 2


def test_other_devices_work_one_after_another() -> None:
    main = threading.get_ident()
    assert list(in_order(lambda item: (item, threading.get_ident()), range(3), device="cuda")) == [
        (item, main) for item in range(3)
    ]


def test_calls_at_a_time_leave_each_thread_its_setting() -> None:
    """A thread that first computes while another is within would take the 1 of that for its own."""
    within, done = threading.Event(), threading.Event()
    found: list[int] = []

    def work(item: int) -> int:
        within.set()
        assert done.wait(timeout=60)
        return item

    def others() -> None:
        assert within.wait(timeout=60)
        assert list(in_order(abs, range(3), device="cpu")) == [0, 1, 2]
        found.append(torch.get_num_threads())
        done.set()

    other = threading.Thread(target=others)
    other.start()
    assert list(in_order(work, range(3), device="cpu")) == [0, 1, 2]
    other.join(timeout=60)
    assert [*found, torch.get_num_threads()] == [2, 2]


def test_a_call_within_another_has_no_further_threads() -> None:
    def work(item: int) -> set[str]:
        names = set(in_order(lambda _: threading.current_thread().name, range(3), device="cpu"))
        assert torch.get_num_threads() == 1
        return names - {threading.current_thread().name}

    assert list(in_order(work, range(4), device="cpu")) == [set()] * 4
