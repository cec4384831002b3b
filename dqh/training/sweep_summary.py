"""What the cells of a sweep show together: how each stands, and mean ± standard deviation over seeds.

The picture is drawn in `sweep_plot`, files are written in `sweep_files`.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dqh.evaluation.report.metrics_rows import BOXES, measured_rows
from dqh.evaluation.report.table import COMPARED, finite, main_search
from dqh.training.sweep import Cell, State, Sweep

METRICS = ("mAP@all", "mAP@1000", "P@100", "accuracy", "AP@.5", "AP@[.5:.95]", "AR@100", "recall", "minutes")
"""Columns of the summary, of codes and of detectors; those that no cell has are left out."""


class Outcome(NamedTuple):
    """How a cell stands.

    Attributes:
        cell: which one.
        state: `complete`, `failed` or `waiting`.
        metrics: the content of its `metrics.json`; empty unless it is complete.
        error: the first line of its `error.txt`; "" unless it failed.
    """

    cell: Cell
    state: State
    metrics: Mapping[str, Any]
    error: str

    @property
    def minutes(self) -> float | None:
        """Of the training loops, without validation, the networks to compare with, and evaluation."""
        seconds = finite(self.metrics.get("training", {}).get("seconds"))
        return None if seconds is None else seconds / 60


class Spread(NamedTuple):
    """A value over several seeds.

    Attributes:
        mean: of the values.
        sd: sample standard deviation, with n − 1; None for a single value.
    """

    mean: float
    sd: float | None


class Combination(NamedTuple):
    """One way of searching, or what detectors find, under one combination of settings, over its seeds.

    Attributes:
        settings: setting → value, the seed aside.
        search: the name of the row, see `measured_rows`.
        seeds: cells that have the row.
        metrics: metric → spread over the cells that have it.
        main: whether the row is that of the codes alone, or of a detector.
    """

    settings: Mapping[str, str]
    search: str
    seeds: int
    metrics: Mapping[str, Spread]
    main: bool = False


def collect(sweep: Sweep) -> list[Outcome]:
    """How every cell stands, in the order of the cells."""
    outcomes = []
    for cell in sweep.cells:
        state, metrics, error = cell.state, {}, ""
        if state == "complete":
            try:
                metrics = _measured(cell.folder / "metrics.json")
            except (ValueError, RecursionError):
                state, error = "failed", "metrics.json is damaged; delete it and give the command again"
        elif state == "failed":
            error = (cell.folder / "error.txt").read_text(encoding="utf-8").partition("\n")[0]
        outcomes.append(Outcome(cell, state, metrics, error))
    return outcomes


def _measured(file: Path) -> dict[str, Any]:
    metrics = json.loads(file.read_bytes())
    if not isinstance(metrics, dict):
        raise ValueError(f"{file} is no JSON object")
    return metrics


def summarise(outcomes: Sequence[Outcome]) -> list[Combination]:
    """Mean and standard deviation over seeds, for each other combination and way of searching of the complete cells."""
    groups: dict[tuple[tuple[str, str], ...], list[Outcome]] = {}
    for outcome in outcomes:
        settings = tuple((key, value) for key, value in outcome.cell.values.items() if key != "seed")
        groups.setdefault(settings, []).append(outcome)
    combinations = []
    for settings, group in groups.items():
        rows_by_search: dict[str, list[dict[str, object]]] = {}
        main = {main_search(outcome.metrics) or BOXES for outcome in group}
        for outcome in group:
            for row in measured_rows(outcome.metrics):
                own = {} if row["search"] in COMPARED else {"minutes": outcome.minutes}
                rows_by_search.setdefault(row["search"], []).append(row | own)
        for search, rows in rows_by_search.items():
            values = {name: [value for row in rows if (value := finite(row.get(name))) is not None] for name in METRICS}
            spreads = {name: spread(numbers) for name, numbers in values.items() if numbers}
            combinations.append(Combination(dict(settings), search, len(rows), spreads, search in main))
    return combinations


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation of at least one value.

    Example:
        >>> spread([1.0, 2.0, 3.0])
        Spread(mean=2.0, sd=1.0)
    """
    return Spread(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None)
