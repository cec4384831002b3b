"""One self-contained HTML page about a detector: numbers, classes, photos with their boxes, how it was trained.

Nothing is computed here. The page needs no network and runs no script. How it looks is said by the templates in
`dqh.pages`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from dqh import files
from dqh.conveniences import convenience
from dqh.evaluation.detection import DetectionResult
from dqh.evaluation.detection_photos import IOU, THRESHOLD, ShownPhoto
from dqh.evaluation.report import plots
from dqh.evaluation.report.detection_plot import detection_plot
from dqh.evaluation.report.history_plot import further_curves
from dqh.evaluation.report.page import made_content
from dqh.evaluation.report.table import finite, format_cell, format_value, has, mapping_at
from dqh.pages import fill
from dqh.plural import counted

_HEADS = ("class", "AP@.5", "AP@[.5:.95]", "AR@100", "boxes", "photos")


def write_detection_report(
    path: Path,
    metrics: Mapping[str, object],
    result: DetectionResult,
    history: Sequence[Mapping[str, object]],
    photos: Sequence[ShownPhoto],
    *,
    title: str,
    command: str,
) -> None:
    """Write the page about one evaluation of a detector to `path`, atomically.

    Args:
        path: the file to write or replace; its folder must exist.
        metrics: the content of `metrics.json`: `protocol`, `proposals`, `first_stage`, `photo_ms`, `training`,
            `environment`.
        result: by class.
        history: the rows of `metrics.csv`; empty where nothing was trained.
        photos: with their boxes.
        title: the heading.
        command: the command line that gives these numbers again.
    """
    names = [row.name for row in result.classes]
    about = f"{counted(result.photos, 'photo')}, {counted(result.boxes, 'true box', 'true boxes')}"
    sections = [
        ("classes", "Classes", _classes(result, about)),
        ("images", "Photos and their boxes", _unless_it_fails("pictures", lambda: _photos(photos, names, about))),
        ("curves", "Learning", _unless_it_fails("curves", lambda: _curves(metrics, history))),
        ("made", "How it was made", made_content(metrics, command)),
    ]
    page = fill(
        "report",
        title=title,
        lede=_lede(mapping_at(metrics, "protocol"), result),
        about=about,
        keys=fill("keys", keys=_keys(metrics, result)),
        sections=[section for section in sections if section[2]],
    )
    files.write_text(path, f"{page}\n")


def _unless_it_fails(what: str, content: Callable[[], Markup]) -> Markup:
    """A part of the page; none, and a warning, where it cannot be drawn."""
    parts: list[Markup] = []
    with convenience(f"report.html: {what}"):
        parts.append(content())
    return parts[0] if parts else Markup()


def _lede(protocol: Mapping[str, object], result: DetectionResult) -> str:
    trained = f" It was trained on {format_value(protocol['train'])} photos." if has(protocol, "train") else ""
    return (
        f"A detector of {counted(len(result.classes), 'class', 'classes')} looks for objects in "
        f"{counted(result.photos, 'photo')} of {format_value(protocol.get('data'))}."
        f"{trained}"
    )


def _keys(metrics: Mapping[str, object], result: DetectionResult) -> list[tuple[str, str, list[str]]]:
    """The main numbers."""
    proposals = mapping_at(metrics, "proposals")
    mean = f"mean over {counted(result.measured, 'class', 'classes')}"
    keys = [
        ("AP@.5", _score(result.ap50), [mean]),
        ("AP@[.5:.95]", _score(result.ap), [mean]),
        ("AR@100", _score(result.ar), [mean]),
        ("recall, all classes as one", _score(finite(proposals.get("recall"))), ["of 100 boxes at IoU .5"]),
    ]
    if first := mapping_at(metrics, "first_stage"):
        share = _score(finite(first.get("recall")))
        keys.append(("recall of proposals", share, ["of 100 at IoU .5, before they have a class"]))
    if has(metrics, "photo_ms"):
        keys.append(("ms / photo", format_value(metrics["photo_ms"]), ["one after the other, reading excluded"]))
    return keys


def _classes(result: DetectionResult, about: str) -> Markup:
    rows = [
        [row.name, _score(row.ap50), _score(row.ap), _score(row.ar), f"{row.boxes:,}", f"{row.photos:,}"]
        for row in result.classes
    ]
    scores = [_score(value) for value in (result.ap50, result.ap, result.ar)]
    means = ["mean", *scores, f"{result.boxes:,}", f"{result.photos - result.negatives:,}"]
    legend = (
        "Average precision at an overlap (IoU) of .5, its mean over .5 … .95, and recall of 100 boxes, by class; boxes "
        "and photos are those with a true box. A class without one is not measured."
    )
    return fill("classes", heads=_HEADS, rows=rows, means=means, legend=legend, about=about)


def _photos(photos: Sequence[ShownPhoto], names: Sequence[str], about: str) -> Markup:
    drawn = detection_plot(photos, names)
    if drawn is None:
        return fill("note", text="There are no photos to show.")
    legend = (
        f"Found boxes of a score of at least {THRESHOLD:g}; one is right where its overlap with a true box of its "
        f"class is at least {IOU:g}. F1 counts right, wrong and missed boxes of the photo."
    )
    return fill("figure", content=Markup(drawn), legend=legend, about=about)  # an svg element of ours


def _curves(metrics: Mapping[str, object], history: Sequence[Mapping[str, object]]) -> Markup:
    best = finite(mapping_at(metrics, "training").get("best_epoch"))
    drawn = [
        (
            plots.learning_curve(history, best),
            "Above what training minimises, below AP@.5 of the validation photos; dotted: the epoch that was kept.",
            "",
        ),
        (further_curves(history), "What else was logged, a panel a name: blue in training, orange in validation.", ""),
    ]
    missing = "" if history else "Nothing was trained in this run."
    return fill("curves", pictures=[picture for picture in drawn if picture[0]], missing=missing)


def _score(value: float | None) -> str:
    return format_cell("average_precision@", value)
