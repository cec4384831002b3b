"""A sign that half of a batch has in every bit, as a layer that can be trained through."""

import torch
from torch import Tensor


def half_sign(embedding: Tensor, *, gamma: float) -> Tensor:
    """In each column 1 for the larger half of the values and −1 for the others.

    The bi-half layer (Li and van Gemert, AAAI 2021): of all codes with as many 1 as −1 a bit, where its entropy is
    largest, those nearest to the embedding by optimal transport. Backwards, the gradient g of the codes V becomes
    g + γ (U − V) / (N · B) for the embedding U, the share of a value as in the authors' code.

    Args:
        embedding: (N, B) float, U. Of an odd number of images, the one in the middle gets −1.
        gamma: γ, at least 0.

    Returns:
        (N, B), of the same type.

    Example:
        >>> half_sign(torch.tensor([[5.0, -3.0], [4.0, -1.0], [7.0, -2.0], [6.0, -4.0]]), gamma=0.0)
        tensor([[-1., -1.],
                [-1.,  1.],
                [ 1.,  1.],
                [ 1., -1.]])
    """
    codes: Tensor = _HalfSign.apply(embedding, gamma)
    return codes


class _HalfSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, embedding: Tensor, gamma: float) -> Tensor:
        order = embedding.argsort(dim=0, descending=True, stable=True)
        ranked = torch.full_like(embedding, -1)
        ranked[: len(embedding) // 2] = 1
        codes = torch.empty_like(embedding).scatter_(0, order, ranked)
        ctx.save_for_backward((embedding - codes) * (gamma / max(1, codes.numel())))
        return codes

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        (pull,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0] + pull, None
