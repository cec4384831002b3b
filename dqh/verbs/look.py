"""`dqh look`: what a photo shows, what looks like it, and what that is called."""

import argparse
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqh.plural import counted
from dqh.terminal import cut, say, shown
from dqh.verbs.search import hit_fields, parse_box, plot_problem
from dqh.verbs.verb import Parser, Verbs, add_runtime, add_verb, at_least_one, local, print_json, usage_error

if TYPE_CHECKING:
    from dqh.discovery.flashlight import Sight, Spot
    from dqh.discovery.look_fit import LookFit

logger = logging.getLogger(__name__)

_COLUMNS = 100
"""Most columns of the words of an object."""


def add(verbs: Verbs) -> None:
    """`dqh look INDEX PHOTO… [-k K] [--most N] [--box …] [--filter DIR] …`, `dqh look INDEX --fit BOXES --out DIR`."""

    def run(arguments: argparse.Namespace) -> int:
        _require_one_task(own, arguments)
        try:
            return _fit(arguments) if arguments.fit is not None else _look(arguments)
        except ValueError as error:
            usage_error(own, error)

    own = add_verb(
        verbs, "look", run, "see the objects of photos, what looks like each in an index, and what it is called"
    )
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index")
    own.add_argument("photos", nargs="*", metavar="PHOTO", help="image files, inside or outside the collection")
    own.add_argument("-k", type=at_least_one, metavar="K", help=f"answers an object ({_K})")
    own.add_argument("--most", type=at_least_one, metavar="N", help=f"objects a photo, the surest ones ({_MOST})")
    own.add_argument(
        "--box", type=parse_box, metavar="X0,Y0,X1,Y1", help="this part of each photo, not what a detector sees, pixels"
    )
    own.add_argument(
        "--filter", type=local, metavar="DIR", help="what --fit made: how sure words are, and which dots are shown"
    )
    own.add_argument(
        "--words",
        type=local,
        metavar="FILE",
        help="instead: an annotator that was saved; it knows how sure a word is",
    )
    own.add_argument(
        "--dots", type=local, metavar="FILE", help="instead: a filter of dots that was saved; else all are shown"
    )
    own.add_argument("--all", action="store_true", default=None, help="objects whose dots the filter hides too")
    own.add_argument("--plot", type=local, metavar="FILE.png", help="a picture of the photos, their dots and answers")
    own.add_argument("--detector", type=local, metavar="DETECTOR", help="else what the index remembers")
    own.add_argument("--artifact", type=local, metavar="DIR", help="of the encoder; else what the index remembers")
    own.add_argument("--engine", default="auto", metavar="NAME", help="that searches codes, see `dqh search --help`")
    add_runtime(own)
    _add_fit(own)


def _add_fit(own: Parser) -> None:
    """What belongs to `--fit`."""
    fit = own.add_argument_group("fit to photos that the index does not have, whose objects are marked")
    fit.add_argument(
        "--fit", type=local, metavar="BOXES", help="a JSON file of boxes, or of COCO, or a folder as VOC has it"
    )
    fit.add_argument("--out", type=local, metavar="DIR", help="a new folder, for --filter")
    fit.add_argument(
        "--root", type=local, metavar="DIR", help="of the photos that a JSON file names; else its own folder"
    )
    fit.add_argument("--list", type=local, metavar="FILE", help="only the photos of this list")
    fit.add_argument(
        "--class-map",
        type=local,
        metavar="FILE",
        help="what the classes are called in the index: lines NAME,NAME THERE",
    )
    fit.add_argument(
        "--right",
        choices=("search", "object"),
        help="a right dot: half of the answers have the class of what is under it (search), or it is on an object of "
        "the class seen",
    )
    shown_dots = fit.add_mutually_exclusive_group()
    shown_dots.add_argument("--share", type=_share, metavar="S", help="of the dots to show, at least (0.5)")
    shown_dots.add_argument(
        "--precision", type=_share, metavar="P", help="instead: share of the dots shown to be right"
    )


