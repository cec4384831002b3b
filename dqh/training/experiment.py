"""From a composed configuration to the objects of one training run, every mistake reported at once."""

import logging
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

from dqh.config import FAILED, Problems, check
from dqh.data import Augment, Protocol, Source, Split
from dqh.data.sides import MOST_SIZE, Sides, look_at_sides, suitable_size
from dqh.data.split_notes import split_notes
from dqh.errors import ConfigError
from dqh.evaluation.retrieval import Retrieval
from dqh.models import Backbone, Identity
from dqh.quantizers import QUANTIZERS
from dqh.training.asked_lengths import asked_lengths
from dqh.training.batch_norm import require_shareable
from dqh.training.closed_form import ClosedForm
from dqh.training.fit import Fit
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer
from dqh.training.preflight import FIELDS, Drawn, require_source, supplied
from dqh.training.seeds import seed_everything
from dqh.training.suitable_head import with_head

logger = logging.getLogger(__name__)

Suitable = TypeVar("Suitable", Optimizer, Fit)

PRETRAINED = (
    "backbone=mobilenet_v2 backbone.weights=IMAGENET1K_V1 backbone.download=true optimizer=finetune augment.flip=true"
)
"""What photos are best trained with."""


@dataclass(frozen=True)
class Experiment:
    """What a training run is made of.

    Attributes:
        method: the network with its loss, initialised from `seed`.
        source: the data.
        split: who is who in it.
        allow_duplicates: whether a query's content may be found again in another role.
        augment: random views of training images, or None.
        settings: of the training.
        retrieval: how to search and what to measure.
        seed: of every random draw.
        without_h: a network on a copy of the same backbone, without the layer that makes the codes, or None. It is
            trained beside the method, to be compared with.
        without_h_minutes: of the method's training, beyond which it is left out all the same; None for no limit.
        lengths: bits of further codes from the same training.
    """

    method: HashModule
    source: Source
    split: Split
    allow_duplicates: bool
    augment: Augment | None
    settings: Fit
    retrieval: Retrieval
    seed: int
    without_h: HashModule | None = None
    without_h_minutes: float | None = None
    lengths: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """`<method>_<data>_<bits>`, for folders."""
        data = re.sub(r"[^\w.-]+", "_", self.source.name)
        return f"{self.method.method}_{data}_{self.method.bits}"

    @property
    def size(self) -> int:
        """Side of the network's input, pixels, or length of its vectors."""
        return self.method.encoder.spec.size


def assemble(config: Mapping[str, Any], *, drawn: Drawn | None = None) -> Experiment:
    """Check a configuration and construct what it describes, and tell what was chosen for it.

    Labels are read; of images, the headers of a few where nothing says how large they are.

    Args:
        config: composed and resolved; `FIELDS` says what belongs in it.
        drawn: its data and split, where `preflight` has drawn them; None: they are drawn here.

    Raises:
        DqhError: what is wrong; several mistakes become one `ConfigError`.
    """
    asked = asked_lengths(config)
    config = with_head(asked.config)
    with Problems([*asked.problems, *check(config, FIELDS, supplied=supplied(config))]) as problems:
        source = problems.build(config, "data") if drawn is None else drawn.source
        problems.call(require_source, source)
        protocol = problems.build(config, "split") if drawn is None else drawn.protocol
        augment, settings, retrieval = (problems.build(config, key) for key in ("augment", "trainer", "search"))
        split = problems.call(_draw, protocol, source) if drawn is None else drawn.split
        if split is not FAILED:
            config = with_head(asked.config, len(split.train))
        optimizer = problems.call(_suited, problems.build(config, "optimizer"), split)
        settings = problems.call(_suited, settings, split)
        problems.call(seed_everything, config["seed"])
        sides = problems.call(_sides, source)
        size = {} if "size" not in supplied(config)["backbone"] else {"size": problems.call(_size, source, sides)}
        backbone = problems.build(config, "backbone", **size)
        classes = problems.call(_number_of_classes, source)
        copy = deepcopy(backbone)
        parts = _parts_or_stand_ins(backbone, classes, optimizer)
        method = problems.build(config, "method", **parts)
        if method is not FAILED and asked.others and not method.one_embedding:
            nodes = [{"method": config["method"] | {"bits": bits}} for bits in asked.others]
            problems.call(method.add_lengths, *(problems.build(node, "method", **parts) for node in nodes))
        problems.call(_freeze, method)
        without_h = None
        if method is not FAILED and _has_another_without_h(config, method):
            without_h = problems.build(config, "without_h", **_parts_or_stand_ins(copy, classes, optimizer))
            problems.call(_freeze, without_h)
        problems.call(_require_kind, backbone, source)
        problems.call(_require_monitor, settings, split, source, method=method, without_h=without_h)
        problems.call(_require_images, split, method)
        problems.call(_require_batches, settings, split, method)
        problems.call(_require_refits, settings, method)
        problems.call(_require_training, settings, method)
        problems.call(_require_shareable, settings, method)
        problems.call(_require_pool, retrieval, method)
    _tell(config, protocol, split, source, sides=sides, size=size.get("size"))
    return Experiment(
        method=method,
        without_h=without_h,
        without_h_minutes=config["without_h_minutes"],
        lengths=asked.others,
        source=source,
        split=split,
        allow_duplicates=protocol.duplicates_allowed,
        augment=augment,
        settings=settings,
        retrieval=retrieval.with_default_baselines(_is_pretrained(backbone, config["backbone"])),
        seed=config["seed"],
    )


