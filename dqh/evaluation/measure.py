"""One way of searching from its ranking to its row, its curves, and its average precision of each query."""

from collections.abc import Sequence
from typing import NamedTuple

from dqh.evaluation.tally import Curves, PerQuery, Row, Tally
from dqh.index.orders.order import Order


class Retrieved(NamedTuple):
    """What was measured of some ways of searching; rows and curves are plain JSON values.

    Attributes:
        rows: one a way of searching. `search`: its name. `mAP@…`, `P@…`, `recall@…`: means over queries, 0 … 1.
            `precision@r…`, `recall@r…`, `average_precision@r…`: of the items within so many bits (`binary` only).
            `query_ms`: median of one query at a time, encoding excluded. `qps`: queries a second in one batch.
            `bytes_per_item`: of the codes and features searched. `candidates`: mean items that the last step compares.
        curves: by `search`: `precision_at_k` {k, precision} and `precision_recall` {recall, precision}.
        average_precision: by `search`: of each query, at the first cutoff of mAP.
    """

    rows: list[Row]
    curves: dict[str, Curves]
    average_precision: dict[str, PerQuery]


def measure(order: Order, name: str, *, tally: Tally, costs: Row) -> Retrieved:
    """Metrics and curves of one way of searching, by an empty tally; `costs` are columns that stand behind them."""
    for buckets in order.buckets(stable=tally.rules.ties == "order"):
        tally.add(buckets)
    return retrieved(tally, name, costs=costs)


def retrieved(tally: Tally, name: str, *, costs: Row) -> Retrieved:
    """What a tally has collected, as one row."""
    row: Row = {"search": name} | tally.row() | costs
    return Retrieved([row], {name: tally.curves()}, {name: tally.average_precision(tally.map_cutoffs[0])})


def renamed(parts: Retrieved, name: str, other: str, *, costs: Row) -> Retrieved:
    """What was measured of the way `name`, as that of another one that ranks alike and has its own costs."""
    (row,) = (row for row in parts.rows if row["search"] == name)
    metrics: Row = {column: value for column, value in row.items() if "@" in column}
    new: Row = {"search": other} | metrics | costs
    return Retrieved([new], {other: parts.curves[name]}, {other: parts.average_precision[name]})


def joined(parts: Sequence[Retrieved]) -> Retrieved:
    """The rows of several parts, in their order."""
    curves: dict[str, Curves] = {}
    average_precision: dict[str, PerQuery] = {}
    for part in parts:
        curves |= part.curves
        average_precision |= part.average_precision
    return Retrieved([row for part in parts for row in part.rows], curves, average_precision)
