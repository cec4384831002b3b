"""The feature study: which layer of which network, raw or binarised, by which distance."""

from dqh.evaluation.study.feature_study import STUDY_BATCH_SIZE, FeatureStudy, study_features

__all__ = ["STUDY_BATCH_SIZE", "FeatureStudy", "study_features"]
