from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dqh.losses import pair_weights, pairwise_bound, pairwise_cosine_loss, similarity_targets

ROUNDING = 1e-5  # of cosines in float32


def bound(labels: Tensor, *, negative_target: Any = -1.0, **weighting: Any) -> float:
    return float(
        pairwise_bound(similarity_targets(labels, negative=negative_target), pair_weights(labels, **weighting))
    )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        # each of the 6 pairs of two images has cosine −.5 in place of −1
        ({}, 6 * 0.25 / 9),
        ({"diagonal": False}, 0.25),
        # as much weight on the 3 pairs of the diagonal as on the 6 others
        ({"positive_weight": "balanced"}, 0.25 / 2),
        ({"positive_weight": 4}, 6 * 0.25 / (4 * 3 + 6)),
        ({"negative_target": -0.8}, 6 * 0.09 / 9),
        ({"negative_target": "balanced"}, 0),
    ],
)
def test_three_directions(options: dict[str, Any], wanted: float) -> None:
    """Three images of three classes can be 120° apart, never 180°."""
    assert bound(torch.tensor([0, 1, 2]), **options) == pytest.approx(wanted, abs=1e-7)


@pytest.mark.parametrize(("classes", "floor"), [(10, 0.711), (100, 0.970)])
@pytest.mark.parametrize("images", [1, 3])
def test_balanced_classes(classes: int, floor: float, images: int) -> None:
    """(C − 2)² / (C (C − 1)), however many images a class: what the corners of a simplex reach."""
    labels = torch.arange(classes).repeat(images)
    assert bound(labels) == pytest.approx((classes - 2) ** 2 / (classes * (classes - 1)))
    assert bound(labels) == pytest.approx(floor, abs=5e-4)
    corners = (torch.eye(classes) - 1 / classes)[labels]
    for options in ({"positive_weight": "balanced"}, {"positive_weight": 7.0, "negative_target": -0.5}):
        assert bound(labels, **options) == pytest.approx(float(pairwise_cosine_loss(corners, labels, **options)))


@pytest.mark.parametrize("seed", range(5))
def test_never_below_the_distance_to_positive_semidefinite_matrices(seed: int) -> None:
    """That is the sum of the squared negative eigenvalues over N², for any targets and weights of 1."""
    targets = torch.randn(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    targets = (targets + targets.T).fill_diagonal_(1)
    eigenvalues = torch.linalg.eigvalsh(targets)
    assert float(pairwise_bound(targets)) >= float(eigenvalues.clamp(max=0).square().mean() / 12) - 1e-12


def test_targets_that_can_be_met() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)))
    cosines = vectors @ vectors.T
    assert float(pairwise_bound((cosines + cosines.T) / 2)) == pytest.approx(0, abs=1e-9)
    assert bound(torch.tensor([5])) == 0
    assert bound(torch.tensor([5]), diagonal=False) == 0


def test_pairs_without_weight_leave_nothing_to_say() -> None:
    """The three pairs that cannot all be −1 are two once one has no weight: −1 and −1 can be met, the bound is 0."""
    weights = torch.tensor([[1.0, 1, 1], [1, 1, 0], [1, 0, 1]])
    assert float(pairwise_bound(2 * torch.eye(3) - 1, weights)) == 0


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, dict[str, Any]]:
    size, classes = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    if draw(st.booleans()):
        labels = torch.tensor(draw(st.lists(st.integers(0, classes - 1), min_size=size, max_size=size)))
    else:
        row = st.lists(st.booleans(), min_size=classes, max_size=classes)
        labels = torch.tensor(draw(st.lists(row, min_size=size, max_size=size)))
    options = {
        "negative_target": draw(st.sampled_from([-1.0, -0.4, 0.0, 0.9, "balanced"])),
        "positive_weight": draw(st.sampled_from([0.01, 1.0, 20.0, "balanced"])),
        "diagonal": draw(st.booleans()),
    }
    return labels, options


@settings(max_examples=25, deadline=None)
@given(batches(), st.integers(0, 2**16))
def test_no_embedding_falls_below(batch: tuple[Tensor, dict[str, Any]], seed: int) -> None:
    """Neither random ones, one of them a vector without direction, nor those that descend on the loss itself."""
    labels, options = batch
    floor = bound(labels, **options) - ROUNDING
    embedding = torch.randn(len(labels), 5, generator=torch.Generator().manual_seed(seed))
    embedding[seed % len(labels)] *= seed % 3  # 0, 1 or 2
    embedding.requires_grad_()
    optimizer = torch.optim.Adam([embedding], lr=0.1)
    for _ in range(25):
        loss = pairwise_cosine_loss(embedding, labels, **options)
        assert float(loss.detach()) >= floor
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_the_order_of_the_images_does_not_matter_and_nothing_is_modified() -> None:
    labels, order = torch.tensor([0, 1, 1, 2, 3, 3, 3]), torch.tensor([4, 2, 6, 0, 1, 5, 3])
    assert bound(labels[order], positive_weight=3) == pytest.approx(bound(labels, positive_weight=3))
    targets = torch.full((3, 3), -1.0, dtype=torch.float64)
    pairwise_bound(targets)
    assert torch.equal(targets, -torch.ones_like(targets))


@pytest.mark.parametrize(
    ("targets", "weights", "message"),
    [
        (torch.ones(2, 3), None, r"targets must be \(N, N\), one row and one column an image, got shape \(2, 3\)"),
        (torch.ones(0, 0), None, r"targets must be \(N, N\)"),
        (torch.tensor([[1.0, 0], [-1, 1]]), None, "targets must be symmetric; the bound is that of a whole batch"),
        (torch.eye(2), torch.tensor([[1.0, 0], [-1, 1]]), "weights must be symmetric"),
        (torch.eye(2), torch.ones(3, 3), r"weights must be \(2, 2\) as the targets, got \(3, 3\)"),
        (torch.eye(2), -torch.ones(2, 2), "weights must be at least 0, got -1"),
    ],
)
def test_matrices_that_are_refused(targets: Tensor, weights: Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pairwise_bound(targets, weights)
