from typing import Any

import pytest
import torch
from torch import Tensor

from dqh.losses import pair_weights, similarity_targets
from dqh.losses.similarity import share_label

SINGLE = torch.tensor([0, 0, 1])
MULTI = torch.tensor([[True, True, False], [False, True, True], [True, False, False], [False, False, False]])


def test_single_labels() -> None:
    wanted = [[1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    assert similarity_targets(SINGLE).tolist() == wanted


def test_multi_labels() -> None:
    """The first image shares a label with the second and the third; the last has none and is similar to itself only."""
    wanted = [[1, 1, 1, -1], [1, 1, -1, -1], [1, -1, 1, -1], [-1, -1, -1, 1]]
    assert similarity_targets(MULTI).tolist() == wanted


def test_two_sides_that_share_labels() -> None:
    """Of single labels and of several; an image without labels shares none, not even with itself."""
    assert share_label(SINGLE, torch.tensor([1, 0])).tolist() == [[False, True], [False, True], [True, False]]
    wanted = [[True, True, True, False], [True, True, False, False], [True, False, True, False], [False] * 4]
    assert share_label(MULTI, MULTI).tolist() == wanted
    assert share_label(MULTI[:1], MULTI[2:]).tolist() == [[True, False]]
    with pytest.raises(TypeError, match="labels must be"):
        share_label(SINGLE, SINGLE.float())


def test_one_hot_rows_are_single_labels() -> None:
    labels = torch.tensor([3, 0, 3, 1, 0])
    rows = torch.nn.functional.one_hot(labels, 5).bool()
    assert torch.equal(similarity_targets(labels, negative="balanced"), similarity_targets(rows, negative="balanced"))
    assert torch.equal(pair_weights(labels, positive_weight="balanced"), pair_weights(rows, positive_weight="balanced"))


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        (torch.tensor([7, 7, 2]), -1.0),  # two classes: 1/(2 − 1)
        (torch.tensor([0, 1, 2]), -0.5),  # three classes: 1/(3 − 1)
        (torch.tensor([[True, False], [False, False]]), -1.0),  # one class occurs and a pair without: opposite
    ],
)
def test_balanced_target_is_the_simplex_of_the_classes_that_occur(labels: Tensor, value: float) -> None:
    assert float(similarity_targets(labels, negative="balanced").min()) == value


@pytest.mark.parametrize(
    ("options", "positive", "negative"),
    [
        ({}, 1, 1),
        # 5 positive pairs, 4 negative, 9 in all: 9/2 each kind
        ({"positive_weight": "balanced"}, 9 / 10, 9 / 8),
        # weights of 2 and 1 sum to 14, and shall sum to 9
        ({"positive_weight": 2}, 18 / 14, 9 / 14),
        # without the diagonal 2 positive pairs and 4 negative, 9/6 a pair
        ({"diagonal": False}, 9 / 6, 9 / 6),
        ({"diagonal": False, "positive_weight": "balanced"}, 9 / 4, 9 / 8),
    ],
)
def test_weights(options: dict[str, Any], positive: float, negative: float) -> None:
    weights = pair_weights(SINGLE, **options)
    assert float(weights[0, 1]) == pytest.approx(positive)
    assert float(weights[0, 2]) == pytest.approx(negative)
    assert float(weights[2, 2]) == pytest.approx(positive if options.get("diagonal", True) else 0)
    assert float(weights.mean()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (torch.tensor([4, 4]), [[0, 2], [2, 0]]),  # no negative pair: the two positive ones have all the weight, 4
        (torch.tensor([4, 5]), [[0, 2], [2, 0]]),  # no positive pair
        (torch.tensor([4]), [[0]]),  # no pair
    ],
)
def test_a_kind_of_pair_that_does_not_occur(labels: Tensor, wanted: list[list[float]]) -> None:
    assert pair_weights(labels, positive_weight="balanced", diagonal=False).tolist() == wanted


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (SINGLE.double(), TypeError, r"labels must be \(N,\) integers or \(N, C\) bool, got torch.float64"),
        (SINGLE.bool(), ValueError, r"labels must be .* got torch.bool of shape \(3,\)"),
        (SINGLE[:, None], ValueError, r"labels must be .* got torch.int64 of shape \(3, 1\)"),
        (SINGLE[:0], ValueError, "labels are empty"),
    ],
)
def test_labels_that_are_refused(labels: Tensor, error: type[Exception], message: str) -> None:
    for function in (similarity_targets, pair_weights):
        with pytest.raises(error, match=message):
            function(labels)


@pytest.mark.parametrize("negative", [1, -1.1, float("nan"), "balance"])
def test_targets_that_are_refused(negative: Any) -> None:
    with pytest.raises(ValueError, match="negative target must be 'balanced' or in −1 … 1, 1 excluded"):
        similarity_targets(SINGLE, negative=negative)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "balance"])
def test_weights_that_are_refused(weight: Any) -> None:
    with pytest.raises(ValueError, match="positive weight must be 'balanced' or a number above 0"):
        pair_weights(SINGLE, positive_weight=weight)
