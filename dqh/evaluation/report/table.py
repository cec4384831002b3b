"""The rows of an evaluation as text: a cell, a caption, an aligned table. Nothing is measured or averaged here."""

import math
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real

import numpy as np

from dqh.evaluation.baselines import NAMES, OF_EMBEDDING
from dqh.evaluation.report.columns import RULE, aligned

DASH = "–"
LEADING = ("mAP@", "P@")
QUALITY = (*LEADING, "recall@", "precision@", "average_precision@", "accuracy")
COST = ("query_ms", "qps", "bytes_per_item", "candidates")
REFERENCES = ("class_index", "untrained", "untrained_h", "without_h")
"""Searches that are no use of the trained codes: what those have to be compared with."""
BASELINES = (*NAMES, *(f"{name}_embedding" for name in OF_EMBEDDING))
"""Codes of as many bits that were fitted after the fact."""
COMPARED = (*REFERENCES, *BASELINES)
WIDTH = 150
NAMED = 6
"""Classes that a caption names; of more it says the number."""


def render(
    rows: Sequence[Mapping[str, object]],
    columns: Sequence[str] | None = None,
    *,
    protocol: Mapping[str, object] | None = None,
    intervals: Mapping[str, object] | None = None,
    missing: Mapping[str, object] | None = None,
    remark: str = "",
    further: str = "",
    beyond: Collection[str] = (),
) -> str:
    """The rows as an aligned table in plain text, names to the left, numbers to the right, rows for comparison last.

    Args:
        rows: one mapping a way of searching, as under `rows` in `metrics.json`.
        columns: keys to show, in this order; by default `search`, every mAP@k and P@k, accuracy, and the costs, as far
            as a row has them. Where that is wider than 150 characters, the last P@k stay out and the
            last line names them.
        protocol: what was measured, as under `protocol` in `metrics.json`; becomes a caption below the table.
        intervals: as under `intervals`: a column beside its metric, and a line below the table for each difference.
        missing: reasons by search, as under `missing`: a line below the table each.
        remark: a line right below the table, such as what no ranking can exceed; "" for none.
        further: another one, behind the reasons, such as which rows were measured on less.
        beyond: P@k that are no column by default, because no query has so many relevant items; a line names them.

    Returns:
        Lines without a newline at the end. A value that is missing, None or NaN shows as "–".

    Example:
        >>> print(render([{"search": "untrained"}, {"search": "binary", "mAP@all": 0.97}]))
        search     mAP@all
        ---------  -------
        binary      0.9700
        ---------  -------
        untrained        –
    """
    spans = _spans(intervals or {})
    span_column, metric = f"{level_of(intervals or {})} interval", (intervals or {}).get("metric")
    groups = (searches(rows), references(rows), baselines(rows))
    shown = [dict(row) | {span_column: spans.get(str(row.get("search")))} for group in groups for row in group]
    left_out: list[str] = []
    capped: list[str] = []
    if columns is None:
        columns = [name for name in columns_of(rows) if name.startswith(LEADING) or name in ("search", *COST)]
        if any(has(row, "accuracy") for row in rows):
            columns.insert(next((columns.index(name) for name in COST if name in columns), len(columns)), "accuracy")
        if records_at(intervals or {}, "rows") and metric in columns:
            columns.insert(columns.index(metric) + 1, span_column)
        capped = [name for name in columns if name in beyond]
        columns = [name for name in columns if name not in capped]
        while max(map(len, _table(shown, columns, groups=(len(shown),)))) > WIDTH and (
            least := _last_precision(columns)
        ):
            columns.remove(least)
            left_out.insert(0, least)
    text = _table(shown, columns, groups=list(map(len, groups)))
    below = textwrap.wrap(remark, WIDTH, break_on_hyphens=False)
    below += [f"{name} was not made: {reason}" for name, reason in (missing or {}).items()]
    below += textwrap.wrap(further, WIDTH, break_on_hyphens=False)
    below += _difference_lines(intervals or {})
    below += [few] if (few := few_queries(intervals or {})) else []
    about = _wrapped(caption(protocol or {}))
    about += [f"left out for width: {', '.join(left_out)}"] if left_out else []
    about += [f"left out, as no query has so many relevant items: {', '.join(capped)}"] if capped else []
    return "\n\n".join("\n".join(part) for part in (text, below, about) if part)


def _table(rows: Sequence[Mapping[str, object]], columns: Sequence[str], *, groups: Sequence[int]) -> list[str]:
    """Aligned lines: a head, and the rows with a line above each group that is not empty."""
    cells = [[format_cell(name, row.get(name)) for name in columns] for row in rows]
    lines: list[Sequence[str]] = [columns]
    start = 0
    for size in groups:
        lines += [RULE, *cells[start : start + size]] if size else []
        start += size
    return aligned(lines, left=[place for place, name in enumerate(columns) if name == "search"])


