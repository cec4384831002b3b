"""Copies of batches from which a CUDA device is sent without waiting."""

import torch
from torch import Tensor


def dense(values: Tensor, *, pin: bool = True) -> Tensor:
    """A copy without gaps, images with their channels last in memory.

    A crop is a view with gaps, which a device would not be sent from pinned memory: torch first copies it to memory of
    another kind, and waits.
    """
    layout = torch.channels_last if values.ndim == 4 else torch.contiguous_format
    return torch.empty(values.shape, dtype=values.dtype, pin_memory=pin, memory_format=layout).copy_(values)
