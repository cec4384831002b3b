"""Quantizers: from embeddings to codes and back."""

from dqh.quantizers.class_index import ClassIndex
from dqh.quantizers.quantizer import Quantizer
from dqh.quantizers.threshold import Threshold

QUANTIZERS: dict[str, type[Quantizer]] = {quantizer.kind: quantizer for quantizer in (ClassIndex, Threshold)}
"""The quantizers that an artifact may name, by the kind of their codes."""

__all__ = ["QUANTIZERS", "ClassIndex", "Quantizer", "Threshold"]
