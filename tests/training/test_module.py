"""The base module: loss terms, batches."""

from typing import Any

import numpy as np
import pytest
import torch

from dqh.training import module as modules
from dqh.training.module import Measured, TrainingBatch


def test_a_batch_without_a_good_image_makes_no_step(tiny) -> None:
    module = tiny().method
    empty = TrainingBatch(torch.empty(0, 3, 16, 16), torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long))
    assert module.training_step(empty, 0) is None
    module.validation_step(empty, 0)
    assert module._validation == []


def test_validation_is_over_the_images_of_all_processes_in_their_order(tiny: Any, monkeypatch: Any) -> None:
    """Means 1, 4, 7 over 3, 1, 2 images: (3 + 4 + 14) / 6. The second batch is the other process's."""
    module, logged, measured = tiny().method, {}, []
    first = [Measured(0, np.full((3, 12), 0.1, np.float32), torch.zeros(3).long(), {"loss": 1.0})]
    first.append(Measured(2, np.full((2, 12), 0.3, np.float32), torch.full((2,), 2), {"loss": 7.0}))
    second = [Measured(1, np.full((1, 12), 0.2, np.float32), torch.ones(1).long(), {"loss": 4.0})]

    def leave_one_out(quantizer: Any, embedding: Any, labels: Any, *, device: Any) -> float:
        measured.append((embedding[:, 0].tolist(), labels.tolist()))
        return 0.5

    monkeypatch.setattr(modules, "everyone", lambda own: [list(own), second])
    monkeypatch.setattr(modules, "leave_one_out_map", leave_one_out)
    monkeypatch.setattr(module, "log", logged.__setitem__)
    module._validation = first
    module.on_validation_epoch_end()
    assert logged == {"val/loss": pytest.approx(21 / 6), "val/mAP": 0.5}
    assert measured == [(pytest.approx([0.1] * 3 + [0.2] + [0.3] * 2), [0, 0, 0, 1, 2, 2])]
    assert module._validation == []
