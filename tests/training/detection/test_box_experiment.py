"""What is wrong with the configuration of a detector is told together, before anything is trained."""

from pathlib import Path
from typing import Any

import pytest

from dqh.errors import ConfigError
from dqh.training.detection.box_experiment import assemble
from dqh.training.preflight import learns_boxes, preflight
from tests.training.conftest import tiny_config
from tests.training.detection.shapes import shapes, shapes_config


def told(root: Path, **changes: Any) -> str:
    """The error of a changed configuration; nodes are merged, other keys replaced."""
    config = shapes_config(root)
    for key, value in changes.items():
        config[key] = config[key] | value if isinstance(value, dict) and config.get(key) else value
    with pytest.raises(ConfigError) as caught:
        assemble(config, drawn=preflight(config))
    return str(caught.value)


def test_a_detector_is_known_by_its_files(drawn_photos: Path) -> None:
    assert learns_boxes(shapes_config(drawn_photos))
    assert not learns_boxes(tiny_config())
    assert not learns_boxes({"method": None})
    assert not learns_boxes({"method": {"_target_": "dqh.methods.nothing.Nothing"}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 48}, "bits: got 48, wanted null"),
        ({"search": {"_target_": "dqh.evaluation.Retrieval"}}, "search: got"),
        ({"trainer": {"devices": 2}}, "trainer.devices: a detector has none, got 2; leave it out"),
        ({"trainer": {"overfit": 8}}, "trainer.overfit: a detector has none, got 8"),
        ({"trainer": {"monitor": "val/accuracy"}}, "trainer.monitor: a detector has none, got val/accuracy"),
        ({"trainer": {"compile": True}}, "trainer.compile: a detector is not compiled"),
        ({"method": {"iou": 1.5}}, "method: iou must be above 0 and below 1, got 1.5"),
        ({"method": {"mining": "some"}}, 'method.mining: got "some", wanted one of negatives, all'),
        ({"method": {"bits": 8}}, "method.bits: no such key of dqh.methods.ssd.SSD"),
        ({"augment": {"_target_": "dqh.data.Augment"}}, "augment: got a Augment, which does not move boxes"),
        ({"backbone": {"_target_": "dqh.models.AlexNet", "tap": "fc7", "size": 64, "width": None}}, "backbone.width"),
        ({"optimizer": {"lr_multipliers": {"network.trunc": 0}}}, "did you mean 'network.trunk'"),
        ({"data": {"_target_": "dqh.data.Digits"}}, "data.root: no such key"),
    ],
)
def test_mistakes(drawn_photos: Path, changes: dict[str, Any], message: str) -> None:
    assert message in told(drawn_photos, **changes)


def test_single_values_that_cannot_be_normalised(drawn_photos: Path) -> None:
    """Of 48 pixels the map has 12 cells a side, and of each of two further ones half as many: 3; of six more, one."""
    message = "trainer.batch_size: got 1, and the coarsest map has one cell a side"
    assert message in told(drawn_photos, trainer={"batch_size": 1}, method={"extras": 8})
    for changes in ({"trainer": {"batch_size": 1}}, {"method": {"extras": 8}}):
        config = shapes_config(drawn_photos)
        for key, value in changes.items():
            config[key] |= value
        assemble(config, drawn=preflight(config))


def test_several_mistakes_are_told_together(drawn_photos: Path) -> None:
    text = told(drawn_photos, method={"width": 0}, trainer={"profile": True}, optimizer={"lr": -1})
    assert all(part in text for part in ("trainer.profile", "lr above 0"))


def test_data_without_boxes_are_refused(drawn_photos: Path) -> None:
    config = shapes_config(drawn_photos) | {"data": {"_target_": "dqh.data.Digits"}}
    config["split"] = {"_target_": "dqh.data.Protocol", "protocol": "counts", "query": 10}
    with pytest.raises(ConfigError, match="digits has no boxes, which a detector learns from; choose data with boxes"):
        preflight(config)


def test_what_could_not_be_written_behind_the_training_is_told_before(tmp_path: Path) -> None:
    """Names of more than 200 letters, which no folder of a detector may have."""
    root = shapes(tmp_path / "data", train=6, query=2)
    content = (root / "annotations.json").read_text()
    (root / "annotations.json").write_text(content.replace("disc", "d" * 201))
    assert "classes[1] must be a name of 1 to 200 letters" in told(root)
