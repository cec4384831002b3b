"""The ranges of an artifact are those of the settings that it keeps."""

from dataclasses import fields, replace

import pytest

from dqh.artifact.evaluation_fields import SEARCH
from dqh.evaluation import Retrieval
from dqh.schema import notes


def test_every_setting_of_retrieval_is_known() -> None:
    assert set(SEARCH) == {field.name for field in fields(Retrieval)}
    assert notes(SEARCH)(Retrieval().to_json(), "search") == []


@pytest.mark.parametrize("value", [-1, 0, 1, 2**53, 2**53 + 1, 2**70])
@pytest.mark.parametrize("name", ["pool", "radius", "answers", "timed_queries", "untrained_images"])
def test_counts_have_the_same_range(name: str, value: int) -> None:
    stated = notes(SEARCH)({name: value}, "search")
    try:
        replace(Retrieval(), **{name: value})
    except ValueError:
        assert stated
    else:
        assert stated == []
