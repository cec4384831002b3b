"""Approximate engines kept beside an index, because they take long to build. What is kept is a copy, never the truth.

    cache/<engine>-v<N>-<key>.faiss     SHA-256 of the rest, 32 bytes; the index as faiss writes it

The key is made of the manifest, the distance and the version of faiss. A file that is not what was written, or holds
another index than wanted, is left out, and the engine is built anew. Searching processes write here without the lock of
the index; what is theirs is told by the hash in front, and only a file that fits its own is ever removed or replaced.
"""

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dqh.codes import code_bytes
from dqh.commands import command
from dqh.files import create, link_below, open_regular, read_regular
from dqh.index.engines import ENGINES, Engine, FaissEngine, build
from dqh.index.engines.faiss_engine import LINKS, list_count
from dqh.index.store.manifest import CACHE, Manifest
from dqh.index.store.version import Version
from dqh.index.ways import CodeWay
from dqh.lazy import faiss

logger = logging.getLogger(__name__)

_HASH = 32
"""Bytes of the hash."""

_NAME = re.compile(rf"{CACHE}/([a-z_0-9]+)-v([1-9][0-9]{{0,8}})-[0-9a-f]{{16}}\.faiss")
_PIECE = 2**20


def engine_over(name: str, version: Version, way: CodeWay, *, cache: bool = True) -> Engine:
    """An engine over all rows of a version, from the cache where it is there.

    An approximate engine is looked for in the folder of the index, and put there, unless `cache` is false.

    Raises:
        ValueError: no such engine for these codes.
    """
    kept = ENGINES.get(name)
    if kept is None or not issubclass(kept, FaissEngine) or not cache or not len(version):
        return build(name, version.quantizer, way, version.codes(np.arange(len(version))))
    file = cache_file(version.path, version.manifest, name, way.distance)
    engine: Engine | None = _read(file, kept, version, way.distance)
    if engine is None:
        engine = build(name, version.quantizer, way, version.codes(np.arange(len(version))))
        if isinstance(engine, FaissEngine):
            _keep(file, engine)
    return engine


def cache_file(path: Path, manifest: Manifest, name: str, distance: str) -> Path:
    """Where an engine of a version is kept."""
    key = hashlib.sha256(manifest.to_bytes() + f"{distance} {faiss.__version__}".encode()).hexdigest()[:16]
    return path / CACHE / f"{name}-v{manifest.version}-{key}.faiss"


def version_of(name: str) -> int | None:
    """The version that an engine belongs to by its name, relative to the index; None for another name."""
    named = _NAME.fullmatch(name)
    kept = None if named is None else ENGINES.get(named[1])
    return int(named[2]) if named is not None and kept is not None else None


def kept_engines(path: Path) -> Iterator[tuple[str, int]]:
    """The engines beside an index that are what was written: their names relative to it, and versions."""
    folder = path / CACHE
    if link_below(path, CACHE) is None and folder.is_dir():
        for name in sorted(f"{CACHE}/{entry}" for entry in os.listdir(folder)):  # noqa: PTH208
            version = version_of(name)
            if version is not None and is_whole(path / name):
                yield name, version


def is_whole(file: Path) -> bool:
    """Whether a file of the cache is what was written: a regular file that begins with the hash of the rest."""
    digest = hashlib.sha256()
    try:
        with open_regular(file) as opened:
            claimed = opened.read(_HASH)
            while piece := opened.read(_PIECE):
                digest.update(piece)
    except OSError:
        return False
    return digest.digest() == claimed


def _read(file: Path, kind: type[FaissEngine], version: Version, distance: str) -> FaissEngine | None:
    """The engine in a file, if it holds the codes of the version; None where it cannot be used."""
    manifest = version.manifest
    try:
        # codes, an id and links a row; centres or codebooks in float32; what is larger was not written here
        row = code_bytes(manifest.bits) + 8 + 4 * 4 * LINKS + 32
        content = read_regular(file, most=2**24 + len(version) * row + 4 * _centres(version))
        if hashlib.sha256(content[_HASH:]).digest() != content[:_HASH]:
            raise ValueError("it does not match its hash")
        serial = np.frombuffer(content, np.uint8, offset=_HASH)
        return kind.load(version.quantizer, serial, len(version), version.codes, distance=distance)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        logger.warning("%s is not used: %s; the engine is built anew", file, error)
        return None


def _keep(file: Path, engine: FaissEngine) -> None:
    """Put an engine into the cache, in the place of nothing but an engine that was written whole."""
    content = engine.save()
    try:
        file.parent.mkdir(exist_ok=True)
        if is_whole(file):
            file.unlink(missing_ok=True)
        if os.path.lexists(file):
            remove = command("rm", file)
            logger.warning("%s is in the way of the engine, and not as it was written; remove it: %s", file, remove)
        else:
            with contextlib.suppress(FileExistsError):  # another process was faster
                create(file, hashlib.sha256(content).digest() + content)
    except OSError as error:
        logger.warning("%s cannot be written, the next search builds the engine again: %s", file, error)


def _centres(version: Version) -> int:
    """Values of the centres of lists, of codebooks, of their tables and of a rotation, at most."""
    quantizer = version.quantizer
    lists = list_count(len(version)) + 1
    return int(lists * quantizer.dimension + 2**16 * quantizer.dimension * 2 + quantizer.dimension**2 * 2)
