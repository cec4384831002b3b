"""Photo files of every kind that a collection meets, made of real pictures, and networks that encode them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from dqh.artifact import Artifact, golden_files, save_artifact
from dqh.data import Source, Split
from dqh.data.images import to_array
from dqh.models import Encoder, HashHead
from dqh.models.backbone import Backbone
from dqh.quantizers import Threshold

BITS = 64
FOLDERS = 40
_ORIENTATION = 0x0112  # of EXIF


class Collection(NamedTuple):
    """What lies in a folder of photos.

    Attributes:
        root: the folder; below it, a folder a label.
        unusable: path → kind.
        odd: path → kind of those that are unusual and usable.
        copies: path → path of the file that has the same bytes.
        plain: paths of all others.
    """

    root: Path
    unusable: dict[str, str]
    odd: dict[str, str]
    copies: dict[str, str]
    plain: list[str]


class Pictures:
    """Pictures that all differ: parts of those of a source, of several sizes.

    Args:
        source: of images.
        side: longest, pixels.
        seed: of the draw.
    """

    def __init__(self, source: Source, *, side: int = 96, seed: int = 0) -> None:
        self._source, self._side = source, side
        self._generator = np.random.default_rng(seed)
        self._order = self._generator.permutation(len(source))
        self._taken = 0

    def next(self) -> Image.Image:
        """One more."""
        image = self._source.read(int(self._order[self._taken % len(self._order)]))
        assert isinstance(image, Image.Image)
        self._taken += 1
        sides = self._generator.integers(2 * self._side // 3, self._side, 2, endpoint=True)
        share = self._generator.uniform(0.75, 1, 2)
        left, top = self._generator.uniform(0, 1 - share) * image.size
        box = (left, top, left + share[0] * image.width, top + share[1] * image.height)
        return image.resize((int(sides[0]), int(sides[1])), Image.Resampling.BICUBIC, box=box)


def jpeg(path: Path, picture: Image.Image, **options: object) -> None:
    """A photo as most are."""
    picture.save(path, "JPEG", quality=90, **options)


def _truncated(path: Path, pictures: Pictures) -> None:
    jpeg(path, pictures.next())
    os.truncate(path, path.stat().st_size // 2)


def _bomb(path: Path, pictures: Pictures) -> None:
    pictures.next().save(path, "PNG")
    with path.open("r+b") as file:
        file.seek(16)  # width and height in the header
        file.write((60_000).to_bytes(4, "big") * 2)


def _text(path: Path, pictures: Pictures) -> None:
    path.write_text("This is no image.\n" * 50)


def _sixteen_bits(path: Path, pictures: Pictures) -> None:
    grey = np.asarray(pictures.next().convert("L")).astype(np.uint16)
    Image.fromarray(257 * grey).save(path, "PNG")


def _animated(path: Path, pictures: Pictures) -> None:
    first, second = pictures.next(), pictures.next()
    first.save(path, "GIF", save_all=True, append_images=[second.resize(first.size)], duration=100)


def _turned(path: Path, pictures: Pictures) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 2 + number_of(path) % 7
    jpeg(path, pictures.next(), exif=exif)


def number_of(path: Path) -> int:
    """A number that follows from the name of a file."""
    return int(path.name[:5])


Maker = Callable[[Path, Pictures], None]

UNUSABLE: dict[str, tuple[str, Maker]] = {
    "0 bytes": (".jpg", lambda path, pictures: path.touch()),
    "truncated": (".jpg", _truncated),
    "text": (".jpg", _text),
    "decompression bomb": (".png", _bomb),
    "dangling link": (".jpg", lambda path, pictures: path.symlink_to("gone")),
    "a folder named x.jpg": (".jpg", lambda path, pictures: path.mkdir()),
}
"""Kind → suffix and what makes the file."""

ODD: dict[str, tuple[str, Maker]] = {
    "16-bit": (".png", _sixteen_bits),
    "CMYK": (".jpg", lambda path, pictures: jpeg(path, pictures.next().convert("CMYK"))),
    "palette": (".png", lambda path, pictures: pictures.next().quantize(64).save(path, "PNG")),
    "animated": (".gif", _animated),
    "EXIF-rotated": (".jpg", _turned),
    "name not UTF-8": (os.fsdecode(b" caf\xe9.jpg"), lambda path, pictures: jpeg(path, pictures.next())),
}


def make_collection(root: Path, pictures: Pictures, *, count: int, unusable: int, odd: int, copies: int) -> Collection:
    """Write `count` files, so many of which are unusable, odd, or copies of plain ones, all mixed."""
    made = Collection(root, {}, {}, {}, [])
    order = np.random.default_rng(1).permutation(count).tolist()
    for number in range(FOLDERS):
        (root / f"{number:02d}").mkdir(parents=True, exist_ok=True)
    kinds: list[tuple[dict[str, str], str, tuple[str, Maker]]] = []
    for number, into, known in ((unusable, made.unusable, UNUSABLE), (odd, made.odd, ODD)):
        names = list(known)
        kinds += [(into, names[each % len(names)], known[names[each % len(names)]]) for each in range(number)]
    for number, (into, name, (suffix, make)) in zip(order, kinds, strict=False):
        path = root / f"{number % FOLDERS:02d}" / f"{number:05d}{suffix}"
        make(path, pictures)
        into[str(path)] = name
    for number in order[len(kinds) :]:
        path = root / f"{number % FOLDERS:02d}" / f"{number:05d}.jpg"
        if len(made.plain) > len(made.copies) and len(made.copies) < copies:
            made.copies[str(path)] = made.plain[-1]
            path.write_bytes(Path(made.plain[-1]).read_bytes())
        else:
            jpeg(path, pictures.next())
            made.plain.append(str(path))
    return made


def make_artifact(path: Path, backbone: Backbone, pictures: Pictures) -> None:
    """An artifact of `BITS` bits that follow from random directions in the features, each about as often 1 as 0."""
    encoder = Encoder(backbone, HashHead(backbone.dimension, BITS)).eval()
    inputs = np.stack([to_array(pictures.next(), encoder.spec) for _ in range(256)])
    offset = (encoder.spec.resize - encoder.spec.size) // 2
    part = slice(offset, offset + encoder.spec.size)
    inputs = np.ascontiguousarray(inputs[:, :, part, part])
    with torch.no_grad():
        features = encoder.backbone(encoder.normalise(torch.from_numpy(inputs)))
        directions = torch.randn(BITS, backbone.dimension, generator=torch.Generator().manual_seed(0))
        directions /= (features @ directions.T).std(0)[:, None]
        encoder.head.linear.weight.copy_(directions)
        encoder.head.linear.bias.copy_(-directions @ features.mean(0))
    split = Split("counts", 0, "photos", ("0",), ("1",), ("1",), ())  # nothing was trained
    artifact = Artifact("random directions", encoder, Threshold(BITS), None, (), split, {})
    save_artifact(artifact, path, golden=golden_files(artifact, inputs[:4]))
