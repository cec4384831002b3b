"""What a run of `dqh index` did."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dqh.errors import TooManyBadImagesError

if TYPE_CHECKING:
    from dqh.collection.elsewhere import PartitionRow


@dataclass(frozen=True)
class Indexed:
    """What a run did.

    Attributes:
        added: images that the index did not have.
        replaced: images that have changed, under their old ids.
        relabelled: images that have other labels now; they were not encoded again.
        unchanged: images that the index has as they are.
        skipped: images that cannot be used.
        stale: of these, images that the index has from when they were usable.
        version: of the index.
        rows: of the index.
        seconds: of the whole run.
        images_per_s: that were decoded and encoded.
        report: the file that lists the skipped ones.
        objects: that the index has; its other rows are whole images.
        detected: objects that this run put into the index.
        left_out: boxes of the detector that became no row: smaller than 8 pixels a side, or there already.
        tagged: images that have tags.
        tags_unused: lines of the table of tags that gave none; they are in the report.
        tags_unknown: of these, lines of files that the index does not have.
        partitions: of a run that encoded elsewhere.
        failed: images of partitions that failed, none of which this run put into the index.
    """

    added: int
    replaced: int
    relabelled: int
    unchanged: int
    skipped: int
    stale: int
    version: int
    rows: int
    seconds: float
    images_per_s: float
    report: str
    objects: int = 0
    detected: int = 0
    left_out: int = 0
    tagged: int = 0
    tags_unused: int = 0
    tags_unknown: int = 0
    partitions: tuple["PartitionRow", ...] = ()
    failed: int = 0


class TooManyUnusableError(TooManyBadImagesError):
    """More images are unusable than allowed; `done` is what the run did all the same."""

    def __init__(self, done: Indexed, text: str) -> None:
        super().__init__(text)
        self.done = done
