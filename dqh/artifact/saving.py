"""Writing an artifact, and what is known of it later: what is published can be read, and was read before it counts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save

from dqh.artifact.artifact import Artifact, Length, manifest_of, plain
from dqh.artifact.evaluation_fields import METRICS
from dqh.artifact.interface import QUANTIZER
from dqh.artifact.lengths import HEAD, LENGTHS, file_of_length
from dqh.artifact.loading import CLASSIFIER, ENCODER, SPLIT, require_consistent
from dqh.artifact.manifest import MANIFEST, is_artifact, listing_of, read_manifest
from dqh.artifact.publishing import opened
from dqh.errors import ArtifactError
from dqh.models import HashHead
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
    for bits, length in artifact.lengths.items():
        own = _files_of_length(length, artifact.encoder.head)
        files |= {file_of_length(name, bits): content for name, content in own.items()}
    files |= {f"golden/{name}": content for name, content in golden.items()}
    with opened(path, MANIFEST) as folder:
        folder.publish(manifest_of(artifact), own=files, check=_check)


def record_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Put an evaluation with its protocol into `artifact.json`, in one step; the encoder and its id stay the same.

    Args:
        path: the artifact folder.
        metrics: of the main length; under `lengths` those of the further ones, by their bits.

    Raises:
        ArtifactError: there is no artifact, it is damaged, another process writes into it, or the metrics are none.
        OSError: it cannot be written; the artifact is as it was.
    """
    read_manifest(path)
    main = {name: value for name, value in metrics.items() if name != LENGTHS}
    problems = METRICS(main, "metrics")
    for bits, own in metrics.get(LENGTHS, {}).items():
        problems += METRICS(own, f"{LENGTHS}.{bits}")
    if problems:
        raise ArtifactError(f"{path}: {'; '.join(problems)}; they are not written")
    with opened(path, MANIFEST) as folder:
        present = folder.manifest or {}
        lengths = {
            bits: fields | {"metrics": metrics.get(LENGTHS, {}).get(bits)}
            for bits, fields in present.get(LENGTHS, {}).items()
        }
        folder.publish({**present, "metrics": main, **({LENGTHS: lengths} if lengths else {})})


def _files_of_length(length: Length, head: HashHead) -> dict[str, bytes]:
    """File name → content of a further length beside one with this head."""
    files = {QUANTIZER: write_arrays(length.quantizer.state())}
    if length.head is not head:
        files[HEAD] = save(plain(length.head.state_dict()))
    if length.classifier is not None:
        files[CLASSIFIER] = save(plain(length.classifier.state_dict()))
    return files


def _check(staging: Path) -> None:
    try:
        manifest = read_manifest(staging)
        require_consistent(staging, manifest, listing_of(staging, manifest))
    except ArtifactError as error:
        raise ArtifactError(f"the artifact would not be readable, and is not written: {error}") from error