def _last_precision(columns: Sequence[str]) -> str | None:
    """The P@k to leave out next, or None where only one is left."""
    precisions = [name for name in columns if name.startswith("P@")]
    return precisions[-1] if len(precisions) > 1 else None


def _spans(intervals: Mapping[str, object]) -> dict[str, str]:
    """Intervals by search, as "0.9912–0.9987"."""
    return {
        str(row.get("search")): f"{format_cell('mAP@', row['low'])}–{format_cell('mAP@', row['high'])}"
        for row in records_at(intervals, "rows")
        if has(row, "low") and has(row, "high")
    }


def _difference_lines(intervals: Mapping[str, object]) -> list[str]:
    metric, pairs = intervals.get("metric"), records_at(intervals, "pairs")
    names = [f"{metric} of {pair.get('search')} − {pair.get('against')}" for pair in pairs]
    sizes = [f", {format_count(pair['queries'], 'query', 'queries')}" if has(pair, "queries") else "" for pair in pairs]
    return [
        f"{name.ljust(max(map(len, names)))}  {format_signed(pair.get('value'))}  "
        f"{format_range(pair)}  ({level_of(intervals)} interval{size})"
        for name, pair, size in zip(names, pairs, sizes, strict=True)
    ]


def format_range(pair: Mapping[str, object]) -> str:
    """The ends of the interval of a difference, "–" where it has none.

    Example:
        >>> format_range({"low": -0.02, "high": 0.31}), format_range({"low": None, "high": None})
        ('[−0.0200, +0.3100]', '–')
    """
    if not has(pair, "low") or not has(pair, "high"):
        return DASH
    return f"[{format_signed(pair['low'])}, {format_signed(pair['high'])}]"


def few_queries(intervals: Mapping[str, object]) -> str:
    """Why rows or differences have no interval, "" where all have one."""
    parts = [*records_at(intervals, "rows"), *records_at(intervals, "pairs")]
    if not has(intervals, "least") or all(has(part, "low") for part in parts):
        return ""
    return f"no {level_of(intervals)} interval of fewer than {format_value(intervals['least'])} queries"


def level_of(intervals: Mapping[str, object]) -> str:
    """The level of intervals, as "95 %"."""
    level = finite(intervals.get("level"))
    return "" if level is None else f"{format_value(100 * level)} %"


