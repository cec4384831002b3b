"""A small residual network for images of 32 pixels and less (He et al. 2016, §4.2, with average pooling last)."""

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from dqh.inputs import InputSpec
from dqh.models.backbone import Backbone, read_weights

_WIDEST, _DEEPEST = 1024, 100  # an artifact from elsewhere may not ask for more

_VECTOR = 8
"""Below so many channels a strided 1 × 1 convolution is one without stride over every second pixel, which is the same.

oneDNN 3.13 (torch 2.14 and 2.15) writes behind the weights' gradient of a strided one with 4 channels, channels last,
on CPUs without AVX-512, and the process ends.
"""


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions around a shortcut; the first one strides and widens.

    Args:
        channels_in: channels of the input.
        channels_out: channels of the output.
        stride: of the first convolution, pixels.
    """

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        self.thinning = stride if channels_in < _VECTOR else 1
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride // self.thinning, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, images: Tensor) -> Tensor:
        """(N, C_in, S, S) to (N, C_out, S / stride, S / stride), float32."""
        hidden = functional.relu(self.bn1(self.conv1(images)))
        kept = images[:, :, :: self.thinning, :: self.thinning] if self.thinning > 1 else images
        return functional.relu(self.bn2(self.conv2(hidden)) + self.shortcut(kept))


class SmallResNet(Backbone):
    """A residual network of three stages at full, half and quarter resolution, for small images.

    Args:
        width: channels of the first stage; the later ones have two and four times as many.
        blocks: residual blocks of each stage.
        tap: what is the feature: `stage1`, `stage2` or `pool`, the mean over the first, second or last stage, with
            F = width, 2 · width or 4 · width. Stages behind it are not built, and left out of weights that have them.
        size: side of the input, pixels.
        mirror: whether features are the mean of those of an image and of its mirror image, see `InputSpec`.
        weights: None for a random start, or the path of a file with this network's weights.

    Raises:
        ConfigError: unknown tap, or weights that are missing or do not fit.
        ValueError: `width` is not in 1 … 1024, `blocks` are not three numbers in 1 … 100, or a size cannot be.
    """

    name = "small_resnet"
    taps = ("stage1", "stage2", "pool")
    architecture = ("width", "blocks", "tap")

    def __init__(
        self,
        *,
        width: int = 16,
        blocks: tuple[int, int, int] = (1, 1, 1),
        tap: str = "pool",
        size: int = 32,
        mirror: bool = False,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.require_tap(tap)
        if not 1 <= width <= _WIDEST or len(blocks) != 3 or not all(1 <= count <= _DEEPEST for count in blocks):
            raise ValueError(
                f"width must be in 1 … {_WIDEST} and blocks three numbers in 1 … {_DEEPEST}, got width={width}, "
                f"blocks={list(blocks)}"
            )
        self.spec = InputSpec(size=size, resize=size, mirror=mirror)
        self.arguments = {"width": width, "blocks": list(blocks), "tap": tap}
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        stages, channels = [], width
        for stage, count in enumerate(blocks[: self.taps.index(tap) + 1]):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(ResidualBlock(channels, width * 2**stage, stride=stride))
                channels = width * 2**stage
        self.stages = nn.Sequential(*stages)
        self.dimension = channels
        if weights is not None:
            behind = tuple(f"stages.{block}." for block in range(len(stages), sum(blocks)))
            given = read_weights(Path(weights))
            self.load_weights({name: value for name, value in given.items() if not name.startswith(behind)}, weights)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) float32 in model space to features, (N, F)."""
        maps: Tensor = self.stages(self.stem(images))
        return maps.mean(dim=(2, 3))
