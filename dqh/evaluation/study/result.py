"""What a feature study found: table, answers to its three questions, picture, and files. Nothing is measured here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dqh.evaluation.measure import Row
from dqh.evaluation.report.plots import COLOURS, INK, PAPER, RULE, svg
from dqh.evaluation.report.table import caption, format_cell, format_signed, shown_equal, significant
from dqh.evaluation.study.study_files import Picture, StudyTable, document, write_study

_HEADS = {"dimension": "F", "image_ms": "ms/image", "query_ms": "ms/query", "bytes_per_item": "bytes/image"}
_MARKS = (
    *(("raw", "L2", "o"), ("raw", "L1", "D"), ("> 0", "Hamming", "s"), ("> median", "Hamming", "^")),
    ("learned", "Hamming", "P"),
)
_APART = 0.14  # two marks of a line, lines are 1 apart
_WIDTH = 7.6  # inches

Place = tuple[object, ...]


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
        return self._table().text(self.answers(), self.caption())

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
        return self._table().page(
            self.answers(),
            self.caption(),
            title=f"Feature study on {self.protocol['data']}",
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
        metric = self._metric()
        random_order = self.protocol["random_order"].get(metric)
        about = caption(self.protocol, settings=())
        return Picture(
            file,
            f"{metric} by tap and form",
            lambda: dot_plot(self.rows, metric=metric, random_order=random_order, about=about),
        )

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

    def _table(self) -> StudyTable:
        columns = self._columns()
        cells = [[_cell(name, row[name]) for name in columns] for row in self.rows]
        return StudyTable(columns, cells, heads=_HEADS)


def _cell(name: str, value: float | int | str) -> str:
    return significant(float(value), 3) if name == "image_ms" else format_cell(name, value)


def _form(row: Row) -> str:
    return f"raw {row['distance']}" if row["form"] == "raw" else f"bits {row['form']}"


def dot_plot(
    rows: Sequence[Row],
    *,
    metric: str,
    random_order: float | None = None,
    about: str = "",
    title: str | None = None,
    unit: str = "an image",
) -> str:
    """The metric of every form at every tap, and the bytes of a `unit` raw and as bits.

    An SVG document, light or dark as the viewer prefers; what a `random_order` scores is a line, `about` stands below.
    """
    lines = _lines(rows)
    title = title or f"{metric} by layer and form"

    def draw(figure: Figure) -> None:
        axis = figure.add_subplot()
        handles = _draw_marks(axis, rows, lines, metric=metric)
        if random_order is not None:
            dashed = axis.axvline(random_order, color=INK, linewidth=0.9, linestyle=(0, (2, 2)), label="random order")
            handles.append(dashed)
        axis.set_title(title)
        axis.set_xlim(0, min(1.0, 1.2 * max(float(row[metric]) for row in rows)))
        _label_lines(axis, rows, lines, unit=unit)
        axis.set_xlabel(about, loc="left", fontsize=9, labelpad=8)
        figure.legend(handles=handles, loc="outside lower left", ncols=5, columnspacing=1.5, handlelength=1.6)

    return document(svg(draw, "study", label=title, height=1.5 + 0.27 * len(lines), width=_WIDTH))


def _lines(rows: Sequence[Row]) -> list[Place]:
    """From top to bottom: (network, weights), then (network, weights, tap) for each of its taps."""
    lines: dict[Place, None] = {}
    for row in rows:
        lines |= {(row["network"], row["weights"]): None, (row["network"], row["weights"], row["tap"]): None}
    return list(lines)


def _draw_marks(axis: Axes, rows: Sequence[Row], lines: Sequence[Place], *, metric: str) -> list[Line2D]:
    """Marks, a stroke from the lowest to the highest of each line, and the value of the best one."""
    values_of: dict[int, list[float]] = {}
    handles = []
    for place, (form, distance, mark) in enumerate(_MARKS):
        chosen = [row for row in rows if (row["form"], row["distance"]) == (form, distance)]
        if not chosen:
            continue
        at = [lines.index((row["network"], row["weights"], row["tap"])) for row in chosen]
        values = [float(row[metric]) for row in chosen]
        for line, value in zip(at, values, strict=True):
            values_of.setdefault(line, []).append(value)
        (marks,) = axis.plot(
            values,
            [line + _APART * (place - 1.5) for line in at],
            mark,
            color=COLOURS[place],
            markersize=6,
            label=f"bits, {form}" if distance == "Hamming" else f"{form}, {distance}",
        )
        handles.append(marks)
    for line, values in values_of.items():
        axis.plot([0, max(values)], [line, line], color=RULE, linewidth=5, solid_capstyle="butt", zorder=0)
    best = max(values_of, key=lambda line: max(values_of[line]))
    value = max(values_of[best])
    axis.annotate(
        format_cell(metric, value), (value, best), (9, 0), textcoords="offset points", va="center", weight="bold"
    )
    return handles


def _label_lines(axis: Axes, rows: Sequence[Row], lines: Sequence[Place], *, unit: str) -> None:
    """Networks and taps to the left, bytes to the right."""
    every = range(len(lines))
    axis.set_ylim(len(lines) - 0.4, -0.6)
    axis.set_yticks(every, [str(line[2]) if len(line) == 3 else "" for line in lines])
    for place, line in enumerate(lines):
        if len(line) == 2:
            axis.text(0, place, _heading(line), va="center", weight="bold", bbox={"color": PAPER, "pad": 1})
    sizes: dict[Place, dict[object, None]] = {}
    for row in rows:
        sizes.setdefault((row["network"], row["weights"], row["tap"]), {})[row["bytes_per_item"]] = None
    right = axis.secondary_yaxis("right")
    right.set_yticks(every, [" → ".join(f"{size:,}" for size in sizes.get(line, ())) or " " for line in lines])
    for side in (axis, right):
        side.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    axis.spines["left"].set_visible(False)
    right.spines["right"].set_visible(False)
    axis.text(1, 1, f"bytes {unit},\nraw → bits", transform=axis.transAxes, fontsize=9, va="bottom")


def _heading(line: Place) -> str:
    return str(line[0]) if line[1] == "none" else f"{line[0]}, {line[1]}{' weights' if line[1] == 'random' else ''}"
