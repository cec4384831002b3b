"""Every byte of an index against what was written, and what the approximate engines beside it are worth."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.commands import command
from dqh.errors import StoreError
from dqh.files import link_below, open_regular
from dqh.index.engines import ENGINES, Engine, choose, fitting
from dqh.index.store.durable import FileEntry
from dqh.index.store.engine_cache import cache_file, engine_over, is_whole, version_of
from dqh.index.store.filtering import matching
from dqh.index.store.leftovers import leftovers, unlisted
from dqh.index.store.live_rows import LiveRows
from dqh.index.store.manifest import BESIDE, Manifest
from dqh.index.store.place import at_newest, entries, newest_version, require_no_links
from dqh.index.store.system_errors import is_limit
from dqh.index.store.version import Version
from dqh.index.store.where import In
from dqh.index.ways import CodeWay, way_by_codes, ways_by_codes

_BLOCK = 2**14

_ROUNDING = 1e-4
"""Relative difference of one distance as two engines add it up in float32."""


class Recall(NamedTuple):
    """Of one engine by a way: mean share of k answers a query no farther than the kth of the exact scan, 0 … 1."""

    engine: str
    way: str
    recall: float
    k: int
    queries: int


def recall_at(engine: Engine, exact: Engine, queries: NDArray[np.floating[Any]], k: int) -> float:
    """Mean share of the k answers of an exact scan for which an engine has one that is no farther away.

    Equal distances are equally good, whatever their rows, so that an exact engine has a recall of 1. Float distances
    count as equal within 1e-4 relative.

    Both engines are over the same rows, at least k; queries are (Q, D) embeddings, at least one.
    """
    limit = exact.search(queries, k).distances[:, -1:]
    answers = engine.search(queries, k)
    return float(((answers.ids >= 0) & (answers.distances <= limit + _ROUNDING * np.abs(limit))).mean())


def measure_recall(
    version: Version,
    engines: tuple[str, ...],
    *,
    way: str | None = None,
    k: int = 100,
    queries: int = 100,
    seed: int = 0,
    cache: bool = True,
) -> tuple[Recall, ...]:
    """The recall of engines over a version, with a sample of its own items as queries.

    A query is what the code of an item stands for, which lies nearer to its neighbours than an image from elsewhere
    does: recall on other images may be lower.

    k and the number of queries are no more than there are rows; engines are kept beside the index unless `cache` is
    false.

    Raises:
        ValueError: no such way or engine for these codes.
    """
    k, queries = min(k, len(version)), min(queries, len(version))
    chosen = np.sort(np.random.default_rng(seed).choice(len(version), queries, replace=False))
    embeddings = version.quantizer.preimage(version.codes(chosen))
    by = way_by_codes(version.quantizer, way)
    exact = engine_over(by.engine, version, by, cache=cache)
    return tuple(
        Recall(name, by.name, recall_at(engine_over(name, version, by, cache=cache), exact, embeddings, k), k, queries)
        for name in engines
    )


class Problem(NamedTuple):
    """Something wrong: a file, relative to the index, and what, in words."""

    file: str
    what: str


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes:
        version: the newest; 0 where its manifest cannot be read.
        rows: that are not deleted.
        files: that belong to the version.
        bytes: of these files.
        problems: empty where the index is as it was written.
        leftovers: files and folders that belong to no version; the next writer removes them.
        recalls: of approximate engines.
        unchecked: what no version and no engine vouches for: `encoder.json`, `skipped.csv`, and what lies in the folder
            and is not of this index; it is never removed.
    """

    version: int
    rows: int
    files: int
    bytes: int
    problems: tuple[Problem, ...]
    leftovers: tuple[str, ...]
    recalls: tuple[Recall, ...]
    unchecked: tuple[str, ...]


def check(
    path: str | Path,
    *,
    engines: tuple[str, ...] | None = None,
    way: str | None = None,
    k: int = 100,
    queries: int = 100,
) -> Check:
    """Check the newest version of an index: every file, every row of features, what engines beside it hold and find.

    Args:
        path: folder of the index.
        engines: whose recall is measured; None: those that are kept beside the index, and the one chosen by its size.
        way: name of the way of searching the codes; None for the main one, and for those by which engines are kept.
        k: answers a query whose recall is measured.
        queries: for it.

    Raises:
        NoStoreError: there is no index.
        StoreLimitError: the system gives this process no more open files or memory.
        ValueError: no such way or engine for its codes.
    """
    folder = Path(path)
    try:
        return at_newest(
            folder, lambda manifest: _check(folder, manifest, engines=engines, way=way, k=k, queries=queries)
        )
    except StoreError as error:
        if type(error) is not StoreError:
            raise
        return Check(0, 0, 0, 0, (Problem("v<N>.json", str(error)),), (), (), ())


