"""The IDX files of MNIST and its relatives: big-endian header, then unsigned bytes; unpacked or gzipped."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.errors import DataError
from dqh.files import open_regular

_UNSIGNED_BYTE = 8
_MAX_BYTES = 2**31  # far above every published set: a damaged header must not claim all memory


def find_idx(path: Path) -> Path | None:
    """`path` where something is there, else `path` with `.gz`, else None."""
    return next((candidate for candidate in (path, path.with_name(path.name + ".gz")) if candidate.exists()), None)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, gzipped where its name ends in `.gz`.

    Raises:
        DataError: the file cannot be read, is of another kind, or is shorter or longer than its header says.
    """
    try:
        with open_regular(path, links=True) as raw, gzip.open(raw) if path.suffix == ".gz" else raw as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:3] != bytes((0, 0, _UNSIGNED_BYTE)):
                raise DataError(f"{path} is no IDX file of unsigned bytes: it begins with {magic!r}")
            header = file.read(4 * magic[3])
            shape = np.frombuffer(header[: len(header) // 4 * 4], dtype=">u4").tolist()
            wanted = math.prod(shape)
            content = file.read(min(wanted, _MAX_BYTES) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if len(shape) != magic[3] or len(content) != wanted:
        raise DataError(f"{path} is damaged: its header promises {shape} bytes, the file holds {len(content)} or more")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
