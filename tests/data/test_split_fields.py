"""What every protocol draws is read again; what none can draw is not."""

import json

import numpy as np
import pytest

from dqh.data.protocols import Protocol
from dqh.data.split_fields import PROTOCOLS, split_problems
from dqh.data.splits import Split
from tests.data.memory import Memory

MANY = Memory(np.arange(6100) % 10)
OVERLAPPING = Memory(np.arange(40) % 4, roles={"query": range(10), "database": range(40)})
OFFICIAL = Memory(np.arange(40) % 4, roles={"train": range(30), "test": range(30, 40)})
DRAWN = [
    (Protocol("full"), OFFICIAL),
    (Protocol("full", unseen=1, validation=3), OFFICIAL),
    (Protocol("cifar10"), MANY),
    (Protocol("cifar10-1", validation=50), MANY),
    (Protocol("given", allow_duplicates=True), OVERLAPPING),
    (Protocol("counts", query=20, train=100, database_includes_train=False), MANY),
    (Protocol("counts", query="auto", validation="auto", seed=2**63 - 1), MANY),
]


@pytest.mark.parametrize(("protocol", "source"), DRAWN)
def test_every_split_that_is_drawn_is_read(protocol, source):
    split = protocol.draw(source).recognisable(source)
    assert Split.from_json(json.loads(json.dumps(split.to_json()))) == split


def test_every_protocol_is_among_them():
    assert {protocol.protocol for protocol, _ in DRAWN} == set(PROTOCOLS)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"train": ["a"]}, "query and train must share no id, 1 are in both, such as 'a'"),
        ({"validation": ["a"]}, "query and validation must share no id"),
        ({"database": ["a", "b"]}, "query and database must share no id"),
        ({"database": []}, "database must be a list of at least 1"),
        ({"validation": ["b"]}, "train and validation must share no id"),
        ({"protocol": "nonsense"}, "protocol must be 'full' or"),
    ],
)
def test_what_no_protocol_draws(change, problem):
    split = {"protocol": "counts", "seed": 0, "data": "d", "query": ["a"], "database": ["b"], "train": ["b"]}
    split |= {"validation": [], "sha256": ""}
    assert split_problems(split) == []
    (found,) = split_problems(split | change)
    assert problem in found
