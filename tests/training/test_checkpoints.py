"""The choice of the epoch in a checkpoint; writing and resuming are tested with whole runs, in `test_pipeline`."""

import math
from pathlib import Path
from typing import Any

import pytest

from dqh.training.checkpoints import Checkpoints
from dqh.training.validation import Choice


@pytest.mark.parametrize("choice", [Choice(), Choice(0.5, 2, 0.25), Choice(math.nan, 3, math.nan)])
def test_the_choice_survives_a_checkpoint(choice: Choice) -> None:
    before, after = (Checkpoints(Path("run"), monitor="val/mAP") for _ in range(2))
    before.choice = choice
    after.load_state_dict(before.state_dict())
    assert repr(after.choice) == repr(choice)


@pytest.mark.parametrize(
    ("best", "value", "epoch"),
    [
        ((0.5, 2), 0.5, 2),  # an earlier epoch was lower: the value tells epochs apart, and the first of equals stays
        ((0.5, 1), 0.5, 3),
        ((math.inf, 2), math.nan, 3),  # how no validation images were written
        ((-math.inf, 0), 0.1, 3),
    ],
)
def test_a_checkpoint_of_an_older_version_goes_on(best: Any, value: float, epoch: int) -> None:
    checkpoints = Checkpoints(Path("run"), monitor="val/mAP")
    checkpoints.load_state_dict({"best": best})
    assert checkpoints.choice.after(3, value).epoch == epoch
