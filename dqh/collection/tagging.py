"""The tags of a table become those of the images of an index: which of its files is which image, and what fits none."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dqh.collection.artifact_note import relative
from dqh.data.photo_files import located
from dqh.data.tag_table import TagLine
from dqh.errors import DataError
from dqh.index.store import Tag
from dqh.index.store.tags import MOST_TAGS, problem_of
from dqh.plural import counted

UNKNOWN = "no image of the index is called so"
"""Why a line of a file that the index does not have is of no use."""


class Tagging(NamedTuple):
    """What a table gives to the images of an index.

    Attributes:
        tags: path of an image, as the index has it → its tags.
        unused: `TABLE:LINE` of each line that gave nothing → why.
        unknown: of these, lines of files that the index does not have.
    """

    tags: Mapping[str, Sequence[Tag]]
    unused: Mapping[str, str]
    unknown: int


def tagging_of(lines: Iterable[TagLine], table: Path, root: str, *, is_there: Callable[[str], bool]) -> Tagging:
    """The tags that a table gives.

    A file is an image of the index by the path that the index has, else as a file: absolute, or relative to the folder
    of the table. A tag that an image gets a second time is of no use where it has another weight then.

    Args:
        lines: of the table.
        table: its file.
        root: of the index.
        is_there: whether the index has an image of this path.
    """
    tags: dict[str, dict[str, Tag]] = {}
    unused: dict[str, str] = {}
    unknown = 0
    known: dict[str, str | None] = {}
    for line in lines:
        if line.fault:
            unused[line.where] = line.fault
            continue
        if line.file not in known:
            known[line.file] = image_of(line.file, table, root, is_there=is_there)
        image, tag = known[line.file], Tag(line.tag, line.weight)
        if image is None:
            unused[line.where], unknown = f"{line.file[:200]!r}: {UNKNOWN}", unknown + 1
        elif problem := problem_of(tag) or _no_room(tag, tags.setdefault(image, {})):
            unused[line.where] = f"{line.file[:200]!r}: {problem}"
        else:
            tags[image][tag.word] = tag
    return Tagging({image: tuple(own.values()) for image, own in tags.items() if own}, unused, unknown)


def image_of(file: str, table: Path, root: str, *, is_there: Callable[[str], bool]) -> str | None:
    """The path by which an index has a file that a table names; None where it has none."""
    if is_there(file):
        return file
    whole = located(file, str(table.absolute().parent))
    return next((path for path in (relative(whole, root), whole) if is_there(path)), None)


def require_some(lines: Sequence[TagLine], table: Path, root: str, *, is_there: Callable[[str], bool]) -> None:
    """Raise `DataError` where a table names files, and none of them is an image of the index."""
    files = dict.fromkeys(line.file for line in lines if not line.fault)
    if files and not any(image_of(file, table, root, is_there=is_there) for file in files):
        raise DataError(
            f"none of the {counted(len(files), 'file')} of {table} is an image of the index, first "
            f"{next(iter(files))!r}; name them relative to the folder of the table, absolute, or relative to the root "
            f"{root or '/'}"
        )


def _no_room(tag: Tag, own: Mapping[str, Tag]) -> str:
    """Why an image that has some tags cannot get one more; "" where it can."""
    if tag.word in own and own[tag.word] != tag:
        return f"the tag {tag.word[:40]!r} was given before with the weight {own[tag.word].weight:g}"
    if tag.word not in own and len(own) >= MOST_TAGS:
        return f"more than {MOST_TAGS} tags of an image"
    return ""
