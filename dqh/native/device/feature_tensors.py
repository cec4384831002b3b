"""Features that lie on a device, and the candidates nearest to a query by squared L2 between them: re-ranking.

N rows, F dimensions, Q queries, m candidates a query, k answers a query.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.native.device.selection import smallest
from dqh.ranking.keys import float_keys
from dqh.ranking.side import Features

_VALUES = {"cpu": 2**20, "cuda": 2**26}
"""Differences in float32 that are held at a time on a kind of device, 4 and 256 MiB."""

_ALIGNED = 8
"""Dimensions are filled up with zeros to a multiple of it: rows at other addresses would be summed in another order."""


class FeatureTensors:
    """Features to compare candidates by, as they are given: 2 F or 4 F bytes a row on the device.

    Args:
        features: (N, F) float32 or float16, array or memory map, which is read a part at a time.
        device: where they lie.

    Example:
        >>> features = FeatureTensors(np.array([[0, 0], [3, 4], [1, 0]], np.float16), device="cpu")
        >>> features.nearest(np.zeros((1, 2), np.float32), np.array([[1, 2, -1]]), 2)
        (array([[2, 1]]), array([[ 1., 25.]], dtype=float32))
    """

    def __init__(self, features: Features, *, device: torch.device | str) -> None:
        self._device = torch.device(device)
        count, self._size = features.shape
        width = -(-self._size // _ALIGNED) * _ALIGNED
        kind = torch.float16 if features.dtype == np.float16 else torch.float32
        self._values = torch.zeros(count, width, dtype=kind, device=self._device)
        self._most = max(1, _VALUES[self._device.type] // max(1, width))
        for start in range(0, count, self._most):
            part = torch.from_numpy(np.require(features[start : start + self._most], None, ["C", "W"]))
            self._values[start : start + self._most, : self._size] = part.to(self._device)

    def __len__(self) -> int:
        return len(self._values)

    def nearest(
        self, queries: NDArray[np.floating[Any]], candidates: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k candidates of each query that are nearest by ‖query − row‖², equal distances by row.

        Sums of float32; equal rows have equal distances, bit for bit.

        Args:
            queries: (Q, F) float.
            candidates: (Q, m) rows, −1 where a query has fewer; their order does not matter.
            k: at least 1.

        Returns:
            Rows (Q, k) int64 and distances (Q, k) float32; -1 and +inf where there are fewer.

        Raises:
            ValueError: shapes do not fit together, a candidate is no row, or a distance is not finite.
        """
        self._require(queries, candidates, k)
        most = candidates.shape[1]
        ids, distances = np.full((len(queries), k), -1), np.full((len(queries), k), np.inf, np.float32)
        step = max(1, self._most // max(1, most))
        for start in range(0, len(queries) if most else 0, step):
            share = slice(start, start + step)
            wanted = torch.from_numpy(np.require(queries[share], np.float32, ["C", "W"])).to(self._device)
            rows = torch.from_numpy(np.require(candidates[share], None, ["C", "W"])).to(self._device)
            *answers, finite = self._nearest(wanted, rows, k)
            width = min(k, most)
            ids[share, :width], distances[share, :width] = (values.cpu().numpy() for values in answers)
            if not bool(finite.cpu()):
                raise ValueError(
                    "query_features and database_features must be finite, and squared distances within float32"
                )
        return ids, distances

    def _nearest(self, queries: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Rows and distances (L, min(k, m)) of queries (L, F), and whether all distances are finite."""
        rows = candidates.sort(dim=1).values
        squared = self._squared(queries, rows.clamp(min=0))
        finite = (squared.isfinite() | (rows < 0)).all()
        squared = torch.where(rows < 0, torch.inf, squared)
        best = smallest(float_keys(squared, signed=False), min(k, rows.shape[1])).columns
        return rows.gather(1, best), squared.gather(1, best), finite

    def _squared(self, queries: Tensor, rows: Tensor) -> Tensor:
        """(L, m) float32, a part of the rows (L, m) at a time, parts of one shape: their sums are rounded alike."""
        wanted = torch.nn.functional.pad(queries, (0, self._values.shape[1] - self._size))[:, None]
        length = min(rows.shape[1], max(1, self._most // len(rows)))
        filled = torch.nn.functional.pad(rows, (0, -rows.shape[1] % length))
        parts = [(self._values[part].float() - wanted).square_().sum(2) for part in torch.split(filled, length, dim=1)]
        return torch.cat(parts, dim=1)[:, : rows.shape[1]]

    def _require(self, queries: NDArray[Any], candidates: NDArray[np.int64], k: int) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if queries.ndim != 2 or queries.shape[1] != self._size or candidates.shape[:-1] != (len(queries),):
            raise ValueError(
                f"queries and candidates must have shapes (Q, {self._size}) and (Q, m), "
                f"got {queries.shape} and {candidates.shape}"
            )
        if candidates.size and not (int(candidates.min()) >= -1 and int(candidates.max()) < len(self)):
            raise ValueError(
                f"candidates must be rows of the {len(self)} there are, or -1, "
                f"got {candidates.min()} to {candidates.max()}"
            )
