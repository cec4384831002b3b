from typing import Any

import pytest
import torch
from torch import Tensor

from dqh.losses import inner_product_loss, pairwise_cosine_loss

EMBEDDING = torch.tensor([[3.0, 4.0], [2.0, 0.0], [0.0, 5.0]])
"""Cosines: .6 between the first and the second, .8 between the first and the third, 0 between the others."""
LABELS = torch.tensor([0, 0, 1])
OPTIONS = [
    {},
    {"negative_target": "balanced", "positive_weight": 4.0},
    {"negative_target": 0.0, "positive_weight": "balanced", "diagonal": False},
]
MULTI = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]).bool()


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        # errors, each counted twice: positive (1 − .6)² = .16, negative (−1 − .8)² = 3.24 and (−1 − 0)² = 1; diagonal 0
        ({}, 2 * (0.16 + 3.24 + 1) / 9),
        ({"diagonal": False}, 2 * (0.16 + 3.24 + 1) / 6),
        # half the mean of 5 positive pairs, half that of 4 negative ones
        ({"positive_weight": "balanced"}, 2 * 0.16 / 5 / 2 + 2 * 4.24 / 4 / 2),
        ({"positive_weight": "balanced", "diagonal": False}, 0.16 / 2 + 4.24 / 2 / 2),
        # positive pairs count 3 times: 5 · 3 + 4 = 19
        ({"positive_weight": 3}, 2 * (3 * 0.16 + 4.24) / 19),
        # negative errors (0 − .8)² = .64 and 0
        ({"negative_target": 0}, 2 * (0.16 + 0.64) / 9),
        ({"negative_target": -0.5}, 2 * (0.16 + 1.69 + 0.25) / 9),
        # two classes occur: −1/(2 − 1)
        ({"negative_target": "balanced"}, 2 * (0.16 + 3.24 + 1) / 9),
    ],
)
def test_three_images(options: dict[str, Any], loss: float) -> None:
    assert float(pairwise_cosine_loss(EMBEDDING, LABELS, **options)) == pytest.approx(loss)


@pytest.mark.parametrize(("classes", "floor"), [(2, 0), (10, 0.711), (100, 0.970)])
def test_the_corners_of_a_simplex_reach_the_floor(classes: int, floor: float) -> None:
    """Cosines −1/(C − 1) in place of −1 for a share (C − 1)/C of the pairs: (C − 2)² / (C (C − 1)).

    For ten classes 64/90 = .711, for a hundred 9604/9900 = .970.
    """
    labels = torch.arange(classes).repeat(2)
    loss = float(pairwise_cosine_loss((torch.eye(classes) - 1 / classes)[labels], labels))
    assert loss == pytest.approx((classes - 2) ** 2 / (classes * (classes - 1)), abs=1e-6)
    assert loss == pytest.approx(floor, abs=5e-4)
    reachable = pairwise_cosine_loss((torch.eye(classes) - 1 / classes)[labels], labels, negative_target="balanced")
    assert float(reachable) == pytest.approx(0, abs=1e-6)


def test_isotropic_and_collapsed_networks() -> None:
    """All cosines 0 leave every error at 1, but the diagonal's; all cosines 1 leave 2² for 9 of 10 pairs."""
    labels = torch.arange(10).repeat(5)
    assert float(pairwise_cosine_loss(torch.eye(50), labels, diagonal=False)) == pytest.approx(1)
    assert float(pairwise_cosine_loss(torch.eye(50), labels)) == pytest.approx(49 / 50)
    assert float(pairwise_cosine_loss(torch.ones(50, 3), labels)) == pytest.approx(3.6)


def test_inner_products() -> None:
    """Over B = 10: ⟨z, z'⟩ are 6, 20 and 0 off the diagonal, 25, 4 and 25 on it."""
    off = 2 * ((1 - 0.6) ** 2 + (-1 - 2.0) ** 2 + (-1 - 0) ** 2)
    on = (1 - 2.5) ** 2 + (1 - 0.4) ** 2 + (1 - 2.5) ** 2
    assert float(inner_product_loss(EMBEDDING, LABELS, bits=10)) == pytest.approx((off + on) / 9)
    assert float(inner_product_loss(EMBEDDING, LABELS, bits=10, diagonal=False)) == pytest.approx(off / 6)
    balanced = inner_product_loss(EMBEDDING, LABELS, bits=10, positive_weight="balanced", negative_target=0)
    assert float(balanced) == pytest.approx((2 * 0.16 + on) / 5 / 2 + 2 * 4 / 4 / 2)


