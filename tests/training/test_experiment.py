"""From a configuration to the objects of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from dqh.errors import ConfigError, DataError
from dqh.methods.dlbhc import DLBHC
from dqh.training import assemble, preflight
from dqh.training.experiment import PRETRAINED
from tests.training.conftest import tiny_config


def test_what_is_assembled() -> None:
    experiment = assemble(tiny_config())
    assert isinstance(experiment.method, DLBHC)
    assert experiment.method.encoder.spec.size == 16  # the digits' own
    assert experiment.method.classifier.out_features == 10
    assert experiment.name == "dlbhc_digits_12"
    assert len(experiment.split.train) == 200
    assert not experiment.allow_duplicates


def test_one_seed_gives_one_network() -> None:
    first, second = (assemble(tiny_config()).method.state_dict() for _ in range(2))
    other = assemble(tiny_config() | {"seed": 4}).method.state_dict()
    assert all((first[name] == second[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


def test_every_mistake_of_every_part_is_reported() -> None:
    config = tiny_config() | {"seed": -1}
    config["method"] |= {"bits": 0}
    config["backbone"] |= {"tap": "fc7"}
    config["optimizer"] |= {"lr": -1}
    config["trainer"] |= {"epochs": 0}
    config["search"] |= {"pool": 0}
    config["split"] |= {"query": 0}
    config["augment"] |= {"scale": 2}
    with pytest.raises(ConfigError) as caught:
        assemble(config)
    text = "\n".join(caught.value.problems)
    for part in (
        "seed must",
        "bits must",
        "tap must",
        "lr above",
        "epochs at least",
        "pool must",
        "query must",
        "scale",
    ):
        assert part in text


def test_vectors_need_another_backbone() -> None:
    config = tiny_config()
    config["backbone"] = {"_target_": "dqh.models.Identity"}
    with pytest.raises(ConfigError, match="identity takes vectors, digits has images; write another backbone"):
        assemble(config)


@pytest.mark.parametrize("minutes", [-1, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused_before_torch(minutes: float) -> None:
    with pytest.raises(ConfigError, match=r"without_h_minutes: got .*, wanted at least 0, or null for no limit"):
        preflight(tiny_config() | {"without_h_minutes": minutes})
    assert assemble(tiny_config() | {"without_h_minutes": 2.5}).without_h_minutes == 2.5


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            {"_target_": "dqh.methods.softmax.Softmax"},
            r"but dqh\.methods\.softmax\.Softmax does not take it; write hidden=null",
        ),
        (
            {"_target_": "dqh.methods.shallow.Shallow", "name": "itq", "bits": 8},
            r"Shallow does not take it; write hidden=null",
        ),
        ({"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 8}, r"which the method is not given; .* or method\.hidden=16"),
    ],
)
def test_a_hidden_layer_that_no_network_gets_is_refused_before_torch(method: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^hidden: got 16, .*{message}"):
        preflight(tiny_config() | {"method": method, "hidden": 16})
    preflight(tiny_config() | {"method": method, "hidden": None, "noise": 0})
    with pytest.raises(ConfigError, match=r"^noise: got 0\.5, "):
        preflight(tiny_config() | {"method": method, "noise": 0.5})


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        (0, r"method: hidden must be null or in 1 … 65536, got 0"),
        (-1, r"got -1"),
        (10**9, r"got 1000000000"),
        (True, r"method\.hidden: got true, wanted int or null"),
        (1e9, r"method\.hidden: got 1000000000\.0, wanted int or null"),
        ("abc", r'method\.hidden: got "abc", wanted int or null'),
    ],
)
def test_a_width_that_no_hidden_layer_has(hidden: Any, message: str) -> None:
    config = tiny_config()
    config["method"] |= {"hidden": hidden}
    with pytest.raises(ConfigError, match=message):
        assemble(config)


def test_a_hidden_layer_needs_two_images_a_step(tiny) -> None:
    node = {"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 8, "hidden": 4}
    assert tiny(method=node, trainer={"batch_size": 2}).method.least_batch == 2
    assert tiny(trainer={"batch_size": 1}).method.least_batch == 1
    with pytest.raises(ConfigError, match=r"hidden: .* at least 2 training images a step, got 1; raise trainer\.batch"):
        tiny(method=node, trainer={"batch_size": 1})


def test_the_network_without_h_is_not_trained_beside_itself() -> None:
    plain = {"_target_": "dqh.methods.softmax.Softmax"}
    assert assemble(tiny_config() | {"without_h": plain}).without_h is not None
    assert assemble(tiny_config() | {"without_h": plain, "method": plain}).without_h is None


def test_a_norm_that_several_processes_cannot_share(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before images are read, and only for several."""
    monkeypatch.setattr("torch.nn.BatchNorm2d", type("OddNorm", (nn.BatchNorm2d,), {"forward": nn.Identity.forward}))
    assert tiny().settings.devices == 1
    with pytest.raises(ConfigError, match=r"is a OddNorm, .*; write trainer\.devices=1"):
        tiny(trainer={"devices": 2})


