"""The network of a detector that was trained here, as torch runs it: loaded when it is first used.

C classes, n boxes that it proposes in an image.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dqh.errors import DetectorError

if TYPE_CHECKING:
    from torch import nn


class TorchNetwork:
    """A network of `dqh.models.detectors.detector_networks` that answers as `dqh.detection.network.OnnxNetwork` does.

    Args:
        network: in evaluation mode, on its device.
        size: side of its input, pixels.
        name: in messages.
    """

    def __init__(self, network: "nn.Module", size: int, name: str) -> None:
        self.name = name
        self.size = size
        self.module: Any = network

    def input_size(self, asked: tuple[int, int] | None = None) -> tuple[int, int]:
        """Height and width of its input; `DetectorError` where others are asked for."""
        if asked not in (None, (self.size, self.size)):
            raise DetectorError(f"the input of {self.name} is {self.size} × {self.size} pixels, got {asked}")
        return self.size, self.size

    def run(self, images: NDArray[np.float32]) -> tuple[NDArray[Any], ...]:
        """Boxes (N, n, 4) in pixels of the input and scores (N, n, C), for images (N, 3, size, size), 0 … 255."""
        import torch

        with torch.inference_mode():
            device = next(self.module.parameters()).device
            boxes, scores = self.module(torch.from_numpy(images).to(device))
        return boxes.cpu().numpy(), scores.cpu().numpy()

    def propose(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """See `dqh.detection.onnx_detector.Runnable.propose`."""
        import torch

        if not hasattr(self.module, "proposals_in"):
            return None
        with torch.inference_mode():
            device = next(self.module.parameters()).device
            boxes, objectness = self.module.proposals_in(torch.from_numpy(images).to(device))
        return boxes.cpu().numpy(), objectness.cpu().numpy()

    def close(self) -> None:
        """Nothing is to be ended."""
