"""`dqh related`: what people save beside an item of an index, by a log and by what images look like."""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqh.plural import counted
from dqh.terminal import cut, say, shown
from dqh.verbs.search import file_of
from dqh.verbs.verb import Verbs, add_verb, at_least_one, local, print_json, usage_error

if TYPE_CHECKING:
    from dqh.discovery.related.related_answer import RelatedAnswer, RelatedItem
    from dqh.discovery.related.related_model import RelatedModel

logger = logging.getLogger(__name__)

_FAULTS = 3
"""Faulty lines that are named."""


def add(verbs: Verbs) -> None:
    """`dqh related INDEX --log LOG --fit OUT [--ranker NAME] …`, `dqh related INDEX --model OUT ITEM… [-k K]`."""

    def run(arguments: argparse.Namespace) -> int:
        _require_one_task(own, arguments)
        try:
            return _related(arguments) if arguments.fit is None else _fit(arguments)
        except ValueError as error:
            usage_error(own, error)

    own = add_verb(verbs, "related", run, "find the items that people save beside one of an index, as a log tells")
    own.add_argument("index", type=local, metavar="INDEX", help="folder of the index")
    own.add_argument(
        "items", nargs="*", metavar="ITEM", help="images of the index, by their path there, or as files; or id:N"
    )
    own.add_argument("--model", type=local, metavar="OUT", help="what --fit made")
    own.add_argument("-k", type=at_least_one, default=10, metavar="K", help="related items of each (10)")
    fit = own.add_argument_group("fit to a log")
    fit.add_argument(
        "--log",
        type=local,
        metavar="LOG",
        help="a table, text or .parquet, with the columns user, item, action (show or save), time, and query, position "
        "and board where there are such",
    )
    fit.add_argument("--fit", type=local, metavar="OUT", help="a new folder, for --model")
    fit.add_argument(
        "--ranker",
        choices=("ranksvm", "lambdamart"),
        help="a linear one (ranksvm), or boosted trees, which need lightgbm; else ranksvm",
    )
    fit.add_argument(
        "--examination",
        type=float,
        metavar="P",
        help="position r is looked at with the probability r^-P; else as the log tells, 0 corrects nothing",
    )
    fit.add_argument("--most-faults", type=_share, metavar="S", help="share of the lines that may be faulty (0.01)")
    fit.add_argument("--seed", type=int, metavar="N", help="of what is drawn (0)")


_OF_FIT = ("log", "ranker", "examination", "most_faults", "seed")


def _require_one_task(own: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a message where arguments of fitting and of serving are mixed, or missing."""
    if arguments.fit is None:
        if alone := [f"--{name.replace('_', '-')}" for name in _OF_FIT if getattr(arguments, name) is not None]:
            own.error(f"{alone[0]} belongs to --fit OUT; give both, or neither")
        if arguments.model is None or not arguments.items:
            own.error("give --model OUT and an ITEM of the index, or fit one first: --log LOG --fit OUT")
        return
    if arguments.items or arguments.model is not None:
        other = "items" if arguments.items else "--model"
        own.error(f"--fit makes a model, and finds nothing by it; leave {other} off")
    if arguments.log is None:
        own.error("a model is fitted to a log: give --log LOG")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"wanted a number from 0 to 1, got {text!r}")
    return value


def _fit(arguments: argparse.Namespace) -> int:
    from dqh.discovery.related.action_log import MOST_FAULTS, read_action_log
    from dqh.discovery.related.related_fit import fit_related
    from dqh.discovery.related.related_model import require_place
    from dqh.index.store import open_index

    require_place(arguments.fit)
    version = open_index(arguments.index).version
    most = MOST_FAULTS if arguments.most_faults is None else arguments.most_faults
    log = read_action_log(arguments.log, most_faults=most)
    for fault in log.faults[:_FAULTS]:
        logger.warning("%s: %s", fault.where, fault.reason)
    if more := len(log.faults) - _FAULTS:
        logger.warning("and %d more faulty lines", more) if more > 0 else None
    model = fit_related(
        version,
        log,
        arguments.log,
        ranker=arguments.ranker or "ranksvm",
        power=arguments.examination,
        seed=arguments.seed or 0,
    )
    model.save(arguments.fit)
    if model.log["unknown_items"]:
        logger.warning(
            "%d items of the log are no images of the index, and %d lines with them are left out",
            model.log["unknown_items"],
            model.log["left_out"],
        )
    if arguments.json:
        told = {"folder": str(arguments.fit), "ranker": model.ranker, "examination": model.examination._asdict()}
        print_json(told | {"log": dict(model.log), "measured": dict(model.measured)})
    else:
        say(*_report(model, arguments.fit))
    return 0


def _report(model: "RelatedModel", out: Path) -> Iterator[str]:
    """What was learnt from, and how good it is for lists that were not."""
    log, lift = model.log, model.measured["lift"]
    yield (
        f"{out}: {model.ranker} from {log['saves_of_related']:,} saves of {log['shows']:,} shows beside "
        f"{counted(log['queries'], 'query', 'queries')}, {counted(log['users'], 'user')}, {log['items']:,} items"
    )
    error = "" if model.examination.error is None else f" ± {model.examination.error:.2f}"
    yield f"  position r is looked at with r^-{model.examination.power:.2f}{error}: {model.examination.note}"
    yield f"  saves in the first {model.measured['cutoff']} places, against any order, of queries not learnt from:"
    for name, value in lift.items():
        yield f"    {value:6.3f}  {name}"


def _related(arguments: argparse.Namespace) -> int:
    from dqh.discovery.related.related_answer import BY_LOOKS
    from dqh.discovery.related.related_items import open_related

    items = open_related(arguments.model, arguments.index)
    if items.missing:
        logger.warning("%d of %d items of the log are not in the index any more", items.missing, len(items.model.paths))
    answers = [items.related(_item(text), k=arguments.k) for text in arguments.items]
    root = items.index.version.manifest.root
    if arguments.json:
        print_json({"ranker": items.model.ranker, "items": [_fields(answer, root) for answer in answers]})
        return 0
    for answer in answers:
        say(f"{answer.path}  by {answer.by}, of {counted(answer.candidates, 'candidate')}")
        for rank, related in enumerate(answer.items, start=1):
            labels = cut(shown(", ".join(related.labels) or "–"), 30)
            sources = ", ".join(related.sources)
            say(f"{rank:>6} {related.score:>9.4f}  {_saved(related):<26} {sources:<31} {labels}  {related.path}")
        if answer.by == BY_LOOKS:
            logger.info("%s: the log does not have it", answer.path)
        times = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in answer.seconds.items())
        logger.info("milliseconds: %s", times)
    return 0


def _item(text: str) -> str | int:
    """A path, or the id of a row."""
    number = text.removeprefix("id:")
    return int(number) if number != text and number.isdecimal() else text


def _saved(related: "RelatedItem") -> str:
    """The save propensity of an item, in words."""
    if related.propensity is None:
        return "not shown in the log"
    seen = related.propensity
    return f"saved {seen.value:.3f} ({seen.low:.3f}–{seen.high:.3f})"


def _fields(answer: "RelatedAnswer", root: str) -> dict[str, Any]:
    """An answer as plain JSON values."""
    items = [
        item._asdict()
        | {"propensity": None if item.propensity is None else item.propensity._asdict()}
        | {"file": file_of(item.path, root)}
        for item in answer.items
    ]
    told = {"path": answer.path, "id": answer.id, "by": answer.by, "candidates": answer.candidates}
    return told | {"related": items, "seconds": dict(answer.seconds)}
