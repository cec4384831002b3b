"""What `auto` of the hidden layer and of noise comes to, by the method and the number of training images."""

from typing import Any

import pytest

from dqh.errors import ConfigError
from dqh.training import preflight
from dqh.training.suitable_head import suitable_noise, with_head
from tests.training.conftest import tiny_config

DLBHC = {"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 8}
BOTH = {"hidden": "auto", "noise": "auto"}
SHALLOW = {"_target_": "dqh.methods.shallow.Shallow", "name": "itq", "bits": 8}


def test_noise_falls_with_the_number_of_images() -> None:
    """Half of the way in logarithms is √(2,000 · 10,000) = 4,472: half of 1.0 and .7."""
    assert [suitable_noise(images) for images in (1, 2000, 10_000, 10**6)] == pytest.approx([1, 1, 0.7, 0.7])
    assert suitable_noise(4472) == pytest.approx(0.85, abs=1e-4)


@pytest.mark.parametrize(
    ("method", "hidden", "noise"),
    [(DLBHC | BOTH, 512, 0.7), (DLBHC | {"hidden": 8, "noise": 0.1}, 8, 0.1), (DLBHC, None, 0), (SHALLOW, None, 0)],
)
def test_auto_is_a_number_where_the_method_is_given_it(
    method: dict[str, Any], hidden: int | None, noise: float
) -> None:
    config = {"method": method, **BOTH}
    found = with_head(config, 20_000)
    assert (found["hidden"], found["noise"]) == (hidden, pytest.approx(noise))
    assert found["method"] == (
        method | {"hidden": 512, "noise": pytest.approx(0.7)} if method == DLBHC | BOTH else method
    )
    assert config == {"method": method, **BOTH}


def test_what_is_given_stays() -> None:
    config = {"method": DLBHC | {"hidden": "auto", "noise": 0.3}, "hidden": None, "noise": 0.3}
    assert with_head(config, 100) == config | {"method": DLBHC | {"hidden": 512, "noise": 0.3}}
    assert with_head({"method": None, **BOTH}) == {"method": None, "hidden": None, "noise": 0}


def test_a_network_gets_what_suits_its_training_images(tiny: Any) -> None:
    """240 of them."""
    head = tiny(method=DLBHC | BOTH).method.encoder.head
    assert (head.hidden, head.noise) == (512, 1.0)


def test_every_method_can_be_asked_for_auto() -> None:
    """Methods that take no such layer go without; other words are refused, with what was meant."""
    for method in (SHALLOW, {"_target_": "dqh.methods.softmax.Softmax"}, DLBHC | BOTH):
        preflight(tiny_config() | {"method": method, **BOTH})
    with pytest.raises(ConfigError, match=r"noise: .*'?aut'?.*auto"):
        preflight(tiny_config() | {"method": DLBHC, "noise": "aut"})