def searches(rows: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The rows that use what was trained, in their order."""
    return [row for row in rows if row.get("search") not in COMPARED]


def references(rows: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The rows to compare with, in their order."""
    return [row for row in rows if row.get("search") in REFERENCES]


def baselines(rows: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The rows of shallow quantizers, in their order."""
    return [row for row in rows if row.get("search") in BASELINES]


def main_search(metrics: Mapping[str, object]) -> str:
    """The row of the codes alone: what the protocol names, else the first search; "" where there is none.

    Example:
        >>> main_search({"protocol": {"main": "aqd_l2"}}), main_search({"rows": [{"search": "binary"}]})
        ('aqd_l2', 'binary')
    """
    first = next((row.get("search") for row in searches(records_at(metrics, "rows"))), None)
    return str(mapping_at(metrics, "protocol").get("main") or first or "")


def is_trained(metrics: Mapping[str, object]) -> bool:
    """Whether the codes come of a training; those in closed form have one of no epochs."""
    return mapping_at(metrics, "training").get("epochs") != 0


def mapping_at(values: Mapping[str, object], name: str) -> Mapping[str, object]:
    """The mapping under `name`; an empty one where there is none."""
    part = values.get(name)
    return part if isinstance(part, Mapping) else {}


def records_at(values: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """The mappings in the list under `name`; none where there is no list."""
    part = values.get(name)
    return [item for item in part if isinstance(item, Mapping)] if isinstance(part, list | tuple) else []


def columns_of(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Every key of the rows, once: `search`, each mAP@k and P@k, the costs, the rest; ties in order of appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    rank = {"search": 0} | {name: 2 + place for place, name in enumerate(COST)}
    return sorted(names, key=lambda name: 1 if name.startswith(LEADING) else rank.get(name, 2 + len(COST)))


def caption(
    protocol: Mapping[str, object],
    *,
    settings: Sequence[str] = ("convention", "normaliser", "ties", "zero_hits", "pool"),
) -> str:
    """One line that says what was measured, as far as the protocol has it.

    It names data, split, sizes, queries without relevant items and with nothing else, unseen classes, and how; before
    all that, in what the data differ from those of the training, where they do.

    Of `protocol` in `metrics.json`; `settings` are its further keys to name, after data, split and sizes.

    Example:
        >>> caption({"data": "digits", "split": "full", "query": 360, "database": 1437, "ties": "expected"})
        'data digits · split full · 360 queries · 1,437 database items · ties expected'
    """

    def named(*names: str) -> list[str]:
        return [f"{name.replace('_', ' ')} {format_value(protocol[name])}" for name in names if has(protocol, name)]

    sizes = [
        format_count(protocol[name], *unit)
        for name, unit in (("query", ("query", "queries")), ("database", ("database item", "database items")))
        if has(protocol, name)
    ]
    what = [*_other_data(protocol), *named("data", "split"), *sizes]
    return " · ".join([*what, *_unanswerable(protocol), *_unseen(protocol), *named(*settings)])


def _wrapped(text: str) -> list[str]:
    """Lines of at most `WIDTH` letters, broken behind the points between short parts and not within these."""
    whole = [part if len(part) > WIDTH // 2 else part.replace(" ", "\0") for part in text.split(" · ")]
    return [line.replace("\0", " ") for line in textwrap.wrap(" · ".join(whole), WIDTH, break_on_hyphens=False)]


def _other_data(protocol: Mapping[str, object]) -> list[str]:
    """That the data are not those that the artifact was trained on, and in what they differ."""
    changed = protocol.get("other_data")
    return [f"OTHER DATA than trained on: {'; '.join(map(str, changed))}"] if isinstance(changed, list) else []


def _unseen(protocol: Mapping[str, object]) -> list[str]:
    """The classes that were never trained on: by name where they are few, by number where they are many."""
    names = protocol.get("unseen_classes")
    if not isinstance(names, list | tuple) or not names:
        return []
    if len(names) > NAMED:
        return [f"{len(names):,} classes never trained on"]
    return [f"never trained on {', '.join(map(str, names))}"]


def _unanswerable(protocol: Mapping[str, object]) -> list[str]:
    """Queries whose score no ranking can change, by number, where there are any."""
    without = ("query without a relevant item", "queries without a relevant item")
    texts = (("without_relevant", without), ("all_relevant", ("with every item relevant",) * 2))
    return [format_count(protocol[name], *text) for name, text in texts if finite(protocol.get(name))]


def shown_equal(column: str, one: object, other: object) -> bool:
    """Whether two values of a column show as the same text."""
    return format_cell(column, one) == format_cell(column, other)


def has(values: Mapping[str, object], name: str) -> bool:
    """Whether `name` is there with something to show: neither None nor NaN."""
    return format_value(values.get(name)) != DASH


def finite(value: object) -> float | None:
    """The value as a finite float, or None where it is missing, not a number, or infinite.

    Texts count as the number they spell, because that is how a CSV file hands them over.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def format_cell(column: str, value: object) -> str:
    """A value of a row as text, by the rule of its column.

    mAP, P, recall, precision and accuracy have 4 decimals, `query_ms` 3 significant digits, and `qps`,
    `bytes_per_item` and `candidates` thousands separators.

    Example:
        >>> format_cell("P@10", 0.95), format_cell("query_ms", 0.012345), format_cell("qps", 123456.7)
        ('0.9500', '0.0123', '123,457')
    """
    number = finite(value)
    if number is None or isinstance(value, str):
        return format_value(value)
    if column.startswith(QUALITY):
        return f"{number:.4f}"
    if column == "query_ms":
        return significant(number, 3)
    if column in COST:
        return f"{number:,.0f}" if number.is_integer() or abs(number) >= 100 else f"{number:,.1f}"
    return format_value(value)


def format_signed(value: object) -> str:
    """A difference with 4 decimals and, unless they are all 0, its sign.

    Example:
        >>> format_signed(0.31), format_signed(-0.02), format_signed(-1e-9), format_signed(None)
        ('+0.3100', '−0.0200', '0.0000', '–')
    """
    number = finite(value)
    if number is None:
        return DASH
    return f"{number:+.4f}".replace("-", "−") if round(number, 4) else "0.0000"


def format_value(value: object) -> str:
    """Any JSON value as short text: "yes" and "no", 1,234, four significant digits, lists and mappings in a line.

    Example:
        >>> format_value({"m": 1000, "size": 1034.25}), format_value(True), format_value(float("nan"))
        ('m 1,000, size 1,034', 'yes', '–')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        return _format_float(float(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {format_value(item)}" for name, item in value.items()) or DASH
    if isinstance(value, Sequence):
        return ", ".join(format_value(item) for item in value) or DASH
    return DASH if value is None else str(value)


def format_count(value: object, one: str, several: str) -> str:
    """A number as `format_value` has it, and the words for one or for any other.

    Example:
        >>> format_count(1, "query", "queries"), format_count(1200, "query", "queries")
        ('1 query', '1,200 queries')
    """
    return f"{format_value(value)} {one if finite(value) == 1 else several}"


def _format_float(number: float) -> str:
    if math.isnan(number):
        return DASH
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e15 else f"{number:.4g}"


def significant(number: float, digits: int) -> str:
    """A finite number rounded to `digits` significant digits, never in exponent form.

    Example:
        >>> [significant(x, 3) for x in (0.00123456, 9.996, 1234.5, 0.0)]
        ['0.00123', '10.0', '1,230', '0']
    """
    if number == 0:
        return "0"
    rounded = float(f"{number:.{digits - 1}e}")
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(0, decimals)}f}"
