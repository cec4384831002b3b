"""What `train.py` beside this file measures, and how large."""

from typing import NamedTuple

SECONDS = 510.0
"""By this time the last part should have ended: under nine minutes with the start of the process."""

RECIPES = {"15 s": ("trainer.epochs=24",), "60 s": ("trainer.epochs=96",)}
"""Of `experiment=dlbhc_speed`, by the seconds of the loop on one H200 that they are made for."""

NETWORKS = ("resnet50", "resnet18", "alexnet")
METHODS = ("dlbhc", "dqn")


class Scale(NamedTuple):
    """How large the measurements are.

    Attributes:
        train: images of the recipes; None for all, by protocol `full`.
        passes: epochs of each recipe in place of its own; None for its own.
        compared: images of the comparison with the plain loop.
        repeats: of the comparison, ours and the plain loop in turn.
        epochs: of each, after one that does not count.
        widths: of the network of recipes and comparison.
        side: of the large images, pixels.
        images: how many of them there are.
        batch_size: of the large images.
    """

    train: int | None
    passes: int | None
    compared: int
    repeats: int
    epochs: int
    widths: tuple[int, int, int]
    side: int
    images: int
    batch_size: int


GPU = Scale(None, None, 25_000, 1, 2, (128, 384, 512), 224, 4096, 256)
"""Expected on one H200: recipes 110 + 130 s, plain loop 50 s, metrics 10 s, bare ResNet-50 40 s, ResNet-50 65 + 45 s,
ResNet-18 15 s and AlexNet 10 s a method; most of it is compilation. In all 500 s."""

CPU = Scale(2000, 2, 5000, 3, 2, (32, 96, 96), 64, 64, 16)
