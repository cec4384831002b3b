"""An index as a Lance dataset, which LanceDB searches by features and, where codes are bits, by Hamming distance."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from dqh.errors import DqhError, StoreError, first_line
from dqh.export.index.arrow import record_batches, schema_of
from dqh.export.index.content import IndexContent, code_span

TABLE = "images"

_COARSE = """
Coarse to fine, as `dqh search`: the 1,000 nearest by code, and among them the nearest by features.

    near = images.search(codes[0], vector_column_name="code").distance_type("hamming").limit(1000)
    pool = ", ".join(map(str, near.select(["id", "_distance"]).to_arrow()["id"].to_pylist()))
    fine = images.search(features[0].astype(np.float16), vector_column_name="features").distance_type("l2")
    found = fine.where(f"id IN ({pool})", prefilter=True).limit(10).to_list()
"""
_PRODUCT = """
Codes are product-quantized, and Lance has no distance between such: `code` holds their bytes, for programs that decode
them with `../quantizer.safetensors`.
"""


def require_lance(collection: IndexContent) -> None:
    """Raise `DqhError` where LanceDB is not installed."""
    _lancedb()


def write_lance(collection: IndexContent, folder: Path) -> None:
    """Write `images.lance`, a dataset without indexes, and a README.

    Raises:
        DqhError: LanceDB is not installed, or cannot write to such a folder.
        StoreError: features are damaged.
        OSError: it cannot be written.
    """
    schema, damages = schema_of(collection, vector_codes=True), list[StoreError]()

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from record_batches(collection, schema)
        except StoreError as error:
            damages.append(error)
            raise

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    try:
        _lancedb().connect(str(folder)).create_table(TABLE, data=reader)
    except Exception as error:  # Lance has many kinds, with no common parent
        if damages:  # Lance makes another error of it
            raise damages[0] from None
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise DqhError(
            f"Lance cannot write to {folder}: {first_line(error)}; choose a folder with a plain name, on a disk with "
            "room"
        ) from error
    (folder / "README.md").write_text(_readme(collection), encoding="utf-8")


def _lancedb() -> Any:
    try:
        import lancedb
    except ImportError as error:
        raise DqhError(
            "the Lance form needs the package lancedb; install it: uv sync --inexact --extra lance"
        ) from error
    return lancedb


def _readme(collection: IndexContent) -> str:
    return f"""# {collection.title} as a Lance dataset

Encoder {code_span(collection.version.manifest.encoder_id)}. `codes` and `features` below are what it
answers for the query.

    import lancedb, numpy as np
    images = lancedb.connect("lance").open_table("{TABLE}")  # this folder
    found = images.search(features[0].astype(np.float16), vector_column_name="features").distance_type("l2").limit(10)
    found.to_list()

`_distance` is the squared L2 distance. Without an index the search is exact; for millions of images make one
(`images.create_index`), which is approximate.
{_PRODUCT if collection.product else _COARSE}{collection.about_objects}"""
