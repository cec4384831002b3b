"""What a study of crops found: table, answers to its questions, picture, and files. Nothing is measured here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dqh.evaluation.measure import Row
from dqh.evaluation.report.table import caption, format_cell, format_signed
from dqh.evaluation.study.result import dot_plot
from dqh.evaluation.study.study_files import Picture, StudyTable, write_study

_HEADS = {"dimension": "F", "bytes_per_item": "bytes/object", "query_ms": "ms/query", "query": "query shows"}
_HEADS |= {"database": "database shows"}


@dataclass(frozen=True)
class CropResult:
    """A study of crops, or as much of it as is done.

    Attributes:
        protocol: what was compared with what; plain JSON values.
        rows: one a network, tap, pair of regions, form and distance: `network`, `weights`, `size` (side of the input,
            pixels), `tap`, `query` and `database` (names of regions), `dimension`, `form`, `distance`, `P@…`,
            `mAP@all`, `bytes_per_item`, and `query_ms` where queries were timed.
    """

    protocol: Mapping[str, Any]
    rows: Sequence[Row]

    def text(self) -> str:
        """Table, answers and protocol for a terminal."""
        return self._table().text(self.answers(), self.caption())

    def caption(self) -> str:
        """One line that says what was measured, and what a random order scores."""
        metric = self._metric()
        random = format_cell(metric, self.protocol["random_order"][metric])
        photos = f"objects of {self.protocol['query_photos']:,} and {self.protocol['database_photos']:,} photos"
        return f"{caption(self.protocol)} · {photos} · a random order scores {metric} {random}"

    def answers(self) -> list[tuple[str, str]]:
        """The two questions, each with its answer in numbers, by P@K of the best network and tap."""
        best = max(self.rows, key=self._score)
        here = [row for row in self.rows if all(row[key] == best[key] for key in ("network", "weights", "tap"))]
        regions = {(row["query"], row["database"]): row for row in sorted(here, key=self._score)}
        by_score = sorted(regions.values(), key=self._score, reverse=True)
        same = [row for row in here if (row["query"], row["database"]) == (best["query"], best["database"])]
        forms = {row["form"]: row for row in sorted(same, key=self._score)}
        start = f"{self._metric()} of {best['network']} {best['tap']}"
        whole = next((row for row in by_score if row["query"] != row["database"]), None)
        gain = (
            ""
            if whole is None
            else (
                f"; pointing at the object brings {format_signed(self._score(best) - self._score(whole))} over the "
                "whole photo as the query"
            )
        )
        return [
            ("which part of the photo?", f"{start}: {', '.join(map(self._region, by_score))}{gain}"),
            (
                "raw, binarised, learned?",
                f"{start}, {best['query']}: "
                + ", ".join(
                    f"{_form(row)} {self._shown(row)} in {row['bytes_per_item']:,} bytes"
                    for row in sorted(forms.values(), key=self._score, reverse=True)
                ),
            ),
        ]

    def markdown(self, *, command: str, picture: str, note: str = "") -> str:
        """A page with protocol, command, picture by its address, answers and table; `note` is more on the numbers."""
        return self._table().page(
            self.answers(),
            self.caption(),
            title=f"Which part of a photo is searched best? Crops of {self.protocol['data']}",
            command=command,
            pictures=[self._picture(picture)],
            note=note,
        )

    def write(self, folder: Path, *, command: str, name: str = "study", note: str = "") -> None:
        """Write `<name>.csv`, `.json`, `.svg` and `.md`, see `markdown`, into a folder that exists, each atomically."""
        write_study(
            folder,
            name,
            command=command,
            protocol=self.protocol,
            rows=self.rows,
            pictures=[self._picture(f"{name}.svg")],
            page=self.markdown(command=command, picture=f"{name}.svg", note=note),
        )

    def _picture(self, file: str) -> Picture:
        """A line of it is a tap; here it is a pair of regions."""
        metric = self._metric()
        return Picture(
            file,
            f"{metric} by region and form",
            lambda: dot_plot(
                [{**row, "network": f"{row['network']} {row['tap']}", "tap": _regions(row)} for row in self.rows],
                metric=metric,
                random_order=float(self.protocol["random_order"][metric]),
                about=caption(self.protocol, settings=()),
                title=f"{metric} by region and form",
                unit="an object",
            ),
        )

    def _metric(self) -> str:
        return [name for name in self.rows[0] if name.startswith("P@")][-1]

    def _score(self, row: Row) -> float:
        return float(row[self._metric()])

    def _shown(self, row: Row) -> str:
        return format_cell(self._metric(), row[self._metric()])

    def _region(self, row: Row) -> str:
        return f"{_regions(row)} {self._shown(row)} ({_form(row)})"

    def _columns(self) -> list[str]:
        quality = [name for name in self.rows[0] if name.startswith(("P@", "mAP@"))]
        quality.sort(key=lambda name: name.startswith("mAP@"))
        costs = [name for name in ("bytes_per_item", "query_ms") if name in self.rows[0]]
        start = ["network", "weights", "size", "tap", "query", "database", "dimension", "form", "distance"]
        return [*start, *quality, *costs]

    def _table(self) -> StudyTable:
        columns = self._columns()
        cells = [[format_cell(name, row.get(name)) for name in columns] for row in self.rows]
        return StudyTable(columns, cells, heads=_HEADS)


def _regions(row: Row) -> str:
    return str(row["query"]) if row["query"] == row["database"] else f"{row['query']} → {row['database']}"


def _form(row: Row) -> str:
    if row["form"] == "raw":
        return f"raw {row['distance']}"
    return f"{row['form']} codes" if row["form"] == "learned" else f"bits {row['form']}"
