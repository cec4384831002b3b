"""`dqh search`: images as queries of an index."""

import argparse
import logging
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqh.files import no_folder
from dqh.terminal import cut, say, shown, width
from dqh.verbs.verb import Verbs, add_runtime, add_verb, at_least_one, local, print_json, usage_error

if TYPE_CHECKING:
    from dqh.collection import Answers
    from dqh.index.store import Hit

logger = logging.getLogger(__name__)

WHERE = (
    "only answers of which this holds, such as \"label = 'dress'\" or, with --objects, \"object = 'dog'\"; "
    "columns: id, x0, y0, x1, y1, score, path, label, object, hash; signs: = != < <= > >= in like, joined by and, or, "
    "not"
)

_LABEL_COLUMNS = 40
"""Most columns of the labels of an answer."""


def add(verbs: Verbs) -> None:
    """`dqh search INDEX QUERY… [-k K] [--box … | --dot …] [--objects] [--rank …] [--pool N | --radius R] …`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.collection import search_images

        if arguments.pool is not None and arguments.pool < arguments.k:
            own.error(f"--pool must be at least -k, got --pool {arguments.pool} and -k {arguments.k}")
        if arguments.pool is not None and arguments.rank == "codes":
            own.error("--pool is of --rank fine, which compares features; leave one of them off")
        if arguments.detector is not None and arguments.dot is None:
            own.error("--detector finds what is under --dot X,Y; give both, or neither")
        if arguments.plot is not None and (problem := plot_problem(arguments.plot)):
            own.error(problem)
        try:
            answers = search_images(
                arguments.index,
                arguments.queries,
                artifact=arguments.artifact,
                k=arguments.k,
                box=arguments.box,
                dot=arguments.dot,
                objects=arguments.objects,
                detector=arguments.detector,
                pool=arguments.pool,
                radius=arguments.radius,
                where=arguments.where,
                rank=arguments.rank,
                way=arguments.way,
                engine=arguments.engine,
                device=arguments.device,
                runtime=arguments.runtime,
            )
        except ValueError as error:
            usage_error(own, error)
        if arguments.json:
            print_json(_fields(answers))
        else:
            _print(answers)
        times = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in answers.seconds.items())
        logger.info("milliseconds: %s", times)
        if arguments.plot is not None:
            from dqh.collection.picture import draw, save

            save(draw(answers), arguments.plot)
        return 0

    own = add_verb(verbs, "search", run, "find the images of an index that are nearest to some images")
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index")
    own.add_argument("queries", nargs="+", metavar="QUERY", help="image files, inside or outside the collection")
    own.add_argument("-k", type=at_least_one, default=10, metavar="K", help="answers a query (10)")
    parts = own.add_mutually_exclusive_group()
    parts.add_argument(
        "--box", type=parse_box, metavar="X0,Y0,X1,Y1", help="the part of each query to search by, pixels"
    )
    parts.add_argument("--dot", type=_dot, metavar="X,Y", help="instead: the object there is the part to search by")
    own.add_argument(
        "--objects", action="store_true", help="objects answer, not whole images: each image by the nearest of its own"
    )
    own.add_argument(
        "--detector",
        type=local,
        metavar="DETECTOR",
        help="that sees what is under a dot; else what the index remembers",
    )
    own.add_argument(
        "--rank",
        choices=("codes", "fine"),
        help="answers in the order of codes alone, or of features; else what validation images chose in the training",
    )
    candidates = own.add_mutually_exclusive_group()
    candidates.add_argument(
        "--pool",
        type=at_least_one,
        metavar="N",
        help="candidates by code, ranked by features (as many as the choice was made with, else 1000)",
    )
    candidates.add_argument("--radius", type=_number, metavar="R", help="instead: all within this distance by code")
    own.add_argument("--where", metavar="FILTER", help=WHERE)
    own.add_argument("--plot", type=local, metavar="FILE.png", help="a picture of the queries and their answers")
    own.add_argument("--artifact", type=local, metavar="DIR", help="of the encoder; else what the index remembers")
    own.add_argument("--way", metavar="NAME", help="by which codes are compared")
    own.add_argument("--engine", default="auto", metavar="NAME", help="that searches codes")
    own.when_told |= {"way": _help_of_ways, "engine": _help_of_engines}
    add_runtime(own)


def _help_of_ways() -> str:
    """All ways by codes."""
    from dqh.index.ways import WAYS, CodeWay

    names = ", ".join(way.name for way in WAYS.values() if isinstance(way, CodeWay))
    return f"by which codes are compared: {names}, of those that fit them; else by their own distance"


def _help_of_engines() -> str:
    """All engines: the exact one of some ways, those that give its answers, and the ways."""
    from dqh.index.engines import ENGINES
    from dqh.index.ways import WAYS, CodeWay

    ways: dict[str, list[str]] = {}
    for way in WAYS.values():
        if isinstance(way, CodeWay):
            ways.setdefault(way.engine, []).append(way.name)
    texts = []
    for exact, names in ways.items():
        others = [name for name, engine in ENGINES.items() if engine.approximates == exact]
        texts.append(f"{', '.join([exact, *others])} for {', '.join(names)}")
    return f"that searches codes: {'; '.join(texts)}; else chosen by size"


def plot_problem(plot: Path) -> str | None:
    """Why a picture cannot be written there, if that can be seen before."""
    if plot.suffix.lower() != ".png":
        return f"--plot must name a .png file, got {str(plot)!r}"
    if plot.is_dir():
        return f"--plot must name a .png file, {plot} is a folder"
    if problem := no_folder(plot.parent):
        return f"--plot {plot}: {problem}"
    if not plot.parent.is_dir():
        return f"--plot {plot}: there is no folder {plot.parent}; make it first"
    if not os.access(plot.parent, os.W_OK | os.X_OK):
        return f"--plot {plot}: the folder {plot.parent} cannot be written; choose another"
    return None


def _print(answers: "Answers") -> None:
    labels = [[cut(shown(", ".join(hit.labels) or "–"), _LABEL_COLUMNS) for hit in hits] for hits in answers.found.hits]
    objects = [[_object(hit) for hit in hits] for hits in answers.found.hits]
    wide = max([len("label"), *(width(text) for texts in labels for text in texts)])
    seen = max([len("object"), *(width(text) for texts in objects for text in texts)])
    seen = seen if any(text for texts in objects for text in texts) else 0
    fine = answers.found.rank == "fine"
    for query, hits, *words in zip(answers.queries, answers.found.hits, labels, objects, strict=True):
        object_head = _filled("object", seen)
        say(query, f"{'rank':>6} {'code':>9} {'       fine ' if fine else ''} {object_head}{'label':<{wide}} path")
        for rank, (hit, text, what) in enumerate(zip(hits, *words, strict=True), start=1):
            distance = f"{hit.distance:>11.5g} " if fine else ""
            label = text + " " * (wide - width(text))
            say(f"{rank:>6} {hit.code_distance:>9.4g} {distance} {_filled(what, seen)}{label} {hit.path}")
    result = answers.found
    if answers.note:
        logger.warning("nothing found: %s", answers.note)
    else:
        candidates = f"{result.candidates.min():,} to {result.candidates.max():,} candidates a query"
        logger.info("engine %s, %s: %s", result.engine, result.rule, candidates)
    logger.info("ranked %s", answers.ranking)


def _object(hit: "Hit") -> str:
    """What an object is and where, in words; nothing for a whole image."""
    if hit.object is None or hit.box is None:
        return ""
    corners = ",".join(f"{value:g}" for value in hit.box)
    return f"{cut(shown(hit.object), _LABEL_COLUMNS)} {hit.score:.2f} {corners}"


def _filled(text: str, columns: int) -> str:
    """A text and blanks behind it, one more than it takes to fill so many columns; nothing for no columns."""
    return text + " " * (columns + 1 - width(text)) if columns else ""


def _fields(answers: "Answers") -> dict[str, Any]:
    result = answers.found
    queries = zip(answers.queries, answers.boxes, result.candidates.tolist(), result.hits, strict=True)
    return {
        "queries": [
            {
                "query": query,
                "box": box,
                "candidates": candidates,
                "hits": [hit_fields(hit, answers.root) for hit in hits],
            }
            for query, box, candidates, hits in queries
        ],
        "engine": result.engine,
        "rule": result.rule,
        "rank": result.rank,
        "ranking": answers.ranking,
        "note": answers.note,
        "seconds": answers.seconds,
    }


def hit_fields(hit: "Hit", root: str) -> dict[str, Any]:
    """An answer as plain JSON values, with the file that it is of."""
    tags = {tag.word: tag.weight for tag in hit.tags}
    return hit._asdict() | {"tags": tags, "file": file_of(hit.path, root)}


def file_of(path: str, root: str) -> str:
    """Where the image of a path of an index is, as the index says."""
    from dqh.collection.artifact_note import absolute

    return absolute(path, root)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"wanted a number, got {text!r}")
    return value


def parse_box(text: str) -> tuple[float, float, float, float]:
    """The value of `--box`, in pixels."""
    values = [_number(number) for number in text.split(",")]
    if len(values) != 4 or not (0 <= values[0] < values[2] and 0 <= values[1] < values[3]):
        raise argparse.ArgumentTypeError(f"wanted X0,Y0,X1,Y1 with 0 ≤ X0 < X1 and 0 ≤ Y0 < Y1, pixels, got {text!r}")
    return values[0], values[1], values[2], values[3]


def _dot(text: str) -> tuple[float, float]:
    values = [_number(number) for number in text.split(",")]
    if len(values) != 2 or min(values) < 0:
        raise argparse.ArgumentTypeError(f"wanted X,Y with 0 ≤ X and 0 ≤ Y, pixels, got {text!r}")
    return values[0], values[1]