def _has_another_without_h(config: Mapping[str, Any], method: HashModule) -> bool:
    """Whether the network without H is not the method itself, which would be trained and its mistakes told twice.

    As long a training as that of a closed form, which is what a limit asks for, is none: it is left out.
    """
    node = config["without_h"]
    if isinstance(method, ClosedForm) and config["without_h_minutes"] is not None:
        return False
    return not isinstance(node, Mapping) or node.get("_target_") != config["method"].get("_target_")


def _is_pretrained(backbone: Backbone, settings: Mapping[str, Any]) -> bool:
    """Whether the network begins with weights that others trained, or is one of theirs."""
    return backbone.spec.kind == "vector" or settings.get("weights") is not None


def _suited(part: Suitable, split: Split) -> Suitable:
    """An optimizer, or settings of a training, for the training images that there are."""
    return part.for_images(len(split.train))


def _sides(source: Source) -> Sides | None:
    return look_at_sides(source) if source.kind == "image" and source.size is None else None


def _size(source: Source, sides: Sides | None) -> int:
    return suitable_size(sides, images=len(source)) if source.size is None else source.size


def _tell(
    config: Mapping[str, Any],
    protocol: Protocol,
    split: Split,
    source: Source,
    *,
    sides: Sides | None,
    size: int | None,
) -> None:
    """Say what was chosen for data that say little themselves, and how to choose otherwise."""
    notes = split_notes(protocol, split.rows(source), source)
    if notes.chosen:
        logger.info("%s", notes.chosen)
    for line in notes.warnings:
        logger.warning("%s", line)
    if sides is None:
        return
    if size is not None:
        logger.info(
            "input of %d × %d pixels; shorter sides: %s; other sizes by backbone.size=PIXELS", size, size, sides
        )
    if sides.median > MOST_SIZE and config["backbone"].get("weights") is None:
        logger.info("the network starts untrained; for photos, pretrained weights are far better: %s", PRETRAINED)


def _freeze(method: HashModule | None) -> None:
    if method is not None:
        method.freeze_layers()


def _number_of_classes(source: Source) -> int:
    return len(source.class_names)


def _draw(protocol: Protocol, source: Source) -> Split:
    return protocol.draw(source)


def _require_kind(backbone: Any, source: Source) -> None:
    if backbone.spec.kind != source.kind:
        hint = "backbone=identity" if source.kind == "vector" else "another backbone"
        raise ConfigError(
            f"backbone: {backbone.name} takes {backbone.spec.kind}s, {source.name} has {source.kind}s; write {hint}"
        )


def _require_monitor(
    settings: Fit, split: Split, source: Source, *, method: HashModule, without_h: HashModule | None
) -> None:
    """A value that can be measured of whatever is trained; what is computed in closed form has no epochs to choose."""
    trained = [module for module in (method, without_h) if module is not None and not isinstance(module, ClosedForm)]
    if settings.monitor == "val/accuracy" and trained and source.labels.ndim == 2:
        raise ConfigError("trainer.monitor: val/accuracy needs one label an image; choose val/mAP")
    for module in trained:
        scored = module.classifier is not None or type(module).scores is not HashModule.scores
        if settings.monitor == "val/accuracy" and not scored:
            raise ConfigError(
                f"trainer.monitor: {module.method} has no classifier to measure val/accuracy of; choose val/mAP"
            )
    if len(split.validation) == 1:
        raise ConfigError("split.validation: got 1, wanted 0 or at least 2 images, which query each other")


def _require_images(split: Split, method: HashModule) -> None:
    method.require_images(len(split.train), f"the split has {len(split.train)}")


def _require_batches(settings: Fit, split: Split, method: HashModule) -> None:
    size = min(settings.batch_size, len(split.train))
    if size < method.least_batch:
        raise ConfigError(
            f"hidden: its batch normalisation needs at least {method.least_batch} training images a step, got {size}; "
            "raise trainer.batch_size, or split.train"
        )


def _require_refits(settings: Fit, method: HashModule) -> None:
    if method.refit_every is not None and method.refit_every > settings.epochs:
        raise ConfigError(
            f"method.refit_every: {method.refit_every} is more than the {settings.epochs} epochs of the training, "
            "which would end with the codebooks of the untrained network; choose at most as many"
        )


def _require_training(settings: Fit, method: HashModule) -> None:
    if isinstance(method, ClosedForm) and settings.overfit is not None:
        raise ConfigError(
            f"trainer.overfit: {method.method} is computed in closed form and learns nothing by heart; leave it out or "
            "choose a method that is trained"
        )


def _require_shareable(settings: Fit, method: HashModule) -> None:
    if settings.devices > 1:
        require_shareable(method.encoder.backbone)


def _require_pool(retrieval: Retrieval, method: HashModule) -> None:
    if retrieval.radius is not None and "hamming" not in QUANTIZERS[method.kind].distances:
        raise ConfigError(
            f"search.radius: {retrieval.radius} bits, but codes of {method.method} are not compared by bits; use "
            "search.pool"
        )


def _parts_or_stand_ins(backbone: Any, classes: Any, optimizer: Any) -> dict[str, Any]:
    """The suppliers of a method; stand-ins where one of them failed, so that the method's own mistakes show too."""
    if any(part is FAILED for part in (backbone, classes, optimizer)):
        return {"backbone": Identity(size=1), "classes": 2, "optimizer": Optimizer()}
    return {"backbone": backbone, "classes": classes, "optimizer": optimizer}
