import os
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


def test_there_may_be_no_labels(tmp_path):
    np.save(tmp_path / "features.npy", VECTORS)
    source = Features(features=tmp_path / "features.npy", labels=None)
    assert source.labels.tolist() == [0] * 4
    assert source.class_names == ("0",)
    assert not source.labelled
    assert write(tmp_path, VECTORS, np.zeros(4, int)).labelled


def test_a_source_travels_without_its_vectors(tmp_path):
    source = write(tmp_path, np.zeros((1000, 100), np.float32), np.zeros(1000, int))
    content = pickle.dumps(source)
    assert len(content) < 10_000
    assert pickle.loads(content).read(0).shape == (100,)


@pytest.mark.parametrize(
    ("features", "labels", "match"),
    [
        (np.zeros(4, np.float32), np.zeros(4, int), r"must be \(N, F\) float16, float32 or float64, got \(4,\)"),
        (np.zeros((4, 2), int), np.zeros(4, int), r"got .* int64; convert it: numpy.save\(FILE, vectors.astype"),
        (np.zeros((4, 2), np.complex64), np.zeros(4, int), "got .* complex64"),
        (np.zeros((0, 2), np.float32), np.zeros(0, int), r"got \(0, 2\)"),
        (np.zeros((4, 2), np.float32), np.zeros(3, int), r"got \(3,\) int64"),
        (np.zeros((4, 2), np.float32), np.zeros(4, complex), r"got \(4,\) complex128"),
        (np.zeros((4, 2), np.float32), np.zeros((4, 0)), r"got \(4, 0\) float64"),
        (np.array([[{}]], dtype=object), np.zeros(1, int), "no .npy file of plain numbers"),
    ],
)
def test_wrong_files_are_refused(tmp_path, features, labels, match):
    with pytest.raises(DataError, match=match):
        write(tmp_path, features, labels)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (np.array([0, -1]), "labels must be at least 0, got -1; leave these rows out"),
        (np.array([[0], [-1]]), "labels must be at least 0, got -1"),
        (np.array([[0, 2], [1, 1]]), r"labels of \(N, C\) must be 0 or 1, got 0 … 2; class numbers are \(N,\)"),
        (np.array([0.5, 1]), "labels must be whole numbers, got float64 with others"),
        (np.array([[0, np.nan], [1, 0]]), "labels must be whole numbers"),
        (np.array([0, 2.0**60]), "float64 labels above 9007199254740992 are not exact; save integers"),
    ],
)
def test_wrong_labels_are_refused(tmp_path, labels, match):
    with pytest.raises(DataError, match=match):
        _ = write(tmp_path, np.zeros((2, 2), np.float32), labels).labels


@pytest.mark.parametrize("kind", [">f4", ">f2", "f8", ">f8"])
def test_floats_of_any_kind_are_read_as_float32(tmp_path, kind, caplog):
    caplog.set_level("INFO")
    source = write(tmp_path, VECTORS.astype(kind), np.zeros(4, int))
    assert caplog.messages == [f"{tmp_path}/features.npy is {np.dtype(kind)} and is read as float32"]
    wanted = VECTORS.astype(kind).astype(np.float32)
    assert source.read(3).dtype == source.read_many(np.array([0])).dtype == np.float32
    np.testing.assert_array_equal(source.read(3), wanted[3])
    np.testing.assert_array_equal(source.read_many(np.arange(4)), wanted)


def test_what_float32_does_not_hold_is_a_bad_row(tmp_path):
    with pytest.raises(BadImageError, match="NaN or infinity"):
        write(tmp_path, np.array([[1e300, 0]]), np.zeros(1, int)).read(0)


@pytest.mark.parametrize("kind", [np.int64, ">i2", np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_one_column_is_the_class_number(tmp_path, kind, shape, caplog):
    caplog.set_level("INFO")
    source = write(tmp_path, VECTORS.astype(np.float32), np.array([7, 200, 7, 1]).astype(kind).reshape(shape))
    assert source.labels.tolist() == [1, 2, 1, 0]
    assert source.labels.dtype == np.int64
    assert source.class_names == ("1", "7", "200")
    told = [f"{tmp_path}/labels.npy is (N, 1): its one column is taken as the class numbers"]
    assert caplog.messages == (told if shape == (4, 1) else [])


def test_one_column_of_bool_is_two_classes(tmp_path):
    source = write(tmp_path, np.zeros((2, 2), np.float32), np.array([[True], [False]]))
    assert (source.labels.tolist(), source.class_names) == ([1, 0], ("0", "1"))


def test_whole_floats_may_be_several_labels(tmp_path):
    source = write(tmp_path, np.zeros((2, 2), np.float32), np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert source.labels.tolist() == [[True, False], [False, False]]


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"looked for .*features\.npy"):
        Features(features=tmp_path / "features.npy", labels=tmp_path / "labels.npy")
    np.savez(tmp_path / "features.npz", a=np.zeros(3))
    with pytest.raises(DataError, match="but an archive"):
        Features(features=tmp_path / "features.npz", labels=tmp_path / "labels.npy")


def test_only_regular_files_are_opened(tmp_path):
    source = write(tmp_path, np.zeros((2, 2), np.float32), np.zeros(2, int))
    for name in ("features.npy", "labels.npy"):
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)
        with pytest.raises(DataError, match=rf"{name} is a named pipe where a regular file is wanted; make it with"):
            Features(features=tmp_path / "features.npy", labels=tmp_path / "labels.npy")
        with pytest.raises(DataError, match="is a named pipe"):
            _ = (pickle.loads(pickle.dumps(source)).read(0), source.labels)
        (tmp_path / name).unlink()
        np.save(tmp_path / name, np.zeros((2, 2), np.float32))


def test_sparse_class_numbers_are_as_many_classes_as_there_are(tmp_path):
    numbers = np.arange(10) * 90_000 + 7
    source = write(tmp_path, np.zeros((21, 2), np.float32), np.append(np.repeat(numbers, 2), 3_000_000_000))
    assert source.class_names == (*map(str, numbers), "3000000000")
    assert source.labels.tolist() == [*np.repeat(np.arange(10), 2), 10]
