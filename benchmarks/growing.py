"""Images that grow in number, change and get other labels; each file follows from number and edition."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

GROWTH, CHANGES = 20, 4
"""New images of each growth; images with other content, and with other labels."""


class Noise:
    """Pictures of random blocks."""

    def __init__(self) -> None:
        self._made = 0

    def next(self) -> Image.Image:
        """One more."""
        self._made += 1
        return picture(2**20 + self._made, 0)


def picture(number: int, edition: int) -> Image.Image:
    """Of an image and its edition."""
    blocks = np.random.default_rng((number, edition)).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((24, 20), Image.Resampling.NEAREST)


def png(number: int, edition: int) -> bytes:
    """Its file: every 17th image is unusable."""
    file = io.BytesIO()
    picture(number, edition).save(file, "PNG")
    return file.getvalue()[: 40 if number % 17 == 0 else None]


Edition = tuple[int, int]
"""How often the content and the labels of an image have changed."""


def labels(number: int, edition: int) -> tuple[str, ...]:
    """Of an image and the edition of its labels."""
    return tuple(str(label) for label in range(3) if (number + edition) >> label & 1)


class Collection:
    """A folder of images and a list of them, with labels.

    Attributes:
        images: all editions of each, by number, the present one last.
        list_file: names them.

    Args:
        folder: made.
    """

    def __init__(self, folder: Path) -> None:
        self.images: list[list[Edition]] = []
        self.list_file = folder / "images.txt"
        self._generator = np.random.default_rng(0)
        folder.mkdir()

    def grow(self) -> None:
        """More images, and some with other content or labels."""
        chosen = self._generator.permutation(len(self.images))[: 2 * CHANGES].tolist()
        for place, number in enumerate(chosen):
            content, label = self.images[number][-1]
            self.images[number].append((content + 1, label) if place % 2 else (content, label + 1))
            self._write(number)
        for number in range(len(self.images), len(self.images) + GROWTH):
            self.images.append([(0, 0)])
            self._write(number)
        lines = []
        for number, image in enumerate(self.images):
            own = labels(number, image[-1][1])
            lines.append(f"{number:05d}.png " + " ".join(str(int(str(label) in own)) for label in range(3)))
        self.list_file.write_text("\n".join(lines) + "\n")

    def _write(self, number: int) -> None:
        (self.list_file.parent / f"{number:05d}.png").write_bytes(png(number, self.images[number][-1][0]))
