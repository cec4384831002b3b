"""`dqh verify`: an artifact, a detector, clusters, what was fitted for looks or left for other systems is checked."""

import argparse
import logging
from pathlib import Path

from dqh.commands import command
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, local, print_json

logger = logging.getLogger(__name__)


def add(verbs: Verbs) -> None:
    """`dqh verify ARTIFACT [--trust]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.artifact.manifest import CLUSTERS_MANIFEST, MANIFEST, manifest_name
        from dqh.detection.detector_manifest import is_detector
        from dqh.detection.trained_manifest import is_trained
        from dqh.discovery.look_fit import LOOK
        from dqh.discovery.related.related_model import RELATED
        from dqh.export.verify import verify as verify_folder
        from dqh.index.store.place import versions_in

        folder = arguments.artifact
        if is_trained(folder):
            return _verify_detector(folder, as_json=arguments.json)
        if (folder / LOOK).is_file():
            return _verify_look(folder, as_json=arguments.json)
        if (folder / CLUSTERS_MANIFEST).is_file():
            return _verify_clusters(folder, as_json=arguments.json)
        if (folder / RELATED).is_file():
            return _verify_related(folder, as_json=arguments.json)
        if is_detector(folder):
            return _verify_ready(folder, as_json=arguments.json)
        if not (folder / manifest_name(folder)).is_file() and versions_in(folder):
            own.error(f"{folder} is an index, {MANIFEST} is not there; check it: {command('dqh', 'check', folder)}")
        report = verify_folder(arguments.artifact, trust=arguments.trust)
        for file in report.unlisted:
            logger.warning("not listed, so not checked: %s", arguments.artifact / file)
        if arguments.json:
            print_json(report.to_json())
        else:
            say(*report.text().split("\n"))
        return 0 if report.holds else 1

    own = add_verb(verbs, "verify", run, "check every hash, and the golden inputs on every runtime that is here")
    own.add_argument(
        "artifact",
        type=local,
        metavar="ARTIFACT",
        help="an artifact or a detector, or what dqh export --out, look --fit, related --fit or cluster wrote",
    )
    own.add_argument("--trust", action="store_true", help="run encoder.pt2 too, which unpickles: for files you trust")


def _verify_detector(folder: Path, *, as_json: bool) -> int:
    """Every hash of a detector that was trained here, and its golden inputs."""
    from dqh.detection.trained_detector import load_trained, verify_trained

    detector = load_trained(folder)
    verdict = verify_trained(folder, detector)
    if as_json:
        print_json({"method": detector.method, "classes": len(detector.spec.classes), **verdict._asdict()})
    else:
        say(
            f"{folder}: {detector.method}, {len(detector.spec.classes)} classes, every hash holds",
            f"torch: {verdict.inputs} golden inputs, boxes differ by {verdict.box_error:.1e} of the side, scores by "
            f"{verdict.score_error:.1e}{'' if verdict.holds else ': FAILED'}",
        )
    return 0 if verdict.holds else 1


def _verify_ready(folder: Path, *, as_json: bool) -> int:
    """Every hash of a detector in ONNX, that it runs and answers as its decoder reads it, and its golden inputs."""
    from dqh.detection.detector_files import MANIFEST
    from dqh.detection.detector_manifest import files_of, read_detector_manifest
    from dqh.detection.opening import verify_exported
    from dqh.encoding.onnx_runtime import runtime_version

    verdict = verify_exported(folder)
    manifest = read_detector_manifest(folder)
    spec, listed = manifest.spec, {MANIFEST, *files_of(manifest)}
    for other in sorted(place.relative_to(folder).as_posix() for place in folder.rglob("*") if not place.is_dir()):
        if other not in listed:
            logger.warning("not listed, so not checked: %s", folder / other)
    holds = verdict is None or verdict.holds
    if as_json:
        told = {"decoder": spec.decoder, "classes": len(spec.classes), "height": spec.height, "width": spec.width}
        told |= {"detector_id": manifest.detector_id, "runtime": f"onnxruntime {runtime_version()}"}
        print_json(told | {"golden": None if verdict is None else verdict._asdict()})
    else:
        answers = (
            "the network runs, and answers as the decoder reads it"
            if verdict is None
            else f"{verdict.inputs} golden inputs, boxes differ by {verdict.box_error:.1e} of the side, scores by "
            f"{verdict.score_error:.1e}{'' if holds else ': FAILED'}"
        )
        say(
            f"{folder}: decoder {spec.decoder}, {len(spec.classes)} classes, every hash holds",
            f"onnxruntime {runtime_version()}: {answers}",
        )
    return 0 if holds else 1


def _verify_look(folder: Path, *, as_json: bool) -> int:
    """Every hash of what `dqh look --fit` wrote, and that it makes sense."""
    from dqh.discovery.look_fit import read_look_fit

    fitted = read_look_fit(folder)
    if as_json:
        print_json({"encoder_id": fitted.encoder_id, "detector_id": fitted.detector_id, "data": dict(fitted.data)})
    else:
        dots = "no filter of dots" if fitted.dot_filter is None else f"dots by {', '.join(fitted.dot_filter.signals)}"
        say(f"{folder}: fitted to {fitted.data['name']}, words and {dots}, every hash holds")
    return 0


def _verify_clusters(folder: Path, *, as_json: bool) -> int:
    """Every hash of what `dqh cluster` wrote."""
    from dqh.clustering.cluster_folder import check_clusters

    manifest = check_clusters(folder)
    result = manifest["result"]
    if as_json:
        print_json({"settings": manifest["settings"], "points": manifest["points"], "result": result})
    else:
        what = "an unfinished clustering" if result is None else f"{result['clusters']:,} clusters"
        say(f"{folder}: {what} of {manifest['points']['total']:,} points, every hash holds")
    return 0


def _verify_related(folder: Path, *, as_json: bool) -> int:
    """Every hash of what `dqh related --fit` wrote, and that it makes sense."""
    from dqh.discovery.related.related_model import read_related

    model = read_related(folder)
    if as_json:
        print_json({"encoder_id": model.encoder_id, "detector_id": model.detector_id, "log": dict(model.log)})
    else:
        say(f"{folder}: fitted to {model.log['name']}, {model.ranker} for {len(model.paths):,} items, every hash holds")
    return 0
