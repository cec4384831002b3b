"""Distances to rows that are named, as a search has them."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from dqh.encoded import Encoded
from dqh.errors import MismatchError
from dqh.index.store import Snapshot, Writer, open_index
from dqh.index.store.given_rows import distances_to
from tests.index.store.conftest import HEADER, add, encoded


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """30 rows in two segments, three of them deleted: so that ids are no places."""
    with Writer(tmp_path / "index", HEADER) as writer:
        add(writer, list(range(20)))
        writer.commit()
        add(writer, list(range(20, 30)))
        writer.delete(np.array([0, 7, 21]))
        writer.commit()
    return open_index(tmp_path / "index")


@pytest.mark.parametrize("rank", ["codes", "fine"])
def test_as_a_search_has_them(snapshot: Snapshot, rank: Literal["codes", "fine"]) -> None:
    query = encoded([40])
    found = snapshot.search(query, k=27, rank=rank).ranking
    chosen = np.random.default_rng(0).permutation(27)[:11]
    ids = found.ids[0, chosen].tolist()
    assert distances_to(snapshot, query, ids, rank=rank).tolist() == found.distances[0, chosen].tolist()
    assert distances_to(snapshot, query, [], rank=rank).shape == (0,)


def test_errors(snapshot: Snapshot) -> None:
    for missing in (7, 30, 99):
        with pytest.raises(ValueError, match=r"has not all of these 2 ids in version 2"):
            distances_to(snapshot, encoded([40]), [1, missing], rank="codes")
    query = encoded([40])
    with pytest.raises(MismatchError):
        distances_to(snapshot, Encoded(*query[:3], "0" * 64), [1], rank="fine")
