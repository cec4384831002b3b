"""Training as public code of deep hashing writes it, to compare with: a loop over a DataLoader, and nothing else.

PIL transforms in eight workers, pinned memory, TF32, the memory format that torch starts with, a plain optimizer, the
loss read at every step. No compilation, no autocast: what such code does not have.
"""

import time
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from dqh.training.compute import tf32

WORKERS = 8


class Pictures(Dataset[tuple[Tensor, int]]):
    """Decoded images with their labels, as torchvision's CIFAR-10 has them in memory.

    Args:
        pixels: (N, S, S, 3) uint8.
        labels: (N,) int64.
        padding: of the random crop, pixels.
    """

    def __init__(self, pixels: Any, labels: Any, *, padding: int) -> None:
        self.pixels, self.labels = pixels, labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(pixels.shape[1], padding=padding),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[row])), int(self.labels[row])


class PlainNetwork(nn.Module):
    """Backbone, latent layer with a sigmoid, classifier: what DLBHC trains, in one memory format.

    Args:
        backbone: images → features of `backbone.dimension`.
        bits: length of a code.
        classes: how many.
    """

    def __init__(self, backbone: Any, *, bits: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.latent = nn.Linear(backbone.dimension, bits)
        self.classifier = nn.Linear(bits, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) to class scores."""
        return self.classifier(self.latent(self.backbone(images)).sigmoid())


def epochs(
    network: nn.Module, data: Pictures, *, batch_size: int, device: torch.device
) -> Generator[float, None, None]:
    """Images a second of one epoch after another, for as long as they are asked for; then to be closed.

    Until it is closed, products of float32 are TF32 on CUDA; what was set before is then set again.

    Args:
        network: images → scores, in any place.
        data: to train on.
        batch_size: images a step.
        device: where to train.
    """
    network = network.to(device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=False)
    loader = DataLoader(
        data,
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        pin_memory=device.type == "cuda",
        persistent_workers=True,
    )
    with tf32(True):
        while True:
            started, seen, total = time.perf_counter(), 0, 0.0
            for images, labels in loader:
                images, labels = images.to(device), labels.to(device)
                optimizer.zero_grad()
                loss = functional.cross_entropy(network(images), labels)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(labels)
                seen += len(labels)
            assert np.isfinite(total)
            yield seen / (time.perf_counter() - started)
