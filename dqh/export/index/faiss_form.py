"""An index as faiss indexes that are filled: codes, and features in half precision, under the ids of the index.

    codes.faiss      IndexBinaryIDMap over BinaryFlat, or IndexIDMap2 over PQ behind the rotation
    features.faiss   IndexIDMap2 over a scalar quantizer of float16

They answer as `dqh search` does; an inner product is a similarity in faiss. The file of the features is written some
rows at a time; the codes of all rows are held.

N rows, B bits a code, F feature dimensions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from dqh.codes import code_bytes
from dqh.export.index.content import IndexContent, code_span
from dqh.index.faiss_export import serial

CODES, FEATURES = "codes.faiss", "features.faiss"

_OUTER_ROWS, _INNER_ROWS = 8, 45
"""Where the file of an `IndexIDMap2` has its number of rows, and where the index inside has it, bytes."""

_SIZES = 16
"""Bytes at the end of the file of an empty one: how many bytes of codes, and how many ids."""


def write_faiss(collection: IndexContent, folder: Path) -> None:
    """Write `codes.faiss`, `features.faiss` and a README into an empty folder; errors as of `hand_over`."""
    (folder / CODES).write_bytes(serial(filled_codes(collection)))
    with (folder / FEATURES).open("wb") as file:
        for piece in features_file(collection):
            file.write(piece)
    (folder / "README.md").write_text(_readme(collection), encoding="utf-8")


def filled_codes(collection: IndexContent) -> Any:
    """A faiss index over the codes of all rows, searched by codes, or by embeddings where codes are product-quantized.

    The ids are those of the collection.
    """
    version = collection.version
    codes = version.codes(np.arange(len(version)))
    outer: Any = collection.way.in_faiss(version.quantizer, codes[:0])
    if collection.way.asks == "codes":
        binary = faiss.IndexBinaryIDMap(outer)
        binary.add_with_ids(codes, version.ids)
        return binary
    index = faiss.IndexIDMap2(outer)
    product: Any = faiss.downcast_index(outer.index) if isinstance(outer, faiss.IndexPreTransform) else outer
    product.add_sa_codes(codes)  # `index.add_with_ids` would encode vectors anew
    outer.ntotal = index.ntotal = len(codes)
    faiss.copy_array_to_vector(version.ids, index.id_map)
    index.construct_rev_map()
    return index


def features_file(collection: IndexContent) -> Iterator[bytes | memoryview]:
    """The file of an `IndexIDMap2` over `IndexScalarQuantizer(F, QT_fp16)` with the features of all rows, in pieces.

    Its codes are the features as they are stored. Where this version of faiss writes such files in another way than
    is known here, faiss makes the file, with all rows in memory.
    """
    size = collection.feature_size
    if not _knows_the_file(size):
        index = _empty_features(size)
        for part in collection.parts():
            index.add_with_ids(part.features.astype(np.float32), np.array([row.id for row in part.rows], np.int64))
        yield serial(index)
        return
    rows = len(collection)
    yield _head(size, rows)
    yield (2 * size * rows).to_bytes(8, "little")
    for part in collection.parts():
        yield _little(part.features, "<f2")
    yield rows.to_bytes(8, "little")
    yield _little(collection.version.ids, "<i8")


def _empty_features(size: int) -> Any:
    return faiss.IndexIDMap2(faiss.IndexScalarQuantizer(size, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2))


def _head(size: int, rows: int) -> bytes:
    """What comes before the features in the file of an index with so many rows."""
    head = bytearray(serial(_empty_features(size))[:-_SIZES])
    for place in (_OUTER_ROWS, _INNER_ROWS):
        head[place : place + 8] = rows.to_bytes(8, "little")
    return bytes(head)


def _knows_the_file(size: int) -> bool:
    """Whether a file of one row comes out as faiss writes it."""
    index, vector = _empty_features(size), np.linspace(-1, 1, size, dtype=np.float16)
    index.add_with_ids(vector[None].astype(np.float32), np.array([7], np.int64))
    own = _head(size, 1) + (2 * size).to_bytes(8, "little") + vector.astype("<f2").tobytes()
    return own + (1).to_bytes(8, "little") + (7).to_bytes(8, "little") == serial(index)


def _little(array: NDArray[Any], dtype: str) -> memoryview:
    return np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8).data


def _readme(collection: IndexContent) -> str:
    manifest = collection.version.manifest
    reader, query = ("read_index", "embedding") if collection.product else ("read_index_binary", "codes")
    words = {
        "hamming": "bits, as int32",
        "l2": "squared L2 of query embedding and decoded code",
        "ip": "inner product of query embedding and decoded code, a similarity: larger is nearer",
    }
    return f"""# {collection.title} as faiss indexes

Encoder {code_span(manifest.encoder_id)}.
Codes: {collection.bits} bits ({manifest.code_kind}), {code_bytes(collection.bits)} bytes, low bits first.
Ids are those of the index on disk. `codes`, `embedding` and `features` below are what the encoder answers for queries.

- `{CODES}`: distances are {words[manifest.code_distance]}. Exact.
- `{FEATURES}`: squared L2 of features in half precision. Exact.

Coarse to fine, as `dqh search`: the 1,000 nearest by code, and among them the 10 nearest by features.

    import faiss, numpy as np
    coarse = faiss.{reader}("{CODES}")  # check the hash in ../export.json first: faiss accepts flipped bits
    fine = faiss.read_index("{FEATURES}")
    _, pool = coarse.search({query}[:1], 1000)
    chosen = faiss.SearchParameters(sel=faiss.IDSelectorBatch(pool[0][pool[0] >= 0]))
    query = features[:1].astype(np.float16).astype(np.float32)
    distances, ids = fine.search(query, 10, params=chosen)
"""
