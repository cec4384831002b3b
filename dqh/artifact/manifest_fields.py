"""The fields of a manifest, of whichever kind, and what each must be: one table for those who write and who read.

What the fields say of each other and of the files beside them, as that the size of the features is the network's, is
checked in `dqh.artifact.loading`, where these are at hand.
"""

from collections.abc import Mapping
from typing import Any

from dqh.artifact.evaluation_fields import METRICS, TRAINING
from dqh.artifact.places import CLUSTERS_KIND, INDEX_KIND, SIDES, STAGES, file_problems, is_of_index
from dqh.data.split_fields import LARGEST_SEED
from dqh.inputs import LARGEST as LARGEST_INPUT
from dqh.models.activations import ACTIVATIONS, MOST_HIDDEN
from dqh.quantizers import QUANTIZERS
from dqh.schema import (
    HASH,
    LARGEST,
    Check,
    anything,
    integer,
    mapping,
    maybe,
    number,
    one_of,
    record,
    sequence,
    text,
)

_NAME = text(r"[^\x00]+", "a text that is not empty")
_SIZE = integer(1, 2**24)
_COUNT = integer(0, LARGEST)
_FLAG = one_of(False, True)
_KIND = one_of(*QUANTIZERS)
_DISTANCE = one_of("hamming", "l2", "ip")

_INPUT = record(
    {
        "size": integer(1, max(LARGEST_INPUT.values())),
        "resize": integer(1, max(LARGEST_INPUT.values())),
        "kind": one_of("image", "vector"),
        "interpolation": one_of("bilinear", "bicubic", "nearest"),
        "mean": sequence(number(-1e3, 1e3), length=3),
        "std": sequence(number(1e-9, 1e3), length=3),
        "colour": one_of("RGB"),
        "mirror": one_of(True),
    },
    optional=["mirror"],
)

_HEAD = {"dimension": _SIZE, "activation": one_of(*ACTIVATIONS), "normalise": _FLAG, "hidden": integer(1, MOST_HIDDEN)}

_PRODUCT = record({"subspaces": _SIZE, "codewords": integer(2, 65_536), "dimension": _SIZE, "rotated": _FLAG})

_LENGTH = record(
    {
        "encoder_id": HASH,
        "bits": _SIZE,
        "head": record(_HEAD, optional=["hidden"]),
        "product_quantizer": _PRODUCT,
        "metrics": METRICS,
    },
    optional=["head", "product_quantizer", "metrics"],
)
"""What is said of a further length, see `dqh.artifact.lengths`."""

_ARTIFACT: Mapping[str, Check] = {
    "format_version": one_of(1, 2),
    "encoder_id": HASH,
    "method": _NAME,
    "backbone": record({"name": _NAME, "arguments": mapping(anything)}),
    "head": record(_HEAD, optional=["hidden"]),
    "feature": record({"name": _NAME, "size": _SIZE}),
    "input": _INPUT,
    "bits": _SIZE,
    "code_kind": _KIND,
    "bit_rule": _NAME,
    "bit_order": one_of("little"),
    "product_quantizer": _PRODUCT,
    "classes": maybe(_SIZE),
    "class_names": sequence(text(r".+", "a text that is not empty"), different=True),
    "data": record({"name": text(), "split": text(), "seed": integer(0, LARGEST_SEED), "split_sha256": HASH}),
    "training": TRAINING,
    "code_distance": _DISTANCE,
    "metrics": METRICS,
    "lengths": mapping(_LENGTH),
    "versions": mapping(text()),
    "files": anything,  # see `file_problems`
}
"""Version 2; version 1 had no `head.normalise`."""

_OPTIONAL = ("product_quantizer", "code_distance", "lengths")
"""The first is there for product-quantized codes alone, the second was not always written, the last is for several."""

_INDEX: Mapping[str, Check] = {
    "format_version": one_of(2),
    "kind": one_of(INDEX_KIND),
    "encoder_id": _NAME,
    "detector_id": _NAME,
    "precision": _NAME,
    "code_kind": _KIND,
    "bits": _SIZE,
    "bit_order": _NAME,
    "distance": _DISTANCE,
    "feature_size": _SIZE,
    "feature_distance": _NAME,
    "root": text(),
    "version": _COUNT,
    "rows": _COUNT,
    "index_sha256": HASH,
    "files": anything,  # see `file_problems`
}
"""`detector_id` is there for an index with objects alone."""


_CLUSTERS: Mapping[str, Check] = {
    "format_version": one_of(2),
    "kind": one_of(CLUSTERS_KIND),
    "settings": mapping(anything),
    "points": mapping(anything),
    "result": maybe(mapping(anything)),
    "stages": record(dict.fromkeys(STAGES, one_of(*SIDES)), optional=STAGES),
    "versions": mapping(text()),
    "files": anything,  # see `file_problems`
}
"""`points` say which points were clustered; `result` is null, and `stages` have sides, while a run is unfinished."""


def field_problems(manifest: Mapping[str, Any]) -> list[str]:
    """What is wrong with the fields of a manifest, its list of files included, one line a problem."""
    if manifest.get("kind") == CLUSTERS_KIND:
        return record(_CLUSTERS)(manifest, "") + file_problems(manifest)
    if is_of_index(manifest):
        return record(_INDEX, optional=["detector_id"])(manifest, "") + file_problems(manifest)
    old = {"head": record(_HEAD, optional=["normalise", "hidden"])} if manifest.get("format_version") == 1 else {}
    problems = record({**_ARTIFACT, **old}, optional=_OPTIONAL)(manifest, "")
    classes, names = manifest.get("classes"), manifest.get("class_names")
    if type(classes) is int and type(names) is list and classes != len(names):
        problems.append(f"class_names must be {classes} names, as many as classes, got {len(names)}")
    if not problems:
        problems = [
            f"lengths.{name}.bits must be {name}, and not those of the main length, got {fields['bits']}"
            for name, fields in manifest.get("lengths", {}).items()
            if str(fields["bits"]) != name or fields["bits"] == manifest["bits"]
        ]
    return problems + file_problems(manifest)
