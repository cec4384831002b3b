"""The sign that lets the gradient through."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dqh.losses import straight_through_sign


def test_the_gradient_passes_unchanged() -> None:
    """d/dh (3·sgn(h₀) − 2·sgn(h₁) + 0·sgn(h₂)) is taken to be (3, −2, 0), however large h is."""
    embedding = torch.tensor([[0.3, -50.0, 0.0]], requires_grad=True)
    signs = straight_through_sign(embedding)
    (signs * torch.tensor([[3.0, -2.0, 0.0]])).sum().backward()
    assert signs.tolist() == [[1.0, -1.0, -1.0]]
    assert embedding.grad.tolist() == [[3.0, -2.0, 0.0]]


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_signs_are_exact(value: float) -> None:
    assert straight_through_sign(torch.tensor([[value]])).item() == (1 if value > 0 else -1)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_stays(kind: torch.dtype) -> None:
    assert straight_through_sign(torch.tensor([[0.1]], dtype=kind)).dtype == kind
