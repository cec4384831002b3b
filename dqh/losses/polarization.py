"""How far an embedding is from lying on the right sides of all bits by a margin."""

from torch import Tensor

from dqh.losses.precision import wide


def polarization_loss(embedding: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    """Mean over all bits of max(m − u·t, 0), the objective of the deep polarized network.

    Fan, Ng, Ju, Zhang and Chan, IJCAI 2020 (m = 1). Where it is below m / B for an image, no bit is wrong.
    Departure: a mean and not a sum over the bits.

    Args:
        embedding: (N, B) float, u.
        targets: (N, B) float, t, −1 or 1; 0 where there is nothing to agree with, which costs m, whatever u is.
        margin: m, above 0.

    Returns:
        Scalar, at least 0.

    Example:
        >>> import torch
        >>> polarization_loss(torch.tensor([[2.0, 0.5]]), torch.tensor([[1.0, -1.0]]))  # (0 + 1.5) / 2
        tensor(0.7500)
    """
    return (margin - wide(embedding) * targets).clamp(min=0).mean()
