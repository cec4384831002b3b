"""The list of images that could not be used, and the limit on how many there may be."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from dqh.data.source import Source
from dqh.errors import TooManyBadImagesError
from dqh.files import write_bytes


def write_skipped(path: Path, source: Source, skipped: Mapping[int, str]) -> None:
    """Write `skipped.csv`: one line `path,reason` an unusable image, by row, file names as the disk has them.

    Args:
        path: of the file, replaced atomically.
        source: the data.
        skipped: the reason of each row left out.
    """
    ids = source.ids
    write_bytes(path, reasons_csv((str(ids[row]), skipped[row]) for row in sorted(skipped)))


def reasons_csv(reasons: Iterable[tuple[str, str]]) -> bytes:
    """The content of `skipped.csv` of image paths and reasons, see `write_skipped`."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("path", "reason"))
    lines.writerows(reasons)
    return text.getvalue().encode("utf-8", "surrogateescape")


def check_bad_fraction(source: Source, skipped: Mapping[int, str], *, total: int, report: Path | None = None) -> None:
    """Stop where more than `source.max_bad_fraction` of the images cannot be used.

    Args:
        source: the data.
        skipped: the reason of each row left out.
        total: how many rows were tried.
        report: the file that lists them, named in the error.

    Raises:
        TooManyBadImagesError: there are too many.
    """
    if len(skipped) <= source.max_bad_fraction * total:
        return
    first = min(skipped)
    where = f", listed in {report}" if report else ""
    raise TooManyBadImagesError(
        f"{len(skipped)} of {total} images of {source.name} cannot be used ({len(skipped) / total:.2%}, above "
        f"data.max_bad_fraction={source.max_bad_fraction}){where}; the first: {str(source.ids[first])!r}: "
        f"{skipped[first]}. Mend or remove them, or raise data.max_bad_fraction"
    )
