"""The files that sum a sweep up: `sweep.csv`, `sweep.md`, `sweep.html`, and the picture beside them."""

import base64
import csv
import io
import textwrap
from collections.abc import Mapping, Sequence

from dqh.conveniences import convenience
from dqh.evaluation.report.limits import PERFECT, limits_text, subset_text
from dqh.evaluation.report.metrics_rows import BOXES, measured_rows
from dqh.evaluation.report.table import DASH, caption, finite, format_cell, mapping_at, render, shown_equal
from dqh.files import write_bytes, write_text
from dqh.pages import fill
from dqh.training.sweep import Sweep
from dqh.training.sweep_plot import METRIC, draw, pictures
from dqh.training.sweep_summary import METRICS, Combination, Outcome, Spread, collect, summarise

PARTIAL = "the network before training is measured on some queries and items; each cell's report says on how many"


def write_summary(sweep: Sweep, *, command: str) -> str:
    """Write `sweep.csv`, `sweep.md`, `sweep.html`, and where there is something to draw `sweep.svg` and `sweep.png`.

    All numbers lie in the cells: where these files cannot be written, a warning says so, and no cell is lost.

    Args:
        sweep: its cells may be complete or not.
        command: what gives these numbers again, and goes on where cells are missing.

    Returns:
        The summary for a terminal.
    """
    outcomes = collect(sweep)
    combinations = summarise(outcomes)
    table, notes = rows_of(combinations), remarks(outcomes)
    drawn: Mapping[str, bytes] = {}
    with convenience("the sweep's pictures"):
        ceiling = f"a perfect ranking scores {best}" if (best := best_of(outcomes, METRIC)) else ""
        figure = draw(combinations, about=shared_caption(outcomes), ceiling=ceiling)
        drawn = pictures(figure) if figure else {}
    with convenience("the sweep's pages, which the same command writes again"):
        write_text(sweep.folder / "sweep.csv", _csv(outcomes))
        for kind, content in drawn.items():
            write_bytes(sweep.folder / f"sweep.{kind}", content)
        write_text(sweep.folder / "sweep.md", _markdown(sweep, table, notes, command=command, picture=bool(drawn)))
        write_text(sweep.folder / "sweep.html", _page(sweep, table, notes, command=command, picture=drawn.get("svg")))
    return "\n".join([render(table, list(table[0])), "", *notes]) if table else "\n".join(notes)


def rows_of(combinations: Sequence[Combination]) -> list[dict[str, str]]:
    """The summary as texts, a mapping a row, all with the same columns; nothing is searched where boxes are found."""
    columns = [name for name in METRICS if any(name in combination.metrics for combination in combinations)]
    searched = any(combination.search != BOXES for combination in combinations)
    return [
        {**combination.settings, **({"search": combination.search} if searched else {})}
        | {"seeds": str(combination.seeds)}
        | {name: _text(name, combination.metrics.get(name)) for name in columns}
        for combination in combinations
    ]


def remarks(outcomes: Sequence[Outcome]) -> list[str]:
    """What must be said below the table: the protocol that the cells share, what means are over, what is missing."""
    complete = [outcome for outcome in outcomes if outcome.state == "complete"]
    lines: list[str] = []
    if complete:
        lines += [about] if (about := shared_caption(outcomes)) else []
        lines.append(
            "mean ± sample standard deviation over seeds; minutes of training, without validation and evaluation"
        )
        lines += ceilings(complete)
        if any("detection" in outcome.metrics for outcome in complete):
            lines.append("recall of 100 boxes at IoU .5, all classes as one")
        lines += left_out_of_some(complete)
        texts = {text for outcome in complete if (text := subset_text(outcome.metrics))}
        lines += texts if len(texts) == 1 else [PARTIAL] if texts else []
    if len(complete) < len(outcomes):
        lines.append(f"{len(complete)} of {len(outcomes)} cells complete")
    failed = [f"{outcome.cell.name} failed: {outcome.error}" for outcome in outcomes if outcome.state == "failed"]
    return lines + [textwrap.shorten(line, 200, placeholder=" …") for line in failed]


