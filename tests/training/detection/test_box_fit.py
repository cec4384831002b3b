"""Settings that the training of a detector does not have are refused together, those that it has are not."""

import pytest

from dqh.errors import ConfigError
from dqh.training.detection.box_fit import require_settings
from dqh.training.fit import Fit


def test_what_it_has_is_taken() -> None:
    require_settings(Fit(epochs=3, batch_size=4, gradient_clip=1.0, threads=1, memory_gb=1.0, workers=0, compile=False))


def test_what_it_has_not_is_refused_together() -> None:
    with pytest.raises(ConfigError) as caught:
        require_settings(Fit(least_steps=5, head_steps=3, devices=2, overfit=16, monitor="val/accuracy", compile=True))
    told = str(caught.value)
    for name in ("least_steps", "head_steps", "devices", "overfit", "monitor", "compile"):
        assert f"trainer.{name}: a detector" in told
