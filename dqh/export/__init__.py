"""What leaves the training: the artifact and its golden inputs."""

from dqh.export.artifact import Artifact, is_artifact, load_artifact, read_manifest, record_metrics, save_artifact
from dqh.export.golden import golden_files, verify_golden

__all__ = [
    "Artifact",
    "golden_files",
    "is_artifact",
    "load_artifact",
    "read_manifest",
    "record_metrics",
    "save_artifact",
    "verify_golden",
]