def ceilings(complete: Sequence[Outcome]) -> list[str]:
    """What bounds the scores of complete cells, where anything does: in a line, with ranges where the cells differ.

    Each seed may draw other queries, so that another number of them has no relevant item.
    """
    limits = [mapping_at(outcome.metrics, "limits") for outcome in complete]
    texts = {limits_text(limit, outcome.metrics["protocol"]) for limit, outcome in zip(limits, complete, strict=True)}
    if len(texts) == 1:
        return [text for text in texts if text]
    capped = [text for name in METRICS if (text := best_of(complete, name))]
    empty = [finite(limit.get("without_relevant")) or 0.0 for limit in limits]
    queries = f"{min(empty):,.0f} to {max(empty):,.0f} queries of a cell have no relevant item: " if max(empty) else ""
    return [f"{queries}a perfect ranking scores {', '.join(capped)}, by cell in sweep.csv"] if capped else []


def best_of(outcomes: Sequence[Outcome], metric: str) -> str:
    """A metric and what a perfect ranking scores by it, as a range where cells differ; "" where all score 1."""
    best = [mapping_at(mapping_at(outcome.metrics, "limits"), "best").get(metric) for outcome in outcomes]
    values = [value for score in best if (value := finite(score)) is not None]
    if not values or shown_equal(metric, min(values), PERFECT):
        return ""
    low, high = (format_cell(metric, value) for value in (min(values), max(values)))
    return f"{metric} {low}" if low == high else f"{metric} {low} to {high}"


def left_out_of_some(complete: Sequence[Outcome]) -> list[str]:
    """A line for each row that some complete cells have and others lack, with the reason of the first of these."""
    searches = {row["search"] for outcome in complete for row in measured_rows(outcome.metrics)}
    lacking: dict[str, list[str]] = {}
    for outcome in complete:
        for search, reason in outcome.metrics.get("missing", {}).items():
            if search in searches:
                lacking.setdefault(search, []).append(f"{outcome.cell.name}: {reason}")
    return [
        f"{search} was not made in {len(cells)} of {len(complete)} cells; {cells[0]}"
        for search, cells in lacking.items()
    ]


def shared_caption(outcomes: Sequence[Outcome]) -> str:
    """What the complete cells measured, where they all measured the same; else ""."""
    captions = {caption(outcome.metrics["protocol"]) for outcome in outcomes if outcome.state == "complete"}
    return captions.pop() if len(captions) == 1 else ""


def _text(name: str, value: Spread | None) -> str:
    if value is None:
        return DASH
    decimals = 2 if name == "minutes" else 4
    return f"{value.mean:.{decimals}f} ± {DASH if value.sd is None else f'{value.sd:.{decimals}f}'}"


def _csv(outcomes: Sequence[Outcome]) -> str:
    """A row a cell, every number of every way of searching and of a perfect one in a column of its own."""
    rows = []
    for outcome in outcomes:
        row: dict[str, object] = {"cell": outcome.cell.name, **outcome.cell.values, "state": outcome.state}
        row["minutes"] = outcome.minutes
        limits = mapping_at(outcome.metrics, "limits")
        row |= {name: limits[name] for name in ("queries", "without_relevant", "all_relevant") if name in limits}
        row |= {f"perfect ranking {name}": value for name, value in mapping_at(limits, "best").items()}
        for measured in measured_rows(outcome.metrics):
            row |= {f"{measured['search']} {name}": value for name, value in measured.items() if name != "search"}
        rows.append(row)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, "error"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"error": outcome.error} for row, outcome in zip(rows, outcomes, strict=True))
    return text.getvalue()


def _markdown(
    sweep: Sweep, table: Sequence[Mapping[str, str]], notes: Sequence[str], *, command: str, picture: bool
) -> str:
    lines = [f"# {sweep.folder.name}", "", f"    {command}", ""]
    if table:
        lines += [f"| {' | '.join(cells)} |" for cells in (table[0], ["---"] * len(table[0]))]
        lines += [f"| {' | '.join(row.values())} |" for row in table] + [""]
    lines += ["![the cells](sweep.svg)", ""] if picture else []
    return "\n".join([*lines, *(f"- {note}" for note in notes), ""])


def _page(
    sweep: Sweep, table: Sequence[Mapping[str, str]], notes: Sequence[str], *, command: str, picture: bytes | None
) -> str:
    """One self-contained page: command, table, picture, remarks."""
    address = None if picture is None else f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"
    page = fill("sweep", title=sweep.folder.name, command=command, rows=table, notes=notes, picture=address)
    return f"{page}\n"
