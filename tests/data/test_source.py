import numpy as np
import pytest

from dqh.data.source import ArraySource, check_bad_limit, content_hash, part_ids, part_roles
from dqh.errors import ConfigError


class Squares(ArraySource):
    """Three 2 × 2 images, two of them official train images."""

    name = "squares"
    size = bulk_size = 2
    class_names = ("a", "b")
    labels = np.array([0, 1, 0])

    def __init__(self, pixels):
        self._content = pixels

    @property
    def _part_sizes(self):
        return {"train": 2, "test": 1}

    def _read_pixels(self):
        return self._content


GREY = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
COLOUR = np.arange(36, dtype=np.uint8).reshape(3, 2, 2, 3)


def test_parts_become_ids_and_roles():
    source = Squares(GREY)
    assert source.ids.tolist() == ["train/0", "train/1", "test/0"]
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {"train": [0, 1], "test": [2]}
    assert len(source) == 3


def test_rows_without_a_part_have_bare_numbers_and_no_role():
    assert part_ids({"": 3}).tolist() == ["0", "1", "2"]
    assert part_roles({"": 3}) == {}


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_reading_many_equals_reading_one_by_one(pixels):
    source = Squares(pixels)
    rows = np.array([2, 0, 2])
    single = np.stack([np.asarray(source.read(row)).transpose(2, 0, 1) for row in rows])
    np.testing.assert_array_equal(source.read_many(rows), single)


def test_equal_pixels_have_equal_hashes():
    source = Squares(np.stack([GREY[0], GREY[1], GREY[0]]))
    assert source.content_hash(0) == source.content_hash(2) != source.content_hash(1)
    assert len(content_hash(b"abc")) == 16


@pytest.mark.parametrize("value", [-0.1, 1.1, "0.1", True, None])
def test_a_bad_limit_is_a_fraction(value):
    with pytest.raises(ConfigError, match="max_bad_fraction must be"):
        check_bad_limit(value)
