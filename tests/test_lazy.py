import pytest

from dqh.lazy import lazily


def test_names_are_found_where_they_are() -> None:
    find, listed = lazily("json", {"decoder": ("JSONDecoder",)}, ["loads", "JSONDecoder"])
    assert find("JSONDecoder").__module__ == "json.decoder"
    assert listed() == ["JSONDecoder", "loads"]
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'Other'"):
        find("Other")


def test_a_name_that_is_that_of_its_module_would_be_the_module() -> None:
    with pytest.raises(AssertionError):
        lazily("json", {"decoder": ("decoder",)}, ["decoder"])
