"""A small collection whose payload follows from the id and the number of times that an image was replaced."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.encoded import Encoded
from dqh.index.store import Header, Row, StoredRow, Writer
from dqh.index.store.place import at_newest
from dqh.index.store.version import Version
from dqh.quantizers import Threshold

BITS, FEATURES, ENCODER = 12, 6, "5eed" * 16
HEADER = Header(ENCODER, Threshold(BITS), FEATURES, root="/photos")


class Payload(NamedTuple):
    rows: list[Row]
    codes: NDArray[np.uint8]
    embedding: NDArray[np.float32]
    features: NDArray[np.float32]


def payload(numbers: list[int], edition: int = 0) -> Payload:
    """Image n has the path `n.jpg` with a byte that is no UTF-8, a label of n mod 3 and one of its edition."""
    rows = [
        Row(
            f"{number}\udcff.jpg",
            (f"class {number % 3}", f"edition {edition}"),
            (0, 0, number + 1, 2) if number % 2 else None,
            bytes([number, edition]),
        )
        for number in numbers
    ]
    drawn = [np.random.default_rng((number, edition)).random(BITS + FEATURES) for number in numbers]
    values = np.array(drawn, np.float32).reshape(-1, BITS + FEATURES)
    embedding = values[:, :BITS]
    return Payload(rows, HEADER.quantizer.encode(embedding), embedding, values[:, BITS:].astype(np.float16))


def add(writer: Writer, numbers: list[int], edition: int = 0) -> NDArray[np.int64]:
    rows, codes, _, features = payload(numbers, edition)
    return writer.add(rows, codes, features)


def replace(writer: Writer, numbers: list[int], edition: int) -> NDArray[np.int64]:
    rows, codes, _, features = payload(numbers, edition)
    return writer.replace(rows, codes, features)


def encoded(numbers: list[int], edition: int = 0) -> Encoded:
    _, codes, embedding, features = payload(numbers, edition)
    return Encoded(codes, embedding, features, ENCODER)


def opened(path: Path) -> Version:
    return at_newest(path, lambda manifest: Version(path, manifest))


def content(path: Path) -> list[tuple[StoredRow, bytes, bytes]]:
    """All rows with codes and features, each feature row checked."""
    version = opened(path)
    return [
        (row, codes.tobytes(), features.tobytes())
        for batch in version.batches(7)
        for row, codes, features in zip(*batch, strict=True)
    ]


def expected(editions: dict[int, int]) -> list[tuple[StoredRow, bytes, bytes]]:
    """What `content` gives where image n has id n, from the edition of each."""
    found = []
    for number, edition in sorted(editions.items()):
        (row,), codes, _, features = payload([number], edition)
        stored = StoredRow(number, row.path, row.labels, row.box and tuple(map(float, row.box)), row.content_hash)
        found.append((stored, codes.tobytes(), features.astype(np.float16).tobytes()))
    return found


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here outlives the machine; that everything is flushed, and when, is asserted in test_faults."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Images 0 … 19 in version 1; version 2 replaces 3 and 4, deletes 5 and 19, adds 20 … 24; segments of 8 rows."""
    with Writer(tmp_path / "index", HEADER, segment_rows=8) as writer:
        add(writer, list(range(20)))
        writer.commit()
        replace(writer, [3, 4], 1)
        writer.delete([5, 19])
        add(writer, list(range(20, 25)))
        writer.commit()
    return tmp_path / "index"


EDITIONS = {number: int(number in (3, 4)) for number in range(25) if number not in (5, 19)}
"""Of the images of `index`."""


@contextmanager
def descriptors(count: int) -> Iterator[None]:
    """A block in which this process may open so many files more, and not one beyond."""
    free = [os.open(os.devnull, os.O_RDONLY) for _ in range(count + 1)]  # the lowest ones come first
    for each in free:
        os.close(each)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(free), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def flip(file: Path, place: int = -1, bit: int = 0) -> None:
    """Turn one bit of a file over."""
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << bit
    file.write_bytes(data)
