"""Writing an artifact, and what is known of it later: what is published can be read, and was read before it counts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save

from dqh.artifact.artifact import Artifact, manifest_of, plain
from dqh.artifact.evaluation_fields import METRICS
from dqh.artifact.interface import QUANTIZER
from dqh.artifact.loading import CLASSIFIER, ENCODER, SPLIT, load_artifact
from dqh.artifact.manifest import MANIFEST, is_artifact, read_manifest
from dqh.artifact.publishing import opened
from dqh.errors import ArtifactError
from dqh.tensors import write_arrays


def save_artifact(artifact: Artifact, path: Path, *, golden: Mapping[str, bytes]) -> None:
    """Write an artifact folder; `artifact.json` comes last and makes it valid.

    The folder is empty or not there; `golden` is file name → content, see `dqh.artifact.golden`.

    Raises:
        ArtifactError: the folder already holds a valid or broken artifact, or what would be written cannot be read: its
            weights are not finite, or contradict one another.
        ConfigError: the folder holds something else.
        OSError: it cannot be written; the folder is as it was.
    """
    if is_artifact(path):
        raise ArtifactError(f"{path} already holds an artifact; choose another folder or remove it first")
    files = {
        ENCODER: save(plain(artifact.encoder.state_dict())),
        QUANTIZER: write_arrays(artifact.quantizer.state()),
        SPLIT: json.dumps(artifact.split.to_json(), ensure_ascii=True).encode(),
    }
    if artifact.classifier is not None:
        files[CLASSIFIER] = save(plain(artifact.classifier.state_dict()))
    files |= {f"golden/{name}": content for name, content in golden.items()}
    with opened(path, MANIFEST) as folder:
        folder.publish(manifest_of(artifact), own=files, check=_check)


def record_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Put an evaluation with its protocol into `artifact.json`, in one step; the encoder and its id stay the same.

    Raises:
        ArtifactError: there is no artifact, it is damaged, another process writes into it, or the metrics are none.
        OSError: it cannot be written; the artifact is as it was.
    """
    read_manifest(path)
    if problems := METRICS(dict(metrics), "metrics"):
        raise ArtifactError(f"{path}: {'; '.join(problems)}; they are not written")
    with opened(path, MANIFEST) as folder:
        folder.publish({**(folder.manifest or {}), "metrics": dict(metrics)})


def _check(staging: Path) -> None:
    try:
        load_artifact(staging)
    except ArtifactError as error:
        raise ArtifactError(f"the artifact would not be readable, and is not written: {error}") from error
