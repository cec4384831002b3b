"""Which lengths a configuration asks for."""

from typing import Any

import pytest

from dqh.errors import ConfigError
from dqh.training.asked_lengths import asked_lengths
from dqh.training.preflight import preflight
from tests.training.conftest import tiny_config

DLBHC, SOFTMAX = "dqh.methods.dlbhc.DLBHC", "dqh.methods.softmax.Softmax"


@pytest.mark.parametrize(
    ("bits", "lengths", "main", "others"),
    [(48, [16, 64, 32], 64, (16, 32)), (16, [16, 64, 32], 16, (32, 64)), (48, [8], 8, ()), (48, None, 48, ())],
)
def test_the_main_length_is_that_of_bits_or_the_longest(
    bits: int, lengths: list[int] | None, main: int, others: tuple[int, ...]
) -> None:
    config = {"method": {"_target_": DLBHC, "bits": bits, "lengths": lengths}}
    asked = asked_lengths(config)
    assert asked.config["method"] == {"_target_": DLBHC, "bits": main}
    assert (asked.others, asked.problems) == (others, ())
    assert config["method"]["lengths"] == lengths


def test_a_configuration_without_lengths_stays_as_it_is() -> None:
    config = tiny_config()
    assert asked_lengths(config) == (config, (), ())


@pytest.mark.parametrize("lengths", [[], [16, 16], [0, 16], [True], [16.0], "16", 16, {"16": 1}])
def test_lengths_are_different_numbers_of_bits(lengths: Any) -> None:
    config = tiny_config()
    config["method"] |= {"lengths": lengths}
    with pytest.raises(ConfigError, match=r"method.lengths: got .*, wanted different numbers of bits such as \[16,32"):
        preflight(config)


def test_a_method_without_bits_has_no_lengths() -> None:
    config = tiny_config() | {"method": {"_target_": SOFTMAX, "lengths": [8, 16]}}
    with pytest.raises(ConfigError, match=r"codes of dqh.methods.softmax.Softmax have one length of their own"):
        preflight(config)


def test_every_length_of_a_product_quantizer_must_fit() -> None:
    method = {"_target_": "dqh.methods.dqn.DQN", "bits": 16, "codewords": 16, "dimension": 16}
    with pytest.raises(ConfigError, match=r"dimension must be a multiple of bits / log2 codewords = 3"):
        preflight(tiny_config() | {"method": method | {"lengths": [8, 12, 16]}})
