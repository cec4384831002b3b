"""Photos with boxes in one plain JSON file: a list of photos, a list of boxes each; roles in list files."""

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dqh.data.annotations import (
    Annotation,
    AnnotationError,
    Annotations,
    Collected,
    Mark,
    is_class_name,
    list_at,
    number,
    photo_path,
    read_json,
    stated_size,
)
from dqh.data.box_source import BoxSource
from dqh.data.caps import MAX_PIXELS
from dqh.data.data_file import require_files, role_lists
from dqh.data.images import Limits
from dqh.data.list_file import read_list
from dqh.data.pixels import MAX_BYTES
from dqh.errors import DataError


class JSONBoxes(BoxSource):
    """Photos of a JSON file with their boxes.

    The file is an object with `classes`, a list of names, and `images`, a list of objects with `file`, the path of a
    photo below `root`, and `boxes`, a list of `[class, x0, y0, x1, y1]` with edges in pixels; an empty one is that of a
    negative. `width` and `height` of a photo are optional, and whatever else is there is not looked at. No box is
    difficult.

        {"classes": ["cow", "person"],
         "images": [{"file": "images/1.jpg", "width": 311, "height": 256,
                     "boxes": [["cow", 214.0, 65.3, 309.8, 251.9]]}]}

    List files (see `dqh.data.list_file.read_list`) hand out roles: a line is the path of a photo, and labels behind it
    say nothing here. With lists, their photos are the rows, in the order in which they first appear; without, all of
    the file. Ids are the paths of photos.

    Args:
        root: the folder that all paths are relative to.
        annotations: the JSON file.
        query: the list file of the queries, relative to `root`.
        database: the list file of the database.
        train: the list file of the photos to train on.
        validation: the list file of the photos that choose the epoch.
        test: the list file of the photos to test on.
        classes: the names of the C classes, in order; None: those of the file.
        class_map: a CSV file with other names of classes, see `dqh.data.class_map`, relative to `root` or absolute.
        max_bad_fraction: the largest fraction of unusable images, and of unusable boxes, that a run accepts, 0 … 1.
        max_pixels: cap on the width × height of an image.
        max_bytes: cap on the size of an image file, bytes.
        name: what reports call the data set; None for the name of the folder `root`.

    Raises:
        ConfigError: a value is impossible.
        DataError: a file is missing, or cannot be read.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        annotations: str = "annotations.json",
        query: str | None = None,
        database: str | None = None,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        classes: Sequence[str] | None = None,
        class_map: str | None = None,
        max_bad_fraction: float = 0.01,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
        name: str | None = None,
    ) -> None:
        super().__init__(
            Path(root),
            name,
            otherwise="json_boxes",
            classes=classes,
            class_map=class_map,
            max_bad_fraction=max_bad_fraction,
            limits=Limits(max_pixels, max_bytes),
        )
        self._json = annotations
        folder = self._files.root
        require_files([folder / annotations], kind="annotation file", advice="put the file there")
        self._lists = role_lists(folder, query=query, database=database, train=train, validation=validation, test=test)

    def _annotations(self) -> Annotations:
        file = self._files.root / self._json
        values = read_json(file)
        collected = Collected(self._lists)
        names = _names(list_at(values, "classes", file), file)
        for place, image in enumerate(list_at(values, "images", file)):
            where = f"{self._json}#images[{place}]"
            try:
                collected.add(_annotation(image, where))
            except AnnotationError as error:
                collected.unusable[where] = str(error)
        if self._lists:
            self._hand_out(collected)
        if not collected.photos and not collected.unusable:
            raise DataError(f"no images in {file}" + " that its lists name" * bool(self._lists))
        return collected.as_read(names)

    def _hand_out(self, collected: Collected) -> None:
        """Give the photos their roles, and leave those that the lists name, in their order."""
        named: dict[str, Annotation] = {}
        for role, file in self._lists.items():
            for line in read_list(self._files.root / file, bare=True):
                path, where = posixpath.normpath(line.path), f"{file}:{line.where.rpartition(':')[2]}"
                if line.fault:
                    collected.unusable[where] = line.fault
                elif path not in collected.photos:
                    collected.unusable[where] = f"{line.path[:80]!r} has no annotation in {self._json}"
                else:
                    named[path] = collected.photos[path]
                    collected.roles[role].add(path)
        collected.photos = named


def _names(classes: Sequence[Any], file: Path) -> tuple[str, ...]:
    wrong = [name for name in classes if not is_class_name(name)]
    if wrong or len(set(classes)) < len(classes):
        got = f"{wrong[0]!r:.80}" if wrong else "one of them twice"
        raise DataError(f"{file}: classes must be a list of names that differ and are not empty, got {got}")
    return tuple(classes)


def _annotation(image: Any, where: str) -> Annotation:
    """The annotation of a photo; `AnnotationError` where it is none."""
    if not isinstance(image, dict):
        raise AnnotationError(f"{image!r:.80}, wanted an object with file and boxes")
    path, boxes = photo_path("", image.get("file")), image.get("boxes")
    if not isinstance(boxes, list):
        raise AnnotationError(
            f"boxes of {path!r:.80} are {boxes!r:.80}, wanted a list; [] where nothing is in the photo"
        )
    marks = tuple(_mark(box, f"{where}.boxes[{place}]") for place, box in enumerate(boxes))
    return Annotation(path, where, marks, stated_size(image.get("width"), image.get("height")))


def _mark(box: Any, where: str) -> Mark:
    if not isinstance(box, list) or len(box) != 5 or not is_class_name(box[0]):
        return Mark(where, "", fault=f"{box!r:.80}, wanted [class, x0, y0, x1, y1]")
    try:
        x0, y0, x1, y1 = (number(value, "a corner") for value in box[1:])
    except AnnotationError as error:
        return Mark(where, box[0], fault=str(error))
    return Mark(where, box[0], (x0, y0, x1, y1))
