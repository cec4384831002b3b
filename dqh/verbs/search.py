"""`dqh search`: images as queries of an index."""

import argparse
import logging
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqh.files import no_folder
from dqh.terminal import cut, say, shown, width
from dqh.verbs.verb import Verbs, add_runtime, add_verb, at_least_one, print_json, usage_error

if TYPE_CHECKING:
    from dqh.collection import Answers
    from dqh.index.store import Hit

logger = logging.getLogger(__name__)

WHERE = (
    "only images of which this holds, such as \"label = 'dress'\"; columns: id, x0, y0, x1, y1, path, label, hash; "
    "signs: = != < <= > >= in like, joined by and, or, not"
)

_LABEL_COLUMNS = 40
"""Most columns of the labels of an answer."""


def add(verbs: Verbs) -> None:
    """`dqh search INDEX QUERY… [-k K] [--box …] [--rank codes|fine] [--pool N | --radius R] [--where FILTER] …`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.collection import search_images

        if arguments.pool is not None and arguments.pool < arguments.k:
            own.error(f"--pool must be at least -k, got --pool {arguments.pool} and -k {arguments.k}")
        if arguments.pool is not None and arguments.rank == "codes":
            own.error("--pool is of --rank fine, which compares features; leave one of them off")
        if arguments.plot is not None and (problem := _problem_of(arguments.plot)):
            own.error(problem)
        try:
            answers = search_images(
                arguments.index,
                arguments.queries,
                artifact=arguments.artifact,
                k=arguments.k,
                box=arguments.box,
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

            save(draw(answers, box=arguments.box), arguments.plot)
        return 0

    own = add_verb(verbs, "search", run, "find the images of an index that are nearest to some images")
    own.add_argument("index", type=Path, metavar="INDEX", help="folder of the index")
    own.add_argument("queries", nargs="+", metavar="QUERY", help="image files, inside or outside the collection")
    own.add_argument("-k", type=at_least_one, default=10, metavar="K", help="answers a query (10)")
    own.add_argument("--box", type=_box, metavar="X0,Y0,X1,Y1", help="the part of each query to search by, pixels")
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
    own.add_argument("--plot", type=Path, metavar="FILE.png", help="a picture of the queries and their answers")
    own.add_argument("--artifact", type=Path, metavar="DIR", help="of the encoder; else what the index remembers")
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


def _problem_of(plot: Path) -> str | None:
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
    wide = max([len("label"), *(width(text) for texts in labels for text in texts)])
    fine = answers.found.rank == "fine"
    for query, hits, texts in zip(answers.queries, answers.found.hits, labels, strict=True):
        say(query, f"{'rank':>6} {'code':>9} {'       fine ' if fine else ''} {'label':<{wide}} path")
        for rank, (hit, text) in enumerate(zip(hits, texts, strict=True), start=1):
            label = text + " " * (wide - width(text))
            distance = f"{hit.distance:>11.5g} " if fine else ""
            say(f"{rank:>6} {hit.code_distance:>9.4g} {distance} {label} {hit.path}")
    result = answers.found
    candidates = f"{result.candidates.min():,} to {result.candidates.max():,} candidates a query"
    logger.info("engine %s, %s: %s", result.engine, result.rule, candidates)
    logger.info("ranked %s", answers.ranking)


def _fields(answers: "Answers") -> dict[str, Any]:
    result = answers.found
    return {
        "queries": [
            {"query": query, "candidates": candidates, "hits": [_hit(hit, answers.root) for hit in hits]}
            for query, candidates, hits in zip(answers.queries, result.candidates.tolist(), result.hits, strict=True)
        ],
        "engine": result.engine,
        "rule": result.rule,
        "rank": result.rank,
        "ranking": answers.ranking,
        "seconds": answers.seconds,
    }


def _hit(hit: "Hit", root: str) -> dict[str, Any]:
    return hit._asdict() | {"file": os.path.join(root, hit.path)}  # noqa: PTH118 (names that are not UTF-8 stay texts)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"wanted a number, got {text!r}")
    return value


def _box(text: str) -> tuple[float, float, float, float]:
    values = [_number(number) for number in text.split(",")]
    if len(values) != 4 or not (0 <= values[0] < values[2] and 0 <= values[1] < values[3]):
        raise argparse.ArgumentTypeError(f"wanted X0,Y0,X1,Y1 with 0 ≤ X0 < X1 and 0 ≤ Y0 < Y1, pixels, got {text!r}")
    return values[0], values[1], values[2], values[3]
