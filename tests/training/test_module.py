"""The base module: validation by retrieval, loss terms, batches."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from dqh.codes import hamming, pack
from dqh.training.module import TrainingBatch, leave_one_out_map


def test_leave_one_out_map_against_scikit_learn() -> None:
    """Codes on a line (k low bits set) with distances that never tie, so scikit-learn's AP needs no tie rule."""
    lengths = np.array([0, 1, 3, 7, 15, 31, 63])
    codes = pack(np.arange(64) < lengths[:, None])
    labels = np.array([0, 1, 0, 1, 1, 0, 0])
    expected = []
    for row, distances in enumerate(hamming(codes, codes)):
        others = np.arange(7) != row
        assert len(set(distances[others])) == 6
        expected.append(average_precision_score(labels[others] == labels[row], -distances[others]))
    found = leave_one_out_map(codes, torch.from_numpy(labels), bits=64, device=torch.device("cpu"))
    assert found == pytest.approx(np.mean(expected))


def test_an_image_without_labels_is_relevant_to_none_not_even_itself() -> None:
    """0 finds 1 first: AP 1. 1 finds 0 and 2 at one distance: (1 + 1/2) / 2. 2 has no label: 0. Mean 7/12."""
    codes = pack(np.array([[0, 0], [0, 1], [1, 1]], bool))
    labels = torch.tensor([[True, False], [True, True], [False, False]])
    found = leave_one_out_map(codes, labels, bits=2, device=torch.device("cpu"))
    assert found == pytest.approx(7 / 12)


def test_a_single_image_has_no_others() -> None:
    codes = np.zeros((1, 1), np.uint8)
    assert np.isnan(leave_one_out_map(codes, torch.zeros(1, dtype=torch.long), bits=8, device=torch.device("cpu")))


def test_a_batch_without_a_good_image_makes_no_step(tiny) -> None:
    module = tiny().method
    empty = TrainingBatch(torch.empty(0, 3, 16, 16), torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long))
    assert module.training_step(empty, 0) is None
    module.validation_step(empty, 0)
    assert module._validation == []
