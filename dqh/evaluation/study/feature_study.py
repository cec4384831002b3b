"""The feature study: networks × taps × raw or binarised × L1, L2 or Hamming, measured on one split of one data set.

Which layer, raw or binarised, L1 or L2? Nothing is trained here. Networks and their taps are in
`networks`, forms and distances in `forms`, table and picture in `result`.
"""

import dataclasses
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dqh.config import nearest
from dqh.data import Prepared, Source, Split, prepare
from dqh.data.draws import draw
from dqh.errors import ConfigError, DqhError
from dqh.evaluation.conventions import convention
from dqh.evaluation.limits import limits
from dqh.evaluation.measure import Row, Tally
from dqh.evaluation.study.forms import TapSide, form_rows, random_order
from dqh.evaluation.study.networks import NETWORKS, Network, extract, taps_of
from dqh.evaluation.study.result import StudyResult
from dqh.inputs import InputSpec
from dqh.models import Identity
from dqh.ranking.relevance import any_relevant
from dqh.ranking.side import Labels

logger = logging.getLogger(__name__)

STUDY_BATCH_SIZE = 32
_CONVENTION = "default"


@dataclass(frozen=True, kw_only=True)
class FeatureStudy:
    """What is compared in a feature study. Weight files are read here once, to check that they fit.

    Args:
        networks: by the name of a backbone, `timm/MODEL` or `colour_histogram`: its weights, a file or a name that the
            backbone knows, or None for random ones.
        taps: the taps of a network, by its name; a network that is not named has all of its taps.
        size: side of the images, pixels; None for each network's own.
        resize: side of the square whose centre enters the network, pixels; None for `size`.
        download: fetch weights where a name's are not on this machine yet.
        limit: most images of each role, drawn evenly over the classes; None for all.
        seed: of random weights and of the draw of `limit`.
        map_cutoffs: cutoffs of mAP, None for all ranks; the first one is what picture and answers go by.
        precision_cutoffs: cutoffs of P@K; those beyond the database size are left out.
        timed_queries: queries timed one at a time, at most; 0 leaves `query_ms` out.

    Raises:
        ConfigError: an unknown name, a number out of range, or weights that are missing or do not fit; all problems
            are reported together.
    """

    networks: Mapping[str, str | None]
    taps: Mapping[str, tuple[str, ...]] | None = None
    size: int | None = None
    resize: int | None = None
    download: bool = False
    limit: int | None = None
    seed: int = 0
    map_cutoffs: tuple[int | None, ...] = (None,)
    precision_cutoffs: tuple[int, ...] = (5, 10)
    timed_queries: int = 20

    def __post_init__(self) -> None:
        problems = [*self._number_problems(), *self._tap_problems()]
        if not self.networks:
            problems.append("networks: none given; wanted such as {mobilenet_v2: weights.pt, alexnet: null}")
        for name in self.networks:
            if not taps_of(name):
                problems.append(f"networks: no network {name!r}{_meant(name, NETWORKS)}")
            else:
                problems += self._network_problems(name)
        if problems:
            raise ConfigError(list(dict.fromkeys(problems)))

    def require_source(self, source: Source) -> None:
        """Raise `ConfigError` unless every network takes what the source has."""
        vectors = source.kind == "vector"
        problems = [
            f"networks: {name} takes {'images' if vectors else 'vectors'}, {source.name} has {source.kind}s; "
            f"leave it out{' and name identity' if vectors else ''}"
            for name in self.networks
            if (name == Identity.name) != vectors
        ]
        if vectors:
            problems += [f"{key}: vectors have none; leave it out" for key in ("size", "resize") if getattr(self, key)]
        if problems:
            raise ConfigError(problems)

    def start(self, name: str, source: Source) -> Network:
        """A network of the study, with its weights; random ones depend on `seed` alone."""
        size = {"size": source.size} if name == Identity.name else {}
        with torch.random.fork_rng(devices=[]):  # not torch.manual_seed, which seeds every device
            torch.default_generator.manual_seed(self.seed)
            return Network(name, taps=self._taps_of(name), options=self._options(name) | size)

    def tally(self, size: int) -> Tally:
        """An empty tally for a database of `size` items."""
        return Tally(
            convention(_CONVENTION),
            size,
            map_cutoffs=self.map_cutoffs,
            precision_cutoffs=self.precision_cutoffs,
            recall_cutoffs=(),
        )

    def _options(self, name: str) -> dict[str, Any]:
        sizes = {"size": self.size, "resize": self.resize}
        return sizes | {"weights": self.networks[name], "download": self.download}

    def _taps_of(self, name: str) -> Sequence[str]:
        """The taps wanted of a network, as far as it has them; all where none is left."""
        wanted = (self.taps or {}).get(name, ())
        legal = taps_of(name)
        return [tap for tap in legal if tap in wanted] or legal

    def _network_problems(self, name: str) -> list[str]:
        """What is wrong with a network's weights and sizes, found on one without storage."""
        if name == Identity.name:
            return [] if self.networks[name] is None else [f"networks.{name}: has no weights; write null"]
        try:
            with torch.device("meta"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a network without storage cannot hold what is copied into it
                Network(name, taps=self._taps_of(name), options=self._options(name))
        except ConfigError as error:
            # a backbone names the key of training configurations
            lines = [line.replace("backbone.download", "study.download") for line in error.problems]
            return [f"networks.{name}: {line}" for line in lines]
        except (DqhError, ValueError) as error:
            return [f"networks.{name}: {error}"]
        return []

    def _tap_problems(self) -> list[str]:
        problems = []
        for name, taps in (self.taps or {}).items():
            if name not in self.networks:
                problems.append(f"taps: {name!r} is not among the networks{_meant(name, self.networks)}")
                continue
            legal = taps_of(name)
            problems += [
                f"taps.{name}: no tap {tap!r}{_meant(tap, legal)}" for tap in taps if legal and tap not in legal
            ]
            problems += [] if taps else [f"taps.{name}: none given; wanted some of {', '.join(legal)}, or null for all"]
        return problems

    def _number_problems(self) -> list[str]:
        lowest = {"size": 1, "resize": 1, "limit": 1, "seed": 0, "timed_queries": 0}
        problems = [
            f"{name} must be at least {least}, got {value}"
            for name, least in lowest.items()
            if (value := getattr(self, name)) is not None and value < least
        ]
        for name, cutoffs in (("map_cutoffs", self.map_cutoffs), ("precision_cutoffs", self.precision_cutoffs)):
            if not cutoffs or any(cutoff is not None and cutoff < 1 for cutoff in cutoffs):
                problems.append(f"{name} must be whole numbers of at least 1, got {list(cutoffs)}")
        return problems


def study_features(
    study: FeatureStudy,
    source: Source,
    split: Split,
    *,
    device: torch.device,
    skipped_file: Path,
    allow_duplicates: bool = False,
    batch_size: int = STUDY_BATCH_SIZE,
) -> Iterator[StudyResult]:
    """Compute the features of one network after another, and measure every form of every tap.

    Args:
        study: what is compared.
        source: the data.
        split: its queries and its database; the other roles are not read.
        device: to compute on; L1 distances and the timed searches run on the CPU.
        skipped_file: where unusable images are listed, should there be any.
        allow_duplicates: whether a query's content may be found again in the database.
        batch_size: images that enter a network at a time.

    Yields:
        After each network, what is known so far.

    Raises:
        ConfigError: no database image answers any query.
        DataError: leaks, too many unusable images, or features that are not finite.
    """
    chosen = _chosen(study, source, split)
    rows: list[Row] = []
    data: Prepared | None = None
    for name in study.networks:
        network = study.start(name, source)
        if data is None or _decoding(data.store.spec) != _decoding(network.spec):
            data = prepare(
                source,
                chosen,
                network.spec,
                allow_duplicates=allow_duplicates,
                skipped_file=skipped_file,
                roles=("query", "database"),
            )
        measured, labels = _measured(study, network, data, device=device, batch_size=batch_size)
        rows += measured
        protocol = _protocol(study, data, *labels) | {"split_sha256": split.sha256}
        yield StudyResult(protocol, tuple(rows))


def _measured(
    study: FeatureStudy, network: Network, data: Prepared, *, device: torch.device, batch_size: int
) -> tuple[list[Row], tuple[Labels, Labels]]:
    """The rows of a network, and the labels of the usable queries and database images."""
    query, database = (
        extract(network, data.store, rows, device=device, batch_size=batch_size)
        for rows in (data.roles.query, data.roles.database)
    )
    data.report_skipped()
    labels = data.source.labels[query.rows], data.source.labels[database.rows]
    image_ms = float(np.median(query.batch_ms + database.batch_ms))
    logger.info("%s: %.3g ms an image; next its distances", network.name, image_ms)
    rows: list[Row] = []
    for tap in network.taps:
        about: Row = {"network": network.name, "weights": network.origin, "size": network.spec.size, "tap": tap}
        forms = form_rows(
            TapSide(query.features[tap], labels[0]),
            TapSide(database.features[tap], labels[1]),
            tally=study.tally,
            answers=max(study.precision_cutoffs),
            timed=study.timed_queries,
            device=device,
        )
        rows += [about | row | {"image_ms": image_ms} for row in forms]
    return rows, labels


def _chosen(study: FeatureStudy, source: Source, split: Split) -> Split:
    """Queries and database of a split, at most `limit` each, without the other roles."""
    roles, rng = split.rows(source), np.random.default_rng(study.seed)

    def ids(role: str) -> tuple[str, ...]:
        rows = getattr(roles, role)
        count = len(rows) if study.limit is None else min(study.limit, len(rows))
        return tuple(source.ids[draw(rows, source.labels, count, rng, what=role)].tolist())

    chosen = dataclasses.replace(split, query=ids("query"), database=ids("database"), train=(), validation=())
    of = chosen.rows(source)
    if not any_relevant(source.labels[of.query], source.labels[of.database]):
        given = "" if study.limit is None else f"study.limit: {study.limit} leaves too few: "
        raise ConfigError(
            f"{given}none of the {len(of.database)} database images shares a label with any of the {len(of.query)} "
            f"queries, so that there is nothing to measure; {'raise it' if given else 'choose another split'}"
        )
    return chosen


def _decoding(spec: InputSpec) -> tuple[object, ...]:
    """What the decoded images depend on."""
    return spec.kind, spec.resize, spec.interpolation


def _protocol(study: FeatureStudy, data: Prepared, query: Labels, database: Labels) -> dict[str, Any]:
    """What was compared with what; `random_order` is what a ranking scores that knows nothing."""
    rules, tally = convention(_CONVENTION), study.tally(len(database))
    for buckets in random_order(query, database):
        tally.add(buckets)
    bounds = limits(query, database, tally=study.tally)
    return {
        "data": data.split.data,
        "split": data.split.protocol,
        "seed": study.seed,
        "query": len(query),
        "database": len(database),
        "limit": study.limit,
        "duplicates": data.leaks.by_content,
        "skipped": len(data.store.skipped),
        "relevance": "at least one shared label",
        "convention": _CONVENTION,
        "ties": rules.ties,
        "normaliser": rules.normaliser,
        "zero_hits": rules.zero_hits,
        "medians": "of each dimension over the database",
        "without_relevant": bounds["without_relevant"],
        "all_relevant": bounds["all_relevant"],
        "random_order": tally.row(),
        "perfect_order": bounds["best"],
    }


def _meant(name: str, valid: Iterable[str]) -> str:
    names = list(valid)
    close = nearest(name, names)
    return f"; {f'did you mean {close!r}? ' if close else ''}valid: {', '.join(names)}"
