"""The names of a detector's classes, from a text file of one a line; those of COCO are here."""

import os
from pathlib import Path

from dqh.errors import DataError
from dqh.files import read_regular

COCO = "coco"
"""Stands for the 80 classes of COCO (Lin et al. 2014), in the order that networks trained on it have them."""

MOST = 10_000
"""Names of one detector."""

LONGEST = 200
"""Letters of a name."""

_MAX_BYTES = 4 * 2**20


def read_class_names(place: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names in a file, one a line in the order of the network's output; those of COCO for `coco`.

    Args:
        place: of the file, UTF-8, where blanks around a name and empty lines at the end do not count.

    Raises:
        DataError: there is no such file, or it does not hold different names, one a line.

    Example:
        >>> read_class_names("coco")[:3]
        ('person', 'bicycle', 'car')
    """
    own = os.fspath(place) == COCO
    file = Path(__file__).with_name("coco.txt") if own else Path(place)
    try:
        text = read_regular(file, most=_MAX_BYTES, links=True).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise DataError(
            f"no class names in {file}: {reason}; give a text file with one name a line, in the order of the network's "
            f"output, or {COCO}"
        ) from error
    lines = [line.strip() for line in text.rstrip().split("\n")]
    if problem := name_problem(lines):
        raise DataError(f"{file}: {problem}; give one name a line, in the order of the network's output")
    return tuple(lines)


def name_problem(names: list[str]) -> str | None:
    """What is wrong with the names of a detector's classes, counted from line 1; None where nothing is."""
    if not 1 <= len(names) <= MOST:
        return f"it has {len(names):,} names, wanted 1 … {MOST:,}"
    lines: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name:
            return f"line {number} is empty"
        if len(name) > LONGEST or not name.isprintable():
            return f"line {number} is no name of at most {LONGEST} letters that can be shown"
        if name in lines:
            return f"line {number} names {name!r}, as line {lines[name]} does"
        lines[name] = number
    return None
