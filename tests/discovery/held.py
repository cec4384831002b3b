"""Photos of colours, half of them in an index by what a detector saw, half with marked objects and held out."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from dqh.collection import index_images
from dqh.data.json_boxes import JSONBoxes
from tests.collection.seer import COLOURS, Seer

WIDTH, HEIGHT = 64, 48


class Place(NamedTuple):
    """Folder of the held-out photos with `annotations.json`, and the index."""

    photos: Path
    index: Path

    def boxes(self, **more: object) -> JSONBoxes:
        return JSONBoxes(root=self.photos, name="colours", **more)  # type: ignore[arg-type]


def draw(root: Path, *, photos: int, seed: int, marked: float) -> Path:
    """Grey photos with a box of one colour in each half; each is marked with the probability `marked`.

    The detector sees all of them, so that dots on those that are not marked are wrong.
    """
    generator = np.random.default_rng(seed)
    root.mkdir(parents=True)
    images = []
    for number in range(photos):
        pixels = generator.integers(90, 110, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        boxes = []
        for half, name in zip((0, WIDTH // 2), generator.permutation(list(COLOURS))[:2].tolist(), strict=True):
            width, height = generator.integers(10, 30), generator.integers(10, 40)
            x, y = half + generator.integers(0, WIDTH // 2 - width), generator.integers(0, HEIGHT - height)
            pixels[y : y + height, x : x + width] = COLOURS[name]
            if generator.random() < marked:
                boxes.append([name, *map(float, (x, y, x + width, y + height))])
        Image.fromarray(pixels).save(root / f"{number:02}.png")
        images.append({"file": f"{number:02}.png", "boxes": boxes})
    (root / "annotations.json").write_text(json.dumps({"classes": sorted(COLOURS), "images": images}))
    return root


def make(artifact: Path, folder: Path) -> Place:
    """40 photos in the index, 24 held out."""
    indexed = draw(folder / "indexed", photos=40, seed=0, marked=1.0)
    index_images(artifact, [indexed], folder / "index", objects=Seer(), device="cpu")
    return Place(draw(folder / "held", photos=24, seed=1, marked=0.6), folder / "index")
