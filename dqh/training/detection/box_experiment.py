"""From a composed configuration to the objects of the training of a detector, every mistake reported at once."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dqh.config import FAILED, Problems, check
from dqh.data.box_source import BoxSource
from dqh.data.split_notes import split_notes
from dqh.data.splits import Split
from dqh.detection.decoders.ready_boxes import DECODER
from dqh.detection.spec import DetectorSpec, problems_of
from dqh.errors import ConfigError
from dqh.evaluation.detection import require_measures
from dqh.training.detection.box_augment import BoxAugment
from dqh.training.detection.box_fit import require_settings
from dqh.training.detection.detection_module import DetectionModule
from dqh.training.fit import Fit
from dqh.training.preflight import DETECTOR_FIELDS, DETECTOR_SUPPLIED, Drawn, require_boxes
from dqh.training.seeds import seed_everything

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DetectionExperiment:
    """What the training of a detector is made of.

    Attributes:
        method: the network with its loss, initialised from `seed`.
        source: photos with boxes.
        split: who is who in it.
        allow_duplicates: whether a query's content may be found again in another role.
        augment: random views of training photos, or None.
        settings: of the training.
        seed: of every random draw.
    """

    method: DetectionModule
    source: BoxSource
    split: Split
    allow_duplicates: bool
    augment: BoxAugment | None
    settings: Fit
    seed: int

    @property
    def name(self) -> str:
        """`<method>_<data>`, for folders."""
        data = re.sub(r"[^\w.-]+", "_", self.source.name)
        return f"{self.method.method}_{data}"

    @property
    def size(self) -> int:
        """Side of the network's input, pixels."""
        return self.method.trunk.size


def spec_of_training(method: DetectionModule, source: BoxSource) -> DetectorSpec:
    """How the detector that comes of a training will be run."""
    size = method.trunk.size
    return DetectorSpec(DECODER.name, size, size, source.class_names, DECODER.usual)


def assemble(config: Mapping[str, Any], *, drawn: Drawn) -> DetectionExperiment:
    """Check a configuration and construct what it describes, and tell what was chosen for it.

    Args:
        config: composed and resolved; `DETECTOR_FIELDS` says what belongs in it.
        drawn: its data and split.

    Raises:
        DqhError: what is wrong; several mistakes become one `ConfigError`.
    """
    with Problems(check(config, DETECTOR_FIELDS, supplied=DETECTOR_SUPPLIED)) as problems:
        problems.call(require_boxes, drawn.source)
        problems.call(require_measures)
        augment, settings, optimizer = (problems.build(config, key) for key in ("augment", "trainer", "optimizer"))
        problems.call(_require_augment, augment)
        problems.call(require_settings, settings)
        problems.call(seed_everything, config["seed"])
        backbone = problems.build({"backbone": _whole_photos(config["backbone"])}, "backbone")
        method: Any = FAILED
        if not any(part is FAILED for part in (backbone, optimizer)):
            classes = len(drawn.source.class_names)
            method = problems.build(config, "method", backbone=backbone, classes=classes, optimizer=optimizer)
        problems.call(_freeze, method)
        problems.call(_require_batch, method, settings, drawn.split)
        problems.call(_require_spec, method, drawn.source)
    source = drawn.source
    assert isinstance(source, BoxSource)
    if chosen := split_notes(drawn.protocol, drawn.split.rows(source), source).chosen:
        logger.info("%s", chosen)
    return DetectionExperiment(
        method=method,
        source=source,
        split=drawn.split,
        allow_duplicates=drawn.protocol.duplicates_allowed,
        augment=augment,
        settings=settings,
        seed=config["seed"],
    )


def _whole_photos(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """The node of a backbone without the side that crops are taken from: a detector sees photos as a whole."""
    return {name: value for name, value in backbone.items() if name != "resize"}


def _require_augment(augment: Any) -> None:
    if augment is not None and not isinstance(augment, BoxAugment):
        raise ConfigError(
            f"augment: got a {type(augment).__name__}, which does not move boxes; write "
            "augment._target_=dqh.training.detection.box_augment.BoxAugment or augment=null"
        )


def _freeze(method: DetectionModule) -> None:
    method.freeze_layers()


def _require_batch(method: DetectionModule, settings: Fit, split: Split) -> None:
    """Raise `ConfigError` where a step would normalise a single value of a channel, which no statistics come of."""
    photos = min(settings.batch_size, len(split.train))
    if photos == 1 and method.network.least_side == 1:
        one = "trainer.batch_size: got 1" if settings.batch_size == 1 else "data: there is one photo to train on"
        raise ConfigError(
            f"{one}, and the coarsest map has one cell a side, so that a step would normalise single values; take 2 "
            "photos or more, a larger backbone.size, or fewer method.extras"
        )


def _require_spec(method: DetectionModule, source: Any) -> None:
    """Raise `ConfigError` where what the training leaves could not be written, as with a name that no file may have."""
    if isinstance(source, BoxSource) and (problems := problems_of(spec_of_training(method, source).to_json())):
        raise ConfigError(
            [f"{problem}: so no detector can be written; change data or backbone.size" for problem in problems]
        )