def test_inner_products_of_signs_are_cosines() -> None:
    signs = normal(6, 8).sign()
    for options in OPTIONS:
        assert torch.allclose(
            inner_product_loss(signs, MULTI, bits=8, **options), pairwise_cosine_loss(signs, MULTI, **options)
        )


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("labels", [torch.tensor([0, 2, 1, 0, 2, 2]), MULTI])
def test_what_the_loss_does_not_depend_on(labels: Tensor, options: dict[str, Any]) -> None:
    """The order of the images, the names of the classes, and the length of each vector."""
    embedding, order = normal(6, 4), torch.tensor([3, 5, 0, 1, 4, 2])
    renamed = 9 - labels if labels.ndim == 1 else labels.flip(1)
    lengths = torch.tensor([[1e-3], [1.0], [5.0], [0.2], [1e3], [7.0]])
    loss = pairwise_cosine_loss(embedding, labels, **options)
    assert torch.allclose(pairwise_cosine_loss(embedding[order], labels[order], **options), loss)
    assert torch.allclose(pairwise_cosine_loss(embedding, renamed, **options), loss)
    assert torch.allclose(pairwise_cosine_loss(embedding * lengths, labels, **options), loss)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("labels", [torch.tensor([0, 2, 1, 0, 2, 2]), MULTI])
def test_gradient(labels: Tensor, options: dict[str, Any]) -> None:
    embedding = normal(6, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: pairwise_cosine_loss(z, labels, **options), embedding)
    assert torch.autograd.gradcheck(lambda z: inner_product_loss(z, labels, bits=4, **options), embedding)


@pytest.mark.parametrize("diagonal", [True, False])
def test_a_vector_without_direction(diagonal: bool) -> None:
    """Cosine 0 with everything, also with itself: errors 1; the other two vectors agree. Nothing moves it."""
    embedding = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]], requires_grad=True)
    loss = pairwise_cosine_loss(embedding, torch.tensor([0, 0, 0]), diagonal=diagonal)
    assert loss.item() == pytest.approx(5 / 9 if diagonal else 4 / 6)
    loss.backward()
    assert embedding.grad is not None
    assert torch.equal(embedding.grad[0], torch.zeros(2))
    assert bool(embedding.grad.isfinite().all())


def test_one_image_without_the_diagonal_is_no_pair() -> None:
    embedding = torch.ones(1, 2, requires_grad=True)
    loss = pairwise_cosine_loss(embedding, torch.tensor([3]), positive_weight="balanced", diagonal=False)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(embedding.grad, torch.zeros(1, 2))


def test_computed_in_single_precision() -> None:
    """Under autocast, and for half precision; float64 stays float64. The values here are exact in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        automatic = pairwise_cosine_loss(EMBEDDING, LABELS)
        product = inner_product_loss(EMBEDDING, LABELS, bits=10)
    assert automatic.dtype == product.dtype == torch.float32
    assert torch.equal(automatic, pairwise_cosine_loss(EMBEDDING, LABELS))
    assert torch.equal(product, inner_product_loss(EMBEDDING, LABELS, bits=10))
    assert torch.equal(pairwise_cosine_loss(EMBEDDING.bfloat16(), LABELS), automatic)
    assert pairwise_cosine_loss(EMBEDDING.double(), LABELS).dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"embedding": EMBEDDING.long()}, TypeError, "embedding must be floating point, got torch.int64"),
        ({"embedding": EMBEDDING[:2]}, ValueError, r"embedding must be \(3, D\), one row a label, got shape \(2, 2\)"),
        ({"embedding": EMBEDDING[0]}, ValueError, r"embedding must be \(3, D\)"),
        ({"labels": LABELS.float()}, TypeError, "labels must be"),
        ({"negative_target": 2}, ValueError, "negative target must be"),
        ({"positive_weight": 0}, ValueError, "positive weight must be"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"embedding": EMBEDDING, "labels": LABELS, **arguments}
    for loss, bits in ((pairwise_cosine_loss, {}), (inner_product_loss, {"bits": 2})):
        with pytest.raises(error, match=message):
            loss(**arguments, **bits)


def test_bits_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="bits must be at least 1, got 0"):
        inner_product_loss(EMBEDDING, LABELS, bits=0)
