"""Every yaml under conf/ composes, and fits the constructors that it names."""

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import train
from dqh.config import Node, check
from dqh.training.preflight import DETECTOR_FIELDS, DETECTOR_SUPPLIED, FIELDS, learns_boxes
from dqh.training.suitable_head import with_head
from tests.conftest import ROOT

CONF = ROOT / "conf"
GIVEN = {"data": ["data.root=here", "+data.features=here", "+data.labels=here"]}
PARTS = {"backbone", "classes", "optimizer"}
SUPPLIED = {"backbone": {"size"}, "method": PARTS, "without_h": PARTS}
CHOICES = [
    (folder.name, path.stem)
    for folder in sorted(CONF.iterdir())
    if folder.is_dir()
    for path in sorted(folder.glob("*.yaml"))
]


def composed(script: str, *overrides: str) -> dict[str, Any]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose(script, list(overrides)), resolve=True)
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def problems(config: dict[str, Any]) -> list[str]:
    """What is wrong with a configuration, missing paths aside: those are the user's to give."""
    sized = config["backbone"].get("size") is not None
    supplied = SUPPLIED | {"backbone": set() if sized else {"size"}}
    fields, supplied = (DETECTOR_FIELDS, DETECTOR_SUPPLIED) if learns_boxes(config) else (FIELDS, supplied)
    config = with_head(config)
    found = check(config, fields, supplied=supplied)
    assert check(config, fields, supplied=supplied, imports=False) == found  # the source files say the same
    return [line for line in found if "no value given" not in line]


def test_the_folders_are_the_choices_of_the_scripts_and_the_readme_names_data_and_backbones() -> None:
    groups = {"experiment"}
    for script in ("train", "evaluate"):
        defaults = OmegaConf.load(CONF / f"{script}.yaml").defaults
        groups |= {str(group) for choice in defaults if choice != "_self_" for group in choice} - {
            "override hydra/job_logging",
            "override hydra/hydra_logging",
        }
    assert {group for group, _ in CHOICES} == groups
    readme = (ROOT / "README.md").read_text()
    assert [name for group, name in CHOICES if group in ("data", "backbone") and f"`{name}`" not in readme] == []


@pytest.mark.parametrize(("group", "name"), [choice for choice in CHOICES if choice[0] != "study"])
def test_every_choice_fits_its_constructor(group: str, name: str) -> None:
    config = composed("train", f"{group}={name}")
    if learns_boxes(config):  # which the digits do not have
        config = composed("train", f"{group}={name}", "data=json_boxes")
    assert problems(config) == []


def test_a_misspelt_key_is_compared_with_all_keys_at_the_top_level() -> None:
    """Those of a folder of choices are known by that."""
    assert set(train.KEYS) == set(FIELDS) - {group for group, _ in CHOICES}


def test_an_experiment_says_what_it_means_to() -> None:
    paper = composed("train", "experiment=dlbhc_paper")
    assert paper["backbone"]["_target_"] == "dqh.models.AlexNet"
    assert paper["optimizer"]["lr_multipliers"] == {"classifier": 10}
    assert paper["data"]["_target_"] == "dqh.data.CIFAR10"
    assert (paper["bits"], paper["method"]["bits"]) == (48, 48)
    mnist = composed("train", "experiment=dlbhc_mnist", "bits=128")
    assert (mnist["trainer"]["epochs"], mnist["method"]["bits"]) == (18, 128)
    assert mnist["augment"]["warp"] == 0.7
    dlbhc, dqn = (composed("train", f"experiment={method}_clothing") for method in ("dlbhc", "dqn"))
    assert [key for key in dlbhc if dlbhc[key] != dqn[key]] == [
        *("bits", "noise", "without_h_minutes", "method", "optimizer", "trainer", "without_h"),
    ]


def test_the_network_without_h_has_a_limit_unless_it_is_asked_for() -> None:
    found = {name: composed("train", *name) for name in ((), ("without_h=softmax",), ("without_h=none",))}
    assert [config["without_h_minutes"] for config in found.values()] == [3, None, None]
    automatic, asked, none = (config["without_h"] for config in found.values())
    assert automatic == asked
    assert none is None
    assert composed("train", "without_h_minutes=20", "method=dqn")["without_h_minutes"] == 20


@pytest.mark.parametrize("name", [name for group, name in CHOICES if group == "data"])
def test_evaluate_takes_the_same_data(name: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("evaluate", [f"data={name}"])
    kept = OmegaConf.masked_copy(config, ["artifact", "data", "search", "device", "batch_size", "runs"])
    plain = OmegaConf.to_container(kept, resolve=True)
    assert isinstance(plain, dict)
    fields = {"artifact": str, "data": Node, "search": Node, "device": str, "batch_size": int | None, "runs": str}
    assert [line for line in check(plain, fields) if "no value given" not in line] == []


@pytest.mark.parametrize("study", ["features", "crops"])
@pytest.mark.parametrize("name", [name for group, name in CHOICES if group == "data"])
def test_a_study_takes_the_same_data_and_its_split(name: str, study: str) -> None:
    config = composed("evaluate", f"study={study}", f"data={name}", "seed=3")
    kept = {key: config[key] for key in ("study", "data", "split")}
    found = check(kept, {"study": Node, "data": Node, "split": Node})
    assert [line for line in found if "no value given" not in line] == []
    assert [line for line in found if line.startswith("study.networks: no value given")]
    assert kept["study"]["seed"] == kept["split"]["seed"] == 3


def test_a_study_of_searches_takes_vectors_and_their_split() -> None:
    config = composed("evaluate", "study=search", "data=features", "seed=3", *GIVEN["data"][1:])
    kept = {key: config[key] for key in ("study", "data", "split")}
    assert check(kept, {"study": Node, "data": Node, "split": Node}) == []
    assert kept["study"]["seed"] == kept["split"]["seed"] == 3
