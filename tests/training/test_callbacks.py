"""What happens around every step."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dqh.training import callbacks
from dqh.training.callbacks import StepSeeds, UsableImages
from dqh.training.seeds import derive


def test_draws_of_a_step_follow_from_its_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no stack is formatted for devices that are not in use, as torch.manual_seed does at every call."""

    def draw(epoch: int, step: int) -> list[float]:
        trainer: Any = SimpleNamespace(current_epoch=epoch)
        module: Any = SimpleNamespace(device=torch.device("cpu"))
        StepSeeds(7).on_train_batch_start(trainer, module, None, step)
        return torch.rand(3).tolist()

    torch.manual_seed(derive(7, "step", 2, 5))
    wanted = torch.rand(3).tolist()
    monkeypatch.setattr("traceback.format_stack", lambda: pytest.fail("a stack was formatted"))
    assert draw(2, 5) == wanted == draw(2, 5)
    assert len({tuple(draw(*place)) for place in ((2, 5), (5, 2), (2, 6), (3, 5))}) == 4
    monkeypatch.setattr(callbacks, "rank", lambda: 1)
    assert draw(2, 5) != wanted


def test_a_report_for_each_rise_and_none_without() -> None:
    skipped: dict[int, str] = {1: "known before the training"}
    reported: list[int] = []

    def report_skipped(*, write: bool) -> int:
        assert write
        reported.append(len(skipped))
        return len(skipped)

    data: Any = SimpleNamespace(store=SimpleNamespace(skipped=skipped), report_skipped=report_skipped)
    callback = UsableImages(data)
    trainer: Any = None
    for found in ([], [2, 3], [], [4], []):
        skipped.update(dict.fromkeys(found, "scratched"))
        callback.on_train_epoch_end(trainer, trainer)
    assert reported == [3, 4]
