"""What annotation files say of photos, before their boxes are clipped and their classes numbered.

Every reader of such files gives `Annotations`; `dqh.data.box_source` makes rows of them.
"""

import json
import math
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from dqh.data.data_file import open_data
from dqh.data.list_text import is_utf8
from dqh.errors import DataError

MAX_JSON = 2**30
"""Cap on the size of an annotation file in JSON, bytes."""

_NOWHERE = (math.nan, math.nan, math.nan, math.nan)


class AnnotationError(ValueError):
    """An annotation that cannot be used; the text is the reason, for `skipped.csv`."""


class Mark(NamedTuple):
    """An object as an annotation has it.

    Attributes:
        where: what names it in `skipped.csv`.
        name: of its class, as it is written.
        box: x0, y0, x1, y1, edges in pixels of the upright photo; any numbers.
        difficult: whether it is difficult, or a crowd.
        fault: why it cannot be used; "" where it can.
    """

    where: str
    name: str
    box: tuple[float, float, float, float] = _NOWHERE
    difficult: bool = False
    fault: str = ""


class Annotation(NamedTuple):
    """What is marked in a photo.

    Attributes:
        path: of the photo, relative to the root.
        where: what names the annotation in `skipped.csv`.
        marks: the objects; none in a negative.
        size: width and height as the annotation states them, pixels; None where it does not.
    """

    path: str
    where: str
    marks: tuple[Mark, ...]
    size: tuple[int, int] | None = None


class Annotations(NamedTuple):
    """All that some files say.

    Attributes:
        photos: in the order of the rows, of different paths.
        roles: the paths of each role.
        unusable: what names a photo and makes no row, and why.
        stray: objects of no photo, and why.
        names: of the classes, in their order, where the files state them; None: those of the marks, sorted.
    """

    photos: list[Annotation]
    roles: dict[str, set[str]]
    unusable: dict[str, str]
    stray: dict[str, str]
    names: tuple[str, ...] | None


class Collected:
    """Annotations as files give them one by one; those of one photo must agree.

    Attributes:
        photos: by path.
        roles: the paths of each role.
        unusable: what names a photo and makes no row, and why.
        stray: objects of no photo, and why.
    """

    def __init__(self, roles: Iterable[str] = ()) -> None:
        self.photos: dict[str, Annotation] = {}
        self.roles: dict[str, set[str]] = {role: set() for role in roles}
        self.unusable: dict[str, str] = {}
        self.stray: dict[str, str] = {}

    def add(self, photo: Annotation, role: str | None = None) -> None:
        """Take in a photo, and its role; one that is there with other objects is unusable."""
        known = self.photos.setdefault(photo.path, photo)
        if _said(known) != _said(photo):
            self.unusable[photo.where] = f"{photo.path!r} is annotated otherwise in {known.where}"
        elif role is not None:
            self.roles[role].add(photo.path)

    def as_read(self, names: tuple[str, ...] | None) -> Annotations:
        """All of it, with the names of the classes where the files state them."""
        return Annotations(list(self.photos.values()), self.roles, self.unusable, self.stray, names)


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file of annotations.

    Raises:
        DataError: the file is not there, cannot be read, is larger than `MAX_JSON`, or holds no JSON object.
    """
    with open_data(file, kind="annotation file", advice="give the JSON file with the boxes") as stream:
        content = stream.read(MAX_JSON + 1)
    if len(content) > MAX_JSON:
        raise DataError(f"{file} has more than {MAX_JSON} bytes; cut it into several, one a role")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError, MemoryError) as error:  # ValueError: no UTF-8 too, or a number of many digits
        reason = str(error) or type(error).__name__
        raise DataError(f"{file} is no JSON that can be read: {reason[:200]}; write it anew") from error
    if not isinstance(values, dict):
        raise DataError(f"{file} holds a JSON {type(values).__name__}, wanted an object with the lists of annotations")
    return values


def list_at(values: dict[str, Any], key: str, file: Path) -> list[Any]:
    """The list under a key; `DataError` where there is none."""
    part = values.get(key)
    if not isinstance(part, list):
        got = "nothing" if part is None else f"a {type(part).__name__}"
        raise DataError(f"{file}: wanted a list under {key!r}, got {got}; the keys are {_keys(values)}")
    return part


def photo_path(folder: str, name: Any) -> str:
    """The path of a photo below the root, of the folder below the root that it lies in and its name there.

    Raises:
        AnnotationError: the name is none, or leads out of the folder.
    """
    if not isinstance(name, str) or not name:
        raise AnnotationError(f"the photo is named {name!r:.80}, wanted a path")
    try:
        name.encode("utf-8", "surrogateescape")  # as names on the disk are
    except UnicodeEncodeError as error:
        raise AnnotationError(f"the path {name!r:.80} holds half a character") from error
    path = posixpath.normpath(name)
    if name.startswith("/") or path == ".." or path.startswith("../") or "\0" in path:
        raise AnnotationError(f"the path {name!r:.80} must lie below the folder of the photos and be relative to it")
    return posixpath.normpath(posixpath.join(folder, path))


def number(value: Any, what: str) -> float:
    """A number of JSON as a float; `AnnotationError` where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AnnotationError(f"{what} is {value!r:.80}, wanted a number")
    try:
        return float(value)
    except OverflowError as error:
        raise AnnotationError(f"{what} is a number of too many digits") from error


def is_class_name(name: Any) -> TypeGuard[str]:
    """Whether this is a text that can name a class: not empty, and UTF-8."""
    return isinstance(name, str) and bool(name) and is_utf8(name)


def stated_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Width and height where both are whole numbers above 0; None where they say nothing.

    Example:
        >>> stated_size(500, 375), stated_size(0, 0), stated_size(None, 375)
        ((500, 375), None, None)
    """
    sides = [value for value in (width, height) if isinstance(value, int) and not isinstance(value, bool) and value > 0]
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _said(annotation: Annotation) -> tuple[object, ...]:
    marks = [(mark.name, tuple(map(repr, mark.box)), mark.difficult, mark.fault) for mark in annotation.marks]
    return annotation.size, *marks


def _keys(values: dict[str, Any]) -> str:
    return ", ".join(f"{key!r:.40}" for key in list(values)[:8]) or "none"
