"""Pairs of works that take turns in this process, and the median of their ratios: what benchmarks of search compare by.

Ratios are of CPU seconds, so that other work on the machine counts less, those of several threads of wall seconds.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Work = Callable[[], Any]


class Seconds(NamedTuple):
    """Of one call."""

    wall: float
    cpu: float


class Row(NamedTuple):
    """One comparison.

    Attributes:
        what: is measured.
        against: what.
        floor: of the ratio.
        target: of the ratio.
        ratio: median.
        spread: the least and the largest ratio.
        ours: medians of seconds.
        theirs: likewise.
        unit: what one call does, for the reader.
    """

    what: str
    against: str
    floor: float | None
    target: float | None
    ratio: float
    spread: tuple[float, float]
    ours: Seconds
    theirs: Seconds
    unit: str


def timed(work: Work) -> Seconds:
    """One call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def pairs(
    what: str,
    ours: Work,
    against: str,
    theirs: Work,
    *,
    rounds: int,
    unit: str,
    floor: float | None = None,
    target: float | None = None,
    cpu: bool = True,
) -> Row:
    """Both once unmeasured, then in turns; the ratio is theirs to ours."""
    ours(), theirs()
    times = []
    for number in range(rounds):
        order = (ours, theirs) if number % 2 else (theirs, ours)
        first, second = timed(order[0]), timed(order[1])
        times.append((first, second) if number % 2 else (second, first))
    ratios = [their.cpu / our.cpu if cpu else their.wall / our.wall for our, their in times]
    sides = [middle([pair[side] for pair in times]) for side in (0, 1)]
    return told(Row(what, against, floor, target, *spread(ratios), sides[0], sides[1], unit))


def gains(
    what: str,
    ours: tuple[Work, Work],
    against: str,
    theirs: tuple[Work, Work],
    *,
    rounds: int,
    unit: str,
    floor: float,
) -> Row:
    """What our work gains from a second thread, over what another work gains from it: (by one, by two) of each.

    `ours` and `theirs` of the row are the seconds by two threads.
    """
    works = (*ours, *theirs)
    for work in works:
        work()
    times = [[timed(work) for work in works] for _ in range(rounds)]
    ratios = [one.wall / two.wall / (other.wall / of_two.wall) for one, two, other, of_two in times]
    sides = [middle([turn[side] for turn in times]) for side in (1, 3)]
    return told(Row(what, against, floor, None, *spread(ratios), sides[0], sides[1], unit))


def middle(times: Sequence[Seconds]) -> Seconds:
    """Medians."""
    return Seconds(*(statistics.median(values) for values in zip(*times, strict=True)))


def spread(ratios: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """The median, the least and the largest."""
    return statistics.median(ratios), (min(ratios), max(ratios))


def told(row: Row) -> Row:
    """Printed as soon as it is there."""
    print(
        f"{row.what} against {row.against}: {row.ratio:.2f} ({row.spread[0]:.2f} … {row.spread[1]:.2f}), "
        f"{1e3 * row.ours.wall:.2f} ms against {1e3 * row.theirs.wall:.2f} ms",
        flush=True,
    )
    return row


def short(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def table(rows: Sequence[Row]) -> list[str]:
    """Rows as markdown, milliseconds."""
    lines = [
        "| what | against | ratio | least … largest | floor | target | ours, ms | theirs, ms | of |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        bounds = " | ".join("–" if bound is None else f"{bound:.4g}" for bound in (row.floor, row.target))
        times = " | ".join(f"{1e3 * side.cpu:.4g} ({1e3 * side.wall:.4g})" for side in (row.ours, row.theirs))
        lines.append(
            f"| {row.what} | {row.against} | **{short(row.ratio)}** | {short(row.spread[0])} … {short(row.spread[1])} "
            f"| {bounds} | {times} | {row.unit} |"
        )
    return lines


class Ours(NamedTuple):
    """One of several works that are compared with the same other one.

    Attributes:
        what: it does.
        work: does it.
        floor: of the ratio.
        target: of the ratio.
    """

    what: str
    work: Work
    floor: float | None = None
    target: float | None = None


def turns(all_ours: Sequence[Ours], against: str, theirs: Work, *, rounds: int, unit: str) -> list[Row]:
    """Rows as of `pairs`, the other work done once a round, between halves of ours that change places."""
    for work in (theirs, *(ours.work for ours in all_ours)):
        work()
    times: list[list[Seconds]] = [[] for _ in all_ours]
    others = []
    for number in range(rounds):
        order = [*range(len(all_ours))][:: 1 if number % 2 else -1]
        half = len(order) // 2
        for place in order[:half]:
            times[place].append(timed(all_ours[place].work))
        others.append(timed(theirs))
        for place in order[half:]:
            times[place].append(timed(all_ours[place].work))
    rows = []
    for ours, own in zip(all_ours, times, strict=True):
        ratios = [other.cpu / one.cpu for one, other in zip(own, others, strict=True)]
        bounds = ours.floor, ours.target
        rows.append(told(Row(ours.what, against, *bounds, *spread(ratios), middle(own), middle(others), unit)))
    return rows
