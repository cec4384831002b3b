"""Evaluation: relevance, metrics with their conventions, retrieval experiments, and reports."""

from dqh.evaluation.evaluate import (
    Evaluation,
    evaluate,
    evaluate_artifact,
    require_data,
    torch_device,
    torch_threads,
    trained_retrieval,
)
from dqh.evaluation.retrieval import Retrieval

__all__ = [
    "Evaluation",
    "Retrieval",
    "evaluate",
    "evaluate_artifact",
    "require_data",
    "torch_device",
    "torch_threads",
    "trained_retrieval",
]
