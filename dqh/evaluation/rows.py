"""All rows of an evaluation: the three ways of searching and what they are compared with, on all classes or on some."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.evaluation.references import (
    MISSING,
    Reference,
    References,
    accuracy,
    by_codes,
    by_features,
    class_index,
    class_scores,
    measure,
)
from dqh.evaluation.retrieval import Retrieval, Retrieved, retrieve
from dqh.evaluation.searches import Side
from dqh.evaluation.unseen import unseen_part
from dqh.export import Artifact
from dqh.index.hamming import BinaryQuantizer


class Sides(NamedTuple):
    """Queries and database as one encoder sees them."""

    query: Side
    database: Side

    def of_classes(self, classes: NDArray[np.bool_]) -> "Sides | None":
        """The part that has one of these classes, (C,) bool; None where that leaves no query or no item."""
        part = Sides(unseen_part(self.query, classes), unseen_part(self.database, classes))
        return part if len(part.query.codes) and len(part.database.codes) else None


class Rows(NamedTuple):
    """What was measured.

    Attributes:
        everything: rows, curves and average precision over all queries.
        unseen: those of unseen classes among themselves, or None where there is none.
        unseen_sizes: queries and database items of unseen classes.
        missing: reference → why there is no such row.
    """

    everything: Retrieved
    unseen: Retrieved | None
    unseen_sizes: tuple[int, int]
    missing: dict[str, str]


class _Comparison(NamedTuple):
    """A reference before it is known which classes it is measured on."""

    name: str
    sides: Sides
    make: Callable[[Side, Side], Reference]


def measure_rows(
    artifact: Artifact,
    sides: Sides,
    *,
    references: References,
    encode: Callable[[Artifact], Sides],
    unseen: NDArray[np.bool_],
    retrieval: Retrieval,
    device: torch.device,
) -> Rows:
    """Search, measure and compare.

    Args:
        artifact: what is evaluated.
        sides: queries and database, encoded by it.
        references: networks to compare it with; one is encoded after the other, and let go of.
        encode: queries and database, the same rows, by another artifact.
        unseen: (C,) bool, classes that were never trained on.
        retrieval: how to search and what to measure.
        device: where to compute.

    Raises:
        ValueError: a feature is not finite.
    """
    part = sides.of_classes(unseen) if unseen.any() else None
    untimed = dataclasses.replace(retrieval, timed_queries=0)
    everything = [_searched(sides, artifact.quantizer, retrieval, device)]
    of_unseen = [] if part is None else [_searched(part, artifact.quantizer, untimed, device)]
    for comparison in _comparisons(artifact, sides, references, encode):
        everything.append(_compared(comparison, comparison.sides, retrieval, device))
        some = None if part is None else comparison.sides.of_classes(unseen)
        if some is not None:
            of_unseen.append(_compared(comparison, some, retrieval, device))
    found = _joined(everything)
    return Rows(
        found,
        _joined(of_unseen) if of_unseen else None,
        (0, 0) if part is None else (len(part.query.codes), len(part.database.codes)),
        {name: reason for name, reason in MISSING.items() if name not in found.curves},
    )


def _comparisons(
    artifact: Artifact, sides: Sides, references: References, encode: Callable[[Artifact], Sides]
) -> Iterator[_Comparison]:
    if class_scores(artifact, sides.query.embedding[:1]) is not None:
        yield _Comparison(
            "class_index", sides, lambda query, database: _required(class_index(artifact, query, database))
        )
    if references.untrained is not None:
        before = encode(references.untrained)
        bits = references.untrained.quantizer.bits
        yield _Comparison("untrained", before, by_features)
        yield _Comparison("untrained_h", before, lambda query, database: by_codes(query, database, bits=bits))
    if references.without_h is not None:
        plain = encode(references.without_h)
        right = accuracy(references.without_h, plain.query)
        yield _Comparison("without_h", plain, lambda query, database: by_features(query, database, accuracy=right))


def _required(reference: Reference | None) -> Reference:
    assert reference is not None, "asked for before"
    return reference


def _searched(sides: Sides, quantizer: BinaryQuantizer, retrieval: Retrieval, device: torch.device) -> Retrieved:
    return retrieve(sides.query, sides.database, quantizer=quantizer, retrieval=retrieval, device=device)


def _compared(comparison: _Comparison, sides: Sides, retrieval: Retrieval, device: torch.device) -> Retrieved:
    return measure(comparison.make(*sides), comparison.name, retrieval=retrieval, device=device)


def _joined(parts: list[Retrieved]) -> Retrieved:
    curves: dict[str, Any] = {}
    average_precision: dict[str, Any] = {}
    for part in parts:
        curves |= part.curves
        average_precision |= part.average_precision
    return Retrieved([row for part in parts for row in part.rows], curves, average_precision)
