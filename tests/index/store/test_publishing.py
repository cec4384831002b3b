"""Limits that writers and readers share, commits that are read back, and file systems that can do less."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.errors import StoreError
from dqh.index.store import Header, Writer, check, publishing
from dqh.index.store.faults import Step, watched
from dqh.index.store.schema import LARGEST_ID, LARGEST_VERSION
from dqh.quantizers import Threshold
from dqh.sealed import seal, unseal
from tests.index.store.conftest import EDITIONS, HEADER, add, content, expected, flip, opened


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER._replace(encoder_id=""), "encoder_id must be a text of 1"),
        (HEADER._replace(feature_size=2**20 + 1), "feature_size must be a whole number of 1 … 1048576"),
        (HEADER._replace(quantizer=Threshold(48.0)), "bits must be a whole number .*, it gives 48.0"),  # type: ignore[arg-type]
        (HEADER._replace(quantizer=Threshold(np.int64(48))), "not JSON serializable"),  # type: ignore[arg-type]
        (HEADER._replace(root="a\0b"), "root must not hold the character NUL"),
        (HEADER._replace(precision="x" * 2**16), "precision must be a text of 1 … 32768 bytes"),
    ],
)
def test_what_no_manifest_may_say_is_refused_at_once(tmp_path: Path, header: Header, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Writer(tmp_path, header)


def at_the_end(path: Path, **fields: object) -> None:
    """An index whose manifest says something else, under its own hash."""
    with Writer(path, HEADER) as writer:
        add(writer, [0, 1])
        writer.commit()
    fields = {**unseal((path / "v1.json").read_bytes()), **fields}
    (path / "v1.json").unlink()
    (path / f"v{fields['version']}.json").write_bytes(seal(fields))


def test_ids_and_versions_come_to_an_end(tmp_path: Path) -> None:
    """What the limits allow is published and read; what goes beyond is refused before it is written."""
    at_the_end(tmp_path / "ids", next_id=LARGEST_ID - 2)
    with Writer(tmp_path / "ids") as writer:
        with pytest.raises(StoreError, match=r"none beyond .* can follow; put the images into a new index"):
            add(writer, [2, 3, 4])
        assert add(writer, [2, 3]).tolist() == [LARGEST_ID - 2, LARGEST_ID - 1]
        writer.commit()
    assert opened(tmp_path / "ids").manifest.next_id == LARGEST_ID
    assert check(tmp_path / "ids").problems == ()
    at_the_end(tmp_path / "versions", version=LARGEST_VERSION - 1)
    with Writer(tmp_path / "versions", HEADER) as writer:
        add(writer, [2])
        writer.commit()
    assert opened(tmp_path / "versions").manifest.version == LARGEST_VERSION
    with pytest.raises(StoreError, match="none beyond 999999999 can follow; put the images into a new index"):
        Writer(tmp_path / "versions", HEADER)
    with Writer(tmp_path / "versions") as writer:
        writer.delete([0])
        with pytest.raises(StoreError, match="is at version 999999999, and none"):
            writer.commit()
    assert len(opened(tmp_path / "versions")) == 3


@pytest.mark.parametrize("name", ["rows.parquet", "codes.npy", "features.npy", "crc.npy"])
def test_a_commit_is_read_back_before_it_counts(index: Path, name: str) -> None:
    """A disk that keeps less than it was given, or something else."""
    for spoil in (lambda file: os.truncate(file, 100), lambda file: flip(file, 40)):

        def lose(step: Step, file: Path, spoil: Callable[[Path], None] = spoil) -> None:
            if step is Step.FILE_SYNCED and file.name == name:
                spoil(file)

        with Writer(index) as writer:
            add(writer, [30])
            with watched(lose), pytest.raises(StoreError, match=f"{name} is damaged"):
                writer.commit()
        assert opened(index).manifest.version == 2
        assert content(index) == expected(EDITIONS)


def test_a_manifest_beyond_the_limit_is_not_published(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqh.index.store.publishing.MANIFEST_BYTES", 2000)
    with Writer(index) as writer:
        add(writer, [30])
        with pytest.raises(StoreError, match=r"a manifest of 5 segments has .* bytes, at most 2000 .*dqh compact"):
            writer.commit()
    assert content(index) == expected(EDITIONS)


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refused)
    with Writer(tmp_path, HEADER) as writer:
        add(writer, [0, 1])
        writer.commit()
        writer.delete([0])
        writer.commit()
        assert writer.compact() == 3
    assert content(tmp_path) == expected({1: 0})
    assert check(tmp_path).leftovers == check(tmp_path).unchecked == ()


def test_what_lies_beside_the_versions(index: Path, tmp_path: Path) -> None:
    """It is replaced where it differs, by a rename: a link is not written through."""
    (tmp_path / "other.csv").write_text("of another")
    (index / "skipped.csv").symlink_to(tmp_path / "other.csv")
    with Writer(index) as writer:
        assert writer.commit(beside={"skipped.csv": b"none", "encoder.json": b"{}"}) == 2
        written = (index / "encoder.json").stat()
        add(writer, [30])
        assert writer.commit(beside={"skipped.csv": b"one", "encoder.json": b"{}"}) == 3
        assert os.path.samestat(written, (index / "encoder.json").stat())
    assert (tmp_path / "other.csv").read_text() == "of another"
    assert not (index / "skipped.csv").is_symlink()
    assert (index / "skipped.csv").read_bytes() == b"one"
    assert check(index).unchecked == ("encoder.json", "skipped.csv")
    assert check(index).leftovers == ()


@pytest.mark.parametrize("name", ["encoder.json", "skipped.csv"])
def test_a_hint_that_cannot_be_written_is_a_warning(
    name: str, index: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`skipped.csv` is none: what is lost there is told nowhere else."""

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(publishing, "replace", full)
    with Writer(index) as writer:
        add(writer, [30])
        if name == "skipped.csv":
            with pytest.raises(StoreError, match="No space left on device"):
                writer.commit(beside={name: b"{}"})
        else:
            assert writer.commit(beside={name: b"{}"}) == 3
            assert "encoder.json does not tell where the artifact is, so searches need --artifact" in caplog.text
            assert "No space left on device" in caplog.text
    assert check(index).version == 3
    assert not (index / name).exists()
