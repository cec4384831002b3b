"""The network of a trained detector answers as an exported one does."""

import numpy as np
import pytest
import torch
from torch import nn

from dqh.detection.torch_network import TorchNetwork
from dqh.errors import DetectorError


class Sums(nn.Module):
    """Answers with sums of its images."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images.sum((1, 2, 3)) * self.weight, images.amax((1, 2, 3))


def test_it_runs_on_arrays() -> None:
    images = np.arange(2 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 4, 4)
    network = TorchNetwork(Sums(), 4, "sums")
    sums, largest = network.run(images)
    np.testing.assert_array_equal(sums, images.sum((1, 2, 3)))
    np.testing.assert_array_equal(largest, [47, 95])
    assert network.input_size() == network.input_size((4, 4)) == (4, 4)
    with pytest.raises(DetectorError, match=r"the input of sums is 4 × 4 pixels, got \(4, 5\)"):
        network.input_size((4, 5))
    network.close()
