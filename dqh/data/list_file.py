"""List files: a line an image, its path and what stands behind it, separated by white space or as in a CSV file.

A line that cannot be used is told from the others by its `fault`: it is one unusable image, and never ends a run.
"""

import csv
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dqh.data.data_file import Location
from dqh.data.images import has_image_name
from dqh.data.list_text import as_utf8, is_utf8, list_texts
from dqh.errors import DataError
from dqh.plural import counted
from dqh.urls import has_secret, is_url, redacted

logger = logging.getLogger(__name__)

_DELIMITERS = (",", ";", "\t")
PATH_NAMES = frozenset(
    {"path", "file", "filename", "file_name", "filepath", "image", "image_path", "image_name", "img"}
)
"""What a column of paths may be called."""

_PATH_BYTES = 2**12  # no system opens a longer one,
_NAME_LETTERS = 255  # nor one of a longer name
_LABEL_BYTES = 2**15  # as an index takes them
CLASS_DIGITS = 18
"""Digits of a class number at most."""

_INTEGER = re.compile(rf"[+-]?[0-9]{{1,{CLASS_DIGITS}}}")
_PART = re.compile(r"\S+")


class Line(NamedTuple):
    """A line of a list file.

    Attributes:
        path: as it is written; the line as far as it shows, where that has a fault.
        cells: its labels, as they are written.
        where: `FILE:LINE`, for errors.
        names: of the columns that the cells are of, where the file has a header.
        fault: why the line cannot be used; "" where it can.
    """

    path: str
    cells: tuple[str, ...]
    where: str
    names: tuple[str, ...] = ()
    fault: str = ""


class _LineError(ValueError):
    """A line that cannot be used; the text is its fault."""


class _Form(NamedTuple):
    """How a file is written: delimiter (None: white space), header, and the columns of the path and of the labels."""

    delimiter: str | None
    header: tuple[str, ...]
    path: int
    labels: tuple[int, ...] | None  # None: all but the path

    def line(self, text: str, where: str, *, bare: bool) -> Line:
        parts = _parts(text, self.delimiter, bare=bare)
        wanted = range(len(parts)) if self.labels is None else self.labels
        columns = [column for column in wanted if column != self.path]
        if self.header and len(parts) != len(self.header):
            raise _LineError(f"{counted(len(parts), 'column')}, but the header has {len(self.header)}")
        if max(self.path, *columns, 0) >= len(parts):
            raise _LineError(f"no column {max(self.path, *columns, 0)} among {len(parts)}, which are counted from 0")
        names = tuple(self.header[column] for column in columns) if self.header else ()
        return _checked(Line(parts[self.path], tuple(parts[column] for column in columns), where, names))


