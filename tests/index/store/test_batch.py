import numpy as np

from dqh.index.store.batch import checked_batch
from tests.index.store.conftest import FEATURES, HEADER, payload


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
