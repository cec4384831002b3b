"""An index for PostgreSQL with pgvector: a schema, the rows, a script that loads them, and the search in two stages.

schema.sql   extension and table
rows.copy    the rows, for COPY
load.sh      loads both in one transaction
search.sql   coarse to fine, as `dqh search`
indexes.sql  for large collections
README.md    the three commands
"""

from pathlib import Path

from dqh.errors import DqhError
from dqh.export.index.content import BIT_ORDER, IndexContent, code_span
from dqh.export.index.pgvector_rows import copy_lines
from dqh.export.index.pgvector_sql import (
    INDEX_DIMENSIONS,
    TABLE,
    TYPE_DIMENSIONS,
    indexes_sql,
    schema_sql,
    search_sql,
)

_LOAD = f"""#!/bin/sh
# Makes the table {TABLE} and loads it, all or nothing: sh load.sh -d DATABASE (or other options of psql).
set -eu
case "$0" in */*) CDPATH="" cd -- "${{0%/*}}/" ;; esac
exec psql -X -q -v ON_ERROR_STOP=1 --single-transaction "$@" -f schema.sql \\
    -c "\\copy {TABLE} FROM 'rows.copy' WITH (FORMAT text, ENCODING 'UTF8')" -c "ANALYZE {TABLE}"
"""


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
    rows = f"""# {len(collection):,} images for PostgreSQL with pgvector

    sh load.sh -d DATABASE                                   # makes the table {TABLE}: all or nothing
    {f"psql -d DATABASE -v id={_an_id(collection)} -f search.sql":<57}# the images nearest to one of them
    psql -d DATABASE -f indexes.sql                          # for large collections: faster, approximate

PostgreSQL 14, pgvector 0.8, or later. `DROP TABLE {TABLE}` before it is loaded again.

- Encoder {code_span(manifest.encoder_id)}. Paths are relative to {code_span(manifest.root or "/")}.
- `path_bytes` names the file, byte for byte; `path` is the same as text, and NULL where the name is not UTF-8. What is
  not UTF-8 in a label is written as an escape such as `\\xe9`.
- `features` are `halfvec({size})`; `<->` is their L2 distance, `dqh search` gives its square.
"""
    return rows + (_product(collection) if collection.product else _bits(collection)) + _indexable(size)


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
