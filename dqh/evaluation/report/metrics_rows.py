"""What an evaluation measured, as rows of one form: of codes one a way of searching, of a detector a single one."""

from collections.abc import Mapping
from typing import Any

from dqh.evaluation.report.table import mapping_at, records_at

BOXES = "boxes"
"""The name of a detector's row."""


def measured_rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the content of `metrics.json`; none where nothing was measured.

    Example:
        >>> measured_rows({"detection": {"ap50": 0.5, "ap": 0.25, "ar": 0.5}, "proposals": {"recall": 0.75}})
        [{'search': 'boxes', 'AP@.5': 0.5, 'AP@[.5:.95]': 0.25, 'AR@100': 0.5, 'recall': 0.75}]
    """
    if "detection" not in metrics:
        return [dict(row) for row in records_at(metrics, "rows")]
    detection = mapping_at(metrics, "detection")
    scores = {"AP@.5": detection.get("ap50"), "AP@[.5:.95]": detection.get("ap"), "AR@100": detection.get("ar")}
    return [{"search": BOXES} | scores | {"recall": mapping_at(metrics, "proposals").get("recall")}]
