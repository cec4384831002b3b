"""Small photos with coloured boxes, as files: what is searched for is a colour, and the whole photo has several."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh.artifact import golden_files, save_artifact
from dqh.data.json_boxes import JSONBoxes
from tests.artifact.conftest import images, make_kind
from tests.discovery.held import Place, make

COLOURS = {"blue": (20, 30, 220), "green": (20, 200, 40), "red": (220, 30, 20)}
WIDTH, HEIGHT = 64, 48


def draw_photos(root: Path, *, photos: int, queries: int, seed: int = 0) -> Path:
    """Grey photos with one box in each half, of any colour and size; `annotations.json` and lists of two roles."""
    generator = np.random.default_rng(seed)
    names, images = list(COLOURS), []
    for number in range(photos):
        pixels = generator.integers(90, 110, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        boxes = []
        for half in (0, WIDTH // 2):
            width, height = generator.integers(8, 30), generator.integers(8, 40)
            x, y = half + generator.integers(0, WIDTH // 2 - width), generator.integers(0, HEIGHT - height)
            name = names[generator.integers(len(names))]
            pixels[y : y + height, x : x + width] = COLOURS[name]
            boxes.append([name, *map(float, (x, y, x + width, y + height))])
        Image.fromarray(pixels).save(root / f"{number:02}.png")
        images.append({"file": f"{number:02}.png", "boxes": boxes})
    (root / "annotations.json").write_text(json.dumps({"classes": names, "images": images}))
    lines = [f"{number:02}.png" for number in range(photos)]
    (root / "query.txt").write_text("\n".join(lines[:queries]) + "\n")
    (root / "database.txt").write_text("\n".join(lines[queries:]) + "\n")
    return root


def boxes_of(root: Path) -> JSONBoxes:
    return JSONBoxes(root=root, query="query.txt", database="database.txt", name="squares")


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("squares"), photos=30, queries=8)


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "artifact"
    save_artifact(encoder := make_kind("binary"), path, golden=golden_files(encoder, images()))
    return path


@pytest.fixture(scope="session")
def place(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make(artifact, tmp_path_factory.mktemp("colours"))
