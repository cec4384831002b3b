"""Evaluation: relevance, metrics with their conventions, retrieval experiments, and reports."""

from dqh.artifact.places import UNTRAINED, WITHOUT_H
from dqh.encoding.encode import encode
from dqh.encoding.encoded_rows import EncodedRows, Speed
from dqh.encoding.encoder_run import shared_by
from dqh.evaluation.evaluate import (
    Evaluation,
    evaluate,
    evaluate_artifact,
    torch_device,
    torch_threads,
    trained_retrieval,
)
from dqh.evaluation.other_data import Match, require_data
from dqh.evaluation.references import References, read_references, reference_folder
from dqh.evaluation.retrieval import Retrieval
from dqh.evaluation.study.feature_study import STUDY_BATCH_SIZE, FeatureStudy, study_features
from dqh.evaluation.study.search_data import searched_codes, searched_vectors
from dqh.evaluation.study.search_study import SearchStudy, study_search

__all__ = [
    "STUDY_BATCH_SIZE",
    "UNTRAINED",
    "WITHOUT_H",
    "EncodedRows",
    "Evaluation",
    "FeatureStudy",
    "Match",
    "References",
    "Retrieval",
    "SearchStudy",
    "Speed",
    "encode",
    "evaluate",
    "evaluate_artifact",
    "read_references",
    "reference_folder",
    "require_data",
    "searched_codes",
    "searched_vectors",
    "shared_by",
    "study_features",
    "study_search",
    "torch_device",
    "torch_threads",
    "trained_retrieval",
]
