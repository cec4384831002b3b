"""The top of a report: what was done in a sentence or two, and the main numbers with what they are compared with."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from dqh.evaluation.report.codebook_usage import usage_of
from dqh.evaluation.report.limits import limit_note, loss_text
from dqh.evaluation.report.rows import interval_of, main_metric
from dqh.evaluation.report.table import (
    finite,
    format_cell,
    format_count,
    format_range,
    format_signed,
    has,
    is_trained,
    level_of,
    main_search,
    mapping_at,
    records_at,
    significant,
)
from dqh.pages import fill

Row = Mapping[str, object]
Key = tuple[str, str, Sequence[str]]
"""Label, value, and what it is compared with, a line each."""


def lede(metrics: Mapping[str, object]) -> str:
    """What was trained and searched, as far as the protocol says so; plain text."""
    protocol = mapping_at(metrics, "protocol")

    def count(name: str, one: str = "", several: str = "") -> str:
        return format_count(protocol.get(name), one, several).rstrip()

    sentences, learned = [], "trained on" if is_trained(metrics) else "computed from"
    if has(protocol, "bits"):
        codes = f"{count('bits', 'bit', 'bits')}{_codewords(metrics)}"
        if has(protocol, "train"):
            items = count("train", "item", "items")
            layer = "A network" if is_trained(metrics) else "A layer"
            sentences.append(f"{layer} {learned} {items} of {count('data')} turns every item into {codes}.")
        else:
            sentences.append(f"A network turns every item of {count('data')} into {codes}.")
    if has(protocol, "query") and has(protocol, "database"):
        among = f", those it was {learned} among them" if protocol.get("database_includes_train") is True else ""
        items = count("database", "database item", "database items")
        subject = "One query" if finite(protocol["query"]) == 1 else f"Each of {count('query')} queries"
        sentences.append(f"{subject} searches {items}{among}.")
    if has(protocol, "relevance"):
        sentences.append(f"Relevant to a query: {count('relevance')}.")
    if loss := loss_text(metrics):
        sentences.append(f"{loss[0].upper()}{loss[1:]}.")
    return " ".join(sentences)


def _codewords(metrics: Mapping[str, object]) -> str:
    """Of product-quantized codes M and K."""
    usage = usage_of(metrics)
    return f", {usage.subspaces:,} codewords out of {usage.codewords:,} each" if usage else ""


def key_numbers(metrics: Mapping[str, object]) -> Markup:
    """A few large numbers as a `<dl>`, "" where there are none."""
    main = main_search(metrics)
    rows = sorted(records_at(metrics, "rows"), key=lambda row: row.get("search") != main)
    keys = _quality(metrics, rows) + _accuracy(metrics, rows)
    for name, label in (("bytes_per_item", "bytes / item"), ("query_ms", "ms / query")):
        if rows and has(rows[0], name):
            keys.append((label, format_cell(name, rows[0][name]), _against_exhaustive(rows, name)))
    return fill("keys", keys=keys) if keys else Markup()


def _quality(metrics: Mapping[str, object], rows: Sequence[Row]) -> list[Key]:
    """The metric of the first row, and of the next ones, or the first one's gain over `untrained` where it is known."""
    metric = main_metric(metrics)
    if not rows or not metric:
        return []
    name = str(rows[0].get("search", ""))
    floats = f"embedding_{name.partition('_')[2]}"  # by the distance of the codes
    others = [row for row in rows[1:] if row.get("search") in (floats, "exhaustive", "coarse_to_fine")]
    against = [f"{row.get('search')} {format_cell(metric, row.get(metric))}" for row in others]
    span, level = interval_of(metrics, name), level_of(mapping_at(metrics, "intervals"))
    notes = [f"{level}: [{', '.join(format_cell(metric, end) for end in span)}]"] if span else []
    bound = limit_note(mapping_at(metrics, "limits"), metric)
    notes += [bound] if bound else []
    keys: list[Key] = [(f"{metric}, {name}", format_cell(metric, rows[0].get(metric)), [*notes, *against])]
    for pair in records_at(mapping_at(metrics, "intervals"), "pairs"):
        if (pair.get("search"), pair.get("against")) == (name, "untrained"):
            before = next((row.get(metric) for row in rows if row.get("search") == "untrained"), None)
            notes = [f"{level}: {format_range(pair)}", f"untrained {format_cell(metric, before)}"]
            notes += [f"on {format_count(pair['queries'], 'query', 'queries')}"] if has(pair, "queries") else []
            label = "gained by training" if is_trained(metrics) else "codes − features"
            keys.append((f"{metric}, {label}", format_signed(pair.get("value")), notes))
    return keys


def _accuracy(metrics: Mapping[str, object], rows: Sequence[Row]) -> list[Key]:
    accuracy = finite(metrics.get("accuracy"))
    if accuracy is None:
        return []
    plain = next((finite(row.get("accuracy")) for row in rows if row.get("search") == "without_h"), None)
    against = [] if plain is None else [f"without the latent layer {100 * plain:.2f}\N{NO-BREAK SPACE}%"]
    return [("accuracy", f"{100 * accuracy:.2f} %", ["of the classifier, on the queries", *_unseen(metrics), *against])]


def _unseen(metrics: Mapping[str, object]) -> list[str]:
    """How many queries the classifier cannot name rightly, as it never saw their classes."""
    new, all_of = (finite(mapping_at(metrics, part).get("query")) for part in ("unseen", "protocol"))
    if not new or not all_of:
        return []
    return [f"{new:,.0f} of {all_of:,.0f} are of classes it never saw"]


def _against_exhaustive(rows: Sequence[Row], name: str) -> list[str]:
    """The first row's search and, where there is one, the same cost of exhaustive search and their ratio."""
    own, first = finite(rows[0][name]), str(rows[0].get("search", ""))
    other = next((finite(row.get(name)) for row in rows[1:] if row.get("search") == "exhaustive"), None)
    if not own or not other:
        return [first]
    return [first, f"exhaustive {format_cell(name, other)} ({significant(other / own, 2)}×)"]
