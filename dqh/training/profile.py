"""Where the time of a run goes: phases that add up to the whole, and the operators that take most of a few steps.

Beneath is Lightning's profiler interface, which calls `start` and `stop` around everything that its loops do; phases
outside the training are entered by name, as in `with profiler.profile("evaluation")`. Each moment counts for the
innermost phase that is open, so nothing is counted twice. CUDA runs kernels behind the program's back: the device is
waited for wherever a phase begins or ends, which makes a profiled run somewhat slower and its attribution true.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback
from pytorch_lightning.profilers import PassThroughProfiler, Profiler

from dqh.conveniences import convenience
from dqh.files import write_json, write_text

logger = logging.getLogger(__name__)

PHASES: Mapping[str, tuple[str, ...]] = {
    "reading images": (),
    "head": (),
    "closed form": (),
    "waiting for data": (".train_dataloader_next",),
    "transfer and augmentation": (".batch_to_device",),
    "forward and loss": (".training_step",),
    "backward": (".backward",),
    "optimizer": (".optimizer_step", ".optimizer_zero_grad"),
    "validation": (),
    "checkpoints": ("save_checkpoint", "Checkpoints.on_train_epoch_end"),
    "loggers": ("LogRows.on_train_start", "LogRows.on_train_epoch_end", "LogRows.on_train_end"),
    "network without H": (),
    "artifact": (),
    "encoding": (),
    "evaluation": (),
    "torch.profiler": (),
}
"""The phases in the order of the table, with the ends of the names that Lightning has for them."""

WHOLE = ("validation", "network without H")
"""Phases that what goes on inside them belongs to."""

FIRST_STEP, STEPS, OPERATORS = 5, 10, 10
"""The operators are listed for up to `STEPS` steps of one epoch, from this step of the run on; and how many of them."""

WIDEST = 60
"""Characters of a name in a table; those of kernels are as long as their C++ types."""


class Phase(NamedTuple):
    """A part of the run.

    Attributes:
        phase: its name; `other` is what belongs to none.
        seconds: of wall-clock time.
        percent: of the whole, one decimal; all of them add up to 100.
    """

    phase: str
    seconds: float
    percent: float


class Operator(NamedTuple):
    """An operator of torch on the CPU; on CUDA a kernel, or a copy.

    Attributes:
        operator: its name.
        seconds: its own time in the steps that were looked at.
        percent: of the time of all of them.
        calls: how often it ran.
    """

    operator: str
    seconds: float
    percent: float
    calls: int


class Profile(Profiler):
    """Takes the time of phases, from its making on.

    Args:
        device: waited for at the bounds of phases.

    Attributes:
        operators: those that took longest, once some steps were looked at.
        steps: how many steps that were.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.operators: list[Operator] = []
        self.steps = 0
        self._open: list[tuple[str, str]] = []  # action, phase
        self._seconds = dict.fromkeys([*PHASES, "other"], 0.0)
        self._mark = time.perf_counter()

    def start(self, action_name: str) -> None:
        """Enter the phase of an action, if it has one and no phase of `WHOLE` is open."""
        phase = _phase(action_name)
        if phase is not None and not (self._open and self._open[-1][1] in WHOLE):
            self._charge()
            self._open.append((action_name, phase))

    def stop(self, action_name: str) -> None:
        """Leave the phase of an action, if it was entered."""
        if self._open and self._open[-1][0] == action_name:
            self._charge()
            self._open.pop()

    def phases(self) -> list[Phase]:
        """The phases that took time, `other` last. Their seconds are those since the profile was made."""
        self._charge()
        percent = percentages(list(self._seconds.values()))
        return [
            Phase(name, round(seconds, 3), share)
            for (name, seconds), share in zip(self._seconds.items(), percent, strict=True)
            if seconds > 0 or name == "other"
        ]

    def write(self, folder: Path) -> None:
        """Write `profile.json` and `profile.txt`, and log the latter."""
        phases = self.phases()
        text = table(phases, self.operators, steps=self.steps, device=self.device)
        content = {
            "seconds": round(sum(phase.seconds for phase in phases), 3),
            "device": self.device.type,
            "phases": [phase._asdict() for phase in phases],
            "operator_steps": self.steps,
            "operators": [operator._asdict() for operator in self.operators],
        }
        write_json(folder / "profile.json", content)
        write_text(folder / "profile.txt", text + "\n")
        for line in text.split("\n"):
            logger.info("%s", line)

    def _charge(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self._seconds[self._open[-1][1] if self._open else "other"] += now - self._mark
        self._mark = now


class Validation(Callback):
    """Tells where a validation begins and ends, which Lightning does not.

    Args:
        profile: hears it.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Enter the phase."""
        self.profile.start("validation")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave it."""
        self.profile.stop("validation")


class Operators(Callback):
    """Lets torch's own profiler watch a few steps.

    Args:
        profile: gets the operators that took longest.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._torch: Any = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Begin, if it is time."""
        if self.profile.steps == 0 and trainer.global_step >= FIRST_STEP:
            with self.profile.profile("torch.profiler"):
                cuda = self.profile.device.type == "cuda"
                os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else it tells stderr of an error where no GPU is
                self._torch = torch.autograd.profiler.profile(use_device="cuda" if cuda else None, use_kineto=cuda)
                self._torch.__enter__()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End after enough steps, or with the epoch."""
        if self._torch is None:
            return
        self.profile.steps += 1
        if self.profile.steps == STEPS or batch_idx + 1 == trainer.num_training_batches:
            with self.profile.profile("torch.profiler"):
                self._torch.__exit__(None, None, None)
                self.profile.operators = longest(self._torch.key_averages(), cuda=self.profile.device.type == "cuda")
            self._torch = None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Stop looking: torch has one profiler at a time."""
        if self._torch is not None:
            self._torch.__exit__(None, None, None)
            self._torch = None


@contextmanager
def profiling(wanted: bool, folder: Path, *, device: torch.device) -> Iterator[Profiler]:
    """A profiler for a run, which writes what it found when the block ends, however it ends; an idle one if not wanted.

    Args:
        wanted: whether to take the time.
        folder: of the run.
        device: that the run computes on.
    """
    if not wanted:
        yield PassThroughProfiler()
        return
    profile = Profile(device)
    try:
        yield profile
    finally:
        with convenience("profile"):
            profile.write(folder)


def table(phases: Sequence[Phase], operators: Sequence[Operator], *, steps: int, device: torch.device) -> str:
    """Both tables as text; `steps` is how many the operators were watched for."""
    total = sum(phase.seconds for phase in phases)
    operators = [operator._replace(operator=_cut(operator.operator)) for operator in operators]
    wide = max(
        len(name) for name in [*(phase.phase for phase in phases), *(operator.operator for operator in operators)]
    )
    waited = ", the device waited for wherever a phase begins or ends" if device.type == "cuda" else ""
    lines = [f"where the {total:.1f} s of this run went{waited}"]
    lines += [f"  {name:<{wide}}{seconds:10.2f} s{percent:7.1f} %" for name, seconds, percent in phases]
    if operators:
        kind = "kernels and copies with most time" if device.type == "cuda" else "operators with most time of their own"
        lines.append(f"{kind} in {steps} steps of the training ({device.type})")
    lines += [
        f"  {name:<{wide}}{seconds:10.4f} s{percent:7.1f} %{calls:8,} calls"
        for name, seconds, percent, calls in operators
    ]
    return "\n".join(lines)


def percentages(values: list[float]) -> list[float]:
    """Shares with one decimal that add up to 100: the largest remainders are rounded up.

    Example:
        >>> percentages([1.0, 1.0, 1.0])
        [33.4, 33.3, 33.3]
    """
    exact = [1000 * value / (sum(values) or 1.0) for value in values]
    tenths = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: tenths[place] - exact[place])
    for place in by_remainder[: round(sum(exact)) - sum(tenths)]:
        tenths[place] += 1
    return [tenth / 10 for tenth in tenths]


def on_device(events: Iterable[Any]) -> list[Any]:
    """Those events of torch's profiler, single or averaged, that took place on the CUDA device: kernels and copies.

    An operator has the time of the kernels that it launched once more, and so has a range that somebody has named.
    """
    return [event for event in events if event.device_type.name == "CUDA" and not event.is_user_annotation]


def longest(averages: Iterable[Any], *, cuda: bool) -> list[Operator]:
    """The `OPERATORS` that took longest, longest first.

    Args:
        averages: what `key_averages()` of torch's profiler returns.
        cuda: whether what ran on the CUDA device is asked for, in place of operators on the CPU.
    """
    field, chosen = ("self_device_time_total", on_device(averages)) if cuda else ("self_cpu_time_total", averages)
    timed = sorted(((getattr(event, field), event) for event in chosen), key=lambda pair: pair[0], reverse=True)
    total = sum(time for time, _ in timed) or 1.0
    return [
        Operator(event.key, time / 1e6, round(100 * time / total, 1), event.count) for time, event in timed[:OPERATORS]
    ]


def _phase(action: str) -> str | None:
    if action in PHASES:
        return action
    return next((phase for phase, ends in PHASES.items() if ends and action.endswith(ends)), None)


def _cut(name: str) -> str:
    return name if len(name) <= WIDEST else f"{name[: WIDEST - 1]}…"
