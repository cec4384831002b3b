"""What a plain `pytest` runs; its hook is in `conftest.py` of the top folder."""

import pytest


def test_what_is_slow_is_left_out_in_every_process(request: pytest.FixtureRequest) -> None:
    """A worker collects by itself, and the first process does not tell it what a hook has set there."""
    config = request.config
    plain = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    asked = any(str(word).startswith("-m") for word in config.invocation_params.args)
    assert config.option.markexpr == "not slow" or asked or not plain
