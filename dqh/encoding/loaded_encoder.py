"""An artifact as what other programs want of it: images in; codes, embeddings and features out.

N images, D dimensions of an embedding, F of the features.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.artifact import Interface
from dqh.data.boxes import square_around
from dqh.data.images import centre_crop, to_array
from dqh.data.photo_files import located, read_photo
from dqh.data.pixels import decode, to_rgb, turn_of
from dqh.encoded import Encoded
from dqh.encoding.encoded_rows import Images
from dqh.encoding.runtimes import Encode, encode_on
from dqh.errors import BadImageError
from dqh.index.store import Box

Picture = str | os.PathLike[str] | bytes | Image.Image
"""A path, the content of an image file, or an image of Pillow."""

_PART, _PART_BYTES = 1024, 256 * 2**20
"""Images decoded at a time, and their bytes."""


class LoadedEncoder:
    """Encodes images as the artifact that it was loaded from.

    Attributes:
        path: of the artifact.
        interface: what goes into the encoder and what comes out; its encoder_id is what an index refuses others by.
        encoder_id: the same.
        run: encodes rows of a store, or an array, as `dqh.encoding.encode.encode` does.
    """

    def __init__(self, path: Path, interface: Interface, run: Encode) -> None:
        self.path = path
        self.interface = interface
        self.encoder_id = interface.encoder_id
        self.run = run

    def encode(self, images: Sequence[Picture] | Images, *, box: Box | None = None) -> Encoded:
        """Encode images as an index does.

        Args:
            images: N paths, contents of image files, or images of Pillow, of any size and mode; or one array as it
                enters the network: raw (N, 3, S, S) uint8, or vectors (N, F) float32.
            box: x0, y0, x1, y1, pixels of the upright image: only the square around this part of each image, as far as
                the image goes. Not for an array.

        Returns:
            Codes (N, ⌈B / 8⌉) uint8, embedding (N, D) float32, features (N, F) float32, and encoder_id.

        Raises:
            BadImageError: an image cannot be used, or the box lies outside it; the text names it.
            TypeError: one image in the place of a sequence.
            ValueError: an array has another shape or dtype, or the artifact encodes no images.
        """
        if isinstance(images, str | bytes | os.PathLike | Image.Image):
            raise TypeError(f"images must be a sequence of images, got one {type(images).__name__}; put it in a list")
        if isinstance(images, np.ndarray):
            if box is not None:
                raise ValueError("box is for images, got an array; cut the part out before")
            parts = [self.run(store=images)]
        else:
            self._require_images()
            most = max(1, min(_PART, _PART_BYTES // (3 * self.interface.spec.resize**2)))
            parts = [
                self.run(store=self.arrays(images[start : start + most], box=box, first=start))
                for start in range(0, max(1, len(images)), most)
            ]
        return Encoded(
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.embedding for part in parts]),
            np.concatenate([part.features for part in parts]),
            self.encoder_id,
        )

    def arrays(self, images: Sequence[Picture], *, box: Box | None = None, first: int = 0) -> NDArray[np.uint8]:
        """Images as they enter the network: raw (N, 3, S, S) uint8, which `encode` takes, too.

        Args:
            images: N of them, as of `encode`.
            box: likewise.
            first: number of the first one, by which an error names those without a path.

        Raises:
            BadImageError: an image cannot be used, or the box lies outside it.
            ValueError: the artifact encodes no images.
        """
        self._require_images()
        spec = self.interface.spec
        array = np.empty((len(images), 3, spec.resize, spec.resize), np.uint8)
        for number, image in enumerate(images):
            try:
                array[number] = to_array(part_of(_opened(image), box), spec)
            except BadImageError as error:
                name = f"image {first + number}" if isinstance(image, bytes | Image.Image) else repr(os.fspath(image))
                raise BadImageError(f"{name} cannot be used: {error}") from error
        return centre_crop(array, spec.size)

    def _require_images(self) -> None:
        if self.interface.spec.kind != "image":
            raise ValueError(f"{self.path} encodes vectors, got images; give an array (N, F) float32")


def load_encoder(
    path: str | Path, *, device: str | None = None, runtime: str = "torch", bits: int | None = None
) -> LoadedEncoder:
    """The encoder of an artifact, for images outside any data set. Neither Lightning nor hydra is imported.

    Args:
        path: of the artifact.
        device: to compute on, such as `cpu`; None for CUDA where there is one, else the CPU.
        runtime: `torch`, or `onnx` for the artifact's `encoder.onnx`, which ONNX Runtime computes on the CPU.
        bits: which of the lengths of an artifact that has several; None for the main one.

    Raises:
        NoArtifactError: there is none.
        ArtifactError: it is damaged, of an unknown format, has no codes of this length, or has no ONNX form where that
            is asked for. The weights are read for torch alone.
        ConfigError: no such runtime or device, or none that computes on the device.
        DqhError: onnxruntime is not installed.
    """
    folder = Path(path)
    return LoadedEncoder(folder, *encode_on(runtime, folder, device=device, bits=bits))


def part_of(image: Image.Image, box: Box | None) -> Image.Image:
    """The square around a box in an image, see `square_around`, the box rounded to whole pixels; all of it for None.

    Raises:
        BadImageError: the box does not lie in the image, or is empty.
    """
    if box is None:
        return image
    x0, y0, x1, y1 = (round(value) if math.isfinite(value) else -1 for value in box)
    spelt = ",".join(f"{value:g}" for value in box)
    if not (0 <= x0 <= x1 <= image.width and 0 <= y0 <= y1 <= image.height):
        raise BadImageError(
            f"the box {spelt} does not lie in its {image.width} × {image.height} pixels; give x0,y0,x1,y1 with "
            "0 ≤ x0 < x1 ≤ width and 0 ≤ y0 < y1 ≤ height"
        )
    if x0 == x1 or y0 == y1:
        raise BadImageError(f"the box {spelt} holds no whole pixel; give x0,y0,x1,y1 a pixel apart or more")
    return image.crop(square_around((x0, y0, x1, y1), width=image.width, height=image.height))


def _opened(picture: Picture) -> Image.Image:
    """The upright RGB image."""
    if isinstance(picture, Image.Image):
        picture.load()
        turn = turn_of(picture)
        return to_rgb(picture if turn is None else picture.transpose(turn))
    if isinstance(picture, bytes):
        return decode(picture)
    return read_photo(located(os.fsdecode(picture)))
