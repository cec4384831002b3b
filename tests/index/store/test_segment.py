import os
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from dqh.errors import StoreError
from dqh.index.store import segment as segments
from dqh.index.store.manifest import SEGMENTS, SegmentEntry
from dqh.index.store.schema import SEGMENT_FILES
from dqh.index.store.segment import Segment, is_finite, row_checksums, write_segment
from dqh.native.extension import extension
from tests.index.store.conftest import BITS, FEATURES, flip, payload

ROWS = 9


@pytest.fixture
def entry(tmp_path: Path) -> SegmentEntry:
    rows, codes, _, features = payload(list(range(ROWS)))
    return write_segment(tmp_path, "000000001-000000", ids=np.arange(ROWS), rows=rows, codes=codes, features=features)


def opened(root: Path, entry: SegmentEntry) -> Segment:
    return Segment(root, entry, bits=BITS, feature_size=FEATURES)


@pytest.mark.parametrize("module", ["isal", "native", "zlib"])
@pytest.mark.parametrize("size", [1, 2, 511, 4096])
def test_a_checksum_a_row(module: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of zlib, with isal, with the kernels, and without: indexes do not depend on what is installed."""
    if module != "native":
        monkeypatch.setattr(segments, "extension", lambda: None)
    monkeypatch.setitem(sys.modules, "isal", pytest.importorskip("isal") if module == "isal" else None)
    segments._isal_crc32.cache_clear()
    features = np.random.default_rng(0).standard_normal((5, size)).astype(np.float16)
    assert row_checksums(features).tolist() == [zlib.crc32(row.tobytes()) for row in features]
    assert (segments._isal_crc32() is None) == (module != "isal")
    segments._isal_crc32.cache_clear()


def test_a_segment_comes_back(tmp_path: Path, entry: SegmentEntry) -> None:
    _, codes, _, features = payload(list(range(ROWS)))
    segment = opened(tmp_path, entry)
    assert len(segment) == ROWS
    assert segment.ids.tolist() == list(range(ROWS))
    assert np.array_equal(segment.codes, codes)
    chosen = np.array([7, 0, 7])
    assert np.array_equal(segment.features(chosen), features[chosen])
    out = np.zeros((4, FEATURES), np.float16)
    segment.features(chosen, out=out[1:])
    assert np.array_equal(out, np.concatenate([np.zeros((1, FEATURES)), features[chosen]]))
    with pytest.raises(AssertionError):
        segment.features(np.array([ROWS]))
    folder = tmp_path / SEGMENTS / entry.name
    assert np.array_equal(np.load(folder / "features.npy", allow_pickle=False), features)


def test_distances_are_those_of_features_that_were_read(
    tmp_path: Path, entry: SegmentEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of rows of which one is damaged, of distances beyond float32, or without the kernels: all are read then."""
    if (kernels := extension()) is None or kernels.instruction_set() == "portable":
        pytest.skip("dqh._native is not quick here")
    segment, chosen = opened(tmp_path, entry), np.array([1, 3, 8])
    query = np.random.default_rng(0).random(FEATURES, np.float32)
    wanted = np.square(segment.features(chosen).astype(np.float64) - query).sum(axis=1)
    assert segment.squared_l2(query, chosen) == pytest.approx(wanted, rel=1e-6)
    assert segment.squared_l2(np.full(FEATURES, 1e30, np.float32), chosen) is None
    flip(tmp_path / SEGMENTS / entry.name / "features.npy", -2 * FEATURES)  # the last row
    damaged = opened(tmp_path, entry)
    assert damaged.squared_l2(query, chosen) is None
    assert damaged.squared_l2(query, chosen[:2]) == pytest.approx(wanted[:2], rel=1e-6)
    monkeypatch.setattr(segments, "extension", lambda: None)
    assert segment.squared_l2(query, chosen) is None


@pytest.mark.parametrize("name", ["rows.parquet", "codes.npy", "crc.npy"])
def test_opening_finds_a_flipped_bit(tmp_path: Path, entry: SegmentEntry, name: str) -> None:
    file = tmp_path / SEGMENTS / entry.name / name
    for place in range(0, file.stat().st_size, 29):
        flip(file, place)
        with pytest.raises(StoreError, match=f"{name} is damaged"):
            opened(tmp_path, entry)
        flip(file, place)
    assert len(opened(tmp_path, entry)) == ROWS


def test_reading_a_row_finds_its_flipped_bit_and_no_other(tmp_path: Path, entry: SegmentEntry) -> None:
    file = tmp_path / SEGMENTS / entry.name / "features.npy"
    size = file.stat().st_size
    flip(file, size - 3 * 2 * FEATURES)  # row 6 of 9
    segment = opened(tmp_path, entry)
    assert len(segment.features(np.array([0, 5, 7, 8]))) == 4
    with pytest.raises(StoreError, match=r"features.npy is damaged in 1 of 2 rows read, first row 6; run dqh check"):
        segment.features(np.array([5, 6]))
    flip(file, 20)
    with pytest.raises(StoreError, match="its header does not say"):
        opened(tmp_path, entry)


@pytest.mark.parametrize("name", SEGMENT_FILES)
def test_opening_finds_a_cut_and_a_missing_file(tmp_path: Path, entry: SegmentEntry, name: str) -> None:
    file = tmp_path / SEGMENTS / entry.name / name
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(StoreError, match=f"{name} is damaged: it has"):
        opened(tmp_path, entry)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        opened(tmp_path, entry)


def test_a_file_cut_while_it_is_open_ends_no_process(tmp_path: Path, entry: SegmentEntry) -> None:
    segment = opened(tmp_path, entry)
    os.truncate(tmp_path / SEGMENTS / entry.name / "features.npy", 100)
    with pytest.raises(StoreError, match="was cut off while it was open"):
        segment.features(np.array([8]))


def test_a_cut_is_found_from_another_folder(
    tmp_path: Path, entry: SegmentEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index was named relative to the folder that the process was in."""
    monkeypatch.chdir(tmp_path)
    segment = opened(Path(), entry)
    monkeypatch.chdir("/")
    os.truncate(tmp_path / SEGMENTS / entry.name / "features.npy", 100)
    with pytest.raises(StoreError, match="was cut off while it was open"):
        segment.features(np.array([8]))


def test_another_file_of_the_same_name_is_none_of_its_own(tmp_path: Path, entry: SegmentEntry) -> None:
    """An index that was removed and made anew, with fewer rows, in the place of the one that is open."""
    segment = opened(tmp_path, entry)
    file = tmp_path / SEGMENTS / entry.name / "features.npy"
    other = file.with_name("other")
    other.write_bytes(b"short")
    other.rename(file)
    assert np.array_equal(segment.features(np.arange(ROWS)), payload(list(range(ROWS))).features)
    shutil.rmtree(tmp_path / SEGMENTS)
    assert np.array_equal(segment.features(np.arange(ROWS)), payload(list(range(ROWS))).features)


def test_what_is_open_stays_when_its_files_go(tmp_path: Path, entry: SegmentEntry) -> None:
    segment = opened(tmp_path, entry)
    for name in SEGMENT_FILES:
        (tmp_path / SEGMENTS / entry.name / name).unlink()
    _, codes, _, features = payload(list(range(ROWS)))
    assert np.array_equal(segment.codes, codes)
    assert np.array_equal(segment.features(np.arange(ROWS)), features)


def test_a_manifest_of_another_shape(tmp_path: Path, entry: SegmentEntry) -> None:
    with pytest.raises(StoreError, match=r"codes.npy is damaged: the manifest gives \d+ bytes, wanted"):
        Segment(tmp_path, entry, bits=48, feature_size=FEATURES)


def test_codes_with_bits_that_no_code_has_are_refused(tmp_path: Path) -> None:
    """Codes of 12 bits whose 13th is set, with a right hash."""
    rows, codes, _, features = payload([0, 1])
    codes = codes | np.array([[0, 0], [0, 16]], np.uint8)
    entry = write_segment(tmp_path, "000000001-000000", ids=np.arange(2), rows=rows, codes=codes, features=features)
    with pytest.raises(StoreError, match=r"codes.npy is damaged: it has bits set beyond the 12 of a code"):
        opened(tmp_path, entry)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    """They have a right checksum, so a writer gave them."""
    rows, codes, _, features = payload(list(range(ROWS)))
    features[7, 3] = value
    name = "000000001-000000"
    entry = write_segment(tmp_path, name, ids=np.arange(ROWS), rows=rows, codes=codes, features=features)
    segment = opened(tmp_path, entry)
    segment.features(np.array([0, 1, 8]))
    with pytest.raises(StoreError, match=r"features.npy holds NaN or infinity, first in row 7, and was written so"):
        segment.features(np.array([8, 7, 0]))


@pytest.mark.parametrize("columns", [1, 3, 4096])
def test_finite_as_numpy_has_it(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every value that float16 has, each at the end of a block, at its start and in the last, shorter one."""
    monkeypatch.setattr(segments, "_BLOCK", 4)
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    assert [is_finite(value.reshape(1, 1)) for value in values[::97]] == np.isfinite(values[::97]).tolist()
    good = np.zeros((3, columns), np.float16)
    for place in (0, 3, 4, good.size - 1):
        for value in (np.nan, np.inf, -np.inf, 65504.0, -0.0):
            features = good.copy()
            features.flat[min(place, good.size - 1)] = value
            assert is_finite(features) == np.isfinite(features).all()
