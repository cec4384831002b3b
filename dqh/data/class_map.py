"""Class names of one vocabulary in another: motorcycle is motorbike.

A class map is a CSV file in UTF-8 without a header, a line a class: the name as the data (or a detector) have it, and
the name that it gets here.

    motorcycle,motorbike
    "dining table",table
    zebra,

A line without a second name leaves that class out. A name that no line has stays as it is, and names are mapped once:
what a line gives is not looked up again.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.config.names import nearest
from dqh.data.data_file import open_data
from dqh.errors import DataError
from dqh.plural import counted

MAX_BYTES = 2**20
"""Cap on the size of a class map."""

LEFT_OUT = -1
"""In place of the number of a class that a map leaves out."""

_SHOWN = 8  # problems in a message
_NAMED = 20  # classes in a message
_LINE = "a line is `NAME,NAME HERE`, or `NAME,` to leave a class out"


class ClassMap(NamedTuple):
    """Names as the data have them → names here, None of what is left out; an empty one changes nothing."""

    names: Mapping[str, str | None] = {}
    file: str = ""

    def __call__(self, name: str) -> str | None:
        """The name here, or None where the class is left out."""
        return self.names.get(name, name)


def read_class_map(file: Path) -> ClassMap:
    """The class map in a file.

    Raises:
        DataError: the file is not there, cannot be read, is too large or no UTF-8, or lines of it are wrong, which are
            told together.
    """
    with open_data(file, kind="class map", advice=_LINE) as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DataError(f"{file} has more than {MAX_BYTES} bytes; is it a class map? {_LINE}")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is no UTF-8 ({error.reason} at byte {error.start}); write the class map anew"
        ) from error
    names: dict[str, str | None] = {}
    first: dict[str, int] = {}
    problems = []
    for place, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            name, meant = _cells(line)
        except ValueError as error:
            problems.append(f"{file}:{place}: {error}: {line[:80]!r}")
            continue
        if name in names and names[name] != meant:
            problems.append(f"{file}:{place}: {name!r} is {meant!r}, but {names[name]!r} in line {first[name]}")
            continue
        names[name] = meant
        first.setdefault(name, place)
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise DataError("\n".join([*problems[:_SHOWN], *more]))
    if not names:
        raise DataError(f"{file} maps no class; {_LINE}")
    return ClassMap(names, str(file))


def _cells(line: str) -> tuple[str, str | None]:
    """The two names of a line; `ValueError` where it has others."""
    try:
        (row,) = csv.reader([line], skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise ValueError(f"no line of a CSV file ({error})") from error
    cells = [cell.strip() for cell in row]
    if len(cells) != 2:
        raise ValueError(f"{counted(len(cells), 'column')}, wanted 2; {_LINE}")
    if not cells[0]:
        raise ValueError(f"no name before the comma; {_LINE}")
    return cells[0], cells[1] or None


def class_numbers(
    names: Sequence[str], classes: Sequence[str], class_map: ClassMap | None = None, *, what: str = "the detector"
) -> NDArray[np.int64]:
    """(C,) the number in `classes` of each of C names, `LEFT_OUT` where the map leaves it out.

    Args:
        names: of another vocabulary, such as a detector's.
        classes: the names here.
        class_map: None where both call everything the same.
        what: whose names they are, for the error.

    Raises:
        DataError: names are none of `classes`, told together with the nearest ones.

    Example:
        >>> class_numbers(["cat", "motorcycle"], ["motorbike", "cat"], ClassMap({"motorcycle": "motorbike"}))
        array([1, 0])
    """
    class_map = class_map or ClassMap()
    number = {name: place for place, name in enumerate(classes)}
    mapped = [class_map(name) for name in names]
    if unknown := [
        name for name, meant in zip(names, mapped, strict=True) if meant is not None and meant not in number
    ]:
        raise DataError(unknown_classes(dict.fromkeys(unknown, 0), classes, class_map, what=what))
    return np.array([LEFT_OUT if meant is None else number[meant] for meant in mapped], dtype=np.int64)


def unknown_classes(counts: Mapping[str, int], classes: Sequence[str], class_map: ClassMap, *, what: str) -> str:
    """The error about names that are none of the classes: all of them, each with the nearest class.

    Args:
        counts: names as the data have them → number of boxes, 0 where there are none to count.
        classes: the names here.
        class_map: by which they were looked up.
        what: whose names they are.
    """
    few = ", ".join(classes[:_NAMED]) + ", …" * (len(classes) > _NAMED)
    file = class_map.file or "a CSV file, given as class_map"
    return "\n".join(
        [
            f"{counted(len(counts), 'class', 'classes')} of {what} {'is' if len(counts) == 1 else 'are'} none of the "
            f"{len(classes)} wanted ({few}):",
            *(_unknown(name, counts[name], classes, class_map) for name in sorted(counts, key=lambda n: -counts[n])),
            f"map them in {file} ({_LINE}), or add them to classes",
        ]
    )


def _unknown(name: str, count: int, classes: Sequence[str], class_map: ClassMap) -> str:
    meant = class_map(name) or name
    mapped = f", mapped to {meant!r}" if meant != name else ""
    boxes = f" ({counted(count, 'box', 'boxes')})" if count else ""
    near = nearest(meant, classes)
    return f"  {name!r:.80}{mapped}{boxes}" + (f"; did you mean {near!r}?" if near else "")
