"""Words and dots fitted to held-out photos whose objects are marked: how sure a word is, and which dots are worth it.

The marked objects are searched for as `look` searches, and what they are tells which words of their answers are right:
that fits the annotator. Then the detector looks at the same photos, and what is marked tells which of its dots are
right: that fits the filter, on the signals that a look with this annotator gives. What is reported was judged by fits
that had not seen the photo, in five folds of photos.

B marked objects, D dots, of P photos; W words.
"""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.data.box_source import BoxSource
from dqh.data.boxes import Boxes
from dqh.discovery.annotate import (
    Annotator,
    WordTable,
    first_words_right,
    fit_annotator,
    weighted_word_table,
    word_shares,
)
from dqh.discovery.answer_rows import words_of
from dqh.discovery.calibration import calibration_bins, calibration_error
from dqh.discovery.dot_filter import FOLDS, DotFilter, fit_dot_filter, threshold_table
from dqh.discovery.dot_signals import HIT, OTHER, SIGNALS, Dots, search_precision, signals_of, true_objects
from dqh.discovery.flashlight import Flashlight
from dqh.discovery.held_out import HeldOut, look_at
from dqh.discovery.look_fit import LookFit
from dqh.errors import ConfigError, DataError
from dqh.index.store import Hit
from dqh.plural import counted
from dqh.ranking import Ranking

logger = logging.getLogger(__name__)

MEANINGS = {"search": "a search of which half is right", "object": "on an object of its class"}
"""What a right dot is: P@10 of its search is .5 or more, or its box overlaps a true one of its class by .5."""

CUTOFF = 10
_CELLS = 2**25
"""Of a table of words, at most."""


def fit_look(
    flashlight: Flashlight,
    photos: BoxSource,
    *,
    right: str = "search",
    share: float | None = None,
    precision: float | None = None,
) -> LookFit:
    """An annotator and a filter for looks with an index and a detector, from photos that neither has seen.

    Which photos and objects count is told in `look_at`. Classes are told by their names: those of the photos must be
    words of the index, and those of the detector are the same where they are called the same; `class_map` of the photos
    says what else they are called.

    Args:
        flashlight: that looks; its own annotator and filter are not asked.
        photos: with boxes, all rows.
        right: of `MEANINGS`, which dots the filter is to tell; both are measured.
        share: of the dots to show, at least; None: a half, where no `precision` is given.
        precision: instead: the share of the dots shown that is to be right, at least.

    Raises:
        ConfigError: there is no such meaning, both share and precision are given, or one is out of range.
        DataError: all photos are in the index, fewer than five have marked objects, the index does not call them so,
            the detector sees nothing, the index is empty, too few dots are right or wrong, or no threshold has the
            precision.
        TooManyBadImagesError: more photos cannot be used than the source allows.
    """
    if right not in MEANINGS or (share is not None and precision is not None):
        raise ConfigError(
            f"right must be one of {', '.join(MEANINGS)}, and share or precision given, not both; got {right!r}, "
            f"share={share} and precision={precision}"
        )
    for name, value in (("share", share), ("precision", precision)):
        if value is not None and not 0 < value <= 1:
            raise ConfigError(f"{name} must lie above 0 and be at most 1, got {value}")
    if not len(flashlight.index):
        raise DataError(f"{flashlight.index.version.path} has no rows, so that nothing answers; index images first")
    flashlight = Flashlight(flashlight.index, flashlight.encoder, flashlight.detector)
    held_out = look_at(flashlight, photos)
    if (count := len(set(held_out.marked.photos))) < FOLDS:
        raise DataError(f"{counted(count, 'photo')} of {photos.name} have marked objects, wanted {FOLDS}; take more")
    annotator, of_words = _fit_words(held_out)
    measured: dict[str, Any] = {"words": of_words}
    dot_filter = None
    if flashlight.detector is not None:
        dot_filter, measured["dots"] = _fit_dots(
            flashlight, held_out, annotator, right=right, share=share, precision=precision
        )
    return LookFit(
        annotator,
        dot_filter,
        flashlight.encoder.encoder_id,
        None if flashlight.detector is None else flashlight.detector.detector_id,
        {
            "name": photos.name,
            "boxes_sha256": photos.boxes_sha256,
            "photos": (usable := int(held_out.sizes.all(1).sum())),
            "boxes": len(held_out.names),
            "left_out": len(photos) - len(held_out.rows),
            "skipped": len(held_out.rows) - usable,
        },
        measured,
        held_out.kinds,
    )


