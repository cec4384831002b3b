r"""An index for PostgreSQL with pgvector: a schema, the rows, a script that loads them, and the search in two stages.

schema.sql   extension and table
rows.copy    the rows, for COPY
load.sh      loads both in one transaction
search.sql   coarse to fine, as `dqh search`
indexes.sql  for large collections
README.md    the three commands

Rows are as PostgreSQL's COPY reads them, in its text format: a line a row, tabs between values, \N for none.

    id  path  path_bytes  labels  [tags  tag_weights]  x0  y0  x1  y1  content_hash  object  score  code  features

Tags are there where an index has some. Codes of bits are written as bit strings, bit 0 of the code first,
product-quantized ones as bytes.

n rows, B bits a code, F feature dimensions.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.codes import unpack
from dqh.errors import DqhError
from dqh.export.index.content import BIT_ORDER, IndexContent, code_span, path_of, whole_text
from dqh.export.index.pgvector_sql import (
    INDEX_DIMENSIONS,
    TABLE,
    TYPE_DIMENSIONS,
    indexes_sql,
    schema_sql,
    search_sql,
)
from dqh.index.store.rows import Box, StoredRow
from dqh.index.store.tags import Tag

_LOAD = f"""#!/bin/sh
# Makes the table {TABLE} and loads it, all or nothing: sh load.sh -d DATABASE (or other options of psql).
set -eu
case "$0" in */*) CDPATH="" cd -- "${{0%/*}}/" ;; esac
exec psql -X -q -v ON_ERROR_STOP=1 --single-transaction "$@" -f schema.sql \\
    -c "\\copy {TABLE} FROM 'rows.copy' WITH (FORMAT text, ENCODING 'UTF8')" -c "ANALYZE {TABLE}"
"""
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_ELEMENT = str.maketrans({"\\": r"\\", '"': r"\""})
_NOTHING = r"\N"


def require_pgvector(collection: IndexContent) -> None:
    """Raise `DqhError` where pgvector cannot hold the features."""
    if collection.feature_size > TYPE_DIMENSIONS:
        raise DqhError(
            f"features have {collection.feature_size} dimensions, pgvector's halfvec at most {TYPE_DIMENSIONS}; hand "
            "the index over in another form: --to faiss,parquet,lance"
        )


def write_pgvector(collection: IndexContent, folder: Path) -> None:
    """Write the files above into an empty folder; `require_pgvector` must hold of the collection."""
    with (folder / "rows.copy").open("wb") as file:
        file.writelines(copy_lines(collection))
    for name, content in {
        "schema.sql": schema_sql(collection),
        "load.sh": _LOAD,
        "search.sql": search_sql(collection),
        "indexes.sql": indexes_sql(collection),
        "README.md": _readme(collection),
    }.items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")


def _readme(collection: IndexContent) -> str:
    manifest, size = collection.version.manifest, collection.feature_size
    rows = f"""# {collection.title} for PostgreSQL with pgvector

    sh load.sh -d DATABASE                                   # makes the table {TABLE}: all or nothing
    {f"psql -d DATABASE -v id={_an_id(collection)} -f search.sql":<57}# the images nearest to one of them
    psql -d DATABASE -f indexes.sql                          # for large collections: faster, approximate

PostgreSQL 14, pgvector 0.8, or later. `DROP TABLE {TABLE}` before it is loaded again.

- Encoder {code_span(manifest.encoder_id)}. Paths are relative to {code_span(manifest.root or "/")}.
- `path_bytes` names the file, byte for byte; `path` is the same as text, and NULL where the name is not UTF-8. What is
  not UTF-8 in a label is written as an escape such as `\\xe9`.
- `features` are `halfvec({size})`; `<->` is their L2 distance, `dqh search` gives its square.
"""
    kind = _product(collection) if collection.product else _bits(collection)
    return rows + kind + _indexable(size) + collection.about_objects


def _bits(collection: IndexContent) -> str:
    return f"""- `code` is `bit({collection.bits})`: digit i from the left, from 0, is bit i of the code. The packed
  bytes of the encoder are {BIT_ORDER};
  `{TABLE}_code(bytea)` makes the bit string of them. `<~>` is the Hamming distance.

Other images are searched by what the encoder says of them, in Python:

    encoded = dqh.load_encoder("ARTIFACT").encode(["query.jpg"])  # or encoder.onnx
    code, features = "\\\\x" + encoded.codes[0].tobytes().hex(), str(encoded.features[0].tolist())

and then `psql -v code=CODE -v features=FEATURES -v k=10 -v pool=1000 -f search.sql`, or the statements in it with
parameters, which may be longer than a command line. Without `indexes.sql` the answers are those of
`dqh search --pool 1000`.
"""


def _product(collection: IndexContent) -> str:
    return f"""- `code` is `bytea`, {collection.bits} bits, product-quantized, and pgvector does not compare such codes.
  They are there for programs that decode them with `../quantizer.safetensors`. Here images are searched by their
  features, exactly, or by the index of `indexes.sql`; for a search by these codes hand the index over to faiss.

Other images are searched by what the encoder says of them, in Python:

    encoded = dqh.load_encoder("ARTIFACT").encode(["query.jpg"])  # or encoder.onnx
    features = str(encoded.features[0].tolist())

and then `psql -v features=FEATURES -v k=10 -f search.sql`, or the statement in it with a parameter, which may be longer
than a command line.
"""


def _indexable(size: int) -> str:
    if size <= INDEX_DIMENSIONS:
        return ""
    return f"""
pgvector indexes a halfvec of up to {INDEX_DIMENSIONS:,} dimensions; these are {size:,}, so features have no index and
are compared one by one.
"""


def _an_id(collection: IndexContent) -> int:
    return int(collection.version.ids[0]) if len(collection) else 0


def copy_lines(collection: IndexContent) -> Iterator[bytes]:
    """The line of each row, UTF-8; `StoreError` where features are damaged."""
    for part in collection.parts():
        codes = (
            map(bytes_value, map(bytes, part.codes)) if collection.product else bit_strings(part.codes, collection.bits)
        )
        tags = collection.version.tags if collection.tagged else None
        known = (_known(row, None if tags is None else tags.get(row.path, ())) for row in part.rows)
        for columns in zip(known, codes, halfvecs(part.features), strict=True):
            yield ("\t".join(columns) + "\n").encode()


def text_value(text: str) -> str:
    r"""A text within a line.

    Example:
        >>> print(text_value("a\tb\\N"))
        a\tb\\N
    """
    return text.translate(_ESCAPES)


def array_value(texts: tuple[str, ...]) -> str:
    r"""A text[] within a line: every element quoted, its quotes and backslashes escaped, and then those of the line.

    Example:
        >>> print(array_value(('hat', 'a "b"')))
        {"hat","a \\"b\\""}
    """
    return text_value("{" + ",".join(f'"{text.translate(_ELEMENT)}"' for text in texts) + "}")


def bytes_value(content: bytes) -> str:
    r"""A bytea within a line, hexadecimal.

    Example:
        >>> print(bytes_value(b"ab"))
        \\x6162
    """
    return rf"\\x{content.hex()}"


def bit_strings(codes: NDArray[np.uint8], bits: int) -> list[str]:
    """A bit(B) a code, bit 0 of the code first.

    Example:
        >>> bit_strings(np.array([[0b00000001, 0b0010]], np.uint8), 12)
        ['100000000100']
    """
    digits = unpack(codes, bits).astype(np.uint8) + ord("0")
    return [row.tobytes().decode("ascii") for row in digits]


def halfvecs(features: NDArray[np.float16]) -> Iterator[str]:
    """A halfvec(F) a row, one after the other, in digits that give the same numbers again.

    Example:
        >>> next(halfvecs(np.array([[0.1, -2]], np.float16)))
        '[0.099976,-2]'
    """
    digits = _halves().__getitem__
    for row in np.ascontiguousarray(features).view(np.uint16):
        yield f"[{','.join(map(digits, row.tolist()))}]"


@cache
def _halves() -> list[str]:
    """The decimal of every bit pattern of float16: five digits tell any two apart, also where they become float32."""
    return [f"{value:.5g}" for value in np.arange(2**16, dtype=np.uint16).view(np.float16).tolist()]


def _known(row: StoredRow, tags: Sequence[Tag] | None) -> str:
    text, name = path_of(row)
    values = [
        str(row.id),
        _NOTHING if text is None else text_value(text),
        bytes_value(name),
        array_value(tuple(map(whole_text, row.labels))),
        *(() if tags is None else _of_tags(tags)),
        *_corners(row.box),
        bytes_value(row.content_hash),
        _NOTHING if row.object is None else text_value(whole_text(row.object)),
        _NOTHING if row.score is None else str(np.float32(row.score)),
    ]
    return "\t".join(values)


def _of_tags(tags: Sequence[Tag]) -> list[str]:
    words, weights = (tag.word for tag in tags), (str(np.float32(tag.weight)) for tag in tags)
    return [array_value(tuple(words)), array_value(tuple(weights))]


def _corners(box: Box | None) -> list[str]:
    """The shortest digits that are the same float32 again."""
    return [_NOTHING] * 4 if box is None else [str(np.float32(value)) for value in box]
