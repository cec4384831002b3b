"""The codes of each class, summed while a network trains."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ClassSums(nn.Module):
    """Sums over the images of each class; an image with L labels counts 1 / L for each of them.

    Args:
        classes: C.
        bits: B.

    Attributes:
        sums: (C, B) float32.
        weights: (C,) float32, images of each class.
    """

    sums: Tensor
    weights: Tensor

    def __init__(self, classes: int, bits: int) -> None:
        super().__init__()
        self.register_buffer("sums", torch.zeros(classes, bits))
        self.register_buffer("weights", torch.zeros(classes))

    def add(self, values: Tensor, labels: Tensor) -> None:
        """Count (N, B) values of images with labels (N,) int64 or (N, C) bool."""
        members = functional.one_hot(labels, len(self.sums)) if labels.ndim == 1 else labels
        shares = members / members.sum(dim=1, keepdim=True).clamp(min=1)
        with torch.no_grad(), torch.autocast(self.sums.device.type, enabled=False):
            self.sums += shares.T @ values.detach().to(shares.dtype)
            self.weights += shares.sum(dim=0)

    def means(self) -> Tensor:
        """(C, B), 0 for classes without images."""
        return self.sums / self.weights[:, None].clamp(min=torch.finfo(torch.float32).tiny)

    def clear(self) -> None:
        """Begin anew."""
        self.sums.zero_()
        self.weights.zero_()
