"""`dqh export`: an artifact or an index leaves for other systems."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from dqh.commands import command
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_bits, add_verb, at_least_one, local, names, print_json

if TYPE_CHECKING:
    from dqh.export.form import Exported

logger = logging.getLogger(__name__)


def add(verbs: Verbs) -> None:
    """`dqh export ARTIFACT --to onnx,pt2,… [--out DIR]`, `dqh export INDEX --to faiss,parquet,… --out DIR`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.detection.trained_manifest import is_trained

        if is_trained(arguments.source):
            return _exported_detector(own, arguments)
        done = _handed_over(own, arguments) if _is_for_index(own, arguments) else _exported(own, arguments)
        if arguments.json:
            told = {name: value for name, value in done._asdict().items() if value is not None}
            print_json(told | {"folder": str(done.folder)})
        else:
            say(*(f"{size:>12,}  {done.folder / file}" for file, size in done.sizes.items()))
        logger.info("check with: %s", command("dqh", "verify", done.folder))
        return 0

    own = add_verb(verbs, "export", run, "write forms of an artifact, or of an index, that other systems read")
    own.add_argument("source", type=local, metavar="ARTIFACT|INDEX", help="artifact/ of a run, or an index of images")
    own.add_argument(
        "--to",
        type=names,
        required=True,
        metavar="FORM,…",
        help="of an artifact: onnx, pt2 (torch.export), faiss (empty indexes), triton; of a detector: onnx; "
        "of an index, with all its images: faiss, parquet, lance, pgvector",
    )
    own.add_argument(
        "--out", type=local, metavar="DIR", help="a folder for the forms; those of an artifact go into it without"
    )
    add_bits(own)
    own.add_argument(
        "--lists", type=at_least_one, metavar="N", help="faiss of an artifact: inverted lists at most (256)"
    )
    own.add_argument(
        "--codes",
        type=local,
        metavar="FILE.npy",
        help="faiss of an artifact: codes of a collection, whose centres the lists get",
    )


def _exported_detector(own: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """A folder that detects without torch, of a detector that a training left."""
    from dqh.export.detector_onnx import export_detector

    if arguments.to != ["onnx"] or arguments.out is None:
        own.error("a detector leaves as ONNX, into a folder of its own: give --to onnx --out DIR")
    for option in ("lists", "codes", "bits"):
        if getattr(arguments, option) is not None:
            own.error(f"--{option} belongs to codes, {arguments.source} is a detector")
    manifest = export_detector(arguments.source, arguments.out)
    if arguments.json:
        print_json({"folder": str(arguments.out)} | manifest.to_json())
    else:
        say(f"{arguments.out}: {len(manifest.spec.classes)} classes, detector_id {manifest.detector_id}")
    return 0


def _is_for_index(own: argparse.ArgumentParser, arguments: argparse.Namespace) -> bool:
    """Whether forms of an index are wanted; a matter of usage where the path does not have them."""
    from dqh.artifact import is_artifact
    from dqh.export.artifact.forms import FORMS as OF_ARTIFACT
    from dqh.export.index import FORMS as OF_INDEX
    from dqh.index.store.place import versions_in

    path, asked = arguments.source, arguments.to
    if is_artifact(path):
        if other := [form for form in asked if form in OF_INDEX and form not in OF_ARTIFACT]:
            own.error(
                f"{', '.join(other)}: of an index; {path} is an artifact, whose forms are {', '.join(OF_ARTIFACT)}; "
                f"make an index first: {command('dqh', 'index', path, 'IMAGES', '--out', 'INDEX')}"
            )
        return False
    if versions_in(path):
        if other := [form for form in asked if form in OF_ARTIFACT and form not in OF_INDEX]:
            own.error(
                f"{', '.join(other)}: of an artifact; {path} is an index, whose forms are {', '.join(OF_INDEX)}; "
                f"export its artifact: {command('dqh', 'export', _artifact_of(path), '--to', ','.join(other))}"
            )
        return True
    return any(form in OF_INDEX and form not in OF_ARTIFACT for form in asked)


def _artifact_of(index: Path) -> Path:
    """The artifact of an index, if it knows."""
    from dqh.collection.artifact_note import remembered_artifact
    from dqh.errors import NoArtifactError

    try:
        return remembered_artifact(index)
    except NoArtifactError:
        return Path("ARTIFACT")


def _handed_over(own: argparse.ArgumentParser, arguments: argparse.Namespace) -> "Exported":
    from dqh.export.index import hand_over

    owner = dict.fromkeys(("lists", "codes"), "--to faiss of an artifact") | {"bits": "an artifact"}
    for option in ("lists", "codes", "bits"):
        if getattr(arguments, option) is not None:
            own.error(f"--{option} belongs to {owner[option]}, {arguments.source} is an index")
    if arguments.out is None:
        own.error("an index is handed over into a folder of its own: give --out DIR")
    done = hand_over(arguments.source, arguments.to, out=arguments.out)
    logger.info("version %s of %s: %s images", done.version, arguments.source, f"{done.rows:,}")
    return done


def _exported(own: argparse.ArgumentParser, arguments: argparse.Namespace) -> "Exported":
    from dqh.artifact.reading import read_codes
    from dqh.export.artifact.faiss_form import LISTS, Lists
    from dqh.export.artifact.forms import export_forms

    of_faiss = [option for option in ("lists", "codes") if getattr(arguments, option) is not None]
    if of_faiss and "faiss" not in arguments.to:
        own.error(f"--{of_faiss[0]} belongs to --to faiss, got --to {','.join(arguments.to)}")
    sample = None if arguments.codes is None else read_codes(arguments.codes)
    lists = Lists(LISTS if arguments.lists is None else arguments.lists, sample)
    return export_forms(arguments.source, arguments.to, out=arguments.out, lists=lists, bits=arguments.bits)
