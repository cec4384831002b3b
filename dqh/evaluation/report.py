"""One self-contained HTML page about an evaluation: numbers, curves, retrieved images, protocol, command.

Nothing is computed here: what is shown comes from `metrics.json`, `metrics.csv` and a `Grid` of pictures. The page
needs no network and runs no script; every text in it is escaped.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files
from pathlib import Path
from string import Template

from dqh import files
from dqh.evaluation import plots
from dqh.evaluation.grid import Grid, GridResult, GridRow, escape, render_grid
from dqh.evaluation.table import QUALITY, caption, columns_of, finite, format_cell, format_value, has, significant

__all__ = ["Grid", "GridResult", "GridRow", "write_report"]

HEADS = {"query_ms": "ms / query", "qps": "queries / s", "bytes_per_item": "bytes / item"}
NOTES = (
    "Bold: best of the column. ms / query: median, one query at a time; queries / s: in batches; both without encoding."
)


def write_report(
    path: Path,
    metrics: Mapping[str, object],
    history: Sequence[Mapping[str, object]],
    grid: Grid,
    *,
    title: str,
    command: str,
) -> None:
    """Write the page about one evaluation to `path`, atomically.

    Args:
        path: the file to write or replace; its folder must exist.
        metrics: the content of `metrics.json`: `protocol`, `accuracy`, `rows`, `curves`, `training`. What is missing,
            None or NaN shows as "–" or is left out with a sentence.
        history: the rows of `metrics.csv`, with `epoch`, `train/loss`, `val/mAP` …; empty where nothing was trained.
        grid: pictures of queries and their answers; `Grid()` where the data have none.
        title: the heading: method, data and bits.
        command: the command line that gives these numbers again.
    """
    path = Path(path)
    template = Template(package_files("dqh.evaluation").joinpath("report.html").read_text(encoding="utf-8"))
    protocol, training = _mapping(metrics, "protocol"), _mapping(metrics, "training")
    page = template.substitute(
        title=escape(title),
        about=escape(caption(protocol, settings=())),
        keys=_key_numbers(metrics),
        table=_table(metrics),
        plots=_plots(metrics, history),
        grid=_grid(grid, protocol),
        protocol=_facts(protocol, "The protocol was not recorded."),
        training=_facts(training, "Nothing was trained in this run."),
        command=escape(command),
    )
    files.write_text(path, page)


def _mapping(values: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = values.get(name)
    return part if isinstance(part, Mapping) else {}


def _rows(metrics: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    rows = metrics.get("rows")
    return rows if isinstance(rows, Sequence) else []


def _curves(metrics: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    return {name: part for name, part in _mapping(metrics, "curves").items() if isinstance(part, Mapping)}


def _key_numbers(metrics: Mapping[str, object]) -> str:
    rows = _rows(metrics)
    quality = next((name for name in columns_of(rows) if name.startswith("mAP@")), None)
    keys = []
    if quality:
        keys = [(quality, format_cell(quality, row.get(quality)), str(row.get("search", ""))) for row in rows[:3]]
    accuracy = finite(metrics.get("accuracy"))
    if accuracy is not None:
        keys.append(("accuracy", f"{100 * accuracy:.2f} %", "of the classifier"))
    for name, label in (("bytes_per_item", "bytes / item"), ("query_ms", "ms / query")):
        if rows and has(rows[0], name):
            keys.append((label, format_cell(name, rows[0][name]), _against_exhaustive(rows, name)))
    items = (
        f'<div><dt>{escape(label)}</dt><dd class="value">{escape(value)}</dd><dd>{escape(note)}</dd></div>'
        for label, value, note in keys
    )
    return f'<dl class="keys">{"".join(items)}</dl>' if keys else ""


def _against_exhaustive(rows: Sequence[Mapping[str, object]], name: str) -> str:
    """The first row's search and, where there is one, the same cost of exhaustive search and their ratio."""
    own, first = finite(rows[0][name]), str(rows[0].get("search", ""))
    other = next((finite(row.get(name)) for row in rows[1:] if row.get("search") == "exhaustive"), None)
    if not own or not other:
        return first
    return f"{first}; exhaustive {format_cell(name, other)} ({significant(other / own, 2)}×)"


