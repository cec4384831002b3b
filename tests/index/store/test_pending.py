from pathlib import Path

import numpy as np

from dqh.index.store.announcing import Announcements
from dqh.index.store.manifest import SEGMENTS
from dqh.index.store.pending import Pending
from dqh.index.store.segment import Segment
from tests.index.store.conftest import BITS, FEATURES, payload


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
