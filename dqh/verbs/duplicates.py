"""`dqh duplicates`: images of an index whose codes are nearly equal, in groups."""

import argparse
import csv
import io
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqh.errors import ConfigError
from dqh.files import make_folders, no_folder, write_text
from dqh.plural import counted
from dqh.terminal import cut, say, shown
from dqh.verbs.engines import add_executor, executor_of_options
from dqh.verbs.verb import Verbs, add_verb, local, print_json, usage_error

if TYPE_CHECKING:
    from dqh.clustering.near_duplicates import DuplicateGroup
    from dqh.executors import Executor
    from dqh.index.store.rows import StoredRow
    from dqh.scale.spread_points import SpreadPoints

logger = logging.getLogger(__name__)

WAY = "binary"
"""Of searching codes by their bits."""

TABLE, PAGE = "duplicates.csv", "duplicates.html"

_LABEL_COLUMNS = 40
"""Most columns of the labels of an image."""


def add(verbs: Verbs) -> None:
    """`dqh duplicates INDEX --radius R [--out DIR]`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.clustering.near_duplicates import near_duplicates

        if arguments.out is not None:
            _require_free(arguments.out)
        try:
            version, rows = _images(arguments.index)
            bits = version.quantizer.bits
            with (
                executor_of_options(own, arguments) as executor,
                nullcontext() if executor is None else _job(executor, arguments) as job,
            ):
                elsewhere = None if job is None else job.links
                groups = near_duplicates(version.codes(rows), arguments.radius, bits=bits, elsewhere=elsewhere)
                if job is not None:
                    job.end()
        except ValueError as error:
            usage_error(own, error)
        known = [version.rows(rows[group.rows]) for group in groups]
        fields = _fields(groups, known)
        if arguments.json:
            print_json({"images": len(rows), "radius": arguments.radius, "groups": fields})
        else:
            for field in fields:
                say(
                    _heading(field),
                    *(f"{image['id']:>10} {_label(image)} {image['path']}" for image in field["images"]),
                )
        several = sum(len(group.rows) for group in groups)
        logger.info(
            "%s of %s in %s within %s",
            f"{several:,}",
            counted(len(rows), "image"),
            counted(len(groups), "group"),
            counted(arguments.radius, "bit"),
        )
        if arguments.out is not None:
            _write(arguments.out, fields, root=version.manifest.root, radius=arguments.radius, images=len(rows))
        return 0

    own = add_verb(verbs, "duplicates", run, "find images of an index whose codes are nearly equal, in groups")
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index, of binary codes")
    own.add_argument(
        "--radius",
        type=_bits,
        required=True,
        metavar="R",
        help="bits in which neighbours of a group differ at most; 0 for equal codes",
    )
    own.add_argument(
        "--out", type=local, metavar="DIR", help=f"a new folder for {TABLE} and {PAGE}, a page of pictures"
    )
    add_executor(own, workers=True)
    own.add_argument(
        "--parts",
        type=local,
        metavar="DIR",
        help="folder for what partitions make, which all workers see (INDEX.duplicates)",
    )


def _job(executor: "Executor", arguments: argparse.Namespace) -> "SpreadPoints":
    from dqh.scale.spread_points import SpreadPoints

    index: Path = arguments.index
    own = index.absolute().with_name(f"{index.absolute().name}.duplicates")
    return SpreadPoints(executor, folder=arguments.parts or own, of=own, partitions=arguments.partitions)


def _images(index: Path) -> tuple[Any, Any]:
    """The version of an index, and its rows that are whole images."""
    import numpy as np

    from dqh.index.store import open_index

    snapshot = open_index(index, cache=False)
    version = snapshot.version
    if snapshot.way.name != WAY:
        raise ValueError(
            f"{index} has codes of the kind {version.manifest.code_kind}, whose bits are no distance; put the images "
            "into an index of binary codes, such as those of train.py method=itq"
        )
    return version, np.flatnonzero(~version.objects)


def _bits(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"wanted a whole number of bits from 0, got {text!r}")
    return int(text)


def _require_free(folder: Path) -> None:
    if problem := no_folder(folder):
        raise ConfigError(f"--out {folder}: {problem}")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"--out {folder} is not empty; name a new folder")


def _fields(groups: "list[DuplicateGroup]", known: "list[list[StoredRow]]") -> list[dict[str, Any]]:
    """The groups as plain JSON values."""
    return [
        {
            "diameter": group.diameter,
            "images": [{"id": row.id, "path": row.path, "labels": list(row.labels)} for row in rows],
        }
        for group, rows in zip(groups, known, strict=True)
    ]


def _heading(field: dict[str, Any]) -> str:
    return f"{counted(len(field['images']), 'image')}, {counted(field['diameter'], 'bit')} across"


def _label(image: dict[str, Any]) -> str:
    return cut(shown(", ".join(image["labels"]) or "–"), _LABEL_COLUMNS)


def _write(out: Path, fields: list[dict[str, Any]], *, root: str, radius: int, images: int) -> None:
    """The table and the page."""
    from dqh.clustering.groups_page import PictureGroup, groups_page
    from dqh.collection.artifact_note import absolute

    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["group", "diameter", "id", "path", "labels"])
    for number, field in enumerate(fields, start=1):
        for image in field["images"]:
            labels = ";".join(image["labels"])
            table.writerow([number, field["diameter"], image["id"], image["path"], labels])
    groups = [
        PictureGroup(
            f"{number}: {_heading(field)}",
            [(absolute(image["path"], root), f"{_label(image)} · {shown(image['path'])}") for image in field["images"]],
        )
        for number, field in enumerate(fields, start=1)
    ]
    several = sum(len(field["images"]) for field in fields)
    about = (
        f"{several:,} of {counted(images, 'image')} have a code that differs from another one's in at most "
        f"{counted(radius, 'bit')}. A chain of such codes makes a group; “across” says how far its ends are apart."
    )
    make_folders(out)
    write_text(out / PAGE, groups_page(f"{counted(len(fields), 'group')} of near duplicates", about, groups))
    write_text(out / TABLE, text.getvalue())
