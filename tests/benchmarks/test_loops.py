"""What is made of a profiler's events."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent

from dqh.training.profile import on_device


@pytest.fixture(scope="module")
def loops(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("loops")


def kernel(start: float, end: float, **more: Any) -> FunctionEvent:
    return FunctionEvent(1, "kernel", 1, start, end, use_device="cuda", device_type=DeviceType.CUDA, **more)


def test_kernels_of_two_streams_count_once_where_they_overlap(loops: ModuleType) -> None:
    """0 … 10 and 30 … 40 on one stream, a copy of 5 … 20 and a short one of 31 … 33 on another: 20 + 10 = 30 µs."""
    events = [kernel(30, 40), kernel(0, 10), kernel(5, 20), kernel(31, 33)]
    assert loops.busy_seconds(events) == pytest.approx(30e-6)


def test_the_operator_that_launched_a_kernel_is_no_kernel(loops: ModuleType) -> None:
    """A kernel of 10 µs in an operator of 50, under a named range of 60: 10."""
    operator = FunctionEvent(1, "aten::mm", 1, 0, 50, use_device="cuda")
    operator.append_kernel("kernel", 0, 10)
    events = [operator, kernel(5, 15), kernel(0, 60, is_user_annotation=True)]
    assert loops.busy_seconds(on_device(events)) == pytest.approx(10e-6)


def test_no_events_take_no_time(loops: ModuleType) -> None:
    assert loops.busy_seconds([]) == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12))
def test_busy_is_every_microsecond_in_which_something_runs(loops: ModuleType, spans: list[tuple[int, int]]) -> None:
    covered = np.zeros(80, bool)
    for start, length in spans:
        covered[start : start + length] = True
    events = [kernel(start, start + length) for start, length in spans]
    assert loops.busy_seconds(events) == pytest.approx(covered.sum() / 1e6)
