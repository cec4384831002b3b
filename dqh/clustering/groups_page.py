"""A page of pictures in groups."""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from dqh.data.photos import read_photo
from dqh.errors import BadImageError, first_line
from dqh.pages import fill

SIDE = 128
"""Longer side of a picture, pixels."""

GROUPS, PICTURES = 100, 24
"""What a page shows at most: groups, and pictures of each."""


class PictureGroup(NamedTuple):
    """Pictures under a heading.

    Attributes:
        heading: one line.
        pictures: of each the path of its file and what stands below it.
    """

    heading: str
    pictures: Sequence[tuple[str, str]]


class _Picture(NamedTuple):
    """A picture on the page: data URI, or why there is none, and a caption."""

    source: str
    fault: str
    caption: str


class _Group(NamedTuple):
    heading: str
    pictures: list[_Picture]
    more: int


def groups_page(title: str, about: str, groups: Sequence[PictureGroup]) -> str:
    """The HTML of the first `GROUPS` groups, with up to `PICTURES` of each; one that cannot be read says why."""
    shown = [
        _Group(
            group.heading,
            [_picture(path, caption) for path, caption in group.pictures[:PICTURES]],
            max(0, len(group.pictures) - PICTURES),
        )
        for group in groups[:GROUPS]
    ]
    left = len(groups) - len(shown)
    rest = f" The first {len(shown)} groups are shown, {left:,} are not." if left else ""
    return str(fill("groups", title=title, about=about + rest, groups=shown)) + "\n"


def _picture(path: str, caption: str) -> _Picture:
    try:
        picture = read_photo(path)
    except BadImageError as error:
        return _Picture("", first_line(error), caption)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=82)
    return _Picture(f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", "", caption)
