"""Times of phases by a clock that the tests turn; the operators of a real training."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning.profilers import PassThroughProfiler
from torch.autograd import DeviceType
from torch.autograd.profiler_util import EventList, FunctionEvent

from dqh.training import Experiment, run
from dqh.training import profile as profiles
from dqh.training.profile import Operator, Phase, Profile, longest, on_device, percentages, profiling, table

STEP = "[LightningModule]DLBHC.optimizer_step"
FORWARD = "[Strategy]SingleDeviceStrategy.training_step"


class Clock:
    """A clock that stands until it is turned."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(profiles.time, "perf_counter", lambda: self.now)

    def turn(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def seconds(profile: Profile) -> dict[str, float]:
    return {phase.phase: phase.seconds for phase in profile.phases()}


def test_each_moment_counts_for_the_innermost_phase(clock: Clock) -> None:
    """1 outside, a step of 2 + 3 (forward) + 1, 1 outside: the step alone is 3, outside 2, of 8 in all."""
    profile = Profile(torch.device("cpu"))
    clock.turn(1)
    with profile.profile("run_training_batch"), profile.profile(STEP):
        clock.turn(2)
        with profile.profile(FORWARD):
            clock.turn(3)
        clock.turn(1)
    clock.turn(1)
    assert profile.phases() == [
        Phase("forward and loss", 3, 37.5),
        Phase("optimizer", 3, 37.5),
        Phase("other", 2, 25.0),
    ]


def test_what_a_validation_does_is_validation(clock: Clock) -> None:
    profile = Profile(torch.device("cpu"))
    with profile.profile("validation"):
        clock.turn(1)
        with profile.profile("[Strategy]SingleDeviceStrategy.batch_to_device"):
            clock.turn(1)
        clock.turn(1)
    with profile.profile("[Strategy]SingleDeviceStrategy.batch_to_device"):
        clock.turn(1)
    assert seconds(profile) == {"transfer and augmentation": 1, "validation": 3, "other": 0}


def test_a_phase_that_raises_is_left(clock: Clock) -> None:
    profile = Profile(torch.device("cpu"))

    def fails() -> None:
        clock.turn(1)
        raise ValueError

    with pytest.raises(ValueError), profile.profile("evaluation"):  # noqa: PT011
        fails()
    clock.turn(2)
    assert seconds(profile) == {"evaluation": 1, "other": 2}


def test_a_device_is_waited_for_where_phases_begin_and_end(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel of 5 s that the forward pass only queues: it would be the backward pass that waits for it."""
    queued = [0.0]

    def wait(device: torch.device) -> None:
        clock.turn(queued.pop() if queued else 0)

    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    profile = Profile(torch.device("cuda"))
    with profile.profile(FORWARD):
        queued.append(5)
    with profile.profile("[Strategy]SingleDeviceStrategy.backward"):
        clock.turn(1)
    assert seconds(profile) == {"forward and loss": 5, "backward": 1, "other": 0}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20).filter(lambda values: sum(values) > 0))
def test_percentages_add_up_and_are_true_to_a_tenth(values: list[float]) -> None:
    shares = percentages(values)
    assert sum(round(10 * share) for share in shares) == 1000
    assert all(abs(share - 100 * value / sum(values)) <= 0.1 for share, value in zip(shares, values, strict=True))


def test_the_table() -> None:
    phases = [Phase("backward", 3.0, 75.0), Phase("other", 1.0, 25.0)]
    lines = table(phases, [Operator("sgemm", 0.5, 80.0, 1200)], steps=10, device=torch.device("cuda")).splitlines()
    assert lines == [
        "where the 4.0 s of this run went, the device waited for wherever a phase begins or ends",
        "  backward      3.00 s   75.0 %",
        "  other         1.00 s   25.0 %",
        "kernels and copies with most time in 10 steps of the training (cuda)",
        "  sgemm       0.5000 s   80.0 %   1,200 calls",
    ]


def test_a_long_name_is_cut_in_the_table() -> None:
    found = [Operator("void kernel<" + 80 * "x" + ">", 0.5, 100.0, 1)]
    last = table([Phase("other", 1.0, 100.0)], found, steps=1, device=torch.device("cpu")).splitlines()[-1]
    assert last == "  void kernel<" + 47 * "x" + "…    0.5000 s  100.0 %       1 calls"


def event(name: str, start: float, end: float, **more: Any) -> FunctionEvent:
    return FunctionEvent(len(name), name, 1, start, end, stack=[], use_device="cuda", **more)


def test_on_cuda_a_kernel_counts_once() -> None:
    """Kernels of 30 and 10 µs, 40 in all; the operator that launched them and a named range have 40 once more each."""
    operator = event("aten::mm", 0, 50)
    operator.append_kernel("sgemm", 0, 30)
    operator.append_kernel("Memcpy DtoD", 0, 10)
    kinds: dict[str, Any] = {"device_type": DeviceType.CUDA}
    kernels = [event("sgemm", 100, 130, **kinds), event("Memcpy DtoD", 130, 140, **kinds)]
    events = EventList(
        [operator, *kernels, event("step", 100, 140, is_user_annotation=True, **kinds)], use_device="cuda"
    )
    events._build_tree()
    averages = events.key_averages()
    assert sum(each.self_device_time_total for each in averages) == 120  # what must not be taken for kernel time
    assert [each.name for each in on_device(events)] == ["sgemm", "Memcpy DtoD"]
    assert longest(averages, cuda=True) == [Operator("sgemm", 3e-5, 75.0, 1), Operator("Memcpy DtoD", 1e-5, 25.0, 1)]


def test_on_the_cpu_operators_are_listed_by_their_own_time() -> None:
    """An operator of 50 µs with one of 20 in it: 30 of its own."""
    events = EventList([event("aten::linear", 0, 50), event("aten::mm", 10, 30)])
    events._build_tree()
    assert longest(events.key_averages(), cuda=False) == [
        Operator("aten::linear", 3e-5, 60.0, 1),
        Operator("aten::mm", 2e-5, 40.0, 1),
    ]


def test_nothing_is_done_unless_wanted(tmp_path: Path) -> None:
    with profiling(False, tmp_path, device=torch.device("cpu")) as profiler:
        assert isinstance(profiler, PassThroughProfiler)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_tells_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), profiling(True, tmp_path, device=torch.device("cpu")):
        raise KeyboardInterrupt
    assert (tmp_path / "profile.txt").is_file()


@pytest.mark.slow
def test_a_real_run_finds_its_phases(tiny: Any, folder: Path) -> None:
    experiment: Experiment = tiny(trainer={"epochs": 2, "profile": True})
    run(experiment, folder, command="")
    content = json.loads((folder / "profile.json").read_text())
    found = {phase["phase"]: phase["seconds"] for phase in content["phases"]}
    assert {
        "reading images",
        "waiting for data",
        "transfer and augmentation",
        "forward and loss",
        "backward",
        "optimizer",
        "validation",
        "checkpoints",
        "evaluation",
        "other",
    } <= found.keys()
    assert content["seconds"] == pytest.approx(sum(found.values()), abs=0.001 * len(found))  # rounded to a millisecond
    assert sum(round(10 * phase["percent"]) for phase in content["phases"]) == 1000
    assert content["operator_steps"] == 1  # the sixth step of six an epoch
    assert any("convolution" in operator["operator"] for operator in content["operators"])
    assert (folder / "profile.txt").read_text().startswith("where the ")
