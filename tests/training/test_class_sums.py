"""Codes of each class, summed."""

import torch

from dqh.training.class_sums import ClassSums


def test_single_labels_by_hand() -> None:
    """Class 0 has (1, 1) and (1, −1), class 2 has (−1, −1), class 1 none."""
    codes = ClassSums(3, 2)
    codes.add(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]), torch.tensor([0, 2]))
    codes.add(torch.tensor([[1.0, -1.0]]), torch.tensor([0]))
    assert codes.means().tolist() == [[1, 0], [0, 0], [-1, -1]]
    assert codes.weights.tolist() == [2, 0, 1]
    codes.clear()
    assert not codes.sums.any()
    assert not codes.weights.any()


def test_an_image_with_two_labels_counts_half_for_each() -> None:
    """Class 0: (1 + ½ · (−1)) / 1.5 = ⅓; class 1: −1; an image without labels counts nowhere."""
    codes = ClassSums(2, 1)
    labels = torch.tensor([[True, False], [True, True], [False, False]])
    codes.add(torch.tensor([[1.0], [-1.0], [7.0]]), labels)
    torch.testing.assert_close(codes.means(), torch.tensor([[1 / 3], [-1.0]]))
    assert codes.weights.tolist() == [1.5, 0.5]
