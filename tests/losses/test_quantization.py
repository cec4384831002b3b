from typing import Any

import pytest
import torch
from torch import Tensor

from dqh.losses import product_quantization_loss

CODEBOOKS = torch.tensor([[[0.0, 0.0], [1.0, 2.0]], [[0.0, 5.0], [3.0, 3.0]]])
"""M = 2 subspaces, K = 2 codewords, D = 4 dimensions."""
EMBEDDING = torch.tensor([[1.0, 1.0, 1.0, 5.0], [0.0, 2.0, 3.0, 0.0]])
ASSIGNMENT = torch.tensor([[1, 0], [0, 1]])


def test_two_images() -> None:
    """Codewords (1, 2 | 0, 5) and (0, 0 | 3, 3): squared distances 1 + 1 and 4 + 9, the mean 7.5."""
    assert float(product_quantization_loss(EMBEDDING, CODEBOOKS, ASSIGNMENT)) == 7.5


def test_the_block_diagonal_matrix_of_the_paper() -> None:
    """C = diag(C_1, …, C_M) of shape (D, MK) and h of M one-hot vectors, multiplied out."""
    generator = torch.Generator().manual_seed(0)
    embedding, codebooks = torch.randn(7, 6, generator=generator), torch.randn(3, 4, 2, generator=generator)
    assignment = torch.randint(4, (7, 3), generator=generator)
    block_diagonal = torch.block_diag(*(codebook.T for codebook in codebooks))
    one_hot = torch.nn.functional.one_hot(assignment, 4).flatten(1).float()
    wanted = sum(float((z - block_diagonal @ h).square().sum()) for z, h in zip(embedding, one_hot, strict=True)) / 7
    assert float(product_quantization_loss(embedding, codebooks, assignment)) == pytest.approx(wanted)


def test_gradients() -> None:
    """To the embedding and to the codewords in use, none to the others; none asked, none given."""
    embedding, codebooks = EMBEDDING.double().requires_grad_(), CODEBOOKS.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z, c: product_quantization_loss(z, c, ASSIGNMENT), (embedding, codebooks))
    (gradient,) = torch.autograd.grad(product_quantization_loss(embedding, codebooks, ASSIGNMENT * 0), codebooks)
    assert torch.equal(gradient[:, 1], torch.zeros(2, 2, dtype=torch.float64))
    (moved,) = torch.autograd.grad(product_quantization_loss(embedding, CODEBOOKS, ASSIGNMENT), embedding)
    assert moved.tolist() == [[0, -1, 1, 0], [0, 2, 0, -3]]  # 2 (z − C h) over two images


def test_computed_in_single_precision() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert product_quantization_loss(EMBEDDING, CODEBOOKS, ASSIGNMENT).dtype == torch.float32
    loss = product_quantization_loss(EMBEDDING.bfloat16(), CODEBOOKS.bfloat16(), ASSIGNMENT)
    assert loss.dtype == torch.float32
    assert float(loss) == 7.5
    assert product_quantization_loss(EMBEDDING.double(), CODEBOOKS, ASSIGNMENT).dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"embedding": EMBEDDING.long()}, TypeError, "embedding must be floating point, got torch.int64"),
        ({"codebooks": CODEBOOKS.long()}, TypeError, "codebooks must be floating point, got torch.int64"),
        ({"assignment": ASSIGNMENT.int()}, TypeError, "assignment must be int64, got torch.int32"),
        ({"codebooks": CODEBOOKS[0]}, ValueError, r"codebooks must be \(M, K, D/M\), got shape \(2, 2\)"),
        ({"embedding": EMBEDDING[:, :3]}, ValueError, r"embedding must be \(N, 4\) .* got shape \(2, 3\)"),
        ({"embedding": EMBEDDING[:0], "assignment": ASSIGNMENT[:0]}, ValueError, "with N at least 1"),
        ({"assignment": ASSIGNMENT[:1]}, ValueError, r"assignment must be \(2, 2\), got shape \(1, 2\)"),
        ({"assignment": ASSIGNMENT - 1}, ValueError, "assignment must be in 0 … 1, got -1 … 0"),
        ({"assignment": ASSIGNMENT + 1}, ValueError, "assignment must be in 0 … 1, got 1 … 2"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Tensor] = {"embedding": EMBEDDING, "codebooks": CODEBOOKS, "assignment": ASSIGNMENT, **arguments}
    with pytest.raises(error, match=message):
        product_quantization_loss(**given)