def _words(rows: Sequence[Hit], names: Collection[str], kinds: Collection[str]) -> tuple[tuple[str, ...], WordTable]:
    """The words of rows, of some kinds, and `names`, and which row has which; of very many the commonest."""
    own = [words_of(hit, kinds) for hit in rows]
    counts = Counter(word for words in own for word in words)
    most = max(1, _CELLS // max(1, len(rows)))
    kept = {word for word, _ in counts.most_common(most)} | set(names)
    if len(kept) < len(counts.keys() | names):
        logger.warning("of %d words the %d most frequent ones count", len(counts), len(kept))
        own = [{word: weight for word, weight in words.items() if word in kept} for words in own]
    words, table = weighted_word_table([*own, dict.fromkeys(names, 0.0)])
    return words, table[:-1]


def _fit_words(held_out: HeldOut) -> tuple[Annotator, dict[str, Any]]:
    """The annotator, and how good such ones are on photos that they had not seen."""
    from sklearn.model_selection import GroupKFold  # slow to import

    names = np.array(held_out.names)
    answers = held_out.marked.answers.ranking()
    words, table = _words(held_out.marked.answers.rows, set(held_out.names), held_out.kinds)
    truth = names[:, None] == np.array(words)
    photos = np.array(held_out.marked.photos)
    right, sure = np.zeros(len(truth), np.bool_), np.zeros(len(truth))
    try:
        for others, held in GroupKFold(FOLDS).split(truth, groups=photos):
            fitted = fit_annotator(_of(answers, others), table, truth[others])
            shares = word_shares(_of(answers, held), table, fitted.kernel)
            right[held] = first_words_right(shares, truth[held])
            sure[held] = np.take_along_axis(fitted.confidences(shares), shares.argmax(1)[:, None], 1)[:, 0]
        annotator = fit_annotator(answers, table, truth)
    except ValueError as error:
        raise DataError(f"words cannot be fitted: {error}") from error
    bins = calibration_bins(sure, right, bins=min(5, len(right)))
    measured = {
        "boxes": len(right),
        "photos": len(np.unique(photos)),
        "first_right": float(right.mean()),
        "calibration_error": calibration_error(bins),
        "bins": [part._asdict() for part in bins],
        "kernel": annotator.kernel._asdict(),
    }
    return annotator, measured


def _of(answers: Ranking, rows: NDArray[np.int64]) -> Ranking:
    return Ranking(answers.ids[rows], answers.distances[rows])


def _fit_dots(
    flashlight: Flashlight,
    held_out: HeldOut,
    annotator: Annotator,
    *,
    right: str,
    share: float | None,
    precision: float | None,
) -> tuple[DotFilter, dict[str, Any]]:
    """The filter, and what its thresholds keep of dots on photos that it had not seen, beside the score alone."""
    detector = flashlight.detector
    assert detector is not None
    if not held_out.parts:
        raise DataError(
            f"the detector sees nothing in {counted(len(held_out.truth), 'photo')}, so that no dots can be judged; "
            "name one with a lower threshold (dqh detector --threshold), or other photos"
        )
    number = {name: place for place, name in enumerate(dict.fromkeys((*detector.classes, *held_out.class_names)))}
    dots, answers = _dots(held_out, number), held_out.dots.answers.ranking()
    rows = held_out.dots.answers.rows
    classes = np.array([number.get(hit.object or "", OTHER) for hit in rows], np.int64)
    values = signals_of(dots, sizes=held_out.sizes, answers=answers, row_classes=classes, kernel=annotator.kernel)
    fits: dict[str, DotFilter] = {}
    told: dict[str, Any] = {}
    truth = _renumbered(held_out, number)
    for meaning, is_right in _right(dots, answers, truth, _classes(rows, held_out.class_names, number)).items():
        try:
            fits[meaning] = fit_dot_filter(
                values,
                is_right,
                dots.photos,
                detector_id=detector.detector_id,
                encoder_id=flashlight.encoder.encoder_id,
            )
        except ValueError as error:
            if meaning == right:
                raise DataError(f"dots cannot be told, where right is {MEANINGS[right]}: {error}") from error
            continue
        told[meaning] = _told(meaning, is_right, fits[meaning], values[:, SIGNALS.index("score")])
    try:
        chosen = {"share": 0.5 if share is None else share} if precision is None else {"precision": precision}
        fitted = fits[right].at(**chosen)
    except ValueError as error:
        raise DataError(str(error)) from error
    measured = {"right": right, "dots": len(dots.scores), "photos": len(np.unique(dots.photos))}
    return fitted, measured | {"threshold": fitted.threshold, "meanings": told}


def _dots(held_out: HeldOut, number: Mapping[str, int]) -> Dots:
    """What the detector saw."""
    return Dots(
        np.array(held_out.dots.photos, np.int64),
        np.array([part.box for part in held_out.parts], np.float32),
        np.array([part.score for part in held_out.parts], np.float32),
        np.array([number[part.object or ""] for part in held_out.parts], np.int64),
    )


def _told(meaning: str, is_right: NDArray[np.bool_], fitted: DotFilter, scores: NDArray[np.float64]) -> dict[str, Any]:
    """What is said of a meaning: the share of right dots, and what thresholds keep of them."""
    tables = {"together": fitted.table, "score": threshold_table(scores, is_right)}
    cuts = {name: [cut._asdict() for cut in table] for name, table in tables.items()}
    return {"meaning": MEANINGS[meaning], "share": float(is_right.mean()), **cuts}


def _renumbered(held_out: HeldOut, number: Mapping[str, int]) -> list[Boxes]:
    """The true boxes of each photo, their classes numbered by name, as those of the detector are."""
    numbers = np.array([number[name] for name in held_out.class_names], np.int64)
    return [marked._replace(classes=numbers[marked.classes]) for marked in held_out.truth]


def _classes(rows: Sequence[Hit], names: Sequence[str], number: Mapping[str, int]) -> NDArray[np.int64]:
    """(N,) the class of each row, of those of the photos: what object it is, else its label if it has one of them."""
    wanted = set(names)
    called = [
        [hit.object] if hit.object in wanted else [label for label in hit.labels if label in wanted] for hit in rows
    ]
    return np.array([number[own[0] or ""] if len(own) == 1 else OTHER for own in called], np.int64)


def _right(
    dots: Dots, answers: Ranking, truth: Sequence[Boxes], row_classes: NDArray[np.int64]
) -> dict[str, NDArray[np.bool_]]:
    """(D,) of each meaning, which dots are right."""
    under = true_objects(dots, truth)
    cutoff = min(CUTOFF, answers.ids.shape[1])
    precisions = search_precision(answers, row_classes, under.classes, cutoff=cutoff)
    return {"search": precisions >= HIT, "object": under.on_class}
