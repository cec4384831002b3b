"""Exact search by asymmetric quantizer distance (AQD) over product-quantized codes, from a look-up table a query.

Here is the index, in memory; its distances are in `lookup`, re-ranking by features in `coarse_to_fine`, the same
codebooks in faiss in `faiss_export`.

Q queries, N database items, D dimensions, M subspaces, K codewords each, k answers a query.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from dqh.codes import require_packed
from dqh.counts import MOST, require_counts
from dqh.errors import NotFittedError
from dqh.index.nearest import Nearest
from dqh.index.radius_hits import RadiusHits
from dqh.native import table_twins
from dqh.native.bitmaps import Bitmap, require_bitmap, rows_allowed
from dqh.native.extension import extension
from dqh.native.product_codes import MOST_CODEWORDS, ProductCodes
from dqh.ranking import Ranking

if TYPE_CHECKING:
    import torch

    from dqh.index.fast_scan import FastScan
    from dqh.native.device.product_tensors import ProductTensors

Distance = Literal["l2", "ip", "cosine"]

_FIRST_CHUNK = 256
"""Items of the first chunk, all of which may have to be kept; each further one is twice as long, up to `_CHUNK`."""

_CHUNK = 2**16
_PAIRS = 2**19
"""Distances held at a time, 2 MiB, where k does not ask for more."""

_FEW = 4
"""Queries up to which `FastScan` is quicker than a scan for all of them together."""

_FAST_ITEMS = 2**13
"""From so many items on, codes of 16 codewords a subspace go through `FastScan`."""

_QUERIES = 64
_TABLE_VALUES = 2**20
"""Look-up table values held at a time, where one query does not need more."""


class CodebookQuantizer(Protocol):
    """What the search needs of a product quantizer; `dqh.quantizers.ProductQuantizer` is one."""

    @property
    def bits(self) -> int:
        """Length of a code, M·log2 K."""
        ...

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Codewords, (M, K, D / M)."""
        ...

    @property
    def distance(self) -> Literal["l2", "ip"]:
        """What its codes are searched by where nothing else is asked for."""
        ...

    @property
    def rotation(self) -> NDArray[np.float32] | None:
        """R, (D, D) orthogonal: z @ R is what is cut into subspaces; None for the identity."""
        ...

    def encode(self, embedding: NDArray[np.floating[Any]], /) -> NDArray[np.uint8]:
        """Packed codes (N, ⌈bits / 8⌉) of embeddings (N, D)."""
        ...

    def decode(self, codes: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """(N, D) vectors that packed codes stand for."""
        ...

    def codewords_of(self, codes: NDArray[np.uint8], /) -> NDArray[np.int64]:
        """(N, M) codeword of each subspace."""
        ...

    def tables(
        self, embedding: NDArray[np.floating[Any]], /, distance: Literal["l2", "ip"] = "l2"
    ) -> NDArray[np.float32]:
        """(Q, M, K) squared L2 or inner product between each subspace of a query and each codeword."""
        ...


class AQDIndex:
    """Exact nearest neighbours by the distance between a query and what a code stands for.

    The database side is codes, the query side is embeddings. Equal distances are ordered by id, smallest first, also
    where k cuts through them; equal codes always have equal distances. Distances between the query q and the decoded
    item x:

    - `l2`: ‖q − x‖², which is the sum over subspaces that the paper names AQD (Cao et al. 2016);
    - `ip`: −q·x, by which the authors' evaluation ranks;
    - `cosine`: 1 − q·x / (‖q‖‖x‖), and 1 where one of the two is zero. Rounding may give −1e-7 in place of 0.

    On a device by `dqh.native.device`. Else by the kernels of `dqh._native` where they are built, for up to 256
    codewords: indices of more fit into no byte, nor tables of more into registers. Without them, with 16 codewords a
    subspace, up to 4 queries together are answered out of a scan of 4-bit tables (`FastScan`), all others by float32
    tables. The answers are the same, bit for bit.

    Args:
        quantizer: a fitted one; not to be fitted again while the index is in use.
        distance: which of them; None for that of the quantizer.
        symmetric: quantize the query too: distances between codes (SQD).
        device: where items lie and are searched; look-up tables are made by the quantizer.

    Raises:
        NotFittedError: the quantizer is not fitted.
        ValueError: an unknown distance.

    Example:
        >>> from dqh.quantizers import ProductQuantizer
        >>> quantizer = ProductQuantizer.from_codebooks(np.array([[[0], [3]], [[0], [4]]], dtype=np.float32))
        >>> index = AQDIndex(quantizer)
        >>> index.add(np.array([[0b00], [0b01], [0b11]], dtype=np.uint8))  # (0, 0), (3, 0) and (3, 4)
        >>> index.search(np.array([[3.0, 1.0]]), 2)
        Ranking(ids=array([[1, 2]]), distances=array([[1., 9.]], dtype=float32))
    """

    def __init__(
        self,
        quantizer: CodebookQuantizer,
        *,
        distance: Distance | None = None,
        symmetric: bool = False,
        device: "torch.device | str" = "cpu",
    ) -> None:
        self.quantizer = quantizer
        self.distance: Distance = distance or quantizer.distance
        require_distance(self.distance)
        self.symmetric = symmetric
        self.subspaces, self.codewords, _ = quantizer.codebooks.shape
        self._indices = [np.empty((self.subspaces, 0), dtype=np.uint8 if self.codewords <= 256 else np.uint16)]
        self._norms = [np.empty(0, dtype=np.float32)]
        self._count = 0
        self._device = device
        self._native: ProductCodes | None = None
        self._placed: ProductTensors | None = None
        self._fast: FastScan | None = None

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.quantizer.bits

    def __len__(self) -> int:
        return self._count

    def add(self, codes: NDArray[np.uint8]) -> None:
        """Append items, (N, ⌈M·log2 K / 8⌉) uint8 in faiss's bitstream; rules and errors as of `HammingIndex.add`."""
        require_packed(codes, self.bits)
        indices = self.quantizer.codewords_of(codes)
        parts = self._taken_back()
        self._native = self._placed = self._fast = None
        self._indices = [*parts, np.ascontiguousarray(indices.T, dtype=parts[0].dtype)]
        self._count += len(codes)
        if self.distance == "cosine":
            from dqh.index.lookup import item_norms

            self._norms.append(item_norms(self.quantizer, indices))

    def search(self, embeddings: NDArray[np.floating[Any]], k: int, *, allowed: Bitmap | None = None) -> Ranking:
        """The k nearest items of each query; equal distances by id, smallest first.

        Nothing of size Q × N is held. The answer to a query does not depend on the queries beside it.

        Arguments, result and errors as of `HammingIndex.search`; `ValueError` also where distances exceed float32.
        """
        self._require_items()
        require_counts(max(MOST, len(self)), k=k)
        require_bitmap(allowed, len(self))
        rankings = [self._search(tables, k, allowed) for tables in self._tables(embeddings)]
        return Ranking(*(np.concatenate(parts) for parts in zip(*rankings, strict=True)))

    def search_radius(
        self, embeddings: NDArray[np.floating[Any]], radius: float, *, allowed: Bitmap | None = None
    ) -> RadiusHits:
        """All items at most `radius` away from each query, nearest first, equal distances by id.

        Args:
            embeddings: (Q, D) float.
            radius: a distance of this index, in float32; items at exactly this distance are included.
            allowed: as for `HammingIndex.search`.

        Returns:
            RadiusHits.

        Raises:
            NotFittedError: the index is empty.
            ValueError: the radius is NaN, `allowed` is no bitmap of the items, the quantizer refuses the embeddings,
                or distances exceed float32.
        """
        self._require_items()
        if radius != radius:
            raise ValueError(f"radius must be a number, got {radius}")
        require_bitmap(allowed, len(self))
        codes = self._by_kernels() or self._product_codes(table_twins)
        parts = [codes.within(tables, radius, allowed=allowed) for tables in self._tables(embeddings)]
        counts = np.concatenate([np.zeros(1, np.int64), *(np.diff(part[0]) for part in parts)])
        ids, distances = (np.concatenate([part[field] for part in parts]) for field in (1, 2))
        return RadiusHits(np.cumsum(counts), ids, distances)

    def _require_items(self) -> None:
        if not len(self):
            raise NotFittedError("AQDIndex is empty; call add(codes) first")

    def _tables(self, embeddings: NDArray[np.floating[Any]]) -> Iterator[NDArray[np.float32]]:
        """Look-up tables of all queries, those of some at a time; no query at all is one empty chunk."""
        from dqh.index.lookup import lookup_tables

        step = max(1, min(_QUERIES, _TABLE_VALUES // (self.subspaces * self.codewords)))
        for start in range(0, max(1, len(embeddings)), step):
            part = embeddings[start : start + step]
            yield lookup_tables(self.quantizer, part, distance=self.distance, symmetric=self.symmetric)

    def _search(self, tables: NDArray[np.float32], k: int, allowed: Bitmap | None) -> Ranking:
        native = self._by_kernels()
        if native is not None:
            return Ranking(*native.nearest(tables, k, allowed=allowed))
        fast = self._fast_scan() if allowed is None and 0 < len(tables) <= _FEW else None
        if fast is None:
            return self._scan(tables, k, None if allowed is None else rows_allowed(allowed, len(self)))
        rankings = []
        for table in (tables[q : q + 1] for q in range(len(tables))):
            nearest = fast.nearest(table, k)
            rankings.append(
                self._scan(table, k, None) if nearest is None else Ranking(nearest[0][None], nearest[1][None])
            )
        return Ranking(*(np.concatenate(parts) for parts in zip(*rankings, strict=True)))

    def _scan(self, tables: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None) -> Ranking:
        """By the distances to all items, or to those of some rows, which ascend."""
        from dqh.index.lookup import lookup_sums

        nearest = Nearest(len(tables), k)
        tables = np.ascontiguousarray(tables.transpose(1, 2, 0)).transpose(2, 0, 1)  # queries innermost
        indices, norms = self._items()
        count = indices.shape[1] if rows is None else len(rows)
        start, size, longest = 0, max(_FIRST_CHUNK, k), min(_CHUNK, _PAIRS // max(1, len(tables)))
        while len(tables) and start < count:
            chunk: Any = slice(start, start + size) if rows is None else rows[start : start + size]
            distances = lookup_sums(
                tables, indices[:, chunk].T, norms=norms[chunk] if self.distance == "cosine" else None
            )
            nearest.offer(distances.T, first_id=start)
            start, size = start + size, max(k, min(2 * size, longest))
        ranking = nearest.ranking()
        if rows is None or not count:
            return ranking
        return Ranking(np.where(ranking.ids >= 0, rows[ranking.ids], -1), ranking.distances)

    def _by_kernels(self) -> "ProductCodes | ProductTensors | None":
        """The kernels' form of the items where they lie; None where there is none."""
        if str(self._device) == "cpu":
            return self._native_codes()
        from dqh.native.device.product_tensors import ProductTensors

        if self._placed is None:
            indices, norms = self._items()
            by_norm = norms if self.distance == "cosine" else None
            self._placed = ProductTensors(indices, norms=by_norm, device=self._device)
        return self._placed

    def _native_codes(self) -> ProductCodes | None:
        """That of the host."""
        kernels = extension()
        if kernels is None or self.codewords > MOST_CODEWORDS:
            return None
        if self._native is None:
            self._native = self._product_codes(kernels)
            self._indices = []  # they lie there now
        return self._native

    def _product_codes(self, kernels: ModuleType) -> ProductCodes:
        indices, norms = self._items()
        by_norm = norms if self.distance == "cosine" else None
        return ProductCodes(indices, self.codewords, norms=by_norm, kernels=kernels)

    def _fast_scan(self) -> "FastScan | None":
        """A quicker way to the same answers, where there is one."""
        from dqh.index.fast_scan import CODEWORDS, MOST_SUBSPACES, FastScan

        indices, _ = self._items()
        fits = self.codewords == CODEWORDS and self.subspaces <= MOST_SUBSPACES and self.distance != "cosine"
        if self._fast is None and fits and indices.shape[1] >= _FAST_ITEMS:
            self._fast = FastScan(indices)
        return self._fast

    def _items(self) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Codewords (M, N) and norms of all items; joins what was added since the last search."""
        indices = self._taken_back()
        if len(indices) > 1:
            self._norms = [np.concatenate(self._norms)]  # before the codewords, by which another thread goes
            indices = self._indices = [np.concatenate(indices, axis=1)]
        return indices[0], self._norms[0]

    def _taken_back(self) -> list[NDArray[Any]]:
        """Codewords as they were added, also where they lay in the kernels' form alone.

        Another thread that searches may empty `_indices` meanwhile, but not what is returned.
        """
        indices, native = self._indices, self._native
        if not indices and native is not None:
            indices = self._indices = [native.indices()]
        return indices


def require_distance(distance: str) -> None:
    """Raise `ValueError` for another distance than those of `Distance`."""
    if distance not in get_args(Distance):
        raise ValueError(f"distance must be one of {', '.join(get_args(Distance))}, got {distance!r}")
