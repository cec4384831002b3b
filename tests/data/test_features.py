import pickle

import numpy as np
import pytest

from dqh.data.features import Features
from dqh.errors import BadImageError, DataError


def write(root, features, labels):
    np.save(root / "features.npy", features)
    np.save(root / "labels.npy", labels)
    return Features(features=root / "features.npy", labels=root / "labels.npy")


VECTORS = np.array([[1, 2], [np.nan, 0], [3, np.inf], [0.1, -4]])


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_vectors_are_rows(tmp_path, kind):
    source = write(tmp_path, VECTORS.astype(kind), np.array([0, 2, 1, 2], dtype=np.uint8))
    assert (len(source), source.size, source.kind, source.roles) == (4, 2, "vector", {})
    assert source.ids.tolist() == ["0", "1", "2", "3"]
    assert source.labels.tolist() == [0, 2, 1, 2]
    assert source.labels.dtype == np.int64
    assert source.class_names == ("0", "1", "2")
    assert source.read(3).dtype == np.float32
    np.testing.assert_array_equal(source.read(3), VECTORS.astype(kind)[3].astype(np.float32))
    np.testing.assert_array_equal(source.read_many(np.array([3, 0])), VECTORS.astype(kind)[[3, 0]].astype(np.float32))


@pytest.mark.parametrize("row", [1, 2])
def test_rows_that_are_no_numbers_are_bad(tmp_path, row):
    with pytest.raises(BadImageError, match="NaN or infinity"):
        write(tmp_path, VECTORS.astype(np.float32), np.zeros(4, int)).read(row)


def test_a_row_may_have_several_labels(tmp_path):
    source = write(tmp_path, VECTORS.astype(np.float32), np.array([[1, 0, 1]] * 4))
    assert source.labels.dtype == np.bool_
    assert source.labels[0].tolist() == [True, False, True]
    assert source.class_names == ("0", "1", "2")


def test_a_source_travels_without_its_vectors(tmp_path):
    source = write(tmp_path, np.zeros((1000, 100), np.float32), np.zeros(1000, int))
    content = pickle.dumps(source)
    assert len(content) < 10_000
    assert pickle.loads(content).read(0).shape == (100,)


@pytest.mark.parametrize(
    ("features", "labels", "match"),
    [
        (np.zeros(4, np.float32), np.zeros(4, int), r"must be \(N, F\) float16 or float32, got \(4,\)"),
        (np.zeros((4, 2)), np.zeros(4, int), "got .* float64"),
        (np.zeros((0, 2), np.float32), np.zeros(0, int), r"got \(0, 2\)"),
        (np.zeros((4, 2), np.float32), np.zeros(3, int), r"got \(3,\) int64"),
        (np.zeros((4, 2), np.float32), np.zeros(4), r"got \(4,\) float64"),
        (np.array([[{}]], dtype=object), np.zeros(1, int), "no .npy file of plain numbers"),
    ],
)
def test_wrong_files_are_refused(tmp_path, features, labels, match):
    with pytest.raises(DataError, match=match):
        write(tmp_path, features, labels)


@pytest.mark.parametrize("labels", [np.array([0, -1]), np.array([[0, 2], [1, 1]])])
def test_wrong_labels_are_refused(tmp_path, labels):
    with pytest.raises(DataError, match="labels must be at least 0"):
        _ = write(tmp_path, np.zeros((2, 2), np.float32), labels).labels


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"looked for .*features\.npy"):
        Features(features=tmp_path / "features.npy", labels=tmp_path / "labels.npy")
    np.savez(tmp_path / "features.npz", a=np.zeros(3))
    with pytest.raises(DataError, match="but an archive"):
        Features(features=tmp_path / "features.npz", labels=tmp_path / "labels.npy")


def test_a_class_number_beyond_reason_is_refused(tmp_path):
    np.save(tmp_path / "features.npy", np.zeros((3, 2), np.float32))
    np.save(tmp_path / "labels.npy", np.array([0, 1, 10**12]))
    source = Features(features=tmp_path / "features.npy", labels=tmp_path / "labels.npy")
    with pytest.raises(DataError, match="labels must be below 1,000,000, got 1000000000000; number them anew"):
        source.labels  # noqa: B018
