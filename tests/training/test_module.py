"""The base module: loss terms, batches."""

import torch

from dqh.training.module import TrainingBatch


def test_a_batch_without_a_good_image_makes_no_step(tiny) -> None:
    module = tiny().method
    empty = TrainingBatch(torch.empty(0, 3, 16, 16), torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long))
    assert module.training_step(empty, 0) is None
    module.validation_step(empty, 0)
    assert module._validation == []
