"""Rows with codes and features on their way into an index: refused, or as they are kept."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dqh.codes import require_packed
from dqh.index.store.header import Header
from dqh.index.store.rows import Row, checked_row

_LARGEST = float(np.finfo(np.float16).max)


def checked_batch(
    header: Header,
    rows: Sequence[Row],
    codes: NDArray[np.uint8],
    features: NDArray[np.float32] | NDArray[np.float16],
) -> tuple[list[Row], NDArray[np.float16]]:
    """Rows and features as an index keeps them.

    Codes are (n, ⌈B / 8⌉) uint8, the unused bits of the last byte zero, features (n, F) float32 or float16.

    Raises:
        ValueError: an array has another shape or dtype or impossible values, numbers differ, a row is impossible, or
            two have one path and box.
    """
    size = header.feature_size
    require_packed(codes, header.quantizer.bits)
    if features.dtype not in (np.float32, np.float16) or features.shape != (len(codes), size):
        raise ValueError(
            f"features must be float32 or float16 of shape ({len(codes)}, {size}), got {features.dtype} of shape "
            f"{features.shape}"
        )
    if not (np.abs(features) <= _LARGEST).all():  # also where they hold NaN
        raise ValueError(f"features must be finite and at most {_LARGEST:g}, as float16 holds them; scale them down")
    if len(rows) != len(codes):
        raise ValueError(f"rows and codes must be as many, got {len(rows)} rows and {len(codes)} codes")
    checked = [checked_row(row) for row in rows]
    if len({(row.path, row.box) for row in checked}) < len(checked):
        raise ValueError("rows must differ in path or box, two of them do not")
    return checked, features.astype(np.float16)
