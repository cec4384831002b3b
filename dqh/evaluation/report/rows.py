"""The rows of an evaluation on its report: meanings, intervals, all numbers, differences, unseen classes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from dqh.evaluation.length_rows import rows_of_lengths
from dqh.evaluation.report import plots
from dqh.evaluation.report.interval_chart import Mark, interval_chart
from dqh.evaluation.report.limits import beyond_relevant, limit_note, limits_text, subset_text
from dqh.evaluation.report.table import (
    BASELINES,
    COMPARED,
    COST,
    LEADING,
    QUALITY,
    baselines,
    caption,
    columns_of,
    few_queries,
    finite,
    format_cell,
    format_count,
    format_signed,
    format_value,
    has,
    is_trained,
    level_of,
    main_search,
    mapping_at,
    records_at,
    references,
    searches,
)
from dqh.index.ways import WAYS
from dqh.pages import fill

OWN, HONEST = "Searches with the trained network", "Rows that keep us honest"
AFTERWARDS = "Codes of as many bits, fitted after the fact"
MEANINGS = {
    "class_index": "The classifier's most likely class as the whole code: what a class name alone would find.",
    "untrained": "Float features of the same network before training: what training has to improve on.",
    "untrained_h": "A latent layer that was never trained, each unit cut at its median: random projections.",
    "without_h": "The same network trained without the latent layer, by float features: do codes cost anything?",
    "lsh": "Signs of random projections of the features, orthonormal (locality-sensitive hashing).",
    "lsh_gaussian": "Signs of random projections of the features, independent Gaussians.",
    "pca_rr": "Principal components of the features, rotated at random.",
    "sh": "Spectral hashing of the features.",
    "itq": "Signs of rotated principal components of the features (iterative quantization).",
    "itq_cca": "ITQ after canonical correlation of the features with labels: supervised.",
    "ksh": "Supervised hashing with kernels (KSH) on the features.",
    "bre": "Binary reconstructive embeddings (BRE) of the features, by labels: supervised.",
    "mlh": "Minimal loss hashing (MLH) on the features: supervised.",
    "vq": "One codebook for whole feature vectors (vector quantization), AQD.",
    "pq": "Product quantization of the features, AQD.",
    "opq": "Product quantization of the features after a learned rotation, AQD.",
    "pq_embedding": "Product quantization fitted to the trained embedding afterwards, AQD.",
    "opq_embedding": "The same with a learned rotation (OPQ): is learning codebooks with the network worth it?",
}
RERANKED = "what re-ranking by features adds to the codes"
CANDIDATES = "what it loses or gains by looking at candidates only"
AGAINST = {
    "class_index": "what the code knows beyond the class name",
    "untrained": "what training brings",
    "untrained_h": "what learned codes bring over random projections",
    "without_h": "what the latent layer costs or brings",
    "pq_embedding": "codebooks of the network against some fitted afterwards",
    "opq_embedding": "codebooks of the network against some fitted afterwards",
}
SHALLOW = "learned codes against those of a shallow method on the same features"
HEADS = {"query_ms": "ms / query", "qps": "queries / s", "bytes_per_item": "bytes / item"}
NOTES = (
    "Bold: best of the column. ms / query: median, one query at a time; queries / s: in batches; both without encoding."
)


def meaning_of(search: str) -> str:
    """What a row is, in a sentence; "" of one that nobody knows."""
    return WAYS[search].meaning if search in WAYS else MEANINGS.get(search, "")


def main_metric(metrics: Mapping[str, object]) -> str | None:
    """The metric of the intervals, or the first mAP of the rows; None where they have none."""
    named, columns = mapping_at(metrics, "intervals").get("metric"), columns_of(records_at(metrics, "rows"))
    return str(named) if named in columns else next((name for name in columns if name.startswith("mAP@")), None)


def interval_of(metrics: Mapping[str, object], search: str) -> tuple[float, float] | None:
    """Ends of the interval of a row, where it has one."""
    for row in records_at(mapping_at(metrics, "intervals"), "rows"):
        low, high = finite(row.get("low")), finite(row.get("high"))
        if row.get("search") == search and low is not None and high is not None:
            return low, high
    return None


def rows_content(metrics: Mapping[str, object]) -> Markup:
    """What each row means and scores, then all numbers."""
    rows, protocol = records_at(metrics, "rows"), mapping_at(metrics, "protocol")
    if not rows:
        return fill("note", text="No way of searching was evaluated.")
    coloured = list(mapping_at(metrics, "curves"))
    table = numbers_table(
        rows, protocol, coloured=coloured, limits=mapping_at(metrics, "limits"), further=subset_text(metrics)
    )
    return _overview(metrics) + table + _lengths(metrics)


def _lengths(metrics: Mapping[str, object]) -> Markup:
    """A row for each length of code of one artifact, where there are several."""
    rows, limits = rows_of_lengths(metrics), mapping_at(metrics, "limits")
    if not rows:
        return Markup()
    table = numbers_table(rows, {}, name="Numbers of each length", limits=limits)
    return fill("lengths", numbers=table, trained=is_trained(metrics))


def _overview(metrics: Mapping[str, object]) -> Markup:
    metric = main_metric(metrics)
    rows, coloured = records_at(metrics, "rows"), list(mapping_at(metrics, "curves"))

    def mark(row: Mapping[str, object]) -> Mark:
        name = str(row.get("search"))
        low, high = interval_of(metrics, name) or (None, None)
        span = "" if low is None else f"[{format_cell('mAP@', low)}, {format_cell('mAP@', high)}]"
        text, value = format_cell(metric or "", row.get(metric or "")), finite(row.get(metric or ""))
        compared = name in COMPARED
        own = plots.look(coloured.index(name)) if name in coloured else None
        series, square = (own.number, own.square) if own else (0, False)
        meaning = f"{meaning_of(name)}{_of_some(row)}".strip()
        return Mark(name, meaning, value, text, low, high, span, "", series, compared, square)

    missing = [
        Mark(name, f"{reason}", None, "not made", hollow=True)
        for name, reason in mapping_at(metrics, "missing").items()
    ]
    groups = [
        (OWN, [mark(row) for row in searches(rows)]),
        (HONEST, [*map(mark, references(rows)), *(row for row in missing if row.name not in BASELINES)]),
        (AFTERWARDS, [*map(mark, baselines(rows)), *(row for row in missing if row.name in BASELINES)]),
    ]
    chart = interval_chart(groups, axis=str(metric))
    if chart is None:
        return Markup()
    legend = f"{metric}, the higher the better"
    if records_at(mapping_at(metrics, "intervals"), "rows"):
        legend += f"; bars and brackets: {_resampled(mapping_at(metrics, 'intervals'))}"
    bound = limit_note(mapping_at(metrics, "limits"), str(metric))
    legend += f"; {bound}" if bound else ""
    few = few_queries(mapping_at(metrics, "intervals"))
    legend += f"; {few}" if few else ""
    return fill("figure", content=chart, legend=f"{legend}.", about=caption(mapping_at(metrics, "protocol")))


def _of_some(row: Mapping[str, object]) -> str:
    """That a row, or a difference, is one of some queries, where it is."""
    if not has(row, "queries"):
        return ""
    items = ""
    if has(row, "candidates"):
        items = f" and {format_count(row['candidates'], 'database item', 'database items')}"
    return f" On {format_count(row['queries'], 'query', 'queries')}{items} only."


def _resampled(intervals: Mapping[str, object]) -> str:
    times = f", {format_value(intervals['resamples'])} bootstrap resamples" if has(intervals, "resamples") else ""
    return f"{level_of(intervals)} interval over queries{times}".strip()


def differences_content(metrics: Mapping[str, object]) -> Markup:
    """Differences between rows with their paired intervals; "" where there are none."""
    return _differences(mapping_at(metrics, "intervals"), mapping_at(metrics, "protocol"), main=main_search(metrics))


def _differences(intervals: Mapping[str, object], protocol: Mapping[str, object], *, main: str) -> Markup:
    metric = str(intervals.get("metric", ""))

    def mark(pair: Mapping[str, object]) -> Mark:
        one, other = str(pair.get("search")), str(pair.get("against"))
        low, high = finite(pair.get("low")), finite(pair.get("high"))
        span = verdict = ""
        if low is not None and high is not None:
            winner = one if round(low, 4) > 0 else other if round(high, 4) < 0 else None  # as far as is shown
            verdict = f"{winner} is better" if winner else "no clear difference"
            span = f"[{format_signed(low)}, {format_signed(high)}]"
        value, meaning = finite(pair.get("value")), _meaning_of_pair(one, other, main=main)
        meaning += "," * bool(meaning and has(pair, "queries")) + _of_some(pair).lower().rstrip(".")
        return Mark(f"{one} − {other}", meaning, value, format_signed(value), low, high, span, verdict)

    chart = interval_chart(
        [("", [mark(pair) for pair in records_at(intervals, "pairs")])], axis=f"difference in {metric}", signed=True
    )
    if chart is None:
        return Markup()
    legend = (
        f"Difference in {metric}; bars and brackets: {_resampled(intervals)}, the same queries for both rows. "
        "Where an interval holds 0, these queries do not tell which row is better."
    )
    few = few_queries(intervals)
    legend += f" There is {few}." if few else ""
    return fill("figure", content=chart, legend=legend, about=caption(protocol))


def _meaning_of_pair(one: str, other: str, *, main: str) -> str:
    """What a difference tells, "" where it is none of those known."""
    if one == "coarse_to_fine":
        return RERANKED if other == main else CANDIDATES if other == "exhaustive" else ""
    if one != main:
        return ""
    if other in WAYS:
        return WAYS[other].against or ""
    return AGAINST.get(other, SHALLOW if other in BASELINES else "")


def unseen_content(metrics: Mapping[str, object]) -> Markup:
    """The rows for classes that were never trained on; "" where there are none."""
    unseen = mapping_at(metrics, "unseen")
    rows, names = records_at(unseen, "rows"), unseen.get("classes")
    if not rows:
        return Markup()
    limits, protocol = mapping_at(unseen, "limits"), protocol_of_unseen(metrics)
    table = numbers_table(rows, protocol, name="Numbers, unseen classes", limits=limits)
    differences = _differences(mapping_at(unseen, "intervals"), protocol, main=main_search(metrics))
    return fill("unseen", classes=format_value(names) if names else "", differences=differences, numbers=table)


def protocol_of_unseen(metrics: Mapping[str, object]) -> dict[str, object]:
    """The protocol with the sizes of the part that has unseen classes only."""
    unseen = mapping_at(metrics, "unseen")
    limits = mapping_at(unseen, "limits")
    sizes = {name: unseen.get(name) for name in ("query", "database")}
    return {**mapping_at(metrics, "protocol"), **sizes} | {
        name: limits.get(name) for name in ("without_relevant", "all_relevant")
    }


def numbers_table(
    rows: Sequence[Mapping[str, object]],
    protocol: Mapping[str, object],
    *,
    coloured: Sequence[str] = (),
    name: str = "Numbers",
    limits: Mapping[str, object] | None = None,
    further: str = "",
) -> Markup:
    """All numbers of the rows as a figure, rows for comparison in groups of their own.

    Dots of `coloured` searches have the colour of their curve; P@k beyond the relevant items of any query, by `limits`,
    is not among the first columns; `further` is what `subset_text` says.
    """
    columns, remark = columns_of(rows), limits_text(limits or {}, protocol)
    beyond = beyond_relevant(columns, limits or {})
    first = [
        column for column in columns if column == "search" or (column.startswith(LEADING) and column not in beyond)
    ]
    first += [column for column in ("accuracy", *COST) if column in columns]
    rest = [column for column in columns if column not in first]
    return fill(
        "numbers",
        name=name,
        first=_table(rows, first, coloured, beyond),
        further=_table(rows, ["search", *rest], coloured, beyond) if rest else None,
        notes=" ".join(part for part in (NOTES, _sentence(remark), _sentence(further)) if part),
        about=caption(protocol),
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


class _Cell(NamedTuple):
    """A cell as shown: a number, the best of its column or not, or the name of a row with the look of its curve."""

    text: str
    best: bool = False
    named: bool = False
    look: plots.Look | None = None


class _Table(NamedTuple):
    """Heads of the columns, and groups of rows by title, "" for the first one."""

    heads: list[str]
    groups: list[tuple[str, list[list[_Cell]]]]


def _table(
    rows: Sequence[Mapping[str, object]], columns: Sequence[str], coloured: Sequence[str], beyond: Sequence[str]
) -> _Table:
    whole = [row for row in rows if not has(row, "queries")]  # those of some queries are no match for the others
    best = {name: _best(whole, name) for name in columns if name.startswith(QUALITY) and name not in beyond}

    def cell(row: Mapping[str, object], name: str) -> _Cell:
        text = format_cell(name, row.get(name))
        if name == "search":
            return _Cell(text, named=True, look=plots.look(coloured.index(text)) if text in coloured else None)
        return _Cell(text, best=best.get(name) == text and not has(row, "queries"))

    groups = (("", searches(rows)), (HONEST, references(rows)), (AFTERWARDS, baselines(rows)))
    bodies = [(title, [[cell(row, name) for name in columns] for row in group]) for title, group in groups]
    return _Table([HEADS.get(name, name) for name in columns], [body for body in bodies if body[1] or not body[0]])


def _best(rows: Sequence[Mapping[str, object]], name: str) -> str | None:
    """The highest value of a column as its cell shows it, or None where the rows show no difference."""
    values = [value for row in rows if (value := finite(row.get(name))) is not None]
    return format_cell(name, max(values)) if len({format_cell(name, value) for value in values}) > 1 else None
