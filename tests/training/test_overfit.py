"""Which images are learnt by heart, and when the network has learnt them."""

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.errors import DataError
from dqh.training.overfit import StopWhenLearnt, few


def test_classes_take_turns() -> None:
    """Six of two classes: three each. Eight, where the second class has but two: these and six of the first."""
    labels = np.array([0] * 20 + [1] * 20)
    assert np.bincount(labels[few(np.arange(40), labels, 6, seed=0)]).tolist() == [3, 3]
    assert np.bincount(labels[few(np.arange(22), labels, 8, seed=0)]).tolist() == [6, 2]


def test_as_many_classes_as_can_have_three_images() -> None:
    """32 of 100 classes: 32 // 3 = 10 classes, two of them with four images."""
    labels = np.arange(1000) % 100
    sizes = np.unique(labels[few(np.arange(1000), labels, 32, seed=0)], return_counts=True)[1]
    assert sorted(sizes.tolist()) == [3] * 8 + [4] * 2


@pytest.mark.slow
@given(labels=st.lists(st.integers(0, 9), min_size=60, max_size=90), count=st.integers(4, 40), seed=st.integers(0, 9))
def test_every_image_has_another_of_its_class(labels: list[int], count: int, seed: int) -> None:
    values = np.array(labels)
    rows = np.arange(10, len(labels))
    chosen = few(rows, values, count, seed=seed)
    assert np.array_equal(chosen, few(rows, values, count, seed=seed))
    assert len(chosen) <= count
    assert set(chosen) <= set(rows)
    assert np.array_equal(chosen, np.unique(chosen))
    assert np.bincount(values[chosen])[values[chosen]].min() >= 2


def test_sets_of_labels_are_disjoint() -> None:
    """Rows a a a, ab ab, bc bc bc, d, none: ab shares a label with both larger sets, d is alone."""
    a, ab, bc, d = [1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]
    labels = np.array([a, a, a, ab, ab, bc, bc, bc, d, [0, 0, 0, 0]], dtype=bool)
    assert few(np.arange(10), labels, 10, seed=0).tolist() == [0, 1, 2, 5, 6, 7]


def test_without_two_of_a_kind_there_is_nothing_to_learn() -> None:
    with pytest.raises(DataError, match=r"trainer.overfit needs a class with at least two train images"):
        few(np.arange(3), np.array([0, 1, 2]), 4, seed=0)


@pytest.mark.parametrize(("value", "stops", "told"), [(0.985, False, "only 0.9850 after 3"), (0.99, True, "0.9900 ")])
def test_the_training_stops_at_99_percent(value: float, stops: bool, told: str, caplog: Any) -> None:
    measured = {"val/mAP": torch.tensor(value, dtype=torch.float64)}
    trainer: Any = SimpleNamespace(callback_metrics=measured, should_stop=False, current_epoch=3)
    StopWhenLearnt().on_validation_end(trainer, trainer)
    assert trainer.should_stop is stops
    with caplog.at_level(logging.INFO):
        StopWhenLearnt().on_train_end(trainer, trainer)
    assert f"overfit: train/mAP {told}" in caplog.text
