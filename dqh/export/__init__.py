"""What leaves the training: the artifact and its golden inputs."""

from dqh.export.artifact import Artifact, load_artifact, record_metrics, save_artifact
from dqh.export.golden import golden_files, verify_golden
from dqh.export.manifest import is_artifact, read_manifest

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
