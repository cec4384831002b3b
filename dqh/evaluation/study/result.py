"""What a feature study found: the table, answers to its three questions, and files. Nothing is measured here."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dqh.conveniences import convenience
from dqh.evaluation.measure import Row
from dqh.evaluation.report.table import caption, format_cell, format_signed, shown_equal, significant
from dqh.evaluation.study.plot import dot_plot
from dqh.files import write_json, write_text

_HEADS = {"dimension": "F", "image_ms": "ms/image", "query_ms": "ms/query", "bytes_per_item": "bytes/image"}
_LEFT = ("network", "weights", "tap", "form", "distance")


@dataclass(frozen=True)
class StudyResult:
    """A feature study, or as much of it as is done.

    Attributes:
        protocol: what was compared with what; plain JSON values.
        rows: one a network, tap, form and distance. `network`, `weights`, `size` (side of the input, pixels), `tap`,
            `dimension`, `form`, `distance`, `mAP@…`, `P@…`, `bytes_per_item`, `query_ms` (median of one query alone,
            features given) and `image_ms` (median over the batches of what network and normalisation take, a pass
            that gives all taps).
    """

    protocol: Mapping[str, Any]
    rows: Sequence[Row]

    def text(self) -> str:
        """Table, answers and protocol for a terminal."""
        cells = [list(map(_head, self._columns())), *self._cells()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        cells.insert(1, ["-" * width for width in widths])
        lines = [
            "  ".join(
                cell.ljust(width) if name in _LEFT else cell.rjust(width)
                for name, cell, width in zip(self._columns(), line, widths, strict=True)
            ).rstrip()
            for line in cells
        ]
        answers = [f"{question.ljust(17)}  {answer}" for question, answer in self.answers()]
        return "\n".join([*lines, "", *answers, "", self.caption()])

    def caption(self) -> str:
        """One line that says what was measured, and what a random and, if it is not 1, a perfect order scores."""
        name, value = next(iter(self.protocol["random_order"].items()))
        best = self.protocol.get("perfect_order", {}).get(name, 1.0)
        perfect = "" if shown_equal(name, best, 1.0) else f", a perfect one {format_cell(name, best)}"
        return f"{caption(self.protocol)} · a random order scores {name} {format_cell(name, value)}{perfect}"

    def answers(self) -> list[tuple[str, str]]:
        """The three questions, each with its answer in numbers, by the first metric."""
        best = max(self.rows, key=self._score)
        network = [row for row in self.rows if all(row[key] == best[key] for key in ("network", "weights"))]
        here = [row for row in network if row["tap"] == best["tap"]]
        layers = [f"{row['tap']} {self._shown(row)} ({_form(row)})" for row in self._best_of_each(network, "tap")]
        forms = [
            f"{_form(row)} {self._shown(row)} in {row['bytes_per_item']:,} bytes"
            for row in self._best_of_each(here, "form")
        ]
        raw = [f"{row['distance']} {self._shown(row)}" for row in here if row["form"] == "raw"]
        ahead = self._l1_minus_l2(network)
        wins, mean = sum(difference > 0 for difference in ahead), sum(ahead) / len(ahead)
        start = f"{self._metric()} of {best['network']}"
        return [
            ("which layer?", f"{start}: {', '.join(layers)}"),
            ("raw or binarised?", f"{start} {best['tap']}: {', '.join(forms)}"),
            (
                "L1 or L2?",
                f"{start} {best['tap']}, raw: {', '.join(raw)}; L1 is ahead at {wins} of {len(ahead)} taps of the "
                f"network, on average by {format_signed(mean)}",
            ),
        ]

    def markdown(self, *, command: str, picture: str, note: str = "") -> str:
        """A page with protocol, command, picture by its address, answers and table; `note` is more on the numbers."""
        columns = self._columns()
        lines = [
            f"# Feature study on {self.protocol['data']}\n",
            f"{self.caption()}. {note}".rstrip() + "\n",
            f"    {command}\n",
            f"![{self._metric()} by tap and form]({picture})\n",
            *(f"- **{question}** {answer}" for question, answer in self.answers()),
            "",
            f"| {' | '.join(map(_head, columns))} |",
            f"|{'|'.join('---' if name in _LEFT else '--:' for name in columns)}|",
            *(f"| {' | '.join(cells)} |" for cells in self._cells()),
        ]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path, *, command: str, name: str = "study", note: str = "") -> None:
        """Write `<name>.csv`, `.json`, `.svg` and `.md`, see `markdown`, into a folder that exists, each atomically."""
        table = io.StringIO()
        lines = csv.DictWriter(table, list(self.rows[0]), lineterminator="\n")
        lines.writeheader()
        lines.writerows(self.rows)
        write_text(folder / f"{name}.csv", table.getvalue())
        content = {"command": command, "protocol": dict(self.protocol), "rows": list(self.rows)}
        write_json(folder / f"{name}.json", content)
        metric = self._metric()
        random_order = self.protocol["random_order"].get(metric)
        with convenience(f"{name}.svg"):
            picture = dot_plot(
                self.rows, metric=metric, random_order=random_order, about=caption(self.protocol, settings=())
            )
            write_text(folder / f"{name}.svg", picture)
        write_text(folder / f"{name}.md", self.markdown(command=command, picture=f"{name}.svg", note=note))

    def _metric(self) -> str:
        return next(name for name in self.rows[0] if name.startswith("mAP@"))

    def _score(self, row: Row) -> float:
        return float(row[self._metric()])

    def _shown(self, row: Row) -> str:
        return format_cell(self._metric(), row[self._metric()])

    def _best_of_each(self, rows: Sequence[Row], key: str) -> list[Row]:
        """The best row of each value of a key, best first."""
        best = {row[key]: row for row in sorted(rows, key=self._score)}
        return sorted(best.values(), key=self._score, reverse=True)

    def _l1_minus_l2(self, rows: Sequence[Row]) -> list[float]:
        """How far L1 is ahead of L2 on the raw features of each tap of a network."""
        scores = {(row["tap"], row["distance"]): self._score(row) for row in rows if row["form"] == "raw"}
        return [scores[tap, "L1"] - scores[tap, "L2"] for tap, distance in scores if distance == "L2"]

    def _columns(self) -> list[str]:
        quality = [name for name in self.rows[0] if name.startswith(("P@", "mAP@"))]
        costs = [name for name in ("bytes_per_item", "image_ms", "query_ms") if name in self.rows[0]]
        quality.sort(key=lambda name: name.startswith("mAP@"))
        return ["network", "weights", "size", "tap", "dimension", "form", "distance", *quality, *costs]

    def _cells(self) -> list[list[str]]:
        return [[_cell(name, row[name]) for name in self._columns()] for row in self.rows]


def _head(name: str) -> str:
    return _HEADS.get(name, name)


def _cell(name: str, value: float | int | str) -> str:
    return significant(float(value), 3) if name == "image_ms" else format_cell(name, value)


def _form(row: Row) -> str:
    return f"raw {row['distance']}" if row["form"] == "raw" else f"bits {row['form']}"
