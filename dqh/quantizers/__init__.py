"""Quantizers: from embeddings to codes and back."""

from typing import TYPE_CHECKING

from dqh.lazy import lazily
from dqh.quantizers.class_index import ClassIndex
from dqh.quantizers.product import ProductQuantizer
from dqh.quantizers.quantizer import Quantizer
from dqh.quantizers.threshold import Threshold
from dqh.quantizers.usage import CodebookUsage, codebook_usage
from dqh.quantizers.vector import VectorQuantizer

if TYPE_CHECKING:
    from dqh.quantizers.optimized import OptimizedProductQuantizer

QUANTIZERS: dict[str, type[Quantizer]] = {
    quantizer.kind: quantizer for quantizer in (ClassIndex, ProductQuantizer, Threshold)
}
"""The quantizers that an artifact may name, by the kind of their codes."""

__all__ = [
    "QUANTIZERS",
    "ClassIndex",
    "CodebookUsage",
    "OptimizedProductQuantizer",
    "ProductQuantizer",
    "Quantizer",
    "Threshold",
    "VectorQuantizer",
    "codebook_usage",
]

__getattr__, __dir__ = lazily(__name__, {"optimized": ("OptimizedProductQuantizer",)}, __all__)
