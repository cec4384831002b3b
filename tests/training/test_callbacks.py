"""Unusable images met on the way are reported when there are more, not every epoch."""

from types import SimpleNamespace
from typing import Any

from dqh.training.callbacks import UsableImages


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
