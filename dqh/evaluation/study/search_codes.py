"""What a study of searches searches: queries and database with their codes, those of an artifact or such as are fitted.

N items, F feature dimensions.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.errors import ConfigError, DataError
from dqh.evaluation.baselines import SUPERVISED, Fitted, fit_baselines
from dqh.evaluation.study.grown import grown
from dqh.evaluation.study.search_methods import Coded, first_items
from dqh.quantizers import Quantizer, Threshold
from dqh.ranking.side import Side

logger = logging.getLogger(__name__)

OF_VECTORS = ("itq", "opq")
"""Codes of vectors where none are asked for: bits, and products."""

BITS = 64
"""Of codes of vectors, where nothing is asked for."""

_ENCODED = 2**16
"""Items that are encoded at a time."""


class Searched(NamedTuple):
    """What a study searches.

    Attributes:
        query: the queries, at least one.
        database: the items, at least one; the features of both are read, and their codes where there is a quantizer.
        quantizer: made the codes; None for vectors that have none.
        codes: name of the codes; "" where there are none.
        labelled: whether labels say which items are relevant.
        about: where all this comes from; plain JSON values.
    """

    query: Side
    database: Side
    quantizer: Quantizer | None
    codes: str
    labelled: bool
    about: dict[str, Any]


class Codes:
    """Which codes are searched.

    Args:
        names: quantizers to be fitted on the features, of `dqh.evaluation.baselines`; None for those of `OF_VECTORS`
            where there are no codes, else none.
        bits: of a code; None: `BITS` where there are no codes, else as many as these have.
        training: items that they are fitted on, at most.
        seed: of each fit.
        clock: gives the seconds by which fitting and encoding are timed.
    """

    def __init__(
        self,
        names: Sequence[str] | None,
        bits: int | None,
        *,
        training: int,
        seed: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._names, self._bits, self._training, self._seed, self._clock = names, bits, training, seed, clock

    def require(self, searched: Searched) -> None:
        """Raise `ConfigError` where codes are asked for that there cannot be."""
        problems = []
        if searched.quantizer is not None and self._bits is not None:
            problems.append(
                f"study.bits: {self._bits} were asked for, but the codes are those of an artifact; leave it out"
            )
        if not searched.labelled:
            problems += [
                f"study.codes: {name} learns from labels, which these vectors do not have; leave it out"
                for name in self._wanted(searched)
                if name in SUPERVISED
            ]
        if problems:
            raise ConfigError(problems)

    def bits_of(self, searched: Searched) -> int:
        """Bits of a code."""
        return self._bits or (BITS if searched.quantizer is None else searched.quantizer.bits)

    def of(self, searched: Searched, query: Side, database: Side, *, real: int, missing: dict[str, str]) -> list[Coded]:
        """The sides with each kind of codes.

        Args:
            searched: what is searched.
            query: of it, those that are asked.
            database: of it, shuffled; more items may follow behind, where there is no quantizer.
            real: how many of these are no made-up ones; of them, the first ones are what quantizers are fitted on.
            missing: is told, by name, why codes are left out.
        """
        parts = []
        if searched.quantizer is not None:
            parts.append(Coded(searched.codes, searched.quantizer, query, database))
        train, kind = first_items(database, min(real, self._training)), Threshold(self.bits_of(searched))
        for name in self._wanted(searched):
            logger.info("fitting %s on %s vectors", name, f"{len(train.labels):,}")
            start = self._clock()
            baselines = fit_baselines([name], train, quantizer=kind, seed=self._seed)
            took = self._clock() - start
            missing |= baselines.missing
            parts += [_encoded(fitted, query, database, seconds=took, clock=self._clock) for fitted in baselines.fitted]
        return parts

    def _wanted(self, searched: Searched) -> Sequence[str]:
        if self._names is None:
            return OF_VECTORS if searched.quantizer is None else ()
        return self._names


def _encoded(fitted: Fitted, query: Side, database: Side, *, seconds: float, clock: Callable[[], float]) -> Coded:
    count = len(database.labels)
    start = clock()
    parts = [
        fitted.quantizer.encode(np.asarray(database.features[first : first + _ENCODED], np.float32))
        for first in range(0, count, _ENCODED)
    ]
    took = clock() - start
    # what their index reads of the database is codes alone
    items = database._replace(codes=np.concatenate(parts))
    return Coded(fitted.name, fitted.quantizer, fitted.encoded(query), items, seconds, took / count)


def require_range(searched: Searched) -> None:
    """Raise `DataError` where squared L2 between features may exceed float32."""
    features = searched.query.features, searched.database.features
    largest = max(max(float(values.max()), -float(values.min())) for values in features)
    most = float((np.finfo(np.float32).max / features[0].shape[1]) ** 0.5 / 2)
    if largest > most:
        raise DataError(
            f"features must be at most {most:.3g} in magnitude, so that squared distances fit into float32, got "
            f"{largest:.3g}; scale them down"
        )


def rows_of(side: Side, rows: NDArray[np.int64]) -> Side:
    """The rows of a side in this order, as copies; features that are the embedding stay so."""
    features = side.features[rows]
    embedding = features if side.embedding is side.features else side.embedding[rows]
    return Side(side.codes[rows], np.asarray(embedding, np.float32), features, side.labels[rows])


def enlarged(side: Side, count: int, *, seed: int) -> Side:
    """A side of vectors filled up with made-up ones, see `grown`, whose labels and codes mean nothing.

    The same where it has `count` rows or more.
    """
    if count <= len(side.labels):
        return side
    logger.info("making up %s vectors", f"{count - len(side.labels):,}")
    features = grown(np.asarray(side.features, np.float32), count, seed=seed)
    more = count - len(side.labels)
    labels = np.concatenate([side.labels, np.zeros((more, *side.labels.shape[1:]), side.labels.dtype)])
    codes = np.concatenate([side.codes, np.zeros((more, side.codes.shape[1]), np.uint8)])
    return Side(codes, features, features, labels)
