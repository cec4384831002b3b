"""The nearest object of each image, against a loop over the ranking."""

import numpy as np
import pytest

from dqh.index.store import Header, Row, Writer, open_index
from dqh.index.store.one_an_image import count_images, images_of, one_an_image
from dqh.index.store.version import Version
from dqh.quantizers import Threshold
from dqh.ranking import Ranking

IMAGES = [0, 1, 0, 2, 2, 0, 1, 2, 2, 3]
"""Of each row."""


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    path = tmp_path_factory.mktemp("objects")
    rows = [Row(f"{image}.jpg", (), (0, 0, number + 1, 1), b"", "dog", 0.5) for number, image in enumerate(IMAGES)]
    codes, features = np.zeros((len(rows), 1), np.uint8), np.zeros((len(rows), 1), np.float32)
    with Writer(path, Header("id", Threshold(8), 1, detector_id="seer"), segment_rows=4) as writer:
        writer.add(rows, codes, features)
        writer.commit()
    return open_index(path).version


def ranking(ids: list[list[int]]) -> Ranking:
    """Of distances that rise by one."""
    rows = np.array(ids, np.int64)
    places = np.broadcast_to(np.arange(rows.shape[1], dtype=np.float32), rows.shape)
    return Ranking(rows, np.where(rows >= 0, places, np.inf).astype(np.float32))


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_the_first_of_each_image_in_their_order(version: Version, k: int) -> None:
    given = [[9, 2, 0, 5, 4, 3, 1, 7], [5, 2, 0, -1, -1, -1, -1, -1], [7, 8, 3, 4, 6, 1, 9, -1]]
    found = one_an_image(version, ranking(given), k)
    for row, ids, distances in zip(given, found.ids.tolist(), found.distances.tolist(), strict=True):
        wanted, seen = [], set()
        for place, number in enumerate(row):
            if number >= 0 and IMAGES[number] not in seen:
                seen.add(IMAGES[number])
                wanted.append((number, float(place)))
        wanted = (wanted + [(-1, np.inf)] * k)[:k]
        assert list(zip(ids, distances, strict=True)) == wanted


def test_how_many_images_the_candidates_are_of(version: Version) -> None:
    assert count_images(version, ranking([[9, 2, 0], [5, 2, 0]])).tolist() == [2, 1]
    assert count_images(version, ranking([[9, 2, 1], [7, 0, -1]])).tolist() == [3, 2]
    assert count_images(version, ranking([[-1, -1]])).tolist() == [0]
    images = images_of(version, np.array([[0, 2, -1], [1, 3, 0]]))
    assert images[0, 0] == images[0, 1] == images[1, 2]
    assert images[0, 2] == -1
    assert len({*images[1].tolist()}) == 3
