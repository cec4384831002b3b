"""Runs over images: new, changed, unusable, interrupted."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dqh.artifact import golden_files, save_artifact
from dqh.collection import TooManyUnusableError, comparing, index_images
from dqh.encoding.loaded_encoder import load_encoder
from dqh.errors import ConfigError, DataError, MismatchError, NoArtifactError, StoreError, TooManyBadImagesError
from dqh.index.store import Writer, check, open_index, remove, upkeep
from dqh.index.store.faults import Step, watched
from dqh.index.store.splitting import split
from dqh.locks import locked_file
from tests.artifact.conftest import images, make
from tests.data.conftest import picture, png
from tests.data.damage import damage


def rows_of(index: Path) -> dict[str, tuple[int, tuple[str, ...], bytes]]:
    version = open_index(index).version
    rows = version.rows(np.arange(len(version)))
    codes = version.codes(np.arange(len(version)))
    return {row.path: (row.id, row.labels, code.tobytes()) for row, code in zip(rows, codes, strict=True)}


def skipped_of(index: Path) -> dict[str, str]:
    with (index / "skipped.csv").open(newline="", errors="surrogateescape") as file:
        return {line["path"]: line["reason"] for line in csv.DictReader(file)}


def test_a_locked_index_is_refused_before_the_encoder_is_loaded(tmp_path: Path) -> None:
    """Here there is none, which is told where nobody has the index; nothing is made meanwhile."""
    index = tmp_path / "index"
    index.mkdir()
    with pytest.raises(NoArtifactError):
        index_images(tmp_path / "none", [tmp_path], index)
    assert list(index.iterdir()) == []
    with locked_file(index / "LOCK", error=StoreError), pytest.raises(StoreError, match="is being written by another"):
        index_images(tmp_path / "none", [tmp_path], index)
    with pytest.raises(NoArtifactError):
        index_images(tmp_path / "none", [tmp_path], index)
    (index / "LOCK").unlink()
    os.mkfifo(index / "LOCK")
    with pytest.raises(StoreError, match=rf"^{index / 'LOCK'} is no regular file, .*; move it away"):
        index_images(tmp_path / "none", [tmp_path], index)


def test_a_shard_is_refused_before_the_encoder_is_loaded(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path
) -> None:
    """New images go into the index that was cut; here they would get ids that another shard has."""
    index_images(artifact, [folder(5)], tmp_path / "index", device="cpu")
    shard, _ = split(tmp_path / "index", tmp_path / "shards", shards=2)
    with pytest.raises(StoreError, match=r"is shard 0 of 2 .* takes no new images"):
        index_images(tmp_path / "none", [tmp_path], shard)


def test_new_and_changed_images_alone_are_encoded(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path
) -> None:
    root, index = folder(5), tmp_path / "index"
    first = index_images(artifact, [root], index, device="cpu", portion=2)
    assert (first.added, first.replaced, first.unchanged, first.skipped, first.version) == (5, 0, 0, 0, 3)
    before = rows_of(index)
    assert {path: value[:2] for path, value in before.items()} == {
        "a/0.png": (0, ("a",)),
        "a/2.png": (1, ("a",)),
        "a/4.png": (2, ("a",)),
        "b/1.png": (3, ("b",)),
        "b/3.png": (4, ("b",)),
    }
    encoder = load_encoder(artifact, device="cpu")
    assert before["b/1.png"][2] == encoder.encode([root / "b" / "1.png"]).codes.tobytes()
    (root / "a" / "2.png").write_bytes(png(77))
    odd = os.fsdecode(b"caf\xe9.png")
    (root / odd).write_bytes(png(78))
    second = index_images(artifact, [root], index, device="cpu")
    assert (second.added, second.replaced, second.unchanged, second.rows) == (1, 1, 4, 6)
    after = rows_of(index)
    assert after["a/2.png"] == (1, ("a",), encoder.encode([png(77)]).codes.tobytes())
    assert after[odd][0] == 5
    third = index_images(artifact, [root], index, device="cpu")
    assert (third.added, third.replaced, third.unchanged, third.version) == (0, 0, 6, second.version)


def test_unusable_images_are_listed_and_odd_ones_are_used(artifact: Path, tmp_path: Path) -> None:
    root, index = tmp_path / "photos", tmp_path / "index"
    root.mkdir()
    grey = np.arange(480, dtype=np.uint16).reshape(20, 24) * 100
    Image.fromarray(grey).save(root / "16bit.png")
    picture(1).convert("CMYK").save(root / "cmyk.jpg")
    picture(2).convert("P").save(root / "palette.png")
    picture(3).save(root / "animated.gif", save_all=True, append_images=[picture(4)])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(5).save(root / "turned.jpg", exif=exif)
    (root / "empty.png").touch()
    (root / "truncated.png").write_bytes(png(6)[:60])
    (root / "text.jpg").write_text("text")
    bomb = bytearray(png(7))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height in the header
    (root / "bomb.png").write_bytes(bomb)
    (root / "dangling.jpg").symlink_to(root / "none")
    (root / "x.jpg").mkdir()
    with pytest.raises(
        TooManyBadImagesError, match=r"6 of 11 images cannot be used \(54.55%, above .*the first: .*bomb"
    ):
        index_images(artifact, [root], index, device="cpu")
    assert set(rows_of(index)) == {"16bit.png", "cmyk.jpg", "palette.png", "animated.gif", "turned.jpg"}
    skipped = skipped_of(index)
    assert set(skipped) == {
        str(root / name) for name in ("empty.png", "truncated.png", "text.jpg", "bomb.png", "dangling.jpg", "x.jpg")
    }
    assert skipped[str(root / "empty.png")] == "empty (0 bytes)"
    assert skipped[str(root / "dangling.jpg")] == "dangling link"
    assert index_images(artifact, [root], index, device="cpu", max_bad_fraction=0.6).unchanged == 5


def test_an_image_that_becomes_unusable_keeps_its_row(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path
) -> None:
    root, index = folder(2), tmp_path / "index"
    index_images(artifact, [root], index, device="cpu")
    before = rows_of(index)
    (root / "a" / "0.png").write_bytes(b"text")
    (root / "new.png").write_bytes(b"text")
    done = index_images(artifact, [root], index, device="cpu", max_bad_fraction=1)
    assert (done.skipped, done.stale, done.unchanged) == (2, 1, 1)
    assert rows_of(index) == before
    reason = "not an image in a known format (JPEG, PNG, BMP, WEBP, GIF, TIFF, PPM, AVIF)"
    assert skipped_of(index) == {
        str(root / "a" / "0.png"): f"{reason}; the index keeps its row of when it was usable",
        str(root / "new.png"): reason,
    }
    (root / "a" / "0.png").write_bytes(png(0))
    done = index_images(artifact, [root], index, device="cpu", max_bad_fraction=1)
    assert (done.skipped, done.stale, done.unchanged) == (1, 0, 2)


def test_other_labels_replace_those_of_an_image_without_encoding_it(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list names the labels; what says nothing of labels, as a single image or its own folder, changes none."""
    root, index, list_file = folder(4), tmp_path / "index", tmp_path / "list.txt"
    index_images(artifact, [root], index, device="cpu")
    before = rows_of(index)
    list_file.write_text("photos/a/0.png 1 1\nphotos/a/2.png 0 0\nphotos/b/1.png\nphotos/b/3.png 0 1\n")
    (root / "b" / "3.png").write_bytes(png(30))
    with monkeypatch.context() as patch:
        patch.setattr(upkeep, "_BLOCK", 1)
        done = index_images(artifact, [list_file], index, device="cpu")
    assert (done.replaced, done.relabelled, done.unchanged, done.images_per_s > 0) == (1, 2, 1, True)
    after = rows_of(index)
    assert {path: value[:2] for path, value in after.items()} == {
        "a/0.png": (0, ("0", "1")),
        "a/2.png": (1, ()),
        "b/1.png": (2, ("b",)),
        "b/3.png": (3, ("1",)),
    }
    assert [after[path][2] for path in list(after)[:3]] == [before[path][2] for path in list(before)[:3]]
    (root / "b" / "3.png").write_bytes(png(31))
    done = index_images(artifact, [root / "b", root / "a" / "0.png"], index, device="cpu")
    assert (done.replaced, done.relabelled, done.unchanged) == (1, 0, 2)
    assert {path: value[1] for path, value in rows_of(index).items()} == {path: v[1] for path, v in after.items()}
    done = index_images(artifact, [root], index, device="cpu")
    assert (done.relabelled, done.unchanged, done.images_per_s) == (3, 1, 0)
    assert {path: value[1] for path, value in rows_of(index).items()} == {path: v[1] for path, v in before.items()}
    assert check(index).problems == ()


