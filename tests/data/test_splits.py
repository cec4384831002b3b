import hashlib
import json

import numpy as np
import pytest

from dqh.data.protocols import Protocol
from dqh.data.split_fields import LOOKED_AT
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


LABELS = np.arange(60) % 3


def taken(source, **options):
    return Protocol("counts", query=10, **options).draw(source).recognisable(source)


def test_the_same_data_do_not_differ():
    source = Memory(LABELS)
    split = taken(source, validation=6)
    assert split.differences(Memory(LABELS)) == []
    assert Split.from_json(json.loads(json.dumps(split.to_json()))) == split
    assert split.sha256 == Protocol("counts", query=10, validation=6).draw(source).sha256  # of who is who alone


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Memory((LABELS + 1) % 3), ["labels"]),
        (Memory(LABELS, classes=4), ["class names (now 4: '0', '1', '2', '3')"]),
        (Memory(LABELS, values=np.arange(100, 160)), ["content (60 of 60 rows looked at, such as 'row/"]),
        (Memory(LABELS, bad=[7]), ["content (1 of 60 rows looked at, such as 'row/7')"]),
        (
            Memory(LABELS, values=np.roll(np.arange(60), 3)),
            ["order of the rows: the content is there, under other ids"],
        ),
        (
            Memory(LABELS[::-1], values=np.arange(60)[::-1]),
            ["labels", "order of the rows: the content is there, under other ids (60 of 60"],
        ),
    ],
)
def test_what_differs_is_named(source, message):
    found = taken(Memory(LABELS)).differences(source)
    assert [line[: len(start)] for line, start in zip(found, message, strict=True)] == message


def test_several_labels_an_image():
    labels = np.eye(3, dtype=bool)[LABELS]
    split = taken(Memory(labels))
    changed = labels.copy()
    changed[5, 0] = ~changed[5, 0]
    assert split.differences(Memory(labels)) == []
    assert split.differences(Memory(changed)) == ["labels"]


def test_the_content_of_some_of_many_rows_is_looked_at(monkeypatch):
    source = Memory(np.zeros(3000, int))
    read, plain = [], Memory.content_hash
    monkeypatch.setattr(Memory, "content_hash", lambda self, row: read.append(row) or plain(self, row))
    split = taken(source)
    assert len(read) == len(set(read)) == LOOKED_AT == len(split.fingerprint.contents)
    assert len(split.differences(Memory(np.zeros(3000, int), values=(np.arange(3000) + 1) % 256))) == 1


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ({"labels": 3}, "fingerprint.labels must be 64 hexadecimal digits, got 3"),
        ({"labels": "zz\x1b[31m"}, "fingerprint.labels must be 64 hexadecimal digits"),
        ({"class_names": ""}, "fingerprint.class_names must be 64 hexadecimal digits"),
        ({"more": ""}, "fingerprint.more is unknown"),
        ({"contents": [1]}, r"fingerprint.contents\[0\] must be 16 hexadecimal digits, or empty, got 1"),
        ({"contents": "ab"}, "fingerprint.contents must be a list"),
        ({"contents": []}, "fingerprint.contents must be a list of at least 1"),
        ({"contents": ["0" * 16]}, r"fingerprint.contents must be of \d+ rows, got 1"),
    ],
)
def test_a_damaged_fingerprint_is_refused(damage, problem):
    content = taken(Memory(LABELS)).to_json()
    with pytest.raises(ArtifactError, match=problem):
        Split.from_json(content | {"fingerprint": content["fingerprint"] | damage})


def test_a_split_without_a_fingerprint_differs_from_nothing():
    split = Protocol("counts", query=10).draw(Memory(LABELS))
    assert "fingerprint" not in split.to_json()
    assert split.differences(Memory(LABELS[::-1])) == []
