"""Photos with boxes for the tests of those who read annotations: files of three kinds that say the same."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (40, 30)
"""Of every photo, width and height."""

BOXES = {
    "a": [("cow", 0, 1, 40, 30), ("person", 2.5, 3, 9, 10)],
    "b": [],
    "c": [("person", 5, 5, 20, 25)],
    "d": [("cow", 10, 0, 30, 30)],
}
"""What is marked in each photo, edges in pixels; `b` is a negative."""


def photo(file: Path, *, seed: int = 0, size: tuple[int, int] = SIZE, orientation: int = 1) -> Path:
    """A photo of noise, stored so that it has `size` as it is stored."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, exif=exif)
    return file


def voc_text(name: str, boxes, *, size=SIZE, first_pixel: int = 1) -> str:
    """The XML of a photo."""
    objects = "".join(
        f"<object><name>{kind}</name><difficult>0</difficult><bndbox><xmin>{x0 + first_pixel}</xmin>"
        f"<ymin>{y0 + first_pixel}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for kind, x0, y0, x1, y1 in boxes
    )
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation><filename>{name}.jpg</filename>{stated}{objects}</annotation>"


def voc_folder(root: Path, boxes=BOXES) -> Path:
    """Folders as VOC has them."""
    for seed, (name, marked) in enumerate(boxes.items()):
        photo(root / "JPEGImages" / f"{name}.jpg", seed=seed)
        file = root / "Annotations" / f"{name}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(voc_text(name, marked))
    (root / "ImageSets" / "Main").mkdir(parents=True)
    return root


def coco_folder(root: Path, boxes=BOXES, *, file: str = "instances.json", images: str = "photos") -> Path:
    """A JSON file as COCO has it, its categories in no order, and the photos."""
    ids = {"person": 1, "cow": 21}
    content = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 21, "name": "cow"}, {"id": 1, "name": "person", "supercategory": "person"}],
    }
    for place, (name, marked) in enumerate(boxes.items()):
        photo(root / images / f"{name}.jpg", seed=place)
        content["images"].append({"id": 100 + place, "file_name": f"{name}.jpg", "width": 40, "height": 30})
        content["annotations"] += [
            {
                "id": 7,
                "image_id": 100 + place,
                "category_id": ids[kind],
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "iscrowd": 0,
            }
            for kind, x0, y0, x1, y1 in marked
        ]
    (root / file).write_text(json.dumps(content))
    return root


def json_folder(root: Path, boxes=BOXES) -> Path:
    """A plain JSON file with all, and the photos."""
    for place, name in enumerate(boxes):
        photo(root / "images" / f"{name}.jpg", seed=place)
    images = [
        {"file": f"images/{name}.jpg", "width": 40, "height": 30, "boxes": [list(box) for box in marked]}
        for name, marked in boxes.items()
    ]
    (root / "annotations.json").write_text(json.dumps({"classes": ["person", "cow"], "images": images}))
    return root


def said(source) -> dict[str, list[tuple]]:
    """What a source says of each photo, in the form of `BOXES`."""
    names = source.class_names
    return {
        Path(str(name)).stem: [
            (names[number], *corners)
            for corners, number in zip(
                source.boxes(row).boxes.tolist(), source.boxes(row).classes.tolist(), strict=True
            )
        ]
        for row, name in enumerate(source.ids)
    }
