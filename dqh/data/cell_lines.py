"""Tables as text: lines of cells between commas, semicolons or tabs, as far as they can be read."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dqh.data.list_text import list_texts

SIGNS = (",", ";", "\t")
"""What cells are separated by: the first of these that the first line has."""


class CellLine(NamedTuple):
    """A line of a table that is not blank.

    Attributes:
        where: `TABLE:LINE`.
        text: of the line, at most 80 characters of it.
        cells: without blanks around them; none where the line cannot be read.
        fault: why it cannot, or "".
    """

    where: str
    text: str
    cells: tuple[str, ...]
    fault: str = ""


def cell_lines(path: Path) -> Iterator[CellLine]:
    """The lines of a table; one of a single column has one cell a line.

    Raises:
        DataError: the file cannot be read, or is no text, see `dqh.data.list_text.list_texts`.
    """
    sign: str | None = None
    for number, text, fault in list_texts(path):
        if sign is None:
            sign = next((sign for sign in SIGNS if sign in text), "")
        cells: tuple[str, ...] = ()
        if not fault:
            try:
                cells = tuple(_cells(text, sign)) if sign else (text,)
            except ValueError as error:
                fault = str(error)
        yield CellLine(f"{path}:{number}", text[:80], cells, fault)


def columns_of(header: Sequence[str], names: Mapping[str, Collection[str]]) -> dict[str, int]:
    """Which column is which by a header in any case: the first that has one of its names; what has none is left out.

    Example:
        >>> columns_of(["File", "weight"], {"path": ("path", "file"), "tag": ("tag",)})
        {'path': 0}
    """
    lowered = [cell.lower() for cell in header]
    places = {
        column: next((place for place, name in enumerate(lowered) if name in known), None)
        for column, known in names.items()
    }
    return {column: place for column, place in places.items() if place is not None}


def _cells(text: str, sign: str) -> list[str]:
    try:
        (row,) = csv.reader([text], delimiter=sign, skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise ValueError(f"no line of a CSV file ({error})") from error
    return [cell.strip() for cell in row]
