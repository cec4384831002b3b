"""`dqh lens`: what a photo shows, who was asked about it and why, and what they answered together."""

import argparse
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dqh.terminal import cut, say, shown, width
from dqh.verbs.search import parse_box, plot_problem
from dqh.verbs.verb import Verbs, add_runtime, add_verb, at_least_one, local, print_json, usage_error

if TYPE_CHECKING:
    from dqh.discovery.blend import Naming, SourceHit
    from dqh.discovery.lens_answer import LensAnswer, Source
    from dqh.discovery.understanding import SeenObject, Understanding

logger = logging.getLogger(__name__)

_COLUMNS = 40
"""Most columns of what a result is called."""


def add(verbs: Verbs) -> None:
    """`dqh lens INDEX PHOTO… [-k K] [--box …] [--rules FILE] [--filter DIR | --words FILE] [--plot FILE] …`."""

    def run(arguments: argparse.Namespace) -> int:
        if arguments.plot is not None and (problem := plot_problem(arguments.plot)):
            own.error(problem)
        try:
            return _ask(arguments)
        except ValueError as error:
            usage_error(own, error)

    own = add_verb(verbs, "lens", run, "understand photos, ask several sources about each, and blend what they answer")
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index")
    own.add_argument("photos", nargs="+", metavar="PHOTO", help="image files, inside or outside the collection")
    own.add_argument("-k", type=at_least_one, default=20, metavar="K", help="results a photo (20)")
    own.add_argument(
        "--box", type=parse_box, metavar="X0,Y0,X1,Y1", help="the part of each photo that is meant, pixels"
    )
    own.add_argument(
        "--rules",
        type=local,
        metavar="FILE",
        help="a table in yaml: who is asked, and how much is of each; else dqh's",
    )
    words = own.add_mutually_exclusive_group()
    words.add_argument("--filter", type=local, metavar="DIR", help="what `dqh look --fit` made: how sure words are")
    words.add_argument("--words", type=local, metavar="FILE", help="instead: an annotator that was saved")
    own.add_argument(
        "--plot", type=local, metavar="FILE.png", help="a picture of the photos, what they show and answers"
    )
    own.add_argument(
        "--detector", type=local, metavar="DETECTOR", help="else what the index remembers, if it has objects"
    )
    own.add_argument("--artifact", type=local, metavar="DIR", help="of the encoder; else what the index remembers")
    own.add_argument("--engine", default="auto", metavar="NAME", help="that searches codes, see `dqh search --help`")
    add_runtime(own)


def _ask(arguments: argparse.Namespace) -> int:
    from dqh.discovery import read_annotator
    from dqh.discovery.lens import open_lens

    lens = open_lens(
        arguments.index,
        annotator=None if arguments.words is None else read_annotator(arguments.words),
        fitted=arguments.filter,
        rules=arguments.rules,
        **{name: getattr(arguments, name) for name in ("artifact", "detector", "engine", "device", "runtime")},
    )
    answers = [lens.ask(photo, box=arguments.box, k=arguments.k) for photo in arguments.photos]
    root = lens.flashlight.index.version.manifest.root
    if arguments.json:
        print_json({"photos": [answer.to_json(root) for answer in answers]})
    else:
        for answer in answers:
            say(*_lines(answer))
    for answer in answers:
        if answer.note:
            logger.warning("%s: nothing found: %s", answer.understanding.photo, answer.note)
        logger.info("milliseconds: %s", ", ".join(f"{name} {1000 * s:.1f}" for name, s in answer.seconds.items()))
    if arguments.plot is not None:
        from dqh.collection.picture import save
        from dqh.discovery.lens_picture import draw_answers

        save(draw_answers(answers, root), arguments.plot)
    return 0


def _lines(answer: "LensAnswer") -> Iterator[str]:
    """What is known of a photo, who was asked and why, and a line a result."""
    seen = answer.understanding
    yield f"{shown(seen.photo)}  {seen.size[0]} × {seen.size[1]}"
    for head, told in _known(seen):
        yield f"  {head:<14}{told}"
    for source in answer.sources:
        yield f"  {source.name:<14}{_share(source)}{'; '.join(source.because)}" + (
            f"; no answer: {source.note}" if source.note else ""
        )
    if not answer.results:
        return
    called = [cut(shown(_called(result.hit)), _COLUMNS) for result in answer.results]
    named = [", ".join(map(_named, result.named)) for result in answer.results]
    wide, wider = max(map(width, [*called, "called"])), max(map(width, [*named, "source, its rank and score"]))
    yield f"  {'rank':>4} {'score':>6}  {'source, its rank and score':<{wider}}  {'called':<{wide}}  path"
    for rank, (result, own, by) in enumerate(zip(answer.results, called, named, strict=True), start=1):
        texts = by + " " * (wider - width(by)), own + " " * (wide - width(own))
        yield f"  {rank:>4} {result.score:>6.3f}  {texts[0]}  {texts[1]}  {result.path}"


def _known(seen: "Understanding") -> Iterator[tuple[str, str]]:
    """What is known, in words, by what it is of."""
    words = [
        f"{shown(word)} {share:.0%} of the answers" if confidence is None else f"{shown(word)} {confidence:.2f}"
        for word, share, confidence in seen.annotations
    ]
    yield "words", ", ".join(words) or "none: no image that looks like it has a label or a tag"
    if seen.category is not None:
        by = "by labels" if seen.category.by == "labels" else "by the detector"
        yield "category", f"{shown(seen.category.name)} {seen.category.confidence:.2f}, {by}"
    if seen.part is None:
        yield "objects", ", ".join(_object(own, own == seen.dominant) for own in seen.objects) or "none is seen"
    else:
        yield "part", ",".join(f"{value:g}" for value in seen.part)
    yield "colours", ", ".join(f"{colour.name} {colour.share:.0%}" for colour in seen.colours)


def _object(seen: "SeenObject", dominant: bool) -> str:
    corners = ",".join(f"{value:g}" for value in seen.box)
    return f"{shown(seen.name or '')} {seen.score:.2f} {corners}{', dominant' if dominant else ''}"


def _share(source: "Source") -> str:
    return f"{source.ratio:.0%}: " if source.asked else "not asked: "


def _named(naming: "Naming") -> str:
    return f"{naming.source} {naming.rank} {naming.hit.score:.2f}"


def _called(hit: "SourceHit") -> str:
    """What a result is called: its labels, else its tags, else the object that answered."""
    return ", ".join(hit.labels or tuple(tag.word for tag in hit.tags)) or hit.object or "–"
