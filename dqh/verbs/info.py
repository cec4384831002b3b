"""`dqh info`: what an index consists of, which lengths of code an artifact has, or how a detector is run."""

import argparse
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, local, print_json

logger = logging.getLogger(__name__)

_TAGS = 10
"""That are named, with how many images have each."""


def add(verbs: Verbs) -> None:
    """`dqh info INDEX`, `dqh info ARTIFACT`, `dqh info DETECTOR`."""

    def run(arguments: argparse.Namespace) -> int:
        fields = _of(arguments.index)
        if arguments.json:
            print_json(fields)
        else:
            say(*_lines(fields))
        return 0

    what = "what an index consists of, which lengths an artifact has, or how a detector is run"
    own = add_verb(verbs, "info", run, what)
    own.add_argument("index", type=local, metavar="INDEX|ARTIFACT|DETECTOR", help="its folder")


def _lines(fields: Mapping[str, Any]) -> Iterator[str]:
    """A field a line; of a mapping each entry has one, and the words of a list share one."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from (f"{'' if place else name:<14} {key}: {own}" for place, (key, own) in enumerate(value.items()))
        else:
            told = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield f"{name:<14} {'–' if told is None else told}"


def _of(path: Path) -> dict[str, Any]:
    from dqh.artifact import is_artifact
    from dqh.detection.detector_manifest import is_detector

    if is_artifact(path):
        return _of_artifact(path)
    return _of_detector(path) if is_detector(path) else _of_index(path)


def _of_index(path: Path) -> dict[str, Any]:
    from dqh.collection.artifact_note import remembered_artifact, remembered_detector
    from dqh.errors import NoArtifactError, NoDetectorError
    from dqh.index.store import info as info_of
    from dqh.index.store.part import part_of
    from dqh.index.store.upkeep import frequent_tags

    fields: dict[str, Any] = asdict(info_of(path)) | {"artifact": None, "detector": None}
    if (part := part_of(path)) is not None:
        fields["shard"] = asdict(part)
    if fields["tagged"]:
        fields["frequent_tags"] = frequent_tags(path, most=_TAGS)
    try:
        fields["artifact"] = str(remembered_artifact(path))
        if fields["detector_id"] is not None:
            fields["detector"] = str(remembered_detector(path, option="--objects"))
    except (NoArtifactError, NoDetectorError) as error:
        logger.warning("%s", error)
    return fields


def _of_artifact(path: Path) -> dict[str, Any]:
    """What the manifest says of method and codes; `lengths`: bits of each length → its encoder."""
    from dqh.artifact import load_interface, read_manifest
    from dqh.artifact.lengths import lengths_in, of_length

    load_interface(path)  # which checks the fields
    manifest = read_manifest(path)
    lengths = {str(bits): of_length(path, manifest, bits)["encoder_id"] for bits in lengths_in(manifest)}
    names = ("encoder_id", "method", "bits", "code_kind", "format_version")
    return {name: manifest[name] for name in names} | {"data": manifest["data"]["name"], "lengths": lengths}


def _of_detector(path: Path) -> dict[str, Any]:
    """What the manifest says; the model is not read."""
    from dqh.detection.detector_manifest import read_detector_manifest
    from dqh.detection.trained_manifest import is_trained, read_trained_manifest

    if is_trained(path):
        trained = read_trained_manifest(path)
        names = ("detector_id", "method", "format_version")
        own = {name: trained.around[name] for name in names} | {"data": trained.around["data"]["name"]}
        return own | trained.spec.to_json()
    manifest = read_detector_manifest(path)
    fields = {name: value for name, value in manifest.to_json().items() if name not in ("model", "golden")}
    return fields | {"model_sha256": manifest.sha256, "model_bytes": manifest.size}
