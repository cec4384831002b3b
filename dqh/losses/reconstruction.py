"""How much of the features codes leave out: what an affine map of the codes cannot tell of them.

N images of a batch, F dimensions of a feature.
"""

import torch
from torch import Tensor

from dqh.losses.precision import wide

EQUAL = 1e-6
"""Share of the squared features up to which their spread is rounding, and nothing to tell apart."""


def reconstruction_loss(rebuilt: Tensor, features: Tensor) -> Tensor:
    """Squared error of the features as a decoder rebuilds them from codes, in parts of their variance in the batch.

    The error of the binary autoencoder (Carreira-Perpiñán and Raziperchikolaei, CVPR 2015) for codes between 0 and 1:
    Σ ‖x − x̂‖² / Σ ‖x − x̄‖², 0 of a perfect decoder, 1 of one that says the mean. No gradient goes to the features.
    Computed in float32 at least.

    Args:
        rebuilt: (N, F) float.
        features: (N, F) float.

    Returns:
        Scalar, at least 0; 0 where all features are equal but for `EQUAL`, as those of a single image are.

    Raises:
        ValueError: shapes that are not (N, F) twice.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0, 2.0], [2.0, 2.0]])
        >>> reconstruction_loss(torch.tensor([[1.0, 2.0], [2.0, 2.0]]), features)  # 1 of 2
        tensor(0.5000)
    """
    if features.ndim != 2 or rebuilt.shape != features.shape:
        raise ValueError(
            f"rebuilt and features must both be (N, F), got shapes {tuple(rebuilt.shape)} and {tuple(features.shape)}"
        )
    wanted = wide(features.detach())
    spread = (wanted - wanted.mean(0)).square().sum()
    error = (wide(rebuilt) - wanted).square().sum()
    told_apart = spread > EQUAL * wanted.square().sum()
    return error * told_apart / torch.where(told_apart, spread, 1)
