"""A plain convolutional network that learns small images in few epochs (Jordan 2024, arXiv:2404.00498, §3).

A fixed first layer whitens 2 × 2 patches, three groups of two convolutions follow, each with max-pooling, batch
normalisation and GELU. Departures from the paper: scales of the batch normalisation are learned, the first layer's
biases too and to the end; what follows the last pooling is up to the head.
"""

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from dqh.inputs import InputSpec
from dqh.models.backbone import Backbone, read_weights

_WIDEST = 4096  # an artifact from elsewhere may not ask for more
_PATCH = 2
_WHITENED = 2 * 3 * _PATCH**2
_LEAST_VARIANCE = 5e-4


class ConvGroup(nn.Module):
    """Two 3 × 3 convolutions, the first one followed by 2 × 2 max-pooling; both start near the identity.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        for conv in (self.conv1, self.conv2):
            nn.init.dirac_(conv.weight.data[: conv.in_channels])  # the other filters keep their random start

    def forward(self, images: Tensor) -> Tensor:
        """(N, C_in, S, S) to (N, C_out, ⌊S / 2⌋, ⌊S / 2⌋), float32."""
        hidden = functional.gelu(self.bn1(functional.max_pool2d(self.conv1(images), 2)))
        return functional.gelu(self.bn2(self.conv2(hidden)))


class WhitenedConvNet(Backbone):
    """A whitening layer and three groups of convolutions, for images of about 32 pixels.

    Args:
        widths: channels of the three groups.
        tap: what is the feature: `group1`, `group2` or `pool`, the maximum over the maps of the first, second or last
            group; F is its width. Groups behind it are not built, and left out of weights that have them.
        size: side of the input, pixels, at least 16.
        mirror: whether features are the mean of those of an image and of its mirror image, see `InputSpec`.
        weights: None for a random start, or the path of a file with this network's weights.

    Raises:
        ConfigError: unknown tap, or weights that are missing or do not fit.
        ValueError: `widths` are not three numbers in 24 … 4096, or a size cannot be.
    """

    name = "whitened_convnet"
    taps = ("group1", "group2", "pool")
    architecture = ("widths", "tap")

    def __init__(
        self,
        *,
        widths: tuple[int, int, int] = (64, 256, 256),
        tap: str = "pool",
        size: int = 32,
        mirror: bool = False,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.require_tap(tap)
        if len(widths) != 3 or not all(_WHITENED <= width <= _WIDEST for width in widths):
            raise ValueError(f"widths must be three numbers in {_WHITENED} … {_WIDEST}, got {list(widths)}")
        if size < 16:
            raise ValueError(f"size must be at least 16 pixels, which are halved three times, got {size}")
        self.spec = InputSpec(size=size, resize=size, mirror=mirror)
        self.arguments = {"widths": list(widths), "tap": tap}
        self.whiten = nn.Conv2d(3, _WHITENED, _PATCH)
        self.whiten.weight.requires_grad = False
        channels = [_WHITENED, *widths[: self.taps.index(tap) + 1]]
        self.groups = nn.Sequential(*(ConvGroup(*pair) for pair in pairwise(channels)))
        self.dimension = channels[-1]
        self.given = weights is not None
        if weights is not None:
            behind = tuple(f"groups.{group}." for group in range(len(self.groups), len(widths)))
            given = read_weights(Path(weights))
            self.load_weights({name: value for name, value in given.items() if not name.startswith(behind)}, weights)

    def initialise(self, images: Tensor) -> None:
        """Set the filters of the first layer to the whitening transform of patches, and their negatives.

        With eigenvectors v and eigenvalues λ of the patches' second moments, the filters are ± v / √(λ + 5e-4).

        Args:
            images: (N, 3, S, S) training images in model space.
        """
        if self.given:
            return
        patches = functional.unfold(images.float(), _PATCH).transpose(1, 2).reshape(-1, 3 * _PATCH**2).double()
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + _LEAST_VARIANCE).sqrt()).T.flip(0)
        filters = filters * torch.where(filters.sum(1, keepdim=True) < 0, -1.0, 1.0)  # eigenvectors have no sign
        with torch.no_grad():
            self.whiten.weight.copy_(torch.cat([filters, -filters]).reshape(-1, 3, _PATCH, _PATCH))
            self.whiten.bias.zero_()  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) float32 in model space to features, (N, F)."""
        maps: Tensor = self.groups(functional.gelu(self.whiten(images)))
        return maps.amax(dim=(2, 3))
