"""Objects in photos as queries: words for what a search of one finds, and which of them are worth showing.

Boxes come from a detector (`dqh.detection`), or from whoever marked them. Here are words for the answers (`annotate`),
dots and what their searches say of them (`dot_signals`), the filter that learns from it (`dot_filter`, `dot_curve`),
all of it together over an index (`flashlight`), what a whole photo shows and which sources are asked about it (`lens`,
`understanding`, `blend_rules`, `blend`), related items out of a log (`related`), and the study of which part of a photo
is searched best (`crops`, `crop_study`). Nothing here trains a network.
"""

from typing import TYPE_CHECKING

from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.discovery.annotate import (
        Annotation,
        Annotator,
        fit_annotator,
        read_annotator,
        weighted_word_table,
        word_table,
    )
    from dqh.discovery.crop_study import CropStudy, study_crops
    from dqh.discovery.crops import Crops, Region
    from dqh.discovery.dot_filter import DotFilter, fit_dot_filter, one_signal_filter, read_dot_filter
    from dqh.discovery.dot_signals import SIGNALS, Dots, dots_of, signals_of

__all__ = [
    "SIGNALS",
    "Annotation",
    "Annotator",
    "CropStudy",
    "Crops",
    "DotFilter",
    "Dots",
    "Region",
    "dots_of",
    "fit_annotator",
    "fit_dot_filter",
    "one_signal_filter",
    "read_annotator",
    "read_dot_filter",
    "signals_of",
    "study_crops",
    "weighted_word_table",
    "word_table",
]

_MODULES = {
    "annotate": ("Annotation", "Annotator", "fit_annotator", "read_annotator", "weighted_word_table", "word_table"),
    "crop_study": ("CropStudy", "study_crops"),
    "crops": ("Crops", "Region"),
    "dot_filter": ("DotFilter", "fit_dot_filter", "one_signal_filter", "read_dot_filter"),
    "dot_signals": ("SIGNALS", "Dots", "signals_of", "dots_of"),
}

__getattr__, __dir__ = lazily(__name__, _MODULES, __all__)
