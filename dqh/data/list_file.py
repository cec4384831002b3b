"""List files: a line an image, its path and what stands behind it, separated by white space or as in a CSV file."""

import csv
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dqh.data.images import has_image_name
from dqh.errors import DataError

logger = logging.getLogger(__name__)

_DELIMITERS = (",", ";", "\t")
_PATH_NAMES = frozenset(
    {"path", "file", "filename", "file_name", "filepath", "image", "image_path", "image_name", "img"}
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_PART = re.compile(r"\S+")


class Line(NamedTuple):
    """A line of a list file.

    Attributes:
        path: as it is written.
        cells: its labels, as they are written.
        where: `FILE:LINE`, for errors.
        names: of the columns that the cells are of, where the file has a header.
    """

    path: str
    cells: tuple[str, ...]
    where: str
    names: tuple[str, ...] = ()


class _Form(NamedTuple):
    """How a file is written: delimiter (None: white space), header, and the columns of the path and of the labels."""

    delimiter: str | None
    header: tuple[str, ...]
    path: int
    labels: tuple[int, ...] | None  # None: all but the path

    def line(self, text: str, where: str, *, bare: bool) -> Line:
        parts = _parts(text, self.delimiter, where, bare=bare)
        wanted = range(len(parts)) if self.labels is None else self.labels
        columns = [column for column in wanted if column != self.path]
        if self.header and len(parts) != len(self.header):
            raise DataError(f"{where}: {len(parts)} columns, but the header has {len(self.header)}")
        if max(self.path, *columns, 0) >= len(parts):
            raise DataError(
                f"{where}: no column {max(self.path, *columns, 0)} in {text[:80]!r}, which has {len(parts)}; they are "
                "counted from 0"
            )
        names = tuple(self.header[column] for column in columns) if self.header else ()
        return Line(parts[self.path], tuple(parts[column] for column in columns), where, names)


def read_list(
    file: Path,
    *,
    path: str | int | None = None,
    label: str | int | None = None,
    delimiter: str | None = None,
    bare: bool = False,
) -> Iterator[Line]:
    """The lines of a list file that are not blank, without the header.

    The first line says how the file is written. Where the part before a comma, a semicolon or a tab is named like an
    image, or a part is a name of a column (`path` or `label` as given, else `path`, `file`, `filename`, `file_name`,
    `filepath`, `image`, `image_path`, `image_name`, `img`), that sign separates the columns, quotes as in CSV files;
    else white space does. A first line with the name of a column is a header. With white space, the path ends with the
    last part that is named like an image, so it may hold spaces; where there is none, 0s and 1s at the end are labels,
    else the last part is.

    Args:
        file: in UTF-8; bytes that are not are kept as lone surrogates.
        path: column of the path, by name or number from 0; None: by the names above, else the first that is no label's.
        label: column of the label, by name or number from 0; None: all but the path.
        delimiter: what separates the columns, one sign; None: as said above.
        bare: whether a line may be a path alone. With white space, what stands behind it is then a label only where it
            is one part behind a name of an image, or 0s and 1s.

    Raises:
        DataError: the file is not text in UTF-8, or a line lacks a column; the text says file and line.
    """
    form: _Form | None = None
    first: dict[str, int] = {}
    again: list[tuple[str, int, int]] = []
    for number, text in _texts(file):
        where = f"{file}:{number}"
        if form is None:
            form = _form(text, where, path=path, label=label, delimiter=delimiter, bare=bare)
            if form.header:
                continue
        line = form.line(text, where, bare=bare)
        if not line.path:
            raise DataError(f"{where}: no path in {text[:80]!r}")
        if first.setdefault(line.path, number) != number:
            again.append((line.path, first[line.path], number))
        yield line
    if again:
        logger.warning(
            "%s names %d paths again, such as %r in the lines %d and %d; an image counts once",
            file,
            len(again),
            *again[0],
        )


def _texts(file: Path) -> Iterator[tuple[int, str]]:
    """Number and text of the lines that are not blank."""
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as stream:
        for number, text in enumerate(stream, start=1):
            if "\0" in text or text.startswith(("\udcff\udcfe", "\udcfe\udcff")):
                raise DataError(
                    f"{file}:{number}: no path in {text[:20]!r}; the file is UTF-16, or no text; save it as UTF-8: "
                    f"iconv -f UTF-16 -t UTF-8 {file.name} > utf8_{file.name}"
                )
            if stripped := text.strip():
                yield number, stripped


def _form(
    text: str, where: str, *, path: str | int | None, label: str | int | None, delimiter: str | None, bare: bool
) -> _Form:
    """How the file is written whose first line this is."""
    given = {name for name in (path, label) if isinstance(name, str)}
    names = given | _PATH_NAMES
    if delimiter is None:
        delimiter = next((sign for sign in _DELIMITERS if _separates(sign, text, where, names=names)), None)
    cells = text.split() if delimiter is None else _parts(text, delimiter, where)
    is_named = any(cell.lower() in _PATH_NAMES for cell in (cells[:1] if delimiter is None else cells))
    is_header = is_named and not any(map(has_image_name, cells)) and not (bare and delimiter is None)
    header = tuple(cells) if given or is_header else ()
    if missing := sorted(given - set(header)):
        raise DataError(
            f"{where}: no column {missing[0]!r}; the header has {', '.join(map(repr, header))}; numbers count from 0"
        )
    labels = None if label is None else header.index(label) if isinstance(label, str) else label
    if path is None:
        usual = [number for number, name in enumerate(header) if name.lower() in _PATH_NAMES]
        path = usual[0] if usual else int(labels == 0)
    column = header.index(path) if isinstance(path, str) else path
    return _Form(delimiter, header, column, None if labels is None else (labels,))


def _separates(sign: str, text: str, where: str, *, names: frozenset[str] | set[str]) -> bool:
    """Whether a sign separates the columns of a line."""
    if sign not in text:
        return False
    if sign == "\t" and all(_INTEGER.fullmatch(part) for part in _parts(text, None, where)[1:]):
        return False  # the field's lists, which mix tabs and spaces
    cells = [cell.strip(" \"'") for cell in text.split(sign)]
    return has_image_name(cells[0]) or any(cell in names or cell.lower() in names for cell in cells)


def _parts(text: str, delimiter: str | None, where: str, *, bare: bool = False) -> list[str]:
    """The columns of a line."""
    if delimiter is None:
        return _by_space(text, bare=bare)
    try:
        (row,) = csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise DataError(f"{where}: {text[:80]!r} is no line of a CSV file: {error}") from error
    return [cell.strip() for cell in row]


def _by_space(text: str, *, bare: bool) -> list[str]:
    """The path, which may hold spaces, and the parts behind it."""
    places = list(_PART.finditer(text))
    parts = [place.group() for place in places]
    end = len(parts)  # of the path
    while end and not has_image_name(parts[end - 1]):
        end -= 1
    named = end > 0
    if not named:
        end = len(parts)
        while end > 1 and is_multi_label(parts[end - 1 : end]):
            end -= 1
        if end == len(parts) > 1:
            end -= 1
    if bare and not (named and len(parts) - end == 1) and not is_multi_label(parts[end:]):
        end = len(parts)
    return [text[: places[end - 1].end()], *parts[end:]]


def is_multi_label(cells: Sequence[str]) -> bool:
    """Whether these are 0s and 1s alone."""
    return all(cell in ("0", "1") for cell in cells)


def is_class_number(cell: str) -> bool:
    """Whether this is a whole number."""
    return _INTEGER.fullmatch(cell) is not None
