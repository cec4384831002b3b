"""Detection by class as a table in plain text."""

from dqh.evaluation.detection import DetectionResult
from dqh.evaluation.report.columns import RULE, aligned
from dqh.evaluation.report.table import format_cell
from dqh.plural import counted

_HEAD = ("class", "AP@.5", "AP@[.5:.95]", "AR@100", "boxes", "photos")


def render_detection(result: DetectionResult) -> str:
    """A line a class, their mean below, and what was counted; lines without a newline at the end.

    A class without a true box shows as "–" and is in no mean. A column tells difficult boxes where there are some.
    """
    hard = any(row.difficult for row in result.classes)
    head = [*_HEAD, *["difficult"] * hard]
    lines = [
        [row.name, *map(_shown, row[1:4]), f"{row.boxes:,}", f"{row.photos:,}", *[f"{row.difficult:,}"] * hard]
        for row in result.classes
    ]
    difficult = sum(row.difficult for row in result.classes)
    means = map(_shown, (result.ap50, result.ap, result.ar))
    mean = ["mean", *means, f"{result.boxes:,}", f"{result.photos - result.negatives:,}", *[f"{difficult:,}"] * hard]
    table = aligned([head, RULE, *lines, RULE, mean], left=[0])
    left_out = len(result.classes) - result.measured
    about = (
        f"{counted(result.detections, 'box', 'boxes')} found in {counted(result.photos, 'photo')}, "
        f"{result.negatives:,} without a true box · mean over {counted(result.measured, 'class', 'classes')}"
    )
    about += f"; {left_out} without a true box not measured" * bool(left_out)
    return "\n".join([*table, "", about])


def _shown(value: float | None) -> str:
    return format_cell("average_precision@", value)
