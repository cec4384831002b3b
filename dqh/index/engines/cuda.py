"""Exact engines of codes that lie on a CUDA device, by the kernels of `dqh.native.device`."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from dqh.errors import ConfigError
from dqh.index.aqd import AQDIndex, CodebookQuantizer
from dqh.index.engines.engine import BuiltEngine, FilteringEngine, nothing
from dqh.index.hamming import HammingIndex
from dqh.native.bitmaps import Bitmap
from dqh.quantizers import Quantizer
from dqh.ranking import Ranking


class CUDAEngine(BuiltEngine, FilteringEngine):
    """A scan of all codes where they lie, on the current device of CUDA.

    Up to `most_rows` codes of 64 bits take half of the 24 GB of a common device.
    """

    exact: ClassVar[bool] = True
    device: ClassVar[str] = "cuda"
    most_rows: ClassVar[float] = 1_500_000_000

    def __init__(self, index: HammingIndex | AQDIndex) -> None:
        self._index = index

    @classmethod
    @abstractmethod
    def index_on(cls, device: str, quantizer: Quantizer, distance: str) -> HammingIndex | AQDIndex:
        """The index, without items, of codes on a device."""

    @classmethod
    def build(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Self:
        """Over codes (N, ⌈B / 8⌉).

        Raises:
            ConfigError: torch sees no CUDA device.
        """
        import torch

        if not torch.cuda.is_available():
            raise ConfigError(
                f"engine {cls.name} needs a CUDA device, and torch sees none here; {cls.approximates} gives the same "
                "answers"
            )
        index = cls.index_on(cls.device, quantizer, distance)
        index.add(codes)
        return cls(index)

    def search(self, embeddings: NDArray[np.floating[Any]], k: int, *, allowed: Bitmap | None = None) -> Ranking:
        """As the exact engine on the host finds them."""
        return self._index.search(embeddings, k, allowed=allowed) if len(self._index) else nothing(len(embeddings), k)

    def within(self, embeddings: NDArray[np.floating[Any]], radius: float, *, allowed: Bitmap | None = None) -> Ranking:
        """Likewise."""
        if not len(self._index):
            return nothing(len(embeddings), 0)
        return self._index.search_radius(embeddings, radius, allowed=allowed).to_ranking()


class HammingCUDA(CUDAEngine):
    """By the number of bits in which codes differ."""

    name = "hamming_cuda"
    approximates: ClassVar[str] = "hamming"

    @classmethod
    def index_on(cls, device: str, quantizer: Quantizer, distance: str) -> HammingIndex:
        """Of binary codes."""
        return HammingIndex(quantizer, device=device)


class AQDCUDA(CUDAEngine):
    """By sums of look-up tables, which the quantizer makes; the cosine, too."""

    name = "aqd_cuda"
    approximates: ClassVar[str] = "aqd"

    @classmethod
    def index_on(cls, device: str, quantizer: Quantizer, distance: str) -> AQDIndex:
        """Of product-quantized codes."""
        by = cast(Literal["l2", "ip", "cosine"], distance)
        return AQDIndex(cast(CodebookQuantizer, quantizer), distance=by, device=device)
