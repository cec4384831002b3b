"""`dqh look`: what a photo shows, what looks like it, and what that is called."""

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqh.terminal import cut, say, shown
from dqh.verbs.search import hit_fields, parse_box
from dqh.verbs.verb import Verbs, add_runtime, add_verb, at_least_one, print_json, usage_error

if TYPE_CHECKING:
    from dqh.discovery.flashlight import Sight, Spot

logger = logging.getLogger(__name__)

_COLUMNS = 100
"""Most columns of the words of an object."""


def add(verbs: Verbs) -> None:
    """`dqh look INDEX PHOTO… [-k K] [--most N] [--box …] [--words FILE] [--dots FILE] [--all] …`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.discovery import read_annotator, read_dot_filter
        from dqh.discovery.flashlight import open_flashlight

        if arguments.box is not None and arguments.dots is not None:
            own.error("--dots chooses among what a detector sees, --box is one part; leave one of them off")
        try:
            flashlight = open_flashlight(
                arguments.index,
                artifact=arguments.artifact,
                detector=arguments.detector,
                annotator=None if arguments.words is None else read_annotator(arguments.words),
                dot_filter=None if arguments.dots is None else read_dot_filter(arguments.dots),
                engine=arguments.engine,
                device=arguments.device,
                runtime=arguments.runtime,
            )
            sights = [
                flashlight.look(photo, box=arguments.box, k=arguments.k, most=arguments.most)
                for photo in arguments.photos
            ]
        except ValueError as error:
            usage_error(own, error)
        if arguments.json:
            root = flashlight.index.version.manifest.root
            print_json({"photos": [_fields(sight, root) for sight in sights]})
        else:
            for sight in sights:
                _print(sight, hidden=arguments.all)
        for sight in sights:
            times = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in sight.seconds.items())
            logger.info("milliseconds: %s", times)
        return 0

    own = add_verb(
        verbs, "look", run, "see the objects of photos, what looks like each in an index, and what it is called"
    )
    own.add_argument("index", type=Path, metavar="INDEX", help="folder of the index")
    own.add_argument("photos", nargs="+", metavar="PHOTO", help="image files, inside or outside the collection")
    own.add_argument("-k", type=at_least_one, default=5, metavar="K", help="answers an object (5)")
    own.add_argument("--most", type=at_least_one, default=5, metavar="N", help="objects a photo, the surest ones (5)")
    own.add_argument(
        "--box", type=parse_box, metavar="X0,Y0,X1,Y1", help="this part of each photo, not what a detector sees, pixels"
    )
    own.add_argument(
        "--words", type=Path, metavar="FILE", help="an annotator that was saved; it knows how sure a word is"
    )
    own.add_argument("--dots", type=Path, metavar="FILE", help="a filter of dots that was saved; else all are shown")
    own.add_argument("--all", action="store_true", help="objects whose dots the filter hides too")
    own.add_argument("--detector", type=Path, metavar="DETECTOR", help="else what the index remembers")
    own.add_argument("--artifact", type=Path, metavar="DIR", help="of the encoder; else what the index remembers")
    own.add_argument("--engine", default="auto", metavar="NAME", help="that searches codes, see `dqh search --help`")
    add_runtime(own)


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
