"""Photos with boxes in JSON files as COCO has them."""

import posixpath
from collections.abc import Hashable, Mapping, Sequence
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
from dqh.data.data_file import require_files
from dqh.data.images import Limits
from dqh.data.pixels import MAX_BYTES
from dqh.data.source import ROLES
from dqh.errors import ConfigError, DataError

_ALL = ""  # the role of photos that have none
_FLAGS = {0: False, 1: True}


class COCOBoxes(BoxSource):
    """Photos of one JSON file, or of one for each role, with the boxes there.

    A file has the lists `images` (`id`, `file_name`, perhaps `width` and `height`), `categories` (`id`, `name`) and
    `annotations` (`image_id`, `category_id`, `bbox` as x, y, width, height, perhaps `iscrowd`); whatever else it has is
    not looked at. `iscrowd` makes a box difficult. An image without annotations is a negative. Categories are numbered
    in the order of their ids. Ids are paths of photos below `root`, in the order of the files; a photo in several files
    has several roles, and the same boxes in each.

    Args:
        root: the folder that all paths are relative to.
        annotations: the JSON file; or that of each role, such as `{train: annotations/instances_train2017.json,
            query: annotations/instances_val2017.json}`.
        images: the folder of the photos; or that of each role, such as `{train: train2017, query: val2017}`.
        classes: the names of the C classes, in order; None: those of the categories.
        class_map: a CSV file with other names of classes, see `dqh.data.class_map`, relative to `root` or absolute.
        max_bad_fraction: the largest fraction of unusable images, and of unusable boxes, that a run accepts, 0 … 1.
        max_pixels: cap on the width × height of an image.
        max_bytes: cap on the size of an image file, bytes.
        name: what reports call the data set; None for the name of the folder `root`.

    Raises:
        ConfigError: a value is impossible.
        DataError: an annotation file or the class map is missing.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        annotations: str | Mapping[str, str],
        images: str | Mapping[str, str] = "",
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
            otherwise="coco_boxes",
            classes=classes,
            class_map=class_map,
            max_bad_fraction=max_bad_fraction,
            limits=Limits(max_pixels, max_bytes),
        )
        self._jsons = {_ALL: annotations} if isinstance(annotations, str) else dict(annotations)
        self._folders = dict.fromkeys(self._jsons, images) if isinstance(images, str) else dict(images)
        _check_roles(self._jsons, self._folders)
        files = [self._files.root / file for file in self._jsons.values()]
        require_files(files, kind="annotation file", advice="put the file there")

    def _annotations(self) -> Annotations:
        collected = Collected(role for role in self._jsons if role != _ALL)
        names: dict[str, None] = {}
        for role, file in self._jsons.items():
            content = _File(self._files.root / file, file, self._folders[role])
            names |= dict.fromkeys(content.categories.values())
            for photo in content.photos(collected):
                collected.add(photo, role or None)
        if not collected.photos and not collected.unusable:
            raise DataError(f"no images in {', '.join(self._jsons.values())} below {self._files.root}")
        return collected.as_read(tuple(names))


class _File:
    """One JSON file: names of the categories by id, and its photos."""

    def __init__(self, file: Path, name: str, folder: str) -> None:
        values = read_json(file)
        self._name, self._folder = name, folder
        self._images, self._objects = list_at(values, "images", file), list_at(values, "annotations", file)
        self.categories = _categories(list_at(values, "categories", file), file)

    def photos(self, collected: Collected) -> list[Annotation]:
        """The photos; what makes none, and objects of none, are added to those collected."""
        frames: dict[Hashable, tuple[str, str, tuple[int, int] | None]] = {}
        bad: set[Hashable] = set()
        for place, image in enumerate(self._images):
            where = f"{self._name}#images[{place}]"
            identity = image.get("id") if isinstance(image, dict) else None
            try:
                key = _key(identity, frames)
                frames[key] = self._frame(image, where)
            except AnnotationError as error:
                collected.unusable[where] = str(error)
                bad.add(identity if isinstance(identity, int | str) else None)
        marks: dict[Hashable, list[Mark]] = {identity: [] for identity in frames}
        for place, item in enumerate(self._objects):
            where = f"{self._name}#annotations[{place}]"
            identity = item.get("image_id") if isinstance(item, dict) else None
            if isinstance(identity, int | str) and identity in marks:
                marks[identity].append(self._mark(item, where))
            elif not isinstance(identity, int | str) or identity not in bad:  # a fault of an image is told once
                collected.stray[where] = f"image_id {identity!r:.80} is none of the images"
        return [Annotation(path, where, tuple(marks[key]), size) for key, (path, where, size) in frames.items()]

    def _frame(self, image: Any, where: str) -> tuple[str, str, tuple[int, int] | None]:
        path = photo_path(self._folder, image.get("file_name"))
        return path, where, stated_size(image.get("width"), image.get("height"))

    def _mark(self, item: dict[str, Any], where: str) -> Mark:
        category = item.get("category_id")
        known = isinstance(category, int | str) and category in self.categories
        name = self.categories[category] if known else f"category_id {category!r:.80}"
        try:
            box = item.get("bbox")
            if not isinstance(box, list) or len(box) != 4:
                raise AnnotationError(f"bbox is {box!r:.80}, wanted [x, y, width, height]")
            x, y, width, height = (number(value, "bbox") for value in box)
            crowd = item.get("iscrowd", 0)
            if not isinstance(crowd, int) or crowd not in _FLAGS:
                raise AnnotationError(f"iscrowd is {crowd!r:.80}, wanted 0 or 1")
        except AnnotationError as error:
            return Mark(where, name, fault=str(error))
        return Mark(where, name, (x, y, x + width, y + height), _FLAGS[crowd])


def _key(identity: Any, known: Mapping[Hashable, Any]) -> Hashable:
    """The id of an image; `AnnotationError` where it is none, or known."""
    if isinstance(identity, bool) or not isinstance(identity, int | str):
        raise AnnotationError(f"its id is {identity!r:.80}, wanted a number or a text")
    if identity in known:
        raise AnnotationError(f"its id {identity!r:.80} is that of an image above")
    return identity


def _categories(categories: Sequence[Any], file: Path) -> dict[Hashable, str]:
    """Id → name, by ids; `DataError` with all that is wrong."""
    names: dict[Any, str] = {}
    taken: set[str] = set()
    problems = []
    for place, category in enumerate(categories):
        identity, name = (category.get("id"), category.get("name")) if isinstance(category, dict) else (None, None)
        if isinstance(identity, bool) or not isinstance(identity, int | str):
            problems.append(f"categories[{place}] has the id {identity!r:.80}, wanted a number or a text")
        elif not is_class_name(name):
            problems.append(f"categories[{place}] has the name {name!r:.80}, wanted a text")
        elif identity in names or name in taken:
            problems.append(f"categories[{place}], {identity!r:.80} {name!r:.80}, is there twice")
        else:
            names[identity] = name
            taken.add(name)
    if problems:
        raise DataError(f"{file}: " + "; ".join(problems[:8]) + "; …" * (len(problems) > 8))
    return dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _check_roles(files: Mapping[str, str], folders: Mapping[str, str]) -> None:
    roles = ", ".join(ROLES)
    problems = [f"annotations: {role!r} is no role; one of {roles}" for role in files if role not in (*ROLES, _ALL)]
    if not files:
        problems.append(f"annotations: no file is given; wanted a JSON file, or one for each of {roles}")
    problems += [f"images: no folder for {role!r}, which has annotations" for role in files if role not in folders]
    problems += [f"images: a folder for {role!r}, which has no annotations" for role in folders if role not in files]
    problems += [
        f"images: {folder!r} must be a folder below root, relative, without '..'"
        for folder in sorted(set(folders.values()))
        if posixpath.isabs(folder) or ".." in folder.split("/")
    ]
    if problems:
        raise ConfigError(problems)
