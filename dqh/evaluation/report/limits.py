"""What the labels alone say of the scores, in words: queries without a relevant item, ceilings, what cannot differ."""

from collections.abc import Mapping, Sequence

from dqh.evaluation.report.table import (
    LEADING,
    finite,
    format_cell,
    format_count,
    format_range,
    format_signed,
    format_value,
    is_trained,
    main_search,
    mapping_at,
    records_at,
    shown_equal,
)

PERFECT = 1.0


def limits_text(limits: Mapping[str, object], protocol: Mapping[str, object]) -> str:
    """One line on queries that no ranking can serve, or every one does, and on what a perfect ranking scores.

    Of `limits` and `protocol` in `metrics.json`; "" where a perfect ranking scores 1 throughout, or nothing is known.
    """
    heads, best, worst = [], mapping_at(limits, "best"), mapping_at(limits, "worst")
    of = f"of {format_count(limits.get('queries'), 'query', 'queries')}"
    if finite(limits.get("without_relevant")):
        dropped = protocol.get("zero_hits") == "drop"
        one = "is left out of mAP" if dropped else "counts 0"
        several = "are left out of mAP" if dropped else "count 0"
        words = (f"{of} has no relevant item and {one}", f"{of} have no relevant item and {several}")
        heads.append(format_count(limits["without_relevant"], *words))
    if finite(limits.get("all_relevant")):
        heads.append(f"every item is relevant to {format_value(limits['all_relevant'])} {of}")
    beyond = beyond_relevant(list(best), limits)
    names = [name for name in best if name.startswith(LEADING) and name not in beyond]
    fixed = [name for name in names if name.startswith("mAP@") and shown_equal(name, best[name], worst.get(name))]
    capped = [name for name in names if name not in fixed and not shown_equal(name, best[name], PERFECT)]
    scores = [
        f"{what} scores {', '.join(f'{name} {format_cell(name, best[name])}' for name in chosen)}"
        for what, chosen in (("every ranking", fixed), ("a perfect ranking", capped))
        if chosen
    ]
    return ": ".join(part for part in ("; ".join(heads), "; ".join(scores)) if part)


def subset_text(metrics: Mapping[str, object]) -> str:
    """Which rows were measured on some of the queries and items, on how many, and how the codes alone do there.

    "" where every row has all of them.
    """
    subset, protocol = mapping_at(metrics, "subset"), mapping_at(metrics, "protocol")
    names = subset.get("searches")
    if not isinstance(names, list | tuple) or not names:
        return ""
    sizes = " and ".join(
        f"{format_value(subset.get(name))} of {format_value(protocol.get(name))} {unit}"
        for name, unit in (("query", "queries"), ("database", "database items"))
    )
    text = f"{' and '.join(map(str, names))}: {sizes} (search.untrained_images=null takes all)"
    metric = str(mapping_at(metrics, "intervals").get("metric", ""))
    for row in records_at(subset, "rows"):
        if finite(row.get(metric)) is not None:
            text += f", where {row.get('search')} has {metric} {format_cell(metric, row[metric])}"
    bounds = limits_text(mapping_at(subset, "limits"), protocol)
    return f"{text}; {bounds}" if bounds else text


def loss_text(metrics: Mapping[str, object]) -> str:
    """That the codes alone find less than the network before training, where an interval lies wholly below 0.

    "" where they find as much or more, or nobody can tell.
    """
    main, intervals = main_search(metrics), mapping_at(metrics, "intervals")
    longer = "a longer training (trainer.epochs), pretrained weights, another method"
    more = longer if is_trained(metrics) else "a trained method"
    for pair in records_at(intervals, "pairs"):
        high = finite(pair.get("high"))
        if (pair.get("search"), pair.get("against")) == (main, "untrained") and high is not None and high < 0:
            return (
                f"{main} finds less than the features of the network before training: {intervals.get('metric')} "
                f"{format_signed(pair.get('value'))}, {format_range(pair)}; for more: {more}, or more bits"
            )
    return ""


def beyond_relevant(columns: Sequence[str], limits: Mapping[str, object]) -> list[str]:
    """The P@k whose k is more than any query has relevant items: the same hits, over an ever larger number.

    Example:
        >>> beyond_relevant(["P@10", "P@500", "mAP@1000"], {"relevant": {"most": 32}})
        ['P@500']
    """
    most = finite(mapping_at(limits, "relevant").get("most"))
    if most is None:
        return []
    return [name for name in columns if name.startswith("P@") and (finite(name.removeprefix("P@")) or 0) > most]


def limit_note(limits: Mapping[str, object], metric: str) -> str:
    """What bounds one metric, for beside its value; "" where nothing does."""
    best, worst = mapping_at(limits, "best").get(metric), mapping_at(limits, "worst").get(metric)
    if finite(best) is None:
        return ""
    if shown_equal(metric, best, worst):
        return "the same for every ranking"
    if shown_equal(metric, best, PERFECT):
        return ""
    missing = finite(limits.get("without_relevant"))
    words = ("query has no relevant item", "queries have no relevant item")
    why = f": {format_count(missing, *words)}" if missing else ""
    return f"at most {format_cell(metric, best)}{why}"