def test_a_radius_in_bits_and_codes_without_bits_to_compare(tiny) -> None:
    node = {"_target_": "dqh.methods.dqn.DQN", "bits": 8, "codewords": 16, "dimension": 8}
    assert tiny(method=node).name == "dqn_digits_8"
    with pytest.raises(ConfigError, match=r"search.radius: 2 bits, but codes of dqn are not compared by bits; use "):
        tiny(method=node, search={"radius": 2})


def test_what_a_method_without_classifier_and_with_codebooks_needs(tiny) -> None:
    node = {"_target_": "dqh.methods.dqn.DQN", "bits": 8, "codewords": 256, "dimension": 8}
    with pytest.raises(ConfigError) as caught:
        tiny(method=node, trainer={"monitor": "val/accuracy"})
    assert "trainer.monitor: dqn has no classifier to measure val/accuracy of; choose val/mAP" in str(caught.value)
    assert "method: dqn needs at least 256 training images to fit its quantizer, the split has 200" in str(caught.value)


def test_a_hash_of_more_bits_than_images_is_refused_before_any_is_read(tiny) -> None:
    """By ITQ, which finds at most as many directions as there are images but one; LSH draws its own."""
    ten = {"train": 12, "validation": 2}
    tiny(method={"_target_": "dqh.methods.shallow.Shallow", "name": "lsh", "bits": 300}, split=ten)
    node = {"_target_": "dqh.methods.shallow.Shallow", "name": "itq", "bits": 9}
    assert tiny(method=node, split=ten).method.least_images == 10
    told = (
        r" needs at least 17 training images .*, the split has 10; choose at most 9 bits, such as bits=8, or method=lsh"
    )
    for name in ("itq", "pca_rr"):
        with pytest.raises(ConfigError, match=name + told):
            tiny(method=node | {"name": name, "bits": 16}, split=ten)
    with pytest.raises(ConfigError, match="itq of 16 bits" + told):
        tiny(method=node | {"bits": 8, "lengths": [8, 16]}, split=ten)


def test_codebooks_that_would_never_be_made_again_are_refused(tiny) -> None:
    node = {"_target_": "dqh.methods.dqn.DQN", "bits": 8, "codewords": 16, "dimension": 8, "refit_every": 3}
    with pytest.raises(ConfigError, match=r"method.refit_every: 3 is more than the 2 epochs of the training"):
        tiny(method=node, trainer={"epochs": 2})


