"""One self-contained HTML page about an evaluation: numbers, curves, retrieved images, code health, how it was made.

Nothing is computed here: what is shown comes from `metrics.json`, `metrics.csv`, a `Grid` of pictures and a `CodeMap`.
The page needs no network and runs no script. How it looks is said by the templates in `dqh.pages`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from dqh import files
from dqh.conveniences import convenience
from dqh.evaluation.code_map import CodeMap
from dqh.evaluation.intervals import by_another_distance
from dqh.evaluation.report import plots
from dqh.evaluation.report.codebook_usage import codebook_findings, codebook_pictures, usage_of
from dqh.evaluation.report.comparison import comparison_curves, comparison_legend
from dqh.evaluation.report.grid import Grid, render_grid
from dqh.evaluation.report.head import key_numbers, lede
from dqh.evaluation.report.health_findings import findings
from dqh.evaluation.report.health_plots import health_pictures
from dqh.evaluation.report.history_plot import further_curves
from dqh.evaluation.report.interval_chart import Mark, interval_chart
from dqh.evaluation.report.rows import differences_content, rows_content, unseen_content
from dqh.evaluation.report.table import (
    BASELINES,
    REFERENCES,
    caption,
    columns_of,
    finite,
    format_cell,
    format_count,
    format_value,
    has,
    main_search,
    mapping_at,
    records_at,
    shown_equal,
)
from dqh.pages import fill
from dqh.quantizers import QUANTIZERS, Threshold

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


def write_report(
    path: Path,
    metrics: Mapping[str, object],
    history: Sequence[Mapping[str, object]],
    grid: Grid,
    *,
    title: str,
    command: str,
    code_map: CodeMap | None = None,
) -> None:
    """Write the page about one evaluation to `path`, atomically.

    Args:
        path: the file to write or replace; its folder must exist.
        metrics: the content of `metrics.json`: `protocol`, `accuracy`, `rows`, `missing`, `intervals`, `subset`,
            `curves`, `conventions`, `health`, `unseen`, `training`, `environment`. What is missing, None or NaN shows
            as "–", is left out, or is replaced by a sentence.
        history: the rows of `metrics.csv`, with `epoch`, `train/loss`, `val/mAP` …; empty where nothing was trained.
        grid: pictures of queries and their answers; `Grid()` where the data have none.
        title: the heading: method, data and bits.
        command: the command line that gives these numbers again.
        code_map: where the codes lie in the plane; None for no map.
    """
    path = Path(path)
    protocol = mapping_at(metrics, "protocol")
    sections = [
        ("searches", "Ways of searching", rows_content(metrics)),
        ("differences", "Differences", differences_content(metrics)),
        ("unseen", "Unseen classes", unseen_content(metrics)),
        ("curves", "Curves", _unless_it_fails("curves", lambda: _plots(metrics, history))),
        ("images", "Retrieved images", _unless_it_fails("pictures", lambda: _grid(grid, protocol))),
        ("health", "Health of the codes", _unless_it_fails("health", lambda: health_content(metrics, code_map))),
        ("conventions", "Conventions of mAP", conventions_content(metrics)),
        ("made", "How it was made", made_content(metrics, command)),
    ]
    page = fill(
        "report",
        title=title,
        lede=lede(metrics),
        about=caption(protocol),
        keys=key_numbers(metrics),
        sections=[section for section in sections if section[2]],
    )
    files.write_text(path, f"{page}\n")


def _unless_it_fails(what: str, content: Callable[[], Markup]) -> Markup:
    """A part of the page; none, and a warning, where it cannot be drawn."""
    parts: list[Markup] = []
    with convenience(f"report.html: {what}"):
        parts.append(content())
    return parts[0] if parts else Markup()


def _plots(metrics: Mapping[str, object], history: Sequence[Mapping[str, object]]) -> Markup:
    curves = {
        # baselines are compared in a picture of their own, and another distance makes nearly the same curve
        name: {} if name in BASELINES or by_another_distance(name, main_search(metrics)) else part
        for name, part in mapping_at(metrics, "curves").items()
        if isinstance(part, Mapping)
    }
    protocol, training = mapping_at(metrics, "protocol"), mapping_at(metrics, "training")
    sizes = [
        f"{format_value(protocol[name])} {what}"
        for name, what in (("train", "training items"), ("validation", "validation items"))
        if has(protocol, name)
    ]
    data = [f"data {format_value(protocol['data'])}"] if has(protocol, "data") and sizes else []
    best = finite(training.get("best_epoch"))
    reason = str(training.get("chosen_by", ""))
    unchosen = f", the {reason}" if reason.startswith("last epoch") else ""
    parts = parts_of(metrics)
    part = f" Of part of the images, and so no match for the others: {', '.join(parts)}." if parts else ""
    measured, trained = caption(protocol, settings=("ties", "pool")), " · ".join([*data, *sizes])
    figures = [
        (
            plots.precision_curves(curves, thin=REFERENCES, parts=parts, limits=mapping_at(metrics, "limits")),
            "Share of relevant items among the k nearest, mean over queries. Dotted, where below 1: the most that "
            f"a ranking can reach, as queries have fewer relevant items than k.{part}",
            measured,
            "Precision at k was not recorded.",
        ),
        (
            plots.precision_recall(curves, thin=REFERENCES, parts=parts),
            "Share of relevant items among those looked at, against the share of the relevant ones found by then."
            f"{part}",
            measured,
            "Precision against recall was not recorded.",
        ),
        (comparison_curves(metrics), comparison_legend(metrics), measured, ""),
        (
            plots.learning_curve(history, best),
            f"Above what training minimises, below what chose the epoch; dotted: the epoch that was kept{unchosen}.",
            trained,
            "There is no learning curve: no history of training is here.",
        ),
        (
            further_curves(history),
            "What else was logged, a panel a name: blue in training, orange in validation.",
            trained,
            "",
        ),
    ]
    drawn = [(svg, text, about) for svg, text, about, _ in figures if svg]
    missing = " ".join(sentence for svg, _, _, sentence in figures if sentence and not svg)
    return fill("curves", pictures=drawn, missing=missing)


def parts_of(metrics: Mapping[str, object]) -> dict[str, str]:
    """By search that was measured on part of the images: of how many items, or of how many queries where of all items.

    Example:
        >>> parts_of({"subset": {"searches": ["untrained"], "query": 50, "database": 5000}})
        {'untrained': '5,000 items'}
    """
    subset, protocol = mapping_at(metrics, "subset"), mapping_at(metrics, "protocol")
    searches = subset.get("searches")
    if not isinstance(searches, list | tuple):
        return {}
    fewer = subset.get("database") != protocol.get("database")
    size = (subset.get("database"), "item", "items") if fewer else (subset.get("query"), "query", "queries")
    return dict.fromkeys(map(str, searches), format_count(*size))


def made_content(metrics: Mapping[str, object], command: str) -> Markup:
    """The command, and every field of protocol, training and environment."""
    tables = [
        ("Protocol", _facts(mapping_at(metrics, "protocol")), "The protocol was not recorded."),
        ("Training", _facts(mapping_at(metrics, "training")), "Nothing was trained in this run."),
        ("Environment", _facts(_environment(metrics, command)), "The environment was not recorded."),
    ]
    return fill("made", command=command, tables=tables)


def _environment(metrics: Mapping[str, object], command: str) -> dict[str, object]:
    """The environment with its groups (machine, versions) laid flat; its command only where it is another one."""
    facts: dict[str, object] = {}
    for name, value in mapping_at(metrics, "environment").items():
        if isinstance(value, Mapping):
            facts |= {str(inner): content for inner, content in value.items()}
        elif (name, value) != ("command", command):
            facts[name] = value
    return facts


def _facts(values: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _fact(name, value)) for name, value in values.items()]


def _fact(name: str, value: object) -> str:
    return str(value) if name.endswith("seed") and isinstance(value, int) else format_value(value)


def _grid(grid: Grid, protocol: Mapping[str, object]) -> Markup:
    table = render_grid(grid)
    if table is None:
        return fill("note", text="These data have no pictures to show.")
    parts = [f"search {grid.search}"] if grid.search else []
    parts += [f"distance in {grid.unit}"] if grid.unit else []
    chosen = f"{len(grid.rows):,} queries shown" + (f", {grid.selection}" if grid.selection else "")
    return fill(
        "images",
        grid=table,
        how=f" ({', '.join(parts)})" if parts else "",
        scored=any(row.score is not None for row in grid.rows),
        legend=f"{chosen}.",
        about=caption(protocol, settings=()),
    )


def health_content(metrics: Mapping[str, object], code_map: CodeMap | None) -> Markup:
    """Sentences and pictures about the codes, binary or product-quantized; "" where nothing is known of them."""
    health, about = mapping_at(metrics, "health"), caption(mapping_at(metrics, "protocol"), settings=())
    usage = usage_of(metrics)
    if usage is not None:
        sentences = codebook_findings(usage, health)
        pictures = [*codebook_pictures(usage, health), *health_pictures(None, code_map)]
    else:
        kind = QUANTIZERS.get(str(health.get("kind", Threshold.kind)))
        known = {} if kind is None or "hamming" not in kind.distances else health
        sentences, pictures = findings(known) if known else [], health_pictures(known, code_map)
    figures = [(picture.svg, picture.legend, about) for picture in pictures]
    return fill("health", findings=sentences, pictures=figures)


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
