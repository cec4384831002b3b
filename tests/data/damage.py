"""Files that a disk has spoilt."""

from pathlib import Path

import pyarrow.parquet as pq


def damage(path: Path, *, column: str, group: int) -> None:
    """Put garbage in the place of one column of one row group."""
    metadata = pq.read_metadata(path).row_group(group)
    names = [metadata.column(number).path_in_schema for number in range(metadata.num_columns)]
    part = metadata.column(names.index(column))
    start = min(filter(None, (part.data_page_offset, part.dictionary_page_offset)))
    content = bytearray(path.read_bytes())
    content[start : start + part.total_compressed_size] = b"\xff" * part.total_compressed_size
    path.write_bytes(content)
