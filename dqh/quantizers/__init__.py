"""Quantizers: from embeddings to codes and back."""

from dqh.quantizers.class_index import ClassIndex
from dqh.quantizers.optimized import OptimizedProductQuantizer
from dqh.quantizers.product import ProductQuantizer
from dqh.quantizers.quantizer import Quantizer
from dqh.quantizers.threshold import Threshold
from dqh.quantizers.usage import CodebookUsage, codebook_usage
from dqh.quantizers.vector import VectorQuantizer

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
