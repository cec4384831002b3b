"""What a study of searches found: table, answers to its questions, pictures, and files. Nothing is measured here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dqh.evaluation.measure import Row
from dqh.evaluation.report.table import DASH, caption, format_cell, significant
from dqh.evaluation.study.search_plots import growth_plot, memory_plot, time_plot
from dqh.evaluation.study.study_files import Picture, StudyTable, write_study

_HEADS = {
    "query_ms": "ms alone",
    "batch_ms": "ms in batch",
    "vectors_compared": "vectors compared",
    "codes_compared": "codes compared",
    "theory_compared": "by theory",
    "bytes_per_item": "bytes/item",
    "build_seconds": "building, s",
}
_COSTS = tuple(_HEADS)


def title(name: str, codes: str) -> str:
    """How a method is called in tables and pictures.

    Example:
        >>> title("hnsw", ""), title("codes", "itq")
        ('hnsw', 'codes, itq')
    """
    return f"{name}, {codes}" if codes else name


@dataclass(frozen=True)
class SearchResult:
    """A study of searches, or as much of it as is done.

    Attributes:
        protocol: what was compared with what; plain JSON values.
        rows: one a size, method and setting. `items`: N. `search`, `codes`, `setting`: the method. `recall@…` of the
            truly nearest; `mAP@…` where there are labels, and no made-up items. `query_ms`: median of one query alone;
            `batch_ms`: of each of `batch` queries together. `vectors_compared`, `codes_compared`: counted, means over
            the queries; `theory_compared`: how many there are by the textbook, where it gives a number;
            `bytes_compared`: of both. `bytes_per_item`: that are kept; `scanned_bytes_per_item`: of these, what is
            read of any item; `shared_bytes`: of centres and codebooks. `build_seconds`.
    """

    protocol: Mapping[str, Any]
    rows: Sequence[Row]

    def text(self) -> str:
        """Table, answers and protocol for a terminal."""
        return "\n".join([self._table().text(self.answers(), self.caption()), *self._left_out()])

    def caption(self) -> str:
        """One line that says what was measured."""
        protocol = self.protocol
        parts = [
            caption(protocol, settings=("convention", "normaliser", "ties", "zero_hits")),
            f"{protocol['dimension']:,} dimensions, {protocol['dtype']}",
            f"{protocol['answers']:,} answers",
            f"{protocol['threads']} thread{'s' * (protocol['threads'] > 1)}",
            f"batches of {protocol['batch']:,}",
            "CPU time" if protocol["clock"] == "cpu" else "wall-clock time",
        ]
        if not protocol["native"]:
            parts.append("without the kernels of dqh._native, so that codes take longer than they need")
        if (made_up := self.sizes[-1] - int(protocol["database"])) > 0:
            parts.append(f"{made_up:,} more items made up")
        return " · ".join(parts)

    def answers(self) -> list[tuple[str, str]]:
        """The questions, each with its answer in numbers, on the largest database; how cost grows, of several."""
        last, metric = self._of(self.sizes[-1]), self.metric
        target, scan = float(self.protocol["target"]), last[0]
        enough, others = [], []
        for row in _chosen(last, metric, target):
            name = f"{_named(row)} {significant(float(row['query_ms']), 3)} ms"
            if float(row[metric]) >= target:
                enough.append(f"{name} ({_times(scan, row, 'query_ms')} ×)")
            else:
                others.append(f"{_named(row)} {format_cell(metric, row[metric])}")
        fast = f"{metric} ≥ {target:g} of {self.sizes[-1]:,} items: {', '.join(enough)}"
        fast += f"; not reached: {', '.join(others)}" if others else ""
        small = ", ".join(
            f"{title(str(row['search']), str(row['codes']))} {format_cell('bytes_per_item', row['bytes_per_item'])} "
            f"bytes up to {format_cell(metric, row[metric])}"
            for row in sorted(_best(last, metric), key=lambda row: float(row["bytes_per_item"]))
        )
        answers = [("how fast?", fast), ("how small?", f"{metric}: {small}"), ("how much is compared?", self._work())]
        if len(self.sizes) > 1:
            answers.append(("how does it grow?", self._growth()))
        return answers

    def pictures(self, name: str) -> list[Picture]:
        """What is drawn, by the name of the files."""
        rows, metric, protocol = self._of(self.sizes[-1]), self.metric, self.protocol
        target, batch = float(protocol["target"]), int(protocol["batch"])
        about = f"data {protocol['data']} · {protocol['dimension']:,} dimensions · {protocol['query']:,} queries"
        titles = [f"{metric} against {what}, {self.sizes[-1]:,} items" for what in ("time", "memory")]
        pictures = [
            Picture(
                f"{name}.svg",
                titles[0],
                lambda: time_plot(rows, metric=metric, batch=batch, title=titles[0], about=about),
            ),
            Picture(
                f"{name}_memory.svg", titles[1], lambda: memory_plot(rows, metric=metric, title=titles[1], about=about)
            ),
        ]
        if len(self.sizes) > 1:
            chosen = [row for size in self.sizes for row in _chosen(self._of(size), metric, target)]
            pictures.append(
                Picture(
                    f"{name}_growth.svg",
                    "cost against the number of items",
                    lambda: growth_plot(
                        chosen, metric=metric, target=target, vector_bytes=4 * int(protocol["dimension"]), about=about
                    ),
                )
            )
        return pictures

    def markdown(self, *, command: str, name: str = "study", note: str = "") -> str:
        """A page with protocol, command, pictures by their addresses, answers and table; `note` is more on it all."""
        return self._table().page(
            self.answers(),
            self.caption(),
            title=f"Accuracy, speed and memory of searches of {self.protocol['data']}",
            command=command,
            pictures=self.pictures(name),
            note=" ".join([*self._left_out(), note]).strip(),
        )

    def write(self, folder: Path, *, command: str, name: str = "study", note: str = "") -> None:
        """Write `<name>.csv`, `.json`, `.md` and the pictures, see `markdown`, into a folder that exists."""
        write_study(
            folder,
            name,
            command=command,
            protocol=self.protocol,
            rows=self.rows,
            pictures=self.pictures(name),
            page=self.markdown(command=command, name=name, note=note),
        )

    @property
    def metric(self) -> str:
        """What answers and pictures go by: the recall in the middle."""
        cutoffs = self.protocol["cutoffs"]
        return f"recall@{cutoffs[len(cutoffs) // 2]}"

    @cached_property
    def sizes(self) -> list[int]:
        """The databases that are done, by their items."""
        return list(dict.fromkeys(int(row["items"]) for row in self.rows))

    def _of(self, size: int) -> list[Row]:
        return [row for row in self.rows if row["items"] == size]

    def _work(self) -> str:
        """Counted numbers beside those of theory."""
        size, dimension = self.sizes[-1], int(self.protocol["dimension"])
        parts = []
        for row in _chosen(self._of(size), self.metric, float(self.protocol["target"])):
            counted = float(row["vectors_compared"]) + float(row["codes_compared"])
            theory = row.get("theory_compared")
            beside = "" if theory is None else f" (theory {float(theory):,.0f})"
            parts.append(f"{_named(row)} {counted:,.0f}{beside}")
        return (
            f"vectors and codes a query, counted: {', '.join(parts)}; in products of numbers N·D = "
            f"{size * dimension:,}, √N·D = {size**0.5 * dimension:,.0f}"
        )

    def _growth(self) -> str:
        """How many times as long a query takes in the largest database as in the smallest."""
        target = float(self.protocol["target"])
        first, last = (
            {(row["search"], row["codes"]): row for row in _chosen(self._of(size), self.metric, target)}
            for size in (self.sizes[0], self.sizes[-1])
        )
        parts = [
            f"{title(*map(str, key))} {_times(last[key], row, 'query_ms')} × the time, "
            f"{_times(last[key], row, 'bytes_compared')} × the bytes compared"
            for key, row in first.items()
            if key in last
        ]
        times = self.sizes[-1] / self.sizes[0]
        return f"{significant(times, 3)} × the items, √ of it {significant(times**0.5, 3)}: {'; '.join(parts)}"

    def _left_out(self) -> list[str]:
        return [f"{name} is left out: {reason}." for name, reason in self.protocol["missing"].items()]

    def _table(self) -> StudyTable:
        quality = [name for name in self.rows[0] if name.startswith(("recall@", "mAP@"))]
        columns = ["items", "search", "codes", "setting", *quality, *_COSTS]
        cells = [[_cell(name, row.get(name)) for name in columns] for row in self.rows]
        return StudyTable(columns, cells, heads=_HEADS)


def _cell(name: str, value: float | int | str | None) -> str:
    if value is None or value == "":
        return DASH
    if name in ("vectors_compared", "codes_compared", "theory_compared"):
        return f"{float(value):,.0f}"
    if name == "build_seconds" and float(value) < 0.01:
        return "< 0.01"
    if name in ("batch_ms", "build_seconds"):
        return significant(float(value), 3)
    return format_cell(name, value)


def _chosen(rows: Sequence[Row], metric: str, target: float) -> list[Row]:
    """Of each method the quickest setting that reaches the target, else the most accurate one."""
    chosen = []
    for own in by_method(rows):
        enough = [row for row in own if float(row[metric]) >= target]
        chosen.append(
            min(enough, key=lambda row: float(row["query_ms"]))
            if enough
            else max(own, key=lambda row: float(row[metric]))
        )
    return chosen


def _best(rows: Sequence[Row], metric: str) -> list[Row]:
    """Of each method the most accurate setting."""
    return [max(own, key=lambda row: float(row[metric])) for own in by_method(rows)]


def by_method(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each method, in their order."""
    groups: dict[tuple[object, object], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["search"], row["codes"]), []).append(row)
    return list(groups.values())


def _named(row: Row) -> str:
    name = title(str(row["search"]), str(row["codes"]))
    return f"{name} at {row['setting']}" if row["setting"] else name


def _times(row: Row, other: Row, key: str) -> str:
    return significant(float(row[key]) / max(float(other[key]), 1e-12), 2)
