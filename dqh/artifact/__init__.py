"""What leaves the training, the artifact: written, read and checked, with its golden inputs.

The manifest and the interface of an encoder come without torch; the other names are imported when they are first used.
"""

from typing import TYPE_CHECKING

from dqh.artifact.interface import Interface, load_interface
from dqh.artifact.manifest import is_artifact, read_manifest
from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.artifact.artifact import Artifact, Length
    from dqh.artifact.golden import golden_files, verify_golden
    from dqh.artifact.loading import load_artifact
    from dqh.artifact.saving import record_metrics, save_artifact

__all__ = [
    "Artifact",
    "Interface",
    "Length",
    "golden_files",
    "is_artifact",
    "load_artifact",
    "load_interface",
    "read_manifest",
    "record_metrics",
    "save_artifact",
    "verify_golden",
]

_WITH_TORCH = {
    "artifact": ("Artifact", "Length"),
    "golden": ("golden_files", "verify_golden"),
    "loading": ("load_artifact",),
    "saving": ("record_metrics", "save_artifact"),
}

__getattr__, __dir__ = lazily(__name__, _WITH_TORCH, __all__)
