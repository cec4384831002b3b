"""The plain loop on a few images."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn


class Means(nn.Module):
    """Class scores from the mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.dimension = 3
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) to (N, 3)."""
        return images.mean((2, 3)) * self.scale


def test_the_number_format_is_set_again_when_the_loop_is_closed(
    benchmark_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_loop = benchmark_module("plain_loop")
    monkeypatch.setattr(plain_loop, "WORKERS", 1)
    pixels, labels = np.zeros((8, 4, 4, 3), np.uint8), np.arange(8) % 2
    network = plain_loop.PlainNetwork(Means(), bits=4, classes=2)
    before = torch.get_float32_matmul_precision()
    rates = plain_loop.epochs(
        network, plain_loop.Pictures(pixels, labels, padding=1), batch_size=4, device=torch.device("cpu")
    )
    assert next(rates) > 0
    assert torch.get_float32_matmul_precision() == "high" != before
    rates.close()
    assert torch.get_float32_matmul_precision() == before
