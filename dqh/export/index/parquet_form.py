"""An index as one Parquet table, for everything that reads Arrow."""

from pathlib import Path

import pyarrow.parquet as pq

from dqh.export.index.arrow import record_batches, schema_of
from dqh.export.index.content import IndexContent

FILE = "images.parquet"


def write_parquet(collection: IndexContent, folder: Path) -> None:
    """Write `images.parquet`, a row group a part, pages with checksums, its metadata the fields of the collection."""
    schema = schema_of(collection)
    labels = ["labels.list.element"]  # the column whose values repeat
    with pq.ParquetWriter(
        folder / FILE, schema, compression="zstd", use_dictionary=labels, write_page_checksum=True
    ) as writer:
        for batch in record_batches(collection, schema):
            writer.write_batch(batch, row_group_size=max(1, len(batch)))