_OF_FIT = ("out", "root", "list", "class_map", "right", "share", "precision")
_OF_LOOK = ("k", "most", "box", "filter", "words", "dots", "all", "plot")
_K, _MOST = 5, 5


def _require_one_task(own: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a message where arguments of looking and of fitting are mixed, or contradict each other."""

    def given(names: tuple[str, ...]) -> list[str]:
        spelt = {name: f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}" for name in names}
        return [spelt[name] for name in names if getattr(arguments, name) is not None]

    if arguments.fit is None:
        if alone := given(_OF_FIT):
            own.error(f"{alone[0]} belongs to --fit BOXES; give both, or neither")
        if not arguments.photos:
            own.error("give photos to look at, or --fit BOXES --out DIR")
        if arguments.plot is not None and (problem := plot_problem(arguments.plot)):
            own.error(problem)
        if arguments.box is not None and arguments.dots is not None:
            own.error("--dots chooses among what a detector sees, --box is one part; leave one of them off")
        if arguments.filter is not None and (alone := given(("words", "dots"))):
            own.error(f"--filter holds what {alone[0]} names; leave one of them off")
        return
    if arguments.photos or (alone := given(_OF_LOOK)):
        other = "photos" if arguments.photos else alone[0]
        own.error(f"--fit looks at the photos of its boxes alone; leave {other} off")
    if arguments.out is None:
        own.error("what is fitted goes into a folder: give --out DIR")


def _look(arguments: argparse.Namespace) -> int:
    from dqh.discovery import read_annotator, read_dot_filter
    from dqh.discovery.flashlight import open_flashlight

    flashlight = open_flashlight(
        arguments.index,
        annotator=None if arguments.words is None else read_annotator(arguments.words),
        dot_filter=None if arguments.dots is None else read_dot_filter(arguments.dots),
        fitted=arguments.filter,
        detects=arguments.box is None,
        **_of_index(arguments),
    )
    k, most = arguments.k or _K, arguments.most or _MOST
    sights = [flashlight.look(photo, box=arguments.box, k=k, most=most) for photo in arguments.photos]
    if arguments.json:
        root = flashlight.index.version.manifest.root
        print_json({"photos": [_fields(sight, root) for sight in sights]})
    else:
        for sight in sights:
            _print(sight, hidden=bool(arguments.all))
    for sight in sights:
        times = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in sight.seconds.items())
        logger.info("milliseconds: %s", times)
    if arguments.plot is not None:
        from dqh.collection.picture import save
        from dqh.discovery.sight_picture import draw_sights

        save(draw_sights(sights, flashlight.index.version.manifest.root, rank=flashlight.rank), arguments.plot)
    return 0


def _fit(arguments: argparse.Namespace) -> int:
    from dqh.data.box_place import boxes_at
    from dqh.discovery.fitting import fit_look
    from dqh.discovery.flashlight import open_flashlight
    from dqh.discovery.look_fit import require_place

    require_place(arguments.out)
    photos = boxes_at(arguments.fit, root=arguments.root, listed=arguments.list, class_map=arguments.class_map)
    fitted = fit_look(
        open_flashlight(arguments.index, **_of_index(arguments)),
        photos,
        right=arguments.right or "search",
        share=arguments.share,
        precision=arguments.precision,
    )
    fitted.save(arguments.out)
    if arguments.json:
        told = {"folder": str(arguments.out), "encoder_id": fitted.encoder_id, "detector_id": fitted.detector_id}
        print_json(told | {"data": dict(fitted.data), "measured": dict(fitted.measured)})
    else:
        say(*_report(fitted, arguments.out))
    if fitted.dot_filter is None:
        logger.warning("no detector, so no filter of dots; name one: --detector DETECTOR")
    return 0


def _of_index(arguments: argparse.Namespace) -> dict[str, Any]:
    """What opens an index for looks, beside what was fitted."""
    return {name: getattr(arguments, name) for name in ("artifact", "detector", "engine", "device", "runtime")}


def _report(fitted: "LookFit", out: Path) -> Iterator[str]:
    """How good words and dots are, as judged by fits that had not seen the photo."""
    words = fitted.measured["words"]
    yield (
        f"{out}: words by {counted(words['boxes'], 'object')} of {counted(words['photos'], 'photo')} of "
        f"{fitted.data['name']}: the first is right for {words['first_right']:.3f}, its confidence off by "
        f"{words['calibration_error']:.3f}"
    )
    if fitted.dot_filter is None:
        return
    dots = fitted.measured["dots"]
    yield f"{out}: dots by {dots['dots']:,} of {counted(dots['photos'], 'photo')}"
    for meaning, part in dots["meanings"].items():
        yield f"  right is {part['meaning']}: {part['share']:.1%}" + ", which it tells" * (meaning == dots["right"])
        yield "    shown  right  found   by the score alone: right  found"
        for row in part["together"]:
            alone = _as_many(part["score"], row["kept"])
            mark = "*" if meaning == dots["right"] and row["threshold"] == dots["threshold"] else " "
            yield (
                f"  {mark} {row['kept']:>5.2f}  {row['precision']:>5.3f}  {row['recall']:>5.3f}"
                f"{alone['precision']:>28.3f}  {alone['recall']:>5.3f}"
            )


def _as_many(table: list[dict[str, float]], kept: float) -> dict[str, float]:
    """The row of a table that keeps such a share of the dots, or next to it."""
    return min(table, key=lambda row: abs(row["kept"] - kept))


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"wanted a number above 0 and at most 1, got {text!r}")
    return value


def _print(sight: "Sight", *, hidden: bool) -> None:
    """A line an object with its words, and below it one an answer."""
    say(f"{sight.photo}  {sight.size[0]} × {sight.size[1]}")
    spots = [spot for spot in sight.spots if spot.shown or hidden]
    for spot in spots:
        say(f"  {_spelt(spot)}  {cut(shown(_words(spot)), _COLUMNS)}")
        for rank, hit in enumerate(spot.hits, start=1):
            own = ", ".join(hit.labels) or "–" if hit.object is None else f"{hit.object} {hit.score:.2f}"
            say(f"  {rank:>4} {hit.distance:>11.5g} {cut(shown(own), 30)}  {hit.path}")
    if sight.note:
        logger.warning("%s: %s", sight.photo, sight.note)
    if count := len(sight.spots) - len(spots):
        logger.info("%s: the filter hides %d of %d dots; --all shows them", sight.photo, count, len(sight.spots))


def _spelt(spot: "Spot") -> str:
    """Dot, box, class and worth of an object."""
    x, y = spot.dot
    corners = ",".join(f"{value:g}" for value in spot.box)
    seen = "the part given" if spot.object is None else f"{shown(spot.object)} {spot.score:.2f}"
    worth = "" if spot.worth is None else f"  worth {spot.worth:+.2f}{'' if spot.shown else ', hidden'}"
    return f"• {x:g},{y:g}  {seen}  {corners}{worth}"


def _words(spot: "Spot") -> str:
    """The words of an object, each with its confidence, or its share of the answers where nothing was calibrated."""
    texts = [
        f"{word} {share:.0%} of the answers" if confidence is None else f"{word} {confidence:.2f}"
        for word, share, confidence in spot.words
    ]
    return ", ".join(texts) or "no answer has a word"


def _fields(sight: "Sight", root: str) -> dict[str, Any]:
    spots = [
        spot._asdict()
        | {
            "dot": spot.dot,
            "words": [word._asdict() for word in spot.words],
            "hits": [hit_fields(hit, root) for hit in spot.hits],
        }
        for spot in sight.spots
    ]
    return {
        "photo": os.fspath(sight.photo),
        "size": sight.size,
        "spots": spots,
        "note": sight.note,
        "seconds": sight.seconds,
    }
