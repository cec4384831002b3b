"""The list of images that could not be used, and the limit on how many there may be."""

import csv
import io
import logging
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from dqh.data.source import Source
from dqh.errors import DataError, TooManyBadImagesError
from dqh.files import write_bytes
from dqh.plural import counted

logger = logging.getLogger(__name__)


def write_skipped(path: Path, source: Source, skipped: Mapping[int, str]) -> None:
    """Write `skipped.csv`: one line `path,reason` an unusable image, by row, file names as the disk has them.

    What makes no row follows: list lines, annotations and rows of tables that cannot be used, boxes that are left out
    of their photos, folders that cannot be looked into.
    """
    ids = source.ids
    rows = ((str(ids[row]), skipped[row]) for row in sorted(skipped))
    others = chain(source.unusable.items(), source.unusable_parts.items(), source.unlisted.items())
    write_bytes(path, reasons_csv(chain(rows, others)))


def reasons_csv(reasons: Iterable[tuple[str, str]]) -> bytes:
    """The content of `skipped.csv` of image paths and reasons, see `write_skipped`."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("path", "reason"))
    lines.writerows(reasons)
    return text.getvalue().encode("utf-8", "surrogateescape")


def report_skipped(source: Source, skipped: Mapping[int, str], *, total: int, file: Path | None = None) -> None:
    """List what cannot be used, if there is anything, say how much it is, and stop where it is too much.

    Args:
        source: of the images.
        skipped: reasons by row.
        total: rows that were tried.
        file: the list, see `write_skipped`; None for no list: the first reason is told then.

    Raises:
        TooManyBadImagesError: see `check_bad_fraction`.
        OSError: the list cannot be written.
    """
    if file is not None and (skipped or source.unusable or source.unusable_parts or source.unlisted):
        write_skipped(file, source, skipped)
    images, boxes = len(skipped) + len(source.unusable), len(source.unusable_parts)
    told = [counted(images, "image")] * bool(images) + [counted(boxes, "box", "boxes")] * bool(boxes)
    if told:
        where = _first(source, skipped) if file is None else f"listed in {file}"
        logger.warning("%s of %s cannot be used, %s", " and ".join(told), source.name, where)
    check_bad_fraction(source, skipped, total=total, report=file)


def _first(source: Source, skipped: Mapping[int, str]) -> str:
    """What cannot be used, and why, of the first one that there is."""
    rows = {str(source.ids[row]): skipped[row] for row in sorted(skipped)[:1]}
    path, reason = next(iter((rows or source.unusable or source.unusable_parts).items()))
    return f"the first: {path!r}: {reason}"


def check_bad_fraction(source: Source, skipped: Mapping[int, str], *, total: int, report: Path | None = None) -> None:
    """Stop where more than `source.max_bad_fraction` of the images cannot be used.

    `total` rows were tried; what is unusable and makes no row counts beside them. The error names the `report`.

    Raises:
        TooManyBadImagesError: there are too many.
    """
    count, total = len(skipped) + len(source.unusable), total + len(source.unusable)
    if count <= source.max_bad_fraction * total:
        return
    raise _too_many(
        f"{count} of {counted(total, 'image')} of {source.name}",
        count / total,
        most=source.max_bad_fraction,
        rest=(f", listed in {report}" if report else "") + f"; {_first(source, skipped)}",
    )


def check_unusable(unusable: Mapping[str, str], *, total: int, source: Source, noun: str) -> None:
    """Stop where too much of what lists or tables name can make no row, as with a wrong column.

    `total` is how many there are, these among them.

    Raises:
        DataError: all of it is unusable; the text is the reason of the first.
        TooManyBadImagesError: there is more than `source.max_bad_fraction`.
    """
    if len(unusable) <= source.max_bad_fraction * total and (len(unusable) < total or not total):
        return
    place, reason = next(iter(unusable.items()))
    if len(unusable) == total:
        raise DataError(f"{place}: {reason}" + f" (and so on: no {noun} can be used)" * (total > 1))
    raise _too_many(
        f"{len(unusable)} of {counted(total, noun)} of {source.name}",
        len(unusable) / total,
        most=source.max_bad_fraction,
        rest=f"; the first: {place}: {reason}",
    )


def _too_many(what: str, fraction: float, *, most: float, rest: str) -> TooManyBadImagesError:
    return TooManyBadImagesError(
        f"{what} cannot be used ({fraction:.2%}, above data.max_bad_fraction={most}){rest}. Mend or remove them, or "
        "raise data.max_bad_fraction"
    )
