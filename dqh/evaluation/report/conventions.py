"""The same codes under every named convention of mAP, on a report: one scale a metric, tie orders as bars."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from dqh.evaluation.report.interval_chart import Mark, interval_chart
from dqh.evaluation.report.table import (
    caption,
    columns_of,
    finite,
    format_cell,
    format_value,
    has,
    main_search,
    mapping_at,
    records_at,
    shown_equal,
)
from dqh.pages import fill

RULES = {
    "normaliser": {
        "min_k_relevant": "divided by min(k, relevant)",
        "hits": "divided by the hits within k",
        "relevant": "divided by all relevant",
    },
    "zero_hits": {"zero": "a query without a hit counts 0", "drop": "queries without a hit are left out"},
    "ties": {
        "expected": "ties by expectation",
        "order": "ties in database order",
        "best": "ties at their best",
        "worst": "ties at their worst",
    },
}
BOUNDS = ("_low", "_high", "_ceiling")


def conventions_content(metrics: Mapping[str, object]) -> Markup:
    """A scale for each mAP of the conventions; "" where there are none."""
    rows = records_at(metrics, "conventions")
    names = [name for name in columns_of(rows) if name.startswith("mAP@") and not name.endswith(BOUNDS)]
    main = f" ({main_search(metrics)})" if main_search(metrics) else ""
    about = caption(mapping_at(metrics, "protocol"), settings=())
    legend = "of the codes alone{main}; brackets: worst and best tie order; at most: a perfect ranking."
    charts = [(interval_chart([("", _marks(rows, name))], axis=name), name) for name in names]
    shown = [(chart, f"{name} {legend.format(main=main)}") for chart, name in charts if chart]
    return fill("conventions", charts=shown, about=about) if shown else Markup()


def _marks(rows: Sequence[Mapping[str, object]], metric: str) -> list[Mark]:
    marks = []
    for row in rows:
        low, high = finite(row.get(f"{metric}_low")), finite(row.get(f"{metric}_high"))
        span = "" if low is None else f"[{format_cell(metric, low)}, {format_cell(metric, high)}]"
        bound, ceiling = "", row.get(f"{metric}_ceiling")
        if finite(ceiling) is not None and not shown_equal(metric, ceiling, 1.0):
            bound = f"at most {format_cell(metric, ceiling)}"
        rules = [texts.get(str(row[name]), str(row[name])) for name, texts in RULES.items() if has(row, name)]
        text, value = format_cell(metric, row.get(metric)), finite(row.get(metric))
        rules += [f"also {format_value(row['aliases'])}"] if has(row, "aliases") else []
        marks.append(Mark(str(row.get("convention")), "; ".join(rules), value, text, low, high, span, bound))
    return marks
