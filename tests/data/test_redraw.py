"""A split of other data, which knows nothing of its images but what the artifact's split keeps."""

import numpy as np
import pytest

from dqh.data.protocols import Protocol
from dqh.data.redraw import known_trained, redraw
from dqh.data.splits import Split
from dqh.errors import DataError
from tests.data.memory import Memory

LABELS = np.arange(60) % 3


class Named(Memory):
    """Rows with ids of one's own."""

    def __init__(self, ids, *args, **options):
        super().__init__(*args, **options)
        self._ids = ids

    @property
    def ids(self):
        return np.array(self._ids, dtype=np.str_)


def trained_on(source, *, recognisable=True, **options) -> Split:
    split = Protocol("counts", query="auto", **options).draw(source)
    return split.recognisable(source) if recognisable else split


def test_no_query_has_an_id_that_was_trained_on():
    """60 images, of which 9 are queries and one is deleted: the eight or nine that are left are the queries."""
    split = trained_on(Memory(LABELS), validation=6)
    ids = [name for name in Memory(LABELS).ids.tolist() if name != split.train[0]]
    places = [int(name.partition("/")[2]) for name in ids]
    drawn = redraw(split, Named(ids, LABELS[places], values=np.array(places)))
    assert drawn.query == split.query
    assert sorted((*drawn.query, *drawn.database)) == sorted(ids)
    assert (drawn.train, drawn.validation) == (drawn.database, ())
    assert drawn.sha256 != split.sha256


@pytest.mark.parametrize("recognisable", [True, False])
def test_content_that_was_trained_on_is_known_under_another_name(recognisable: bool):
    """A class folder was renamed: its 20 images have other ids, and the content that the fingerprint keeps."""
    split = trained_on(Memory(LABELS), recognisable=recognisable)
    ids = np.where(LABELS == 2, np.char.add("other/", np.arange(60).astype(str)), Memory(LABELS).ids)
    source = Named(ids, LABELS)
    trained = {name.partition("/")[2] for name in split.train}
    known = [name.partition("/")[2] for name in ids[known_trained(split, source)].tolist()]
    assert set(known) == (trained if recognisable else {name for name in trained if LABELS[int(name)] != 2})
    queries = {name.partition("/")[2] for name in redraw(split, source).query}
    assert queries
    assert queries.isdisjoint(known)


def test_wholly_other_data_are_split_by_the_same_seed():
    split = trained_on(Memory(LABELS), seed=3)
    other = Named([f"b/{row}" for row in range(40)], np.arange(40) % 2, values=np.arange(100, 140))
    drawn = redraw(split, other)
    assert (drawn.protocol, drawn.seed, drawn.data, len(drawn.query)) == ("counts", 3, "memory", 6)
    assert drawn == redraw(split, other)
    assert drawn.query == trained_on(other, seed=3).query


def test_the_protocol_stays_where_it_suits():
    parts = {"train": range(40), "test": range(40, 60)}
    split = Protocol("full").draw(Memory(LABELS, roles=parts))
    other = Memory(LABELS[:50], roles={"train": range(30), "test": range(30, 50)})
    drawn = redraw(split, other)
    assert drawn.protocol == "full"
    assert drawn.query == tuple(f"row/{row}" for row in range(40, 50))  # 30 … 39 were trained on
    assert drawn.database == tuple(f"row/{row}" for row in range(30))
    assert redraw(split, Memory(LABELS[:50])).protocol == "counts"


def test_several_labels_an_image():
    labels = np.eye(3, dtype=bool)[LABELS]
    split = trained_on(Memory(labels))
    drawn = redraw(split, Memory(labels[:55]))
    assert drawn.query
    assert set(drawn.query).isdisjoint(split.train)


def test_data_that_were_trained_on_give_no_query():
    split = trained_on(Memory(LABELS))
    known = [int(name.partition("/")[2]) for name in split.train]
    with pytest.raises(DataError, match="every image of memory that could be a query was trained on; give images that"):
        redraw(split, Named(split.train, LABELS[known]))
    alone = Named([*split.train, "new/0"], [*LABELS[known], 3], values=[*known, 200])
    with pytest.raises(DataError, match=r"52 images in 4 classes, 1 of them not trained on, and cannot be split"):
        redraw(split, alone)
