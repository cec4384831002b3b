"""Times of phases by a clock that the tests turn; the operators of a real training."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning.profilers import PassThroughProfiler

from dqh.training import Experiment, run
from dqh.training import profile as profiles
from dqh.training.profile import Operator, Phase, Profile, percentages, profiling, table

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
    lines = table(phases, [Operator("aten::mm", 0.5, 80.0, 1200)], steps=10, device=torch.device("cuda")).splitlines()
    assert lines == [
        "where the 4.0 s of this run went, the device waited for wherever a phase begins or ends",
        "  backward      3.00 s   75.0 %",
        "  other         1.00 s   25.0 %",
        "operators with most time of their own in 10 steps of the training (cuda)",
        "  aten::mm    0.5000 s   80.0 %   1,200 calls",
    ]


def test_nothing_is_done_unless_wanted(tmp_path: Path) -> None:
    with profiling(False, tmp_path, device=torch.device("cpu")) as profiler:
        assert isinstance(profiler, PassThroughProfiler)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_tells_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), profiling(True, tmp_path, device=torch.device("cpu")):
        raise KeyboardInterrupt
    assert (tmp_path / "profile.txt").is_file()


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
