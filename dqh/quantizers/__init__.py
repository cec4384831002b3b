"""Quantizers: from embeddings to codes and back."""

from dqh.quantizers.threshold import Threshold

QUANTIZERS = {Threshold.kind: Threshold}
"""The quantizers that an artifact may name, by the kind of their codes."""

__all__ = ["QUANTIZERS", "Threshold"]
