"""What one path or URL stands for on a command line: the images that it names, and what they are called there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dqh import remote
from dqh.data.data_file import Location, is_remote, require_files
from dqh.data.images import has_image_name
from dqh.data.list_file import Line, alike, read_list
from dqh.data.listing import ImageWalk, holds_image
from dqh.data.parquet_table import Table, unnamed
from dqh.data.photo_files import located
from dqh.errors import DataError
from dqh.urls import folder_of, is_url, name_of, redacted

_WANTED = "give folders, list files, .parquet tables or image files"


class Photo(NamedTuple):
    """An image of a collection.

    Attributes:
        path: absolute, or a URL; that of a row of a table is the path of the table, `#` and the row, from 0.
        labels: any number of them; None where what names the image says nothing of labels.
        table: number of the table, or None for a file.
        row: of the table.
        fault: why what names it cannot be used, as a list line or a row of a table; "" where it can.
    """

    path: str
    labels: tuple[str, ...] | None = None
    table: int | None = None
    row: int = 0
    fault: str = ""


def named_photos(path: str, walk: ImageWalk, tables: list[Location]) -> Iterator[Photo]:
    """The images that one path stands for; a table is added to the others."""
    if is_url(path):
        yield from _named_by_url(path, walk, tables)
    elif has_image_name(path) and os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112
        yield Photo(path)
    elif os.path.isdir(path):  # noqa: PTH112
        for image in sorted(walk.below(path)):
            folder = os.path.dirname(image)  # noqa: PTH120
            yield Photo(image, None if folder == path else (os.path.basename(folder),))  # noqa: PTH119
    elif not os.path.lexists(path):
        raise DataError(f"no images at {path}: {_WANTED}")
    elif path.lower().endswith(".parquet"):
        tables.append(Path(path))
        yield from _of_table(Path(path), len(tables) - 1)
    elif holds_image(path):
        yield Photo(path)
    else:
        require_files([Path(path)], kind="list file", advice=_WANTED)
        yield from _listed(Path(path))


def _named_by_url(url: str, walk: ImageWalk, tables: list[Location]) -> Iterator[Photo]:
    """As `named_photos`, of a URL."""
    told = asked(url)
    if told is None:
        raise DataError(f"no images at {url}: {_WANTED}")
    if told.kind == "folder":
        for image in walk.below_url(url):
            folder = folder_of(image)
            labels = None if folder == url else (name_of(folder),)
            yield Photo(redacted(image), labels, fault=remote.refusal(image) or "")
    elif has_image_name(url):
        yield Photo(url)
    elif url.lower().endswith(".parquet"):
        tables.append(url)
        yield from _of_table(url, len(tables) - 1)
    elif holds_image(url):
        yield Photo(url)
    else:
        yield from _listed(url)


def asked(url: str) -> remote.Entry | None:
    """What is at a URL; `DataError` where its store cannot be reached, other errors as of `dqh.remote.entry`."""
    try:
        return remote.entry(url)
    except OSError as error:
        raise unreachable(url, error) from error


def unreachable(url: str, error: OSError) -> DataError:
    """The error that says so of the store of a URL, and what to look at."""
    return DataError(
        f"{url} cannot be reached: {error.strerror or error}; look at the name, the network, and what the environment "
        "says of who you are"
    )


def _listed(file: Location) -> Iterator[Photo]:
    """The images of a list file."""
    folder = folder_of(file) if is_remote(file) else str(Path(file).parent)
    for line in alike(list(read_list(file, bare=True)), bare=True):
        path = located(line.path, folder)
        fault = line.fault or (is_url(path) and remote.refusal(path)) or ""
        yield Photo(line.where, fault=fault) if fault else Photo(path, _labels(line))


def _labels(line: Line) -> tuple[str, ...] | None:
    """The labels of a line: its one class, or those that have a 1 in their column."""
    if not line.cells:
        return None
    if len(line.cells) == 1:
        return line.cells if line.cells[0] else ()
    names = line.names or map(str, range(len(line.cells)))
    return tuple(name for name, cell in zip(names, line.cells, strict=True) if cell == "1")


def _of_table(path: Location, number: int) -> Iterator[Photo]:
    """The rows of a table; what it has no labels for keeps those that an index has."""
    table = Table(path)
    if "label" not in table.columns:
        yield from (Photo(f"{path}#{row}", None, number, row) for row in range(table.rows))
        return
    values, empty, faults = table.labels("label")
    names = table.class_names("label")
    for row, value in enumerate(values if isinstance(values, list) else values.tolist()):
        fault = faults.get(row, "")
        if not (fault or empty[row]) and names and isinstance(value, int):
            fault = unnamed(value, names)
        text = names[value] if names and isinstance(value, int) and not fault else str(value)
        yield Photo(f"{path}#{row}", () if empty[row] else (text,), number, row, fault)
