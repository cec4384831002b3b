"""Vector quantization: an embedding becomes the index of its nearest codeword, product quantization with one part."""

from typing import TYPE_CHECKING, Self

from dqh.quantizers.product import ProductQuantizer

if TYPE_CHECKING:
    import torch


class VectorQuantizer(ProductQuantizer):
    """A code is the index of the nearest of K codewords, found by k-means over whole embeddings.

    Everything else is as in `ProductQuantizer` with M = 1.

    Example:
        >>> import numpy as np
        >>> quantizer = VectorQuantizer(2).fit(np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 0.0], [9.0, 1.0]]))
        >>> quantizer.decode(quantizer.encode(np.array([[8.0, 2.0]]))).tolist()
        [[9.0, 0.5]]
    """

    def __init__(
        self, codewords: int, *, iterations: int = 25, seed: int = 0, device: "str | torch.device" = "cpu"
    ) -> None:
        super().__init__(1, codewords, iterations=iterations, seed=seed, device=device)

    @classmethod
    def _of_size(cls, subspaces: int, codewords: int) -> Self:
        if subspaces != 1:
            raise ValueError(f"a vector quantizer has one codebook, got {subspaces}; use ProductQuantizer")
        return cls(codewords)