def test_parameters_of_a_method_have_rates_of_their_own(tiny) -> None:
    """Codebooks that follow a gradient are registered after the network, and do not decay."""
    node = {"_target_": "dqh.methods.dqn.DQN", "bits": 8, "codewords": 16, "dimension": 8}
    optimizer = {"lr": 0.1, "weight_decay": 0.5, "lr_multipliers": {"codebooks": 10}}
    method = tiny(method=node | {"codebook": "straight_through"}, optimizer=optimizer).method
    (group,) = (each for each in method.optimizer.groups(method) if method.codebooks in set(each["params"]))
    assert (group["lr"], group["weight_decay"]) == (1.0, 0.0)
    with pytest.raises(ConfigError, match="no parameter's name begins with 'codebooks'"):
        tiny(method=node, optimizer=optimizer)


def folders(root: Path, sizes: Sequence[int], side: tuple[int, int]) -> dict[str, Any]:
    """A configuration of a folder of images with so many in each class, and nothing said of split and size."""
    for label, count in enumerate(sizes):
        (root / str(label)).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", side, (label, number, 0)).save(root / str(label) / f"{number}.png")
    config = tiny_config()
    config["data"] = {"_target_": "dqh.data.ImageFolder", "root": str(root)}
    config["split"] = {"_target_": "dqh.data.Protocol", "protocol": "counts", "query": "auto", "validation": "auto"}
    return config


def test_a_folder_of_photos_is_all_it_takes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    config = folders(tmp_path, [60, 60, 60], (90, 70))
    experiment = assemble(config)
    assert experiment.method.encoder.spec.size == 64
    assert [len(ids) for ids in (experiment.split.query, experiment.split.train)] == [27, 135]
    assert caplog.messages[0].startswith("split of 180 images: 27 query, 153 database, 135 train, 18 validation; ")
    assert caplog.messages[1:] == [
        "input of 64 × 64 pixels; shorter sides: 70 pixels in the 64 images looked at; other sizes by "
        "backbone.size=PIXELS",
        f"the network starts untrained; for photos, pretrained weights are far better: {PRETRAINED}",
    ]
    caplog.clear()
    config["backbone"] |= {"size": 24}
    config["split"] |= {"query": 20, "validation": 20}
    assert assemble(config).method.encoder.spec.size == 24
    assert [line for line in caplog.messages if "pretrained" not in line] == []


def test_small_images_keep_their_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert assemble(folders(tmp_path, [3, 3], (20, 22))).method.encoder.spec.size == 20
    assert "shorter sides: 20 pixels in the 6 images looked at" in caplog.text
    assert "all 2 classes have fewer than 6 images" in caplog.text
    assert "pretrained" not in caplog.text


def test_fewer_images_than_can_be_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 images in 3 classes and cannot be split: .* the least are 3 images, 2 of"):
        assemble(folders(tmp_path, [1, 1, 1], (20, 22)))


def test_one_class_is_nothing_to_tell_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data: all 9 images of photos are of one class, '0', wanted at least two"):
        preflight(folders(tmp_path / "photos", [9], (20, 22)))


def test_shallow_rows_of_a_network_that_others_trained(tmp_path: Path) -> None:
    """Features that people had before are hashed by three linear methods too; none where all was trained here."""
    features, labels = tmp_path / "features.npy", tmp_path / "labels.npy"
    np.save(features, np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32))
    np.save(labels, np.arange(60) % 3)
    config = tiny_config() | {
        "backbone": {"_target_": "dqh.models.Identity"},
        "data": {"_target_": "dqh.data.Features", "features": str(features), "labels": str(labels)},
        "split": {"_target_": "dqh.data.Protocol", "protocol": "counts", "query": 10},
        "augment": None,
    }
    assert assemble(config).retrieval.baselines == ()  # as asked for where nothing is said
    config["search"] = config["search"] | {"baselines": None}
    assert assemble(config).retrieval.baselines == ("pca_rr", "itq", "itq_cca")
    for asked in ([], ["lsh"]):
        config["search"] = config["search"] | {"baselines": asked}
        assert assemble(config).retrieval.baselines == tuple(asked)
    from_scratch = tiny_config()
    from_scratch["search"]["baselines"] = None
    assert assemble(from_scratch).retrieval.baselines == ()