def read_list(
    file: Location,
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
        file: a path, or a URL as text, in UTF-8; bytes that are not are kept as lone surrogates.
        path: column of the path, by name or number from 0; None: by the names above, else the first that is no label's.
        label: column of the label, by name or number from 0; None: all but the path.
        delimiter: what separates the columns, one sign; None: as said above.
        bare: whether a line may be a path alone. With white space, what stands behind it is then a label only where it
            is one part behind a name of an image, or 0s and 1s.

    Returns:
        All lines. Those with a fault: another number of columns than the header, columns that are not there, no path,
        a URL with a secret in it, one of more than 4,096 bytes or with a name of more than 255 letters, a label of more
        than 32,768 bytes or that is not UTF-8, the character NUL, quotes that do not end. Paths may hold any bytes, as
        names on the disk do; a warning says how many do.

    Raises:
        DataError: the file cannot be read, is no text in UTF-8, or lacks a column by name.
    """
    form: _Form | None = None
    first: dict[str, int] = {}
    again: list[tuple[str, int, int]] = []
    odd: list[int] = []
    for number, text, fault in list_texts(file):
        where = f"{file}:{number}"
        try:
            if fault:
                raise _LineError(fault)
            if form is None:
                form = _form(text, file, where, path=path, label=label, delimiter=delimiter, bare=bare)
                if form.header:
                    continue
            line = form.line(text, where, bare=bare)
        except _LineError as error:
            told = redacted(text)[:80]
            yield Line(told, (), where, fault=f"{error}: {told!r}")
            continue
        if first.setdefault(line.path, number) != number:
            again.append((line.path, first[line.path], number))
        if not is_utf8(line.path):
            odd.append(number)
        yield line
    if again:
        logger.warning(
            "%s names %s again, such as %r in the lines %d and %d; an image counts once",
            file,
            counted(len(again), "path"),
            *again[0],
        )
    if odd:
        logger.warning(
            "%s holds %s in other bytes than UTF-8, the first in line %d; files of just these bytes are looked for; "
            "if the disk has them in UTF-8, write the list anew: %s",
            *(file, counted(len(odd), "path"), odd[0], as_utf8(file, "ISO-8859-1")),
        )


def alike(lines: Sequence[Line], *, bare: bool = False) -> list[Line]:
    """The lines of one collection, with a fault where labels are not as most have them; a `bare` line may have none."""
    widths = Counter(len(line.cells) for line in lines if not line.fault and line.cells)
    width = widths.most_common(1)[0][0] if widths else 0
    return [line if line.fault else line._replace(fault=_unlike(line, width, bare=bare)) for line in lines]


def _unlike(line: Line, width: int, *, bare: bool) -> str:
    """Why the labels of a line cannot be used; "" where they can."""
    if bare and line.cells in ((), ("",)):
        return ""
    if not line.cells or "" in line.cells:
        another = "" if bare else "; where another sign than white space separates them, write data.delimiter"
        return f"no labels behind {line.path[:80]!r}; a line is `path class` or `path l_1 … l_C`{another}"
    if len(line.cells) != width:
        return f"{counted(len(line.cells), 'label')} behind {line.path[:80]!r}, but most lines have {width}"
    if len(line.cells) > 1 and not is_multi_label(line.cells):
        which = "keep the column of the class alone" if bare else _which_column(line)
        return f"labels {', '.join(line.cells)[:80]}; several columns hold a 0 or 1 for each class; {which}"
    return ""


def _which_column(line: Line) -> str:
    choices = f" or {', '.join(line.names)[:200]}" if line.names else ""
    return f"say which one is the class: data.label=1 … {len(line.cells)}{choices}"


def _checked(line: Line) -> Line:
    """The line; `_LineError` where what it holds cannot be used."""
    if not line.path:
        raise _LineError("no path")
    if has_secret(line.path):
        raise _LineError("a URL with a password, key or signature in it; leave that to the environment")
    _require_short("path", line.path, _PATH_BYTES)
    if (longest := max(map(len, line.path.split("/")))) > _NAME_LETTERS:
        raise _LineError(f"a name of {longest} letters in the path, above {_NAME_LETTERS}")
    for cell in line.cells:
        _require_short("label", cell, _LABEL_BYTES)
        if not is_utf8(cell):
            file = line.where.rpartition(":")[0]
            anew = as_utf8(file if is_url(file) else Path(file), "ISO-8859-1")
            raise _LineError(f"the label {cell[:80]!r} is not UTF-8; write the list anew, from Latin-1 by {anew}")
    return line


def _require_short(what: str, text: str, most: int) -> None:
    if len(text) * 4 > most and (size := len(text.encode("utf-8", "surrogateescape"))) > most:
        raise _LineError(f"a {what} of {size} bytes, above {most}")


def _form(
    text: str,
    file: Location,
    where: str,
    *,
    path: str | int | None,
    label: str | int | None,
    delimiter: str | None,
    bare: bool,
) -> _Form:
    """How the file is written whose first line this is."""
    given = {name for name in (path, label) if isinstance(name, str)}
    names = given | PATH_NAMES
    if delimiter is None:
        delimiter = next((sign for sign in _DELIMITERS if _separates(sign, text, names=names)), None)
    cells = text.split() if delimiter is None else _parts(text, delimiter)
    is_named = any(cell.lower() in PATH_NAMES for cell in (cells[:1] if delimiter is None else cells))
    is_header = is_named and not any(map(has_image_name, cells)) and not (bare and delimiter is None)
    header = tuple(cells) if given or is_header else ()
    if missing := sorted(given - set(header)):
        raise DataError(
            f"{where}: no column {missing[0]!r}; the header has {', '.join(map(repr, header))}; numbers count from 0"
        )
    if twice := sorted(name for name in given if header.count(name) > 1):
        numbers = " or ".join(str(number) for number, name in enumerate(header) if name == twice[0])
        raise DataError(
            f"{where}: {header.count(twice[0])} columns are called {twice[0]!r}; give the number of one, {numbers}, in "
            "the place of the name"
        )
    if not all(map(is_utf8, header)):
        raise DataError(
            f"{where}: the header {', '.join(header)[:80]!r} is not UTF-8; write the list anew, from Latin-1 by "
            f"{as_utf8(file, 'ISO-8859-1')}"
        )
    labels = None if label is None else header.index(label) if isinstance(label, str) else label
    if path is None:
        usual = [number for number, name in enumerate(header) if name.lower() in PATH_NAMES]
        path = usual[0] if usual else int(labels == 0)
    column = header.index(path) if isinstance(path, str) else path
    return _Form(delimiter, header, column, None if labels is None else (labels,))


def _separates(sign: str, text: str, *, names: frozenset[str] | set[str]) -> bool:
    """Whether a sign separates the columns of a line."""
    if sign not in text:
        return False
    if sign == "\t" and all(_INTEGER.fullmatch(part) for part in _parts(text, None)[1:]):
        return False  # the field's lists, which mix tabs and spaces
    cells = [cell.strip(" \"'") for cell in text.split(sign)]
    return has_image_name(cells[0]) or any(cell in names or cell.lower() in names for cell in cells)


def _parts(text: str, delimiter: str | None, *, bare: bool = False) -> list[str]:
    """The columns of a line."""
    if delimiter is None:
        return _by_space(text, bare=bare)
    try:
        (row,) = csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise _LineError(f"no line of a CSV file ({error})") from error
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
