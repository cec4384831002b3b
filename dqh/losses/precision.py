"""The precision that losses are computed in."""

import torch
from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """In float32 at least: half precision has no digits for differences of near values; float64 stays.

    Example:
        >>> wide(torch.zeros(1, dtype=torch.bfloat16)).dtype, wide(torch.zeros(1, dtype=torch.float64)).dtype
        (torch.float32, torch.float64)
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))
