from typing import Any

import pytest

from dqh.training.forecast import Forecast, Pace, Sequel, duration, forecast
from dqh.training.history import History, ProgressLine
from dqh.training.pipeline import run
from dqh.training.plan import sequel

PACE = Pace(left=540, whole=600, loops=590, images_per_s=100)


def test_what_follows_is_added_up() -> None:
    """36,000 images at three times 100 a second are 2 minutes; 10⁹ pairs at 10 ns are 10 s, a page 5 s."""
    follows = Sequel(images=36_000, pairs=10**9)
    assert forecast(PACE, follows) == "about 11 min to go: 9 min training, 2 min encoding, 15 s measuring"
    again = follows._replace(without_h=True, without_h_images=18_000, baselines=("lsh", "itq"))
    assert forecast(PACE, again) == (
        "about 22 min to go: 9 min training, 10 min training without H, 3 min encoding, 15 s measuring; fitting lsh, "
        "itq comes on top"
    )


def test_a_training_without_h_beyond_its_limit_is_told_at_once() -> None:
    follows = Sequel(without_h=True, limit_minutes=3, images=36_000, without_h_images=18_000)
    assert forecast(PACE, follows) == (
        "about 11 min to go: 9 min training, 2 min encoding, 5 s measuring; no training without H, as this one takes "
        "over 3 min (without_h=softmax has it)"
    )
    assert "10 min training without H" in forecast(PACE, follows._replace(limit_minutes=10))


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (89, "89 s"), (7000, "117 min"), (7200, "2.0 h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.slow
def test_it_is_told_once_after_the_first_epoch(tiny: Any, folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Three epochs; the validation after the epoch counts, a second call does not tell again."""
    caplog.set_level("INFO")
    run(tiny(), folder, command="")
    told = [line for line in caplog.messages if line.startswith("about ") and " to go: " in line]
    assert len(told) == 1
    assert "measuring" in told[0]
    assert "without H" not in told[0]


def test_the_pace_is_that_of_the_steps_so_far(tmp_path: Any, monkeypatch: Any, caplog: Any) -> None:
    """10 of 40 steps in 20 s, 16 s of them in the loop: 60 s are left of 80, the loops take 64."""
    caplog.set_level("INFO")
    seen: list[Pace] = []
    monkeypatch.setattr("dqh.training.forecast.forecast", lambda pace, follows: seen.append(pace) or "told")
    history = History(tmp_path / "metrics.csv")
    history.rows = [{"epoch": 1, "seconds": 16.0}]
    history._images, history._seconds = 1600.0, 16.0
    progress = ProgressLine(history)
    trainer = type("Trainer", (), {"max_epochs": 4, "estimated_stepping_batches": 40, "global_step": 10})()
    progress._begun = (0.0, 0)
    monkeypatch.setattr("dqh.training.history.time.perf_counter", lambda: 20.0)
    callback = Forecast(history, progress, Sequel())
    callback.on_train_epoch_end(trainer, None)
    callback.on_train_epoch_end(trainer, None)
    assert seen == [Pace(left=60.0, whole=80.0, loops=64.0, images_per_s=100.0)]
    assert caplog.messages == ["told"]


def test_what_comes_after_each_training(tiny: Any) -> None:
    plain = {"_target_": "dqh.methods.softmax.Softmax", "dropout": 0.2}
    experiment = tiny(without_h=plain)
    roles = type("Roles", (), {"query": range(40), "database": range(300)})
    data = type("Data", (), {"roles": roles})
    coder = experiment.method.quantizer()
    first, second = (sequel(experiment, data, coder, without_h=last) for last in (False, True))  # type: ignore[arg-type]
    assert (first.without_h, first.images, first.without_h_images) == (True, 680, 340)
    assert (second.without_h, second.images) == (False, 1020)
    assert first.pairs == second.pairs == 7 * 40 * 300


def test_a_mirror_image_is_encoded_too(tiny: Any) -> None:
    experiment = tiny(without_h={"_target_": "dqh.methods.softmax.Softmax"}, backbone={"mirror": True})
    data = type("Data", (), {"roles": type("Roles", (), {"query": range(40), "database": range(300)})})
    follows = sequel(experiment, data, experiment.method.quantizer(), without_h=False)  # type: ignore[arg-type]
    assert (follows.images, follows.without_h_images) == (2 * 680, 2 * 340)
