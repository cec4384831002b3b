"""Data are known again by labels, class names and content."""

import json

import numpy as np
import pytest

from dqh.data.protocols import Protocol
from dqh.data.split_fields import LOOKED_AT
from dqh.data.splits import Split
from dqh.errors import ArtifactError
from tests.data.memory import Memory

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
