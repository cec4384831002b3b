"""Margins to class vectors: by hand, by loops for several labels, and their gradients."""

import pytest
import torch

from dqh.losses.semantic_margin import semantic_margin_loss, semantic_quantization_loss

VECTORS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])


def test_single_labels_by_hand() -> None:
    """z = (3, 4) of class 0: cosines .6, .8, .99; margins 1 and 1 − .7071: (1 − .6 + .8 + .2929 − .6 + .9899) / 2."""
    root = 2**-0.5
    wanted = (1 - 0.6 + 0.8 + (1 - root) - 0.6 + 1.4 * root) / 2
    found = semantic_margin_loss(torch.tensor([[3.0, 4.0]]), torch.tensor([0]), VECTORS)
    assert found.item() == pytest.approx(wanted)


def test_a_hinge_that_is_met_costs_nothing() -> None:
    """z = v_0 against the opposite class: 2 − 1 − 1."""
    vectors = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert semantic_margin_loss(torch.tensor([[5.0, 0.0]]), torch.tensor([0]), vectors).item() == 0


def test_several_labels_by_loops() -> None:
    embedding = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[True, False, False], [True, True, False], [False, False, False], [True, True, True]])
    unit = VECTORS / VECTORS.norm(dim=1, keepdim=True)
    total = 0.0
    for z, row in zip(embedding, labels, strict=True):
        cosines = unit @ z / z.norm()
        pairs = [(i, j) for i in range(3) for j in range(3) if row[i] and not row[j]]
        terms = [max(0.0, float(1 - unit[i] @ unit[j] - cosines[i] + cosines[j])) for i, j in pairs]
        total += sum(terms) / max(1, len(pairs))
    assert semantic_margin_loss(embedding, labels, VECTORS).item() == pytest.approx(total / 4, rel=1e-5)


def test_single_labels_are_one_of_several() -> None:
    embedding, labels = torch.randn(6, 2, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 3
    single = semantic_margin_loss(embedding, labels, VECTORS)
    several = semantic_margin_loss(embedding, labels[:, None] == torch.arange(3), VECTORS)
    assert single.item() == pytest.approx(several.item(), rel=1e-6)


def test_quantization_by_hand() -> None:
    """Inner products 1, 4 and 9 of an error (1, 2), 0 of another: (1 + 16 + 81) / 2."""
    errors = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    assert semantic_quantization_loss(errors, VECTORS).item() == 49


def test_gradients() -> None:
    z = torch.tensor([[0.3, -0.7], [1.8, 0.5]], dtype=torch.float64, requires_grad=True)
    vectors = VECTORS.double()
    assert torch.autograd.gradcheck(lambda moved: semantic_margin_loss(moved, torch.tensor([0, 2]), vectors), z)
    assert torch.autograd.gradcheck(lambda moved: semantic_quantization_loss(moved, vectors), z)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(N, D\) and \(C, D\), got shapes \(1, 3\) and \(3, 2\)"):
        semantic_margin_loss(torch.ones(1, 3), torch.tensor([0]), VECTORS)
