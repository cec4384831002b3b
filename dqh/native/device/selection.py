"""How the nearest rows are found without a distance for each of them in memory, and by which kernels.

Rows are taken in groups of neighbours, of which a kernel keeps the smallest distance alone. The k groups with the
smallest ones, equal ones by number, hold the k nearest rows, equal ones by row: of a row in any other group there are k
groups whose nearest row is nearer, or as near and of a smaller number. So only the rows of these groups are compared
once more, and a search holds N / G distances and then k · G of them a query, where G ≈ √(N / k) rows are a group.

Q queries, N rows, L queries at a time, k answers a query.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.native import twins
from dqh.native.bitmaps import Bitmap

LEAST_GROUP, MOST_GROUP = 32, 1024
"""Rows of a group."""

MISSING = twins.MISSING
"""Bits of an answer that is not there."""

CELLS = {"cpu": 2**18, "cuda": 2**23}
"""Distances that are held at a time on a kind of device, where one query does not need more; up to 120 bytes each."""


class Kernels(Protocol):
    """`torch_kernels` or `triton_kernels`."""

    def hamming_minima(self, words: Tensor, queries: Tensor, allowed: Tensor | None, size: int) -> Tensor:
        """The least number of bits in which a row of each group differs from each query.

        Args:
            words: (W, N) int32 out of `empty_planes`, the first 32 bits of all codes, then the second ones and so on.
            queries: (W, L) int32.
            allowed: (⌈N / 8⌉,) uint8, bit r % 8 of byte ⌊r / 8⌋ for row r: whether it may be in an answer; None: all.
            size: G, rows of a group, a power of two from `LEAST_GROUP` to `MOST_GROUP`.

        Returns:
            (L, ⌈N / G⌉) int32; `MISSING` where no row is allowed.
        """
        ...

    def table_minima(
        self, indices: Tensor, tables: Tensor, inverses: Tensor | None, allowed: Tensor | None, size: int
    ) -> Tensor:
        """The least sum of look-up table values in each group for each query, in order of the subspaces.

        Args:
            indices: (M, N) uint8 or int32 out of `empty_planes`, codewords.
            tables: (L, M, K) float32.
            inverses: (N,) float32, by which sums become 1 + sum · inverse; None: they stay.
            allowed: see there.
            size: see there.

        Returns:
            (L, ⌈N / G⌉) float32; +inf where no row is allowed.
        """
        ...


class Smallest(NamedTuple):
    """Of each row of values.

    Attributes:
        values: (L, k), ascending, equal ones by column.
        columns: (L, k) int64.
    """

    values: Tensor
    columns: Tensor


@cache
def triton_kernels() -> Any:
    """The module of this name where Triton is installed and torch sees a CUDA device, else None.

    None, too, where the environment says `DQH_NATIVE=off`: Triton needs a C compiler.
    """
    if os.environ.get("DQH_NATIVE") == "off" or find_spec("triton") is None or not torch.cuda.is_available():
        return None
    return import_module("dqh.native.device.triton_kernels")


def kernels(device: torch.device) -> Kernels:
    """Those in Triton on CUDA where they can be used, else those in torch."""
    module = triton_kernels() if device.type == "cuda" else None
    return cast(Kernels, module or import_module("dqh.native.device.torch_kernels"))


def empty_planes(planes: int, rows: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(planes, rows) not filled, in memory of whole groups, which a kernel may read past the last row."""
    return torch.empty(planes, -(-rows // MOST_GROUP) * MOST_GROUP, dtype=dtype, device=device)[:, :rows]


def smallest(values: Tensor, k: int) -> Smallest:
    """The k smallest of each row, equal ones by column.

    Args:
        values: (L, n) whole numbers between −2³¹ and 2³¹, n below 2³¹.
        k: 1 to n.
    """
    columns = torch.arange(values.shape[1], device=values.device)
    keys = ((values.long() << 32) | columns).topk(k, dim=1, largest=False, sorted=True).values
    return Smallest(keys >> 32, keys & 0xFFFFFFFF)


def group_size(rows: int, k: int) -> int:
    """G of a search for k of N rows, the power of two nearest to √(N / k) within its bounds."""
    wanted = max(1.0, rows / k) ** 0.5
    size = LEAST_GROUP
    while size < MOST_GROUP and size * 2**0.5 < wanted:
        size *= 2
    return size


def query_shares(queries: int, *, cells: int, device: torch.device) -> list[slice]:
    """Queries that are searched together, where each needs so many distances."""
    step = max(1, CELLS[device.type] // max(1, cells))
    return [slice(start, min(start + step, queries)) for start in range(0, queries, step)]


def in_shares(
    search: Callable[[slice, int, int], tuple[Tensor, Tensor]],
    *,
    queries: int,
    rows: int,
    k: int,
    missing: np.generic,
    device: torch.device,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Answers to all queries on the host, some queries at a time.

    Args:
        search: of queries, the rows of a group and how many groups are looked at: rows and distances (L, m ≤ k).
        queries: Q.
        rows: N.
        k: at least 1.
        missing: distance of an answer that is not there.
        device: that searches.

    Returns:
        Rows (Q, k) int64 and distances (Q, k), of the type of `missing`; -1 and `missing` where there are fewer.
    """
    ids, distances = np.full((queries, k), -1), np.full((queries, k), missing)
    size = group_size(rows, k)
    groups = -(-rows // size)
    taken = min(k, groups)
    shares = query_shares(queries, cells=groups + taken * size, device=device) if rows else []
    for share in shares:
        answers = search(share, size, taken)
        width = answers[0].shape[1]
        ids[share, :width], distances[share, :width] = (values.cpu().numpy() for values in answers)
    return ids, distances


def rows_of(groups: Tensor, size: int) -> Tensor:
    """(…, m · G) rows of groups (…, m), in their order."""
    return (groups[..., None] * size + torch.arange(size, device=groups.device)).flatten(-2)


def placed(allowed: Bitmap | None, device: torch.device) -> Tensor | None:
    """A bitmap on the device; None for all rows."""
    return None if allowed is None else torch.from_numpy(np.require(allowed, requirements=["C", "W"])).to(device)


def is_allowed(allowed: Tensor | None, rows: Tensor, count: int) -> Tensor:
    """Whether these rows, of any shape, are among the N there are and allowed by a bitmap."""
    inside = rows < count
    if allowed is None:
        return inside
    known = rows.clamp(max=count - 1)
    return inside & ((allowed[known >> 3] >> (known & 7).to(torch.uint8)) & 1).bool()
