"""Quantizers: from embeddings to codes and back."""

from dqh.quantizers.threshold import Threshold

__all__ = ["Threshold"]
