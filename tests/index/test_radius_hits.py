import numpy as np

from dqh.index.radius_hits import RadiusHits


def test_radius_hits_as_a_ranking() -> None:
    hits = RadiusHits(np.array([0, 2, 2, 3]), np.array([4, 1, 0]), np.array([0, 2, 1], dtype=np.float32))
    ranking = hits.to_ranking()
    assert ranking.ids.tolist() == [[4, 1], [-1, -1], [0, -1]]
    assert ranking.distances.tolist() == [[0, 2], [np.inf, np.inf], [1, np.inf]]
