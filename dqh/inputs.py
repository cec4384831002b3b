"""What a network expects of its input: the size of an image, how it is resized, and how its values are scaled."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LARGEST = {"image": 2048, "vector": 2**20}
"""Largest `resize` of each kind; that of images is to keep one below 500 MB while it is decoded and resized.

A flat JPEG of 89 million pixels, the most that are decoded, took 453 MB until it was an array of 2048² pixels, and
581 MB of 4096². An artifact from elsewhere may not ask for more.
"""


@dataclass(frozen=True)
class InputSpec:
    """From a decoded image (or a vector) to the tensor that a backbone sees.

    An image is resized so that its shorter side has `resize` pixels, its centre `resize` × `resize` is kept, and
    the centre `size` × `size` of that enters the network as (x / 255 − mean) / std. A vector enters as it is.

    Args:
        size: side of the network's input, pixels; for vectors, their length.
        resize: side of the square that training crops from, pixels, at least `size`; for vectors, their length.
        kind: `image` or `vector`.
        interpolation: the resampling filter of Pillow that resizes.
        mean: of each colour channel, in 0 … 1.
        std: of each colour channel, in 0 … 1.
        colour: order of the channels.
        mirror: whether the features of an image are the mean of its own and of those of its mirror image, left to
            right; twice the work of encoding. In training each view has its own.

    Raises:
        ValueError: vectors are to be mirrored, a size is not positive or beyond `LARGEST`, `resize` is below `size`, a
            std is not positive, or a name is unknown.
    """

    size: int
    resize: int
    kind: Literal["image", "vector"] = "image"
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    colour: Literal["RGB"] = "RGB"
    mirror: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.resize <= LARGEST[self.kind]:
            raise ValueError(
                f"size and resize must satisfy 1 <= size <= resize <= {LARGEST[self.kind]}, "
                f"got size={self.size}, resize={self.resize}"
            )
        if self.mirror and self.kind != "image":
            raise ValueError(f"mirror is for images, got mirror=True and kind={self.kind!r}")
        for name, legal in (("interpolation", ("bilinear", "bicubic", "nearest")), ("colour", ("RGB",))):
            if getattr(self, name) not in legal:
                raise ValueError(f"{name} must be one of {', '.join(legal)}, got {getattr(self, name)!r}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(
                f"mean and std must be three numbers each, std above 0, got mean={self.mean}, std={self.std}"
            )

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, `mirror` where it is true; `InputSpec.from_json` is the inverse."""
        fields = {name: value for name, value in asdict(self).items() if name != "mirror" or value}
        return fields | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "InputSpec":
        """The spec that `to_json` wrote."""
        return cls(**(fields | {"mean": tuple(fields["mean"]), "std": tuple(fields["std"])}))
