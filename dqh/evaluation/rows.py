"""All rows of an evaluation: the ways of searching and what they are compared with, on all classes or on some."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.artifact import Artifact
from dqh.codes import pack
from dqh.evaluation.baselines import Baselines, fit_baselines
from dqh.evaluation.limits import limits
from dqh.evaluation.measure import Retrieved, Row, joined, measure, renamed
from dqh.evaluation.ranked_elsewhere import Elsewhere, order_of
from dqh.evaluation.references import (
    MISSING,
    Reference,
    References,
    accuracy,
    by_codes,
    by_features,
    class_index,
    class_scores,
    compare,
    left_out,
)
from dqh.evaluation.retrieval import Retrieval, retrieve
from dqh.evaluation.subset import Subset, SubsetRows, subset_of, unseen_part
from dqh.index.ways import main_way
from dqh.ranking.side import Side

UNTRAINED_ROWS = ("untrained", "untrained_h")
"""Rows of the network before training."""

NO_BITS = "the network before training has product-quantized codes, not bits of a latent layer"


class Sides(NamedTuple):
    """Queries and database as one encoder sees them."""

    query: Side
    database: Side

    def of_classes(self, classes: NDArray[np.bool_]) -> "Sides | None":
        """The part that has one of these classes, (C,) bool; None where that leaves no query or no item."""
        part = Sides(unseen_part(self.query, classes), unseen_part(self.database, classes))
        return part if len(part.query.codes) and len(part.database.codes) else None

    def at(self, subset: Subset) -> "Sides":
        """Some of the queries and items."""
        return Sides(self.query.at(subset.query.tolist()), self.database.at(subset.database.tolist()))


Encode = Callable[[Artifact, Subset | None], Sides]
"""Queries and database by an artifact: all of them, or a subset."""


class Rows(NamedTuple):
    """What was measured.

    Attributes:
        everything: rows, curves and average precision over all queries.
        unseen: those of unseen classes among themselves, or None where there is none.
        unseen_sizes: queries and database items of unseen classes.
        limits: what the labels alone say of the scores over all queries, as `limits` has it.
        unseen_limits: the same of unseen classes among themselves, or None.
        subset: the rows that were measured on some queries and items, or None where each has all.
        missing: reference or baseline → why there is no such row.
        baselines: rows of shallow quantizers that were fitted.
    """

    everything: Retrieved
    unseen: Retrieved | None
    unseen_sizes: tuple[int, int]
    limits: dict[str, Any]
    unseen_limits: dict[str, Any] | None
    missing: dict[str, str]
    baselines: tuple[str, ...] = ()
    subset: SubsetRows | None = None


class _Place(NamedTuple):
    """Where rankings are computed, as arguments of what makes them."""

    device: torch.device
    elsewhere: Elsewhere | None


class _Comparison(NamedTuple):
    """A reference or a baseline before it is known which classes it is measured on.

    `same_as` is a way of searching the artifact's own codes that is known to rank alike, and is not measured again.
    """

    name: str
    sides: Sides
    make: Callable[[Side, Side], Reference]
    same_as: str | None = None
    on_subset: bool = False


def measure_rows(
    artifact: Artifact,
    sides: Sides,
    *,
    references: References,
    encode: Encode,
    unseen: NDArray[np.bool_],
    retrieval: Retrieval,
    device: torch.device,
    train: Side | None = None,
    class_names: Sequence[str] | None = None,
    elsewhere: Elsewhere | None = None,
) -> Rows:
    """Search, measure and compare.

    References are encoded by `encode` one after the other, and let go of; `unseen` is (C,) bool, classes that were
    never trained on; `elsewhere` ranks in the place of this process.

    Raises:
        ValueError: a vector is not finite, or there are no training rows for the baselines.
    """
    if retrieval.baselines and train is None:
        raise ValueError(f"train must be given to fit the baselines {', '.join(retrieval.baselines)}, got None")
    part = sides.of_classes(unseen) if unseen.any() else None
    untimed = dataclasses.replace(retrieval, timed_queries=0)
    search = partial(retrieve, quantizer=artifact.quantizer, device=device, elsewhere=elsewhere)
    everything = [search(*sides, retrieval=retrieval)]
    of_unseen = [] if part is None else [search(*part, retrieval=untimed)]
    fitted = Baselines([], {})
    if train is not None:
        fitted = fit_baselines(retrieval.baselines or (), train, quantizer=artifact.quantizer, device=device)
    subset = subset_of(*(len(side.codes) for side in sides), most=retrieval.untrained_images)
    place = _Place(device, elsewhere)
    comparisons = _comparisons(artifact, sides, references, encode, place, class_names, subset)
    for comparison in chain(_of_baselines(fitted, sides, place), comparisons):
        everything.append(_compared(comparison, comparison.sides, retrieval, own=everything[0]))
        new_classes = None if part is None else comparison.sides.of_classes(unseen)
        if new_classes is not None:
            of_unseen.append(_compared(comparison, new_classes, retrieval, own=of_unseen[0]))
    measured = joined(everything)
    reasons = MISSING | (
        {"untrained_h": NO_BITS} if references.untrained and not _has_bits(references.untrained) else {}
    )
    if reason := left_out(artifact.training):
        reasons["without_h"] = reason
    return Rows(
        measured,
        joined(of_unseen) if of_unseen else None,
        (0, 0) if part is None else (len(part.query.codes), len(part.database.codes)),
        _limits(sides, retrieval),
        None if part is None else _limits(part, retrieval),
        fitted.missing | {name: reason for name, reason in reasons.items() if name not in measured.curves},
        tuple(baseline.name for baseline in fitted.fitted),
        None
        if subset is None or references.untrained is None
        else _of_subset(artifact, sides, subset, measured, retrieval, place),
    )


def _of_subset(
    artifact: Artifact, sides: Sides, subset: Subset, everything: Retrieved, retrieval: Retrieval, place: "_Place"
) -> SubsetRows:
    """The trained codes alone on a subset, beside the rows of the network before training."""
    part = sides.at(subset)
    main, sizes = main_way(artifact.quantizer), (len(part.query.codes), len(part.database.codes))
    order = order_of(main, *part, artifact.quantizer, **place._asdict())
    costs: Row = {"bytes_per_item": main.item_bytes(part.database), "candidates": sizes[1], "queries": sizes[0]}
    measured = measure(order, main.name, empty=partial(retrieval.tally, sizes[1]), costs=costs)
    searches = tuple(name for name in UNTRAINED_ROWS if name in everything.curves)
    return SubsetRows(searches, sizes, measured, _limits(part, retrieval))


def _limits(sides: Sides, retrieval: Retrieval) -> dict[str, Any]:
    return limits(sides.query.labels, sides.database.labels, tally=retrieval.tally)


def cut_at_the_medians(sides: Sides) -> Sides:
    """Codes with each bit set in half of the database; at their threshold untrained units may never change sides."""
    middle = np.median(sides.database.embedding, axis=0)
    return Sides(*(side._replace(codes=pack(side.embedding > middle)) for side in sides))


def _of_baselines(baselines: Baselines, sides: Sides, place: "_Place") -> Iterator[_Comparison]:
    for baseline in baselines.fitted:
        yield _Comparison(
            baseline.name,
            Sides(baseline.encoded(sides.query), baseline.encoded(sides.database)),
            partial(by_codes, quantizer=baseline.quantizer, **place._asdict()),
        )


def _comparisons(
    artifact: Artifact,
    sides: Sides,
    references: References,
    encode: Encode,
    place: "_Place",
    class_names: Sequence[str] | None,
    subset: Subset | None,
) -> Iterator[_Comparison]:
    own = place._asdict()
    if class_scores(artifact, sides.query.embedding[:1]) is not None:
        by_class = partial(class_index, artifact, device=place.device, elsewhere=place.elsewhere)
        yield _Comparison("class_index", sides, lambda query, database: _required(by_class(query, database)))
    untrained, without_h = references.untrained, references.without_h
    if untrained is not None:
        before, on_subset = encode(untrained, subset), subset is not None
        # a network that is not trained has them
        alike = "exhaustive" if not on_subset and _equal_features(before, sides) else None
        yield _Comparison("untrained", before, partial(by_features, **own), same_as=alike, on_subset=on_subset)
        if _has_bits(untrained):
            cut = cut_at_the_medians(before)
            by_bits = partial(by_codes, quantizer=untrained.quantizer, **own)
            yield _Comparison("untrained_h", cut, by_bits, on_subset=on_subset)
    if without_h is not None:
        plain = encode(without_h, None)
        right = accuracy(without_h, plain.query, class_names)
        yield _Comparison("without_h", plain, partial(by_features, accuracy=right, **own))


def _equal_features(one: Sides, other: Sides) -> bool:
    """Whether two encoders give the same features; most differ in those of the first query already."""
    return all(
        a.features.shape == b.features.shape and np.array_equal(a.features, b.features)
        for a, b in zip(one, other, strict=True)
    )


def _has_bits(artifact: Artifact) -> bool:
    return "hamming" in artifact.quantizer.distances


def _required(reference: Reference | None) -> Reference:
    assert reference is not None, "asked for before"
    return reference


def _compared(comparison: _Comparison, sides: Sides, retrieval: Retrieval, *, own: Retrieved) -> Retrieved:
    items, reference = len(sides.database.labels), comparison.make(*sides)
    if comparison.on_subset:
        measured = compare(reference, comparison.name, items=items, retrieval=retrieval)
        return measured._replace(rows=[row | {"queries": len(sides.query.labels)} for row in measured.rows])
    if comparison.same_as is None:
        return compare(reference, comparison.name, items=items, retrieval=retrieval)
    return renamed(own, comparison.same_as, comparison.name, costs=reference.costs(items))
