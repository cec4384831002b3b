import gzip
import hashlib
import os
import pickle
import struct
from http.client import IncompleteRead
from urllib.error import URLError

import numpy as np
import pytest
from torchvision import datasets
from torchvision.datasets import cifar, mnist

from dqh.data.torchvision_sets import CIFAR10, CIFAR100, MNIST, FashionMNIST, find_idx, read_idx
from dqh.errors import DataError

OFFLINE = URLError(OSError(-3, "Temporary failure in name resolution"))


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(root, *, name="MNIST", packed=()):
    """Three train and two test images; returns the pixels and labels of all five."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1, 5], dtype=np.uint8)
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for part, rows in {"train": slice(0, 3), "t10k": slice(3, 5)}.items():
        for kind, content in {"images-idx3-ubyte": pixels[rows], "labels-idx1-ubyte": labels[rows]}.items():
            data = idx(content)
            (raw / f"{part}-{kind}{'.gz' * (part in packed)}").write_bytes(
                gzip.compress(data) if part in packed else data
            )
    return pixels, labels


@pytest.mark.parametrize(("kind", "folder"), [(MNIST, "MNIST"), (FashionMNIST, "FashionMNIST")])
@pytest.mark.parametrize("packed", [(), ("train",), ("train", "t10k")])
def test_idx_sets_are_read_in_official_order(tmp_path, kind, folder, packed):
    pixels, labels = write_mnist(tmp_path, name=folder, packed=packed)
    before = sorted(tmp_path.rglob("*"))
    source = kind(root=tmp_path)
    assert source.ids.tolist() == ["train/0", "train/1", "train/2", "test/0", "test/1"]
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {"train": [0, 1, 2], "test": [3, 4]}
    np.testing.assert_array_equal(source.labels, labels)
    np.testing.assert_array_equal(source.pixels, pixels)
    assert len(source.class_names) == 10
    assert sorted(tmp_path.rglob("*")) == before  # nothing is unpacked beside a read-only set


def test_the_official_train_part_comes_first_in_torchvision_too(tmp_path):
    pixels, _ = write_mnist(tmp_path)
    np.testing.assert_array_equal(datasets.MNIST(str(tmp_path), train=True).data.numpy(), pixels[:3])


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST, CIFAR10, CIFAR100])
def test_missing_files_name_the_path_and_both_remedies(tmp_path, kind):
    with pytest.raises(DataError, match=r"data\.download=true, or put the files there") as caught:
        kind(root=tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_one_missing_file_is_named_alone(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels") as caught:
        MNIST(root=tmp_path)
    assert "train-images" not in str(caught.value)


def test_parts_that_do_not_fit_together_are_refused(tmp_path):
    write_mnist(tmp_path)
    raw = tmp_path / "MNIST/raw"
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match=r"images must be \(4, 28, 28\), got \(3, 28, 28\)"):
        _ = MNIST(root=tmp_path).pixels
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(np.full(3, 10, np.uint8)))
    with pytest.raises(DataError, match="labels must be"):
        _ = MNIST(root=tmp_path).labels


def write_cifar(root, monkeypatch):
    """CIFAR-10's pickles with two train images and one test image, and torchvision told of their MD5."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    planes = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    contents = {
        "data_batch_1": {"data": planes[:2].reshape(2, -1), "labels": [7, 2]},
        "test_batch": {"data": planes[2:].reshape(1, -1), "labels": [5]},
        "batches.meta": {"label_names": [f"kind {number}" for number in range(10)]},
    }
    md5 = {}
    for name, content in contents.items():
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        md5[name] = hashlib.md5(data).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", md5["data_batch_1"]]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5["batches.meta"]}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return planes


def test_cifar_batches_are_read(tmp_path, monkeypatch):
    planes = write_cifar(tmp_path, monkeypatch)
    source = CIFAR10(root=tmp_path)
    assert source.ids.tolist() == ["train/0", "train/1", "test/0"]
    assert source.labels.tolist() == [7, 2, 5]
    assert source.class_names[7] == "kind 7"
    np.testing.assert_array_equal(source.read_many(np.arange(3)), planes)


class Hostile:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


def test_a_pickle_that_is_not_the_published_one_is_not_opened(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-batches-py/data_batch_1").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError, match="incomplete or differs from the published files"):
        _ = CIFAR10(root=tmp_path).labels


@pytest.mark.parametrize(
    "error", [OFFLINE, PermissionError(13, "denied"), RuntimeError("corrupted"), IncompleteRead(b"")]
)
@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (MNIST, "MNIST/raw/t10k-labels-idx1-ubyte"),
        (FashionMNIST, "FashionMNIST/raw/train-images-idx3-ubyte"),
        (CIFAR10, "cifar-10-batches-py"),
        (CIFAR100, "cifar-100-python"),
    ],
)
def test_a_download_that_fails_says_where_the_files_belong(tmp_path, monkeypatch, kind, path, error):
    def fail(*arguments, **options):
        raise error

    for module in (cifar, mnist):
        monkeypatch.setattr(module, "download_and_extract_archive", fail)
    source = kind(root=tmp_path, download=True)
    with pytest.raises(DataError, match=f"{kind.__name__} could not be downloaded into {tmp_path} ") as caught:
        _ = source.labels
    assert f"or put the published files at {tmp_path}" in str(caught.value)
    assert str(tmp_path / path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_download_fetches_only_what_is_missing(tmp_path, monkeypatch):
    """The pickles are there, so that nothing is downloaded; then the folder is made by the download."""
    there, empty = tmp_path / "there", tmp_path / "empty"
    write_cifar(there, monkeypatch)
    monkeypatch.setattr(cifar, "download_and_extract_archive", lambda *_, **__: pytest.fail("downloaded"))
    wanted = CIFAR10(root=there, download=True).labels
    monkeypatch.setattr(cifar, "download_and_extract_archive", lambda *_, **__: write_cifar(empty, monkeypatch))
    np.testing.assert_array_equal(CIFAR10(root=empty, download=True).labels, wanted)


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5)])
@pytest.mark.parametrize("packed", [False, True])
def test_arrays_come_back(tmp_path, shape, packed):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    np.testing.assert_array_equal(read_idx(path), array)


def test_either_form_is_found(tmp_path):
    assert find_idx(tmp_path / "a") is None
    (tmp_path / "a.gz").touch()
    assert find_idx(tmp_path / "a") == tmp_path / "a.gz"
    (tmp_path / "a").touch()
    assert find_idx(tmp_path / "a") == tmp_path / "a"


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_only_regular_files_are_opened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert find_idx(tmp_path / "a") == tmp_path / name
    with pytest.raises(DataError, match=r"cannot be read: .* a named pipe where a regular file is wanted"):
        read_idx(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a", b"", "no IDX file"),
        ("a", b"PK\x03\x04 something", "no IDX file"),
        ("a", bytes((0, 0, 13, 1)) + bytes(8), "no IDX file of unsigned bytes"),
        ("a", idx(np.zeros(5, np.uint8))[:-1], "damaged"),
        ("a", idx(np.zeros(5, np.uint8)) + b"x", "damaged"),
        ("a", idx(np.zeros((2, 2), np.uint8))[:7], "damaged"),
        ("a", bytes((0, 0, 8, 3)) + b"\xff" * 12, "damaged"),
        ("a.gz", b"not gzipped", "cannot be read"),
        ("a.gz", gzip.compress(idx(np.zeros(500, np.uint8)), mtime=0)[:-9], "cannot be read"),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_idx(tmp_path / name)
