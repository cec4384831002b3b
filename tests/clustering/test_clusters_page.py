"""The page on clusters."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.clustering.cluster_numbers import cluster_numbers
from dqh.clustering.clusters_page import clusters_page, histogram
from dqh.data.point_labels import labels_of_texts
from tests.data.conftest import folder

__all__ = ["folder"]


def test_bars_count_clusters() -> None:
    """Sizes 1, 1, 2, 4: a bar a size, 3 is nobody's; the highest has two clusters."""
    drawn = histogram(np.array([1, 4, 2, 1, 0]), "image")
    assert [bar.height for bar in drawn.bars] == [1, 0.5, 0, 0.5]
    assert drawn.bars[0].tip == "1 images: 2 clusters"
    assert (drawn.most, drawn.axis) == (2, "images a cluster")
    assert drawn.legend.endswith("median 2. 1 cluster has none.")


@pytest.mark.parametrize("high", [40, 41, 72, 73, 100])
def test_bars_are_equally_wide(high: int) -> None:
    """As many clusters of each size: bars as high as one another, but for the last, which may reach further."""
    drawn = histogram(np.arange(10, high + 1), "image")
    assert 10 < len(drawn.bars) <= 40
    assert [bar.height for bar in drawn.bars[:-1]] == [1] * (len(drawn.bars) - 1)
    assert max(bar.width for bar in drawn.bars) == pytest.approx(min(bar.width for bar in drawn.bars))
    assert round(sum(bar.height for bar in drawn.bars) * drawn.most) == high - 9


def test_sizes_of_several_orders_get_a_logarithmic_axis() -> None:
    sizes = np.array([1, 10, 100, 1000, 5000])
    drawn = histogram(sizes, "row")
    assert drawn.axis == "rows a cluster, logarithmic"
    assert round(sum(bar.height for bar in drawn.bars) * drawn.most) == len(sizes)
    places = [place for place, _ in drawn.ticks]
    assert places == sorted(places)
    assert min(bar.left for bar in drawn.bars) == 0
    assert abs(max(bar.left + bar.width for bar in drawn.bars) - 1) < 1e-9
    assert [text for _, text in drawn.ticks] == ["1", "3", "10", "30", "100", "300", "1,000", "3,000", "5,000"]
    assert histogram(np.array([0, 0]), "row").legend.endswith("2 clusters have none.")


def test_biggest_tightest_and_most_mixed(folder: Callable[[int], Path]) -> None:
    """Cluster 0 is big and of one label, 1 is tight, 2 is mixed, 3 has a point alone."""
    members = np.repeat([0, 1, 2, 3], [9, 5, 5, 1]).astype(np.int32)
    distances = np.repeat([2.0, 0.5, 3.0, 0.0], [9, 5, 5, 1]).astype(np.float32)
    texts = [("hat",)] * 14 + [("<hat>",), ("coat",), ("coat",), ("bag",), ("bag",)] + [("x",)]
    photo = str(folder(1) / "a/0.png")
    arguments = "Clusters", "About <them>.", [("purity", "90%", [])]
    for labels in (labels_of_texts(texts), None):
        numbers = cluster_numbers(members, distances, 4, labels)
        page = clusters_page(
            *arguments, numbers, members, distances, noun="image", unit="", paths=lambda rows: [photo] * len(rows)
        )
        first = [part.partition("<h3>")[2].partition(":")[0] for part in page.split("<h2>")[2:]]
        assert first == ["Cluster 0", "Cluster 1", "Cluster 2"]
        assert ("The most mixed" in page, "The loosest" in page) == (labels is not None, labels is None)
        assert "About &lt;them&gt;." in page
        assert "<hat>" not in page
        assert page.count("data:image/jpeg") == 20 + 19 + 19
    bare = clusters_page(*arguments, numbers, members, distances, noun="image", unit="", paths=None)
    assert "<img" not in bare
