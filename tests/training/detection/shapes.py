"""Drawn photos with boxes: squares and discs on a grey ground, and the configuration of a detector that learns them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("square", "disc")
COLOURS = {"square": (220, 40, 40), "disc": (40, 60, 220)}


def drawn(rng: np.random.Generator, *, width: int = 72, height: int = 60) -> tuple[Image.Image, list[list[Any]]]:
    """A photo of one to three shapes that do not touch, and what is marked in it."""
    noise = rng.integers(100, 156, (height, width, 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    pen, marks = ImageDraw.Draw(photo), []
    for _ in range(int(rng.integers(1, 4))):
        side = int(rng.integers(14, 28))
        x0, y0 = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        box = [x0, y0, x0 + side, y0 + side]
        if any(x0 < mark[3] and mark[1] < box[2] and y0 < mark[4] and mark[2] < box[3] for mark in marks):
            continue
        kind = CLASSES[int(rng.integers(2))]
        corners = (x0, y0, x0 + side - 1, y0 + side - 1)
        (pen.rectangle if kind == "square" else pen.ellipse)(corners, fill=COLOURS[kind])
        marks.append([kind, *map(float, box)])
    return photo, marks


def shapes(root: Path, *, train: int = 12, query: int = 6, seed: int = 0) -> Path:
    """A folder of drawn photos with `annotations.json` and a list file a role; the last query shows nothing."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    images = []
    for number in range(train + query):
        photo, marks = drawn(rng)
        if number == train + query - 1:
            photo, marks = Image.fromarray(rng.integers(100, 156, (60, 72, 3), dtype=np.uint8)), []
        file = f"images/{number:03}.png"
        photo.save(root / file)
        images.append({"file": file, "width": 72, "height": 60, "boxes": marks})
    (root / "annotations.json").write_text(json.dumps({"classes": list(CLASSES), "images": images}))
    names = [image["file"] for image in images]
    (root / "database.txt").write_text("\n".join(names[:train]) + "\n")
    (root / "query.txt").write_text("\n".join(names[train:]) + "\n")
    return root


def shapes_config(root: Path) -> dict[str, Any]:
    """A whole configuration, as hydra would compose it: a small network, trained from the start."""
    return {
        "bits": None,
        "hidden": None,
        "noise": 0,
        "seed": 3,
        "runs": "runs",
        "resume": None,
        "method": {
            "_target_": "dqh.methods.ssd.SSD",
            "maps": 1,
            "width": 16,
            "extras": 2,
            "freeze_norms": False,
        },
        "without_h": None,
        "without_h_minutes": None,
        "search": None,
        "backbone": {"_target_": "dqh.models.SmallResNet", "width": 4, "size": 48},
        "optimizer": {"_target_": "dqh.training.optimizer.Optimizer", "name": "adamw", "lr": 0.004},
        "trainer": {
            "_target_": "dqh.training.fit.Fit",
            "epochs": 2,
            "batch_size": 4,
            "eval_batch_size": 4,
            "device": "cpu",
            "workers": 0,
        },
        "data": {
            "_target_": "dqh.data.JSONBoxes",
            "root": str(root),
            "query": "query.txt",
            "database": "database.txt",
        },
        "split": {"_target_": "dqh.data.Protocol", "protocol": "given", "validation": 4, "seed": 3},
        "augment": {"_target_": "dqh.training.detection.box_augment.BoxAugment"},
    }
