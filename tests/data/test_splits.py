import hashlib
import json

import numpy as np
import pytest

from dqh.data.splits import Split
from dqh.errors import ArtifactError
from tests.data.memory import Memory


def example(**changes):
    fields = {
        "protocol": "counts",
        "seed": 0,
        "data": "memory",
        "query": ("row/0",),
        "database": ("row/1", "row/2"),
        "train": ("row/1",),
        "validation": ("row/2",),
    }
    return Split(**(fields | changes))


def test_a_split_comes_back_from_json():
    split = example(query=("caf\udce9.jpg", "日本.png"))
    text = json.dumps(split.to_json(), ensure_ascii=True)
    assert Split.from_json(json.loads(text)) == split
    assert Split.from_json(json.loads(text)).sha256 == split.sha256


def test_the_hash_is_that_of_the_canonical_json():
    """Written out by hand, so that other programs can check it."""
    text = (
        '{"data":"memory","database":["row/1","row/2"],"protocol":"counts","query":["row/0"],"seed":0,'
        '"train":["row/1"],"validation":["row/2"]}'
    )
    assert example().sha256 == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"data": "b"}, {"query": ("row/9",)}, {"train": ()}, {"protocol": "full"}]
)
def test_every_field_enters_the_hash(change):
    assert example(**change).sha256 != example().sha256


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"seed": 1}, "the split's hash is"),
        ({"query": ["row/9"]}, "the split's hash is"),
        ({"query": "row/1"}, "query must be a list of at least 1, got 'row/1'"),
        ({"query": [1]}, r"query\[0\] must be a text, got 1"),
        ({"seed": "0"}, "seed must be an integer from 0 to 9223372036854775807, got '0'"),
        ({"extra": 1}, "extra is unknown"),
    ],
)
def test_a_damaged_split_is_refused(change, match):
    with pytest.raises(ArtifactError, match=match):
        Split.from_json(example().to_json() | change)
    with pytest.raises(ArtifactError, match="must be an object, got \\[\\]"):
        Split.from_json([])


def test_ids_become_rows_again():
    roles = example().rows(Memory(np.zeros(3, int)))
    assert [rows.tolist() for rows in roles] == [[0], [1, 2], [1], [2]]


def test_other_data_is_refused():
    with pytest.raises(
        ArtifactError, match=r"2 of the split's 3 ids are not in memory \(1 rows\), such as 'row/1', 'row/2'"
    ):
        example().rows(Memory(np.zeros(1, int)))
