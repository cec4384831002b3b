from pathlib import Path

import numpy as np
import pytest

from dqh.index.store.announcing import Announcements
from dqh.index.store.manifest import SEGMENTS
from dqh.index.store.pending import Pending, checked_batch
from dqh.index.store.segment import Segment
from tests.index.store.conftest import BITS, FEATURES, HEADER, payload


def test_a_segment_whenever_there_are_enough_rows(tmp_path: Path) -> None:
    """3 + 5 + 1 rows by 4: two whole segments, and one of the last row when nothing more comes."""
    pending = Pending(tmp_path, Announcements(tmp_path, 6).segment, 4)
    assert not pending
    seen = []
    for start, size in ((0, 3), (3, 5), (8, 0), (8, 1)):
        rows, codes, _, features = payload(list(range(start, start + size)))
        pending.put(np.arange(start, start + size), rows, codes, features)
        codes[:] = 0  # what was given may change
        seen.append([entry.rows for entry in pending.segments])
    assert seen == [[], [4, 4], [4, 4], [4, 4]]
    pending.flush()
    pending.flush()
    assert pending
    assert [entry.rows for entry in pending.segments] == [4, 4, 1]
    names = sorted(path.name for path in (tmp_path / SEGMENTS).iterdir())
    assert names == [entry.name for entry in pending.segments] == [f"000000007-{number:06d}" for number in range(3)]
    segments = [Segment(tmp_path, entry, bits=BITS, feature_size=FEATURES) for entry in pending.segments]
    _, codes, _, features = payload(list(range(9)))
    assert np.concatenate([segment.ids for segment in segments]).tolist() == list(range(9))
    assert np.array_equal(np.concatenate([segment.codes for segment in segments]), codes)
    assert np.array_equal(np.concatenate([each.features(np.arange(len(each))) for each in segments]), features)


def test_what_is_kept() -> None:
    """Features are rounded to float16, boxes to float32; nothing given changes. What is refused: test_writer."""
    rows, codes, _, _ = payload([1, 2])
    features = np.full((2, FEATURES), 1.0003, np.float32)  # float16 has 1 and 1.000977 here
    checked, kept = checked_batch(HEADER, [rows[0]._replace(box=(0, 0, 0.1, 1)), rows[1]], codes, features)
    assert kept.dtype == np.float16
    assert (kept == 1).all()
    assert (features == np.float32(1.0003)).all()
    assert checked[0].box == (0.0, 0.0, float(np.float32(0.1)), 1.0)
    assert checked[1] == rows[1]


def test_nothing_at_all() -> None:
    rows, codes, _, features = payload([])
    checked, kept = checked_batch(HEADER, rows, codes, features)
    assert checked == []
    assert kept.shape == (0, FEATURES)


def test_an_object_needs_a_detector() -> None:
    rows, codes, _, features = payload([1])
    seen = [rows[0]._replace(object="dog", score=0.1)]
    with pytest.raises(ValueError, match="rows that are objects need an index of a detector; give detector_id in the"):
        checked_batch(HEADER, seen, codes, features)
    checked, _ = checked_batch(HEADER._replace(detector_id="seer"), seen, codes, features)
    assert (checked[0].object, checked[0].score) == ("dog", float(np.float32(0.1)))