def _check(
    path: Path, manifest: Manifest, *, engines: tuple[str, ...] | None, way: str | None, k: int, queries: int
) -> Check:
    require_no_links(path, manifest)
    files = manifest.files()
    problems = [Problem(name, what) for name, entry in files.items() if (what := _difference(path, name, entry))]
    cached = [name for name in entries(path) if version_of(name) == manifest.version]
    problems += [Problem(name, "does not match its hash; remove it") for name in cached if not is_whole(path / name)]
    if problems and newest_version(path) != manifest.version:  # a writer has removed its files meanwhile
        raise FileNotFoundError(path / manifest.name)
    recalls: tuple[Recall, ...] = ()
    if not problems:
        version = Version(path, manifest)
        problems += _contradictions(version)
        asked = _in_use(version, cached, way) if engines is None else {way: engines}
        if len(version) and not problems:
            recalls = tuple(
                recall
                for by, names in asked.items()
                if names
                for recall in measure_recall(version, names, way=by, k=k, queries=queries)
            )
    unneeded = tuple(leftovers(path, manifest))
    beside = [name for name in BESIDE if os.path.lexists(path / name)]
    return Check(
        version=manifest.version,
        rows=manifest.live,
        files=len(files) + 1,
        bytes=sum(entry.size for entry in files.values()) + (path / manifest.name).stat().st_size,
        problems=tuple(problems),
        leftovers=unneeded,
        recalls=recalls,
        unchecked=tuple(sorted([*beside, *unlisted(path, manifest, known=unneeded)])),
    )


def _difference(path: Path, name: str, entry: FileEntry) -> str | None:
    """What distinguishes a file of an index from what was written."""
    file = path / name
    try:
        if link_below(path, name) is not None:
            copy = command("cp", "-rL", path, "NEW")
            return f"is reached by a symbolic link; copy the index with what it points to: {copy}"
        with open_regular(file) as opened:
            size = os.fstat(opened.fileno()).st_size
            if size != entry.size:
                return f"has {size} bytes, {entry.size} were written"
            same = hashlib.file_digest(opened, "sha256").hexdigest() == entry.sha256
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        if is_limit(error):
            raise
        return f"cannot be read: {error}"
    return None if same else "does not match its hash: its content has changed"


def _contradictions(version: Version) -> list[Problem]:
    """Features that do not fit their checksums, and rows that are there twice."""
    problems = []
    name = version.manifest.name
    for start in range(0, len(version), _BLOCK):
        try:
            version.read_features(np.arange(start, min(start + _BLOCK, len(version))))
        except StoreError as error:
            problems.append(Problem(name, str(error)))
    if sum(1 for _ in LiveRows(version)) < len(version):
        problems.append(Problem(name, "two rows have one path and box"))
    return problems + _tag_problems(version)


def _tag_problems(version: Version) -> list[Problem]:
    """Tags that make no sense, or of images that are not there."""
    if version.manifest.tags is None:
        return []
    try:
        paths = tuple(version.tags)
    except StoreError as error:
        return [Problem(version.manifest.tags.name, str(error))]
    known = {row.path for row in version.rows(matching(In("path", paths), version))}
    lost = len(set(paths) - known)
    return [Problem(version.manifest.tags.name, f"{lost} images with tags are not in the index")] if lost else []


def _in_use(version: Version, cached: list[str], way: str | None) -> dict[str | None, tuple[str, ...]]:
    """By the names of ways, engines beside the exact one that are kept or, by the way asked for, would be chosen."""
    quantizer, beside = version.quantizer, {Path(name).name for name in cached}
    main = way_by_codes(quantizer, way)
    chosen = choose(quantizer, main, len(version))

    def is_in_use(name: str, by: CodeWay) -> bool:
        kept = cache_file(version.path, version.manifest, name, by.distance)
        return kept.name in beside or (by is main and name == chosen)

    return {
        by.name: tuple(name for name in fitting(quantizer, by) if name in ENGINES and is_in_use(name, by))
        for by in (ways_by_codes(quantizer) if way is None else (main,))
    }
