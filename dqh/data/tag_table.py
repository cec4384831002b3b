"""Tables of tags: a line a tag of an image, its file, the tag, and perhaps a weight.

    file,tag,weight
    rooms/1.jpg,velvet sofa,0.9
    rooms/1.jpg,green
    "rooms/a, b.jpg",lamp,

The first line may name the columns, in any order; without one they are these three. They are separated by commas,
semicolons or tabs. A weight lies above 0 and is at most 1; where none is given it is 1. A Parquet file has the columns
`file` (or another name of a path), `tag` and perhaps `weight`.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dqh.data.cell_lines import cell_lines, columns_of
from dqh.data.list_file import PATH_NAMES
from dqh.data.parquet_table import Table
from dqh.errors import DataError

TAG_NAMES = frozenset({"tag", "tags", "word", "keyword", "annotation", "label"})
WEIGHT_NAMES = frozenset({"weight", "confidence", "score", "probability"})
_NAMES = {"file": PATH_NAMES, "tag": TAG_NAMES, "weight": WEIGHT_NAMES}
_WANTED = "a line is FILE,TAG or FILE,TAG,WEIGHT; the first line may name the columns: file,tag,weight"


class TagLine(NamedTuple):
    """A line of a table.

    Attributes:
        file: as it is written.
        tag: the word, without blanks around it.
        weight: of it; 1 where none is given.
        where: `TABLE:LINE`, or `TABLE#ROW` of a Parquet file.
        fault: why the line cannot be read; "" where it can.
    """

    file: str
    tag: str
    weight: float
    where: str
    fault: str = ""


class _Columns(NamedTuple):
    """Numbers of the columns of a table, None for one that it does not have; and how many a header names, if any."""

    header: int | None
    file: int
    tag: int
    weight: int | None


def read_tag_table(path: Path) -> Iterator[TagLine]:
    """The lines of a table that are not blank, without the header. A table with a header alone has none.

    Raises:
        DataError: it cannot be read, is no table, or is empty.
    """
    return _of_parquet(path) if path.suffix.lower() == ".parquet" else _of_text(path)


def _of_text(path: Path) -> Iterator[TagLine]:
    columns: _Columns | None = None
    for line in cell_lines(path):
        if columns is None:
            columns = _columns(line.cells, line.where)
            if columns.header is not None:
                continue
        try:
            if line.fault:
                raise ValueError(line.fault)
            yield _line(line.cells, columns, line.where)
        except ValueError as error:
            yield TagLine(line.text, "", 1.0, line.where, f"{error}: {line.text!r}")
    if columns is None:
        raise DataError(f"{path} is empty; {_WANTED}. A header alone takes all tags off")


def _columns(header: Sequence[str], where: str) -> _Columns:
    """Which column is which, by the first line; `DataError` where that is no line of a table."""
    if len(header) < 2:
        raise DataError(f"{where}: no columns; {_WANTED}")
    places = columns_of(header, _NAMES)
    if {"file", "tag"} <= places.keys():
        return _Columns(len(header), places["file"], places["tag"], places.get("weight"))
    if len(header) > 3:
        raise DataError(f"{where}: {len(header)} columns, and none is called file, or none tag; {_WANTED}")
    return _Columns(None, 0, 1, 2)


def _line(cells: Sequence[str], columns: _Columns, where: str) -> TagLine:
    """A line by its cells; `ValueError` where it cannot be read."""
    if columns.header is None and not 2 <= len(cells) <= 3:
        raise ValueError(f"{len(cells)} columns, wanted 2 or 3")
    if columns.header is not None and len(cells) != columns.header:
        raise ValueError(f"{len(cells)} columns, but the header has {columns.header}")
    file, tag = cells[columns.file], cells[columns.tag]
    if not file or not tag:
        raise ValueError(f"no {'tag' if file else 'file'}")
    given = "" if columns.weight is None or columns.weight >= len(cells) else cells[columns.weight]
    try:
        weight = float(given or 1)
    except ValueError:
        raise ValueError(f"a weight must be a number, got {given[:40]!r}") from None
    return TagLine(file, tag, weight, where)


def _of_parquet(path: Path) -> Iterator[TagLine]:
    """The rows of a Parquet file; damaged row groups are faults of their rows."""
    table = Table(path)
    places = {column: table.columns[place] for column, place in columns_of(table.columns, _NAMES).items()}
    if not {"file", "tag"} <= places.keys():
        raise DataError(f"{path} has the columns {', '.join(table.columns)}; wanted file and tag, and perhaps weight")
    files, tags = table.labels(places["file"]), table.labels(places["tag"])
    weights = table.numbers(places["weight"]) if "weight" in places else None
    for row, (file, tag) in enumerate(zip(files.values, tags.values, strict=True)):
        weight = 1.0 if weights is None or math.isnan(weights.values[row]) else float(weights.values[row])
        fault = files.faults.get(row) or tags.faults.get(row) or (weights.faults.get(row) if weights else "") or ""
        name, word = str(file).strip(), str(tag).strip()
        if not fault and (files.empty[row] or tags.empty[row] or not name or not word):
            fault = "no file" if files.empty[row] or not name else "no tag"
        yield TagLine(name, word, weight, f"{path}#{row}", fault)