def test_after_an_interrupted_run_every_unusable_image_is_listed(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two portions are committed, one image of each unusable, a third is not; then all of them are listed."""
    root, index = folder(9), tmp_path / "index"
    bad = [root / "a" / "2.png", root / "b" / "1.png", root / "b" / "7.png"]
    for file in bad:
        file.write_bytes(png(5)[:50])
    commit, calls = Writer.commit, []

    def killed(self: Writer, *, beside: dict[str, bytes]) -> int:
        calls.append(self)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return commit(self, beside=beside)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            index_images(artifact, [root], index, device="cpu", portion=3, max_bad_fraction=1)
    assert list(skipped_of(index)) == [str(file) for file in bad[:2]]
    done = index_images(artifact, [root], index, device="cpu", portion=3, max_bad_fraction=1)
    assert (done.added, done.skipped, done.unchanged) == (2, 3, 4)
    assert list(skipped_of(index)) == [str(file) for file in bad]


def test_a_run_that_was_ended_goes_on(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(7)
    index_images(artifact, [root], tmp_path / "straight", device="cpu", portion=3)
    add, calls = Writer.add, []

    def killed(self: Writer, *given: object) -> object:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return add(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            index_images(artifact, [root], tmp_path / "index", device="cpu", portion=3)
    assert len(rows_of(tmp_path / "index")) == 3
    done = index_images(artifact, [root], tmp_path / "index", device="cpu", portion=3)
    assert (done.added, done.unchanged) == (4, 3)
    assert rows_of(tmp_path / "index") == rows_of(tmp_path / "straight")


def test_what_a_killed_run_left_half_written_goes(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had announced; files that are only named like that stay."""
    root, index = folder(1), tmp_path / "index"
    index_images(artifact, [root], index, device="cpu")
    for name in (".skipped.csv.x1y2", ".mine"):
        (index / name).write_text("half")
    (root / "a" / "bad.png").write_bytes(png(5)[:50])

    def killed(step: Step, file: Path) -> None:
        if step is Step.FILE_HALF and file.name == ".skipped.csv.new":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, watched(killed):
        patch.setattr(Writer, "close", lambda self: self._held.close())  # nothing is cleared, as after a SIGKILL
        with pytest.raises(KeyboardInterrupt):
            index_images(artifact, [root], index, device="cpu", max_bad_fraction=1)
    assert {".skipped.csv.new", ".intent-1.json"} < {path.name for path in index.glob(".*")}
    index_images(artifact, [root], index, device="cpu", max_bad_fraction=1)
    assert sorted(path.name for path in index.glob(".*")) == [".mine", ".skipped.csv.x1y2"]
    assert list(skipped_of(index)) == [str(root / "a" / "bad.png")]


def test_images_outside_the_root_are_kept_relative_to_it_too(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path
) -> None:
    root, index = folder(2), tmp_path / "index"
    index_images(artifact, [root / "a"], index, device="cpu")
    index_images(artifact, [root], index, device="cpu")
    assert set(rows_of(index)) == {"0.png", "../b/1.png"}
    done = index_images(artifact, [root / "b", root / "a"], index, device="cpu")
    assert (done.added, done.unchanged) == (0, 2)
    assert remove(index, paths=[str(root / "b" / "1.png")]) == (1,)
    assert set(rows_of(index)) == {"0.png"}


def test_an_index_of_before_keeps_its_absolute_paths(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, index = folder(3), tmp_path / "index"
    index_images(artifact, [root / "a"], index, device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(comparing, "relative", lambda path, root: path.removeprefix(f"{root}/"))  # as it was
        index_images(artifact, [root / "b"], index, device="cpu")
    before = {"0.png", "2.png", str(root / "b" / "1.png")}
    assert set(rows_of(index)) == before
    (root / "b" / "3.png").write_bytes(png(3))
    done = index_images(artifact, [root], index, device="cpu")
    assert (done.added, done.replaced, done.relabelled) == (1, 0, 3)
    assert set(rows_of(index)) == before | {"../b/3.png"}


def test_another_encoder_and_impossible_numbers(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root, index = folder(1), tmp_path / "index"
    index_images(artifact, [root], index, device="cpu")
    other = make(seed=1)
    save_artifact(other, tmp_path / "other", golden=golden_files(other, images()))
    with pytest.raises(MismatchError, match=r"was made with encoder .*, these rows with "):
        index_images(tmp_path / "other", [root], index, device="cpu")
    with pytest.raises(
        ConfigError, match=r"portion must be at least 1, got 0\nmax_bad_fraction must be in 0 … 1, got 2"
    ):
        index_images(artifact, [root], index, portion=0, max_bad_fraction=2)


def test_too_many_unusable_images_tell_what_was_done_and_count_for_no_speed(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "text.jpg").write_text("text")
    with pytest.raises(TooManyUnusableError) as found:
        index_images(artifact, [tmp_path / "photos"], tmp_path / "index", device="cpu")
    done = found.value.done
    assert (done.skipped, done.rows, done.version, done.images_per_s) == (1, 0, 1, 0)


def test_what_an_index_cannot_hold_costs_one_row(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root, index = folder(3), tmp_path / "index"
    (root / "list.csv").write_text("path,hat\na/0.png,1\nb/1.png,1\n")
    names = [f"{number:04d}" * 60 for number in range(300)]
    (root / "wide.csv").write_text("\n".join([",".join(["path", *names]), ",".join(["a/2.png", *"1" * 300])]))
    done = index_images(artifact, [root / "list.csv", root / "wide.csv"], index, device="cpu", max_bad_fraction=1)
    assert (done.added, done.skipped) == (2, 1)
    assert "labels must be a tuple of at most 256 texts" in skipped_of(index)[str(root / "a/2.png")]


def test_a_line_that_cannot_be_used_costs_one_row(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path
) -> None:
    root, index = folder(3), tmp_path / "index"
    lines = [b"a/0.png\that", b"b/1.png\t" + b"x" * 40_000, b"y" * 80_000 + b".png\thats", b"a/2.png\thigh\0hat"]
    (root / "list.txt").write_bytes(b"\n".join([*lines, b"b/1.png\tcaf\xe9", b"a/2.png\tcap"]))
    done = index_images(artifact, [root / "list.txt"], index, device="cpu", max_bad_fraction=0.67)
    assert (done.added, done.skipped) == (2, 4)
    reasons = {int(path.removeprefix(f"{root}/list.txt:")): reason for path, reason in skipped_of(index).items()}
    assert list(reasons) == [2, 3, 4, 5]
    assert "a label of 40000 bytes, above 32768: 'b/1.png" in reasons[2]
    assert "a path of 80004 bytes, above 4096: 'yyy" in reasons[3]
    assert "the character NUL" in reasons[4]
    assert "is not UTF-8; write the list anew, from Latin-1 by iconv" in reasons[5]
    again = index_images(artifact, [root / "list.txt"], index, device="cpu", max_bad_fraction=0.67)
    assert (again.added, again.unchanged, again.skipped, again.stale) == (0, 2, 4, 0)
    with pytest.raises(
        TooManyUnusableError, match=r"4 of 6 images cannot .* above max_bad_fraction=0.5.*/list.txt:2': a label"
    ):
        index_images(artifact, [root / "list.txt"], index, device="cpu", max_bad_fraction=0.5)


def test_a_damaged_row_group_costs_its_rows(artifact: Path, tmp_path: Path) -> None:
    table = pa.table({"image": [png(number) for number in range(6)], "label": [1, None, 2, 3, -1, 1]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    damage(tmp_path / "t.parquet", column="image", group=1)
    done = index_images(artifact, [tmp_path / "t.parquet"], tmp_path / "index", device="cpu", max_bad_fraction=0.5)
    assert (done.added, done.skipped) == (3, 3)
    labels = {path: labels for path, (_, labels, _) in rows_of(tmp_path / "index").items()}
    assert labels == {"t.parquet#0": ("1",), "t.parquet#1": (), "t.parquet#5": ("1",)}
    reasons = {path.removeprefix(f"{tmp_path}/t.parquet"): why for path, why in skipped_of(tmp_path / "index").items()}
    assert reasons["#2"].startswith("row group 1 (rows 2 … 3) cannot be read: ")
    assert reasons["#3"] == reasons["#2"]
    assert reasons["#4"].startswith("the label -1; class numbers are whole, at least 0")


def test_a_folder_that_cannot_be_listed_is_told_and_counts_as_no_image(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `lost+found` on a disk of 50 photos, of which it would be 2 %."""
    root, index = folder(50), tmp_path / "index"
    (root / "lost+found").mkdir()
    (root / "loop").symlink_to("loop")
    scan = os.scandir

    def refused(path: str) -> object:
        if Path(path).name == "lost+found":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    done = index_images(artifact, [root], index, device="cpu", max_bad_fraction=0)
    assert (done.added, done.skipped) == (50, 0)
    assert skipped_of(index) == {str(root / "lost+found"): "a folder that was not looked into: Permission denied"}


def tags_of(index: Path) -> dict[str, dict[str, float]]:
    return {path: {tag.word: tag.weight for tag in tags} for path, tags in open_index(index).version.tags.items()}


def test_tags_come_with_the_images(
    artifact: Path, folder: Callable[[int], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the images of a later portion; a table of the second run replaces them; a run without one keeps them."""
    root, index = folder(5), tmp_path / "index"
    table = root / "tags.csv"
    table.write_text("file,tag,weight\na/0.png,red,1\na/0.png,round,0.5\nb/3.png,red,\nnone.png,red,1\na/2.png,,1\n")
    done = index_images(artifact, [root / "a", root / "b"], index, device="cpu", portion=2, tags=table)
    assert (done.added, done.version, done.tagged, done.tags_unused, done.tags_unknown) == (5, 3, 2, 2, 1)
    assert tags_of(index) == {"a/0.png": {"red": 1, "round": 0.5}, "b/3.png": {"red": 1}}
    assert skipped_of(index) == {
        f"{table}:5": "'none.png': no image of the index is called so",
        f"{table}:6": "no tag: 'a/2.png,,1'",
    }
    assert "2 lines of" in caplog.text
    assert "1 of them for files that the index does not have" in caplog.text
    again = index_images(artifact, [root / "a", root / "b"], index, device="cpu", tags=table)
    assert (again.version, again.tagged) == (3, 2)
    assert index_images(artifact, [root / "a"], index, device="cpu").tagged == 2
    assert skipped_of(index) == {}
    (root / "a" / "0.png").write_bytes(png(77))
    table.write_text("a/0.png,blue\n")
    done = index_images(artifact, [root / "a"], index, device="cpu", tags=table)
    assert (done.replaced, done.version, done.tagged, done.tags_unused) == (1, 4, 1, 0)
    assert tags_of(index) == {"a/0.png": {"blue": 1}}
    remove(index, paths=["a/0.png"])
    assert tags_of(index) == {}
    assert check(index).problems == ()


def test_tables_of_tags_that_are_refused(artifact: Path, folder: Callable[[int], Path], tmp_path: Path) -> None:
    root, index = folder(2), tmp_path / "index"
    (tmp_path / "tags.csv").write_text("x.png,red\n")
    with pytest.raises(DataError, match=r"none of the 1 file of .*tags\.csv is an image of the index, first 'x\.png'"):
        index_images(artifact, [root], index, device="cpu", tags=tmp_path / "tags.csv")
    (tmp_path / "tags.csv").write_text("")
    with pytest.raises(DataError, match="is empty"):
        index_images(artifact, [root], index, device="cpu", tags=tmp_path / "tags.csv")
    (tmp_path / "tags.csv").write_text("file,tag\n")
    assert index_images(artifact, [root], index, device="cpu", tags=tmp_path / "tags.csv").tagged == 0