def _table(metrics: Mapping[str, object]) -> str:
    rows = _rows(metrics)
    if not rows:
        return '<p class="note">No way of searching was evaluated.</p>'
    columns = columns_of(rows)
    best = {name: _best(rows, name) for name in columns if name.startswith(QUALITY)}
    coloured = list(_curves(metrics))

    def cell(row: Mapping[str, object], name: str) -> str:
        text = format_cell(name, row.get(name))
        if name == "search":
            colour = ""
            if text in coloured:
                series = coloured.index(text) % len(plots.COLOURS) + 1
                colour = f' style="--colour: var(--series-{series})"'
            return f'<th scope="row"><span class="swatch"{colour}></span>{escape(text)}</th>'
        return f'<td class="best">{text}</td>' if best.get(name) == text else f"<td>{escape(text)}</td>"

    head = "".join(f'<th scope="col">{escape(HEADS.get(name, name))}</th>' for name in columns)
    body = "\n".join(f"<tr>{''.join(cell(row, name) for name in columns)}</tr>" for row in rows)
    table = f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return _figure(_scroll("Numbers", table), f"{escape(caption(_mapping(metrics, 'protocol')))}<br>{NOTES}")


def _best(rows: Sequence[Mapping[str, object]], name: str) -> str | None:
    """The highest value of a column as its cell shows it, or None where the rows show no difference."""
    values = [value for row in rows if (value := finite(row.get(name))) is not None]
    return format_cell(name, max(values)) if len({format_cell(name, value) for value in values}) > 1 else None


def _scroll(label: str, content: str) -> str:
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{content}</div>'


def _figure(content: str, legend: str) -> str:
    return f"<figure>{content}<figcaption>{legend}</figcaption></figure>"


def _plots(metrics: Mapping[str, object], history: Sequence[Mapping[str, object]]) -> str:
    curves = _curves(metrics)
    protocol, training = _mapping(metrics, "protocol"), _mapping(metrics, "training")
    sizes = [
        f"{format_value(protocol[name])} {what}"
        for name, what in (("train", "training items"), ("validation", "validation items"))
        if has(protocol, name)
    ]
    data = [f"data {format_value(protocol['data'])}"] if has(protocol, "data") else []
    best = finite(training.get("best_epoch"))
    measured, trained = caption(protocol, settings=("ties", "pool")), " · ".join([*data, *sizes])
    figures = [
        (plots.precision_curves(curves), measured, "Precision at k was not recorded."),
        (plots.precision_recall(curves), measured, "Precision against recall was not recorded."),
        (plots.learning_curve(history, best), trained, "There is no learning curve: no history of training is here."),
    ]
    drawn = "\n".join(_figure(svg, escape(legend)) for svg, legend, _ in figures if svg)
    notes = " ".join(missing for svg, _, missing in figures if not svg)
    return (f'<div class="plots">{drawn}</div>' if drawn else "") + (f'<p class="note">{notes}</p>' if notes else "")


def _facts(values: Mapping[str, object], empty: str) -> str:
    if not values:
        return f'<p class="note">{empty}</p>'
    lines = (
        f'<tr><th scope="row">{escape(name.replace("_", " "))}</th><td>{escape(_fact(name, value))}</td></tr>'
        for name, value in values.items()
    )
    return f"<table><tbody>{''.join(lines)}</tbody></table>"


def _fact(name: str, value: object) -> str:
    return str(value) if name.endswith("seed") and isinstance(value, int) else format_value(value)


def _grid(grid: Grid, protocol: Mapping[str, object]) -> str:
    table = render_grid(grid)
    if table is None:
        return '<p class="note">These data have no pictures to show.</p>'
    found = [f"search {grid.search}"] if grid.search else []
    found += [f"distance in {grid.unit}"] if grid.unit else []
    how = f" ({', '.join(found)})" if found else ""
    chosen = f"{len(grid.rows):,} queries shown" + (f", {grid.selection}" if grid.selection else "")
    return (
        f"<p>Each query with its nearest database items{escape(how)}: "
        '<span class="hit"><b>✓</b> relevant</span>, <span class="miss"><b>✗</b> not relevant</span>.</p>'
        + _figure(_scroll("Retrieved images", table), escape(f"{chosen} · {caption(protocol, settings=())}"))
    )
