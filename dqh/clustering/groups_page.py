"""A page of pictures in groups."""

from collections.abc import Sequence
from typing import NamedTuple

from dqh.clustering.thumbnails import Thumbnail, thumbnail
from dqh.pages import fill

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


class _Group(NamedTuple):
    heading: str
    pictures: list[Thumbnail]
    more: int


def groups_page(title: str, about: str, groups: Sequence[PictureGroup]) -> str:
    """The HTML of the first `GROUPS` groups, with up to `PICTURES` of each; one that cannot be read says why."""
    shown = [
        _Group(
            group.heading,
            [thumbnail(path, caption) for path, caption in group.pictures[:PICTURES]],
            max(0, len(group.pictures) - PICTURES),
        )
        for group in groups[:GROUPS]
    ]
    left = len(groups) - len(shown)
    rest = f" The first {len(shown)} groups are shown, {left:,} are not." if left else ""
    return str(fill("groups", title=title, about=about + rest, groups=shown)) + "\n"
