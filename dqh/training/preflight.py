"""What is judged of a training before torch is imported, which takes seconds: keys, files, split, bits and codewords.

The constructors of networks, optimizer, training and search judge the rest: docs/own_images.md lists what that is.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dqh.codes import count_subspaces
from dqh.config import Node, Problems, check, derives_in_file, signature_in_file
from dqh.config.kinds import TARGET, is_node
from dqh.data import BoxSource, Protocol, Source, Split
from dqh.errors import ConfigError
from dqh.training.asked_lengths import asked_lengths
from dqh.training.suitable_head import with_head

FIELDS: Mapping[str, Any] = {
    "bits": int,
    "hidden": int | Literal["auto"] | None,
    "noise": int | float | Literal["auto"],
    "seed": int,
    "runs": str,
    "resume": str | None,
    "method": Node,
    "without_h": Node | None,
    "without_h_minutes": int | float | None,
    "backbone": Node,
    "optimizer": Node,
    "trainer": Node,
    "search": Node,
    "data": Node,
    "split": Node,
    "augment": Node | None,
}
"""The keys of a training configuration."""

DETECTOR_FIELDS: Mapping[str, Any] = {
    **FIELDS,
    **dict.fromkeys(("bits", "hidden", "without_h", "without_h_minutes", "search")),
}
"""Those of a detector: what is about codes is null."""

DETECTOR_SUPPLIED = {"method": {"backbone", "classes", "optimizer"}}
"""The arguments of its constructors that are no part of a configuration, by node."""


class Drawn(NamedTuple):
    """Data and who is who in them.

    Attributes:
        source: the data.
        protocol: how they are split.
        split: who is who.
    """

    source: Source
    protocol: Protocol
    split: Split


def supplied(config: Mapping[str, Any]) -> dict[str, set[str]]:
    """The arguments of constructors that are no part of a configuration, by node."""
    sized = isinstance(config.get("backbone"), Mapping) and config["backbone"].get("size") is not None
    parts = {"backbone", "classes", "optimizer"}
    return {"backbone": set() if sized else {"size"}, "method": parts, "without_h": parts}


def learns_boxes(config: Mapping[str, Any]) -> bool:
    """Whether the method of a configuration learns boxes, not codes; its class is not imported."""
    method = config.get("method")
    return isinstance(method, Mapping) and derives_in_file(method.get("_target_"), "DetectionModule")


def preflight(config: Mapping[str, Any]) -> Drawn:
    """Judge a configuration without importing networks, and draw the split. Labels are read, images are not.

    Args:
        config: composed and resolved; `FIELDS` says what belongs in it.

    Raises:
        DqhError: what is wrong; several mistakes become one `ConfigError`.
    """
    detects, asked = learns_boxes(config), asked_lengths(config)
    config = with_head(asked.config)
    fields, given = (DETECTOR_FIELDS, DETECTOR_SUPPLIED) if detects else (FIELDS, supplied(config))
    with Problems([*asked.problems, *check(config, fields, supplied=given, imports=False)]) as problems:
        problems.call(_require_checkpoint, config.get("resume"))
        problems.call(_require_minutes, config.get("without_h_minutes"))
        for name, none in (("hidden", None), ("noise", 0)):
            problems.call(_require_taken, name, config.get(name), config.get("method"), none=none)
        backbone = config.get("backbone")
        if isinstance(backbone, Mapping):
            problems.call(_require_weights, backbone.get("weights"))
        source = problems.build(config, "data")
        problems.call(require_source, source)
        protocol = problems.build(config, "split")
        problems.call(require_boxes if detects else _require_classes, source)
        split = problems.call(_draw, protocol, source)
        for bits in (None, *asked.others):
            problems.call(_require_codes, config.get("method"), bits)
        problems.call(_require_codewords, config.get("method"), split)
    return Drawn(source, protocol, split)


def require_source(source: Any) -> None:
    """Raise `ConfigError` where `data` describes no source."""
    if not isinstance(source, Source):
        raise ConfigError(f"data: got a {type(source).__name__}, wanted a Source; correct data._target_")


def require_boxes(source: Source) -> None:
    """Raise `ConfigError` where photos have no boxes, which a detector learns from."""
    if not isinstance(source, BoxSource):
        raise ConfigError(
            f"data: {source.name} has no boxes, which a detector learns from; choose data with boxes, such as "
            "data=voc_boxes, coco_boxes or json_boxes"
        )


def _require_classes(source: Source) -> None:
    """Raise `ConfigError` where all items are of one class, so that there is nothing to tell apart."""
    if source.labels.ndim == 1 and len(source.class_names) < 2:
        raise ConfigError(
            f"data: all {len(source)} {source.kind}s of {source.name} are of one class, "
            f"{', '.join(map(repr, source.class_names))}, wanted at least two; data.root names the folder that holds "
            "the folders of the classes"
        )


def _draw(protocol: Protocol, source: Source) -> Split:
    return protocol.draw(source)


def _require_checkpoint(file: Any) -> None:
    if isinstance(file, str) and not Path(file).is_file():
        raise ConfigError(f"resume: no file at {Path(file).resolve()}; give checkpoints/last.ckpt of a run")


def _require_minutes(minutes: Any) -> None:
    if isinstance(minutes, int | float) and not 0 <= minutes < math.inf:
        raise ConfigError(f"without_h_minutes: got {minutes}, wanted at least 0, or null for no limit")


def _require_taken(name: str, value: Any, method: Any, *, none: int | None) -> None:
    """What is asked of the layers before the codes, `none` for nothing, of a method that is not given it, or cannot."""
    if type(value) not in (int, float) or value == none or not is_node(method) or name in method:
        return
    parameters = signature_in_file(method[TARGET])
    if parameters is None or name in parameters:
        raise ConfigError(
            f"{name}: got {value}, which the method is not given; write {name}: ${{{name}}} into its yaml, or "
            f"method.{name}={value} here"
        )
    raise ConfigError(
        f"{name}: got {value}, but {method[TARGET]} does not take it; write {name}={'null' if none is None else none}, "
        "or choose a method that does, as method=dlbhc"
    )


def _require_weights(weights: Any) -> None:
    """Weights that are a file by their name, and not the name of some in torchvision or timm."""
    named_file = isinstance(weights, str) and Path(weights).suffix in {".pt", ".pth", ".safetensors"}
    if named_file and not Path(weights).is_file():
        raise ConfigError(
            f"backbone: weights: no file at {Path(weights).absolute()}; put the weights there or correct the path"
        )


def _require_codes(node: Any, other: int | None) -> None:
    """Bits, or another length, and the codewords of a method that has them, as `count_subspaces` wants them."""
    given, codewords, dimension = (_argument(node, name) for name in ("bits", "codewords", "dimension"))
    bits = given if other is None else other
    if bits is None:
        return
    try:
        if codewords is not None and dimension is not None:
            count_subspaces(bits, codewords, dimension)
        elif bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
    except ValueError as error:
        raise ConfigError(f"method: {error}") from error


def _require_codewords(node: Any, split: Split) -> None:
    codewords = _argument(node, "codewords")
    if codewords is not None and len(split.train) < codewords:
        raise ConfigError(
            f"method: {node['_target_'].split('.')[-2]} needs at least {codewords} training images to fit its "
            f"quantizer, the split has {len(split.train)}; choose fewer method.codewords"
        )


def _argument(node: Any, name: str) -> int | None:
    """The whole number that a node gives its constructor, or the default; None where it takes no such argument."""
    parameter = (signature_in_file(node["_target_"]) or {}).get(name) if isinstance(node, Mapping) else None
    value = None if parameter is None else node.get(name, parameter.default)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
