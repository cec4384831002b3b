import errno
import logging
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from dqh.errors import MismatchError, NoStoreError, StoreError, StoreLimitError
from dqh.index.store import Header, Row, Writer, check
from dqh.index.store.faults import Step, watched
from dqh.quantizers import Threshold
from tests.index.store.conftest import (
    EDITIONS,
    ENCODER,
    FEATURES,
    HEADER,
    add,
    content,
    descriptors,
    expected,
    flip,
    opened,
    payload,
    replace,
)


def test_versions_follow_one_another(index: Path) -> None:
    assert content(index) == expected(EDITIONS)
    with Writer(index) as writer:
        assert writer.manifest is not None
        assert writer.manifest.version == 2
        assert writer.commit() == 2  # nothing has changed
        assert add(writer, [30]).tolist() == [25]
        assert writer.commit() == 3
    assert sorted(path.name for path in index.glob("v*.json")) == ["v3.json"]


def test_adding_in_batches_equals_adding_once(tmp_path: Path) -> None:
    for name, sizes in (("once", [20]), ("batches", [1, 7, 0, 12])):
        with Writer(tmp_path / name, HEADER, segment_rows=8) as writer:
            start = 0
            for size in sizes:
                assert add(writer, list(range(start, start + size))).tolist() == list(range(start, start + size))
                start += size
            writer.commit()
    assert content(tmp_path / "once") == content(tmp_path / "batches") == expected(dict.fromkeys(range(20), 0))
    names = [sorted(path.name for path in (tmp_path / name / "segments").iterdir()) for name in ("once", "batches")]
    assert names[0] == names[1] == [f"000000001-{number:06d}" for number in range(3)]


def test_rows_of_another_index_keep_their_ids(tmp_path: Path) -> None:
    with Writer(tmp_path, HEADER) as writer:
        add(writer, [0])
        rows, codes, _, features = payload([5, 9])
        for ids in ([5], [9, 5], [5, 5], [0, 5]):
            with pytest.raises(ValueError, match="ids must be 2 ascending ones from 1 on"):
                writer.add(rows, codes, features, ids=np.array(ids))
        assert writer.add(rows, codes, features, ids=np.array([5, 9])).tolist() == [5, 9]
        writer.commit()
        assert add(writer, [10]).tolist() == [10]
        with pytest.raises(StoreError, match="none beyond"):
            writer.add([Row("last.jpg")], codes[:1], features[:1], ids=np.array([2**62 - 1]))
    assert opened(tmp_path).ids.tolist() == [0, 5, 9]


def test_an_id_is_never_given_twice(tmp_path: Path) -> None:
    with Writer(tmp_path, HEADER) as writer:
        add(writer, [0, 1, 2])
        writer.commit()
        writer.delete([2])
        writer.commit()
        assert add(writer, [2]).tolist() == [3]
        writer.commit()
        writer.compact()
    with Writer(tmp_path) as writer:
        writer.delete([3])
        assert add(writer, [2]).tolist() == [4]


def test_changes_within_one_commit(tmp_path: Path) -> None:
    """What was added, replaced and deleted before the commit appears as it is at the end."""
    with Writer(tmp_path, HEADER, segment_rows=2) as writer:
        add(writer, [0, 1, 2, 3, 4])
        assert replace(writer, [0, 3], 1).tolist() == [0, 3]
        replace(writer, [0], 2)
        writer.delete([1, 4])
        assert writer.find("0\udcff.jpg") == (0, 7, bytes([0, 2]), ("class 0", "edition 2"), None, None)
        assert writer.find("1\udcff.jpg", (0, 0, 2, 2)) is None
        assert {key[0]: known.id for key, known in writer.known()} == {f"{n}\udcff.jpg": n for n in (0, 2, 3)}
        assert writer.commit() == 1
    assert content(tmp_path) == expected({0: 2, 2: 0, 3: 1})


def test_boxes_of_one_image_are_rows_of_their_own(tmp_path: Path) -> None:
    _, codes, _, features = payload([0, 1])
    rows = [Row("a.jpg", (), (0, 0, 1, 1)), Row("a.jpg", (), (0, 0, 1.1, 1))]
    with Writer(tmp_path, HEADER) as writer:
        writer.add(rows, codes, features)
        writer.commit()
        assert writer.replace(rows[1:], codes[:1], features[:1]).tolist() == [1]  # 1.1 is kept as float32
        assert writer.find("a.jpg", (0, 0, 1.1, 1)) == (1, 2, b"", (), None, None)
        with pytest.raises(ValueError, match=r"1 rows are in the index already, first 'a.jpg'; replace them"):
            writer.add(rows[:1], codes[:1], features[:1])


def test_compaction_keeps_ids_and_lets_deleted_rows_go(index: Path) -> None:
    before = content(index)
    with Writer(index, segment_rows=8) as writer:
        assert writer.compact() == 3
        assert writer.compact() == 3  # nothing is left to do
        assert writer.manifest is not None
        assert [segment.rows for segment in writer.manifest.segments] == [8, 8, 7]
        replace(writer, [0], 1)
        with pytest.raises(StoreError, match=r"has changes that are not committed; call commit\(\) first"):
            writer.compact()
        assert writer.commit() == 4
    assert content(index) == expected(EDITIONS | {0: 1})
    assert opened(index).manifest.next_id == 25
    assert before == expected(EDITIONS)
    assert sorted(path.name for path in (index / "deleted").iterdir()) == ["4.bitmap"]


def test_compaction_refuses_damaged_rows(index: Path) -> None:
    file = index / "segments" / "000000001-000001" / "features.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    writer = Writer(index, segment_rows=4)
    with pytest.raises(StoreError, match=r"features.npy is damaged in 1 of \d rows read"):
        writer.compact()
    with pytest.raises(StoreError, match="is closed; make a new one"):
        writer.commit()
    assert opened(index).manifest.version == 2
    assert not list((index / "segments").glob("000000003*"))


def test_without_a_commit_nothing_stays(index: Path) -> None:
    before = sorted(index.rglob("*"))
    with Writer(index, segment_rows=2) as writer:
        add(writer, [30, 31, 32])
        assert len(list((index / "segments").iterdir())) == 5
    assert sorted(index.rglob("*")) == before
    with pytest.raises(StoreError, match=r"the writer of .* is closed"):
        writer.delete([0])


def test_an_empty_index(tmp_path: Path) -> None:
    with Writer(tmp_path / "a" / "b", HEADER) as writer:
        assert writer.commit() == 1
        assert writer.compact() == 1
    assert content(tmp_path / "a" / "b") == []
    assert check(tmp_path / "a" / "b").problems == ()


def test_one_writer_at_a_time(index: Path) -> None:
    with Writer(index), pytest.raises(StoreError, match="is being written by another process; wait until it ends"):
        Writer(index)
    Writer(index).close()


def test_a_writer_without_the_lock_publishes_nothing(index: Path) -> None:
    """As on a file system where locks do not work: the version that the other one made is not replaced."""
    with Writer(index) as writer:
        add(writer, [30])
        (index / "v3.json").write_bytes(b"of another writer")
        with pytest.raises(StoreError, match=r"v3.json exists already: another writer was at work"):
            writer.commit()
    assert (index / "v3.json").read_bytes() == b"of another writer"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            HEADER._replace(encoder_id="another"),
            f"made with encoder {ENCODER}, these rows with another; use the artifact",
        ),
        (HEADER._replace(precision="bfloat16"), "made with precision float32, these rows with bfloat16"),
        (
            HEADER._replace(feature_size=7),
            "made with feature size 6, these rows with 7;.*dqh index ARTIFACT IMAGES --out NEW",
        ),
        (HEADER._replace(quantizer=Threshold(13)), "has binary codes of 12 bits"),
    ],
)
def test_another_encoder_is_refused(index: Path, header: Header, message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        Writer(index, header)
    with Writer(index, HEADER._replace(root="/elsewhere")) as writer:
        add(writer, [30])
        writer.commit()
    assert opened(index).manifest.root == "/photos"


def test_places_that_are_no_index(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError, match=r"no index at .*; make one with dqh index"):
        Writer(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(NoStoreError, match=r"is no index and holds 'holiday.jpg'; name an empty folder"):
        Writer(tmp_path, HEADER)
    with pytest.raises(NoStoreError, match=r"holiday.jpg is a file; name a folder"):
        Writer(tmp_path / "holiday.jpg", HEADER)
    (tmp_path / "link").symlink_to("nowhere")
    for header, begin in ((HEADER, ""), (None, "no index at .*: ")):
        with pytest.raises(
            NoStoreError, match=f"^{begin}.*link is a symbolic link to 'nowhere', where nothing is; make"
        ):
            Writer(tmp_path / "link", header)
    with pytest.raises(ValueError, match="segment_rows must be at least 1, got 0"):
        Writer(tmp_path / "new", HEADER, segment_rows=0)


def broken(codes: np.ndarray | None = None, features: np.ndarray | None = None, rows: list[Row] | None = None) -> dict:
    good = payload([50, 51])
    return {
        "rows": good.rows if rows is None else rows,
        "codes": good.codes if codes is None else codes,
        "features": good.features if features is None else features,
    }


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (broken(rows=[Row("a")]), "rows and codes must be as many, got 1 rows and 2 codes"),
        (broken(rows=[Row("a"), Row("a")]), "rows must differ in path or box"),
        (broken(rows=[Row("a"), Row("")]), "path must not be empty"),
        (broken(codes=np.zeros((2, 3), np.uint8)), r"codes of 12 bits must be uint8 of shape \(N, 2\)"),
        (broken(codes=np.full((2, 2), 16, np.uint8)), "codes of 12 bits must have zeros after bit 12"),
        (broken(features=np.zeros((2, 5), np.float32)), r"features must be float32 or float16 of shape \(2, 6\)"),
        (broken(features=np.zeros((2, FEATURES))), "got float64"),
        (broken(features=np.full((2, FEATURES), np.nan, np.float32)), "features must be finite and at most 65504"),
        (broken(features=np.full((2, FEATURES), 7e4, np.float32)), "scale them down"),
    ],
)
def test_batches_that_are_refused_change_nothing(index: Path, batch: dict, message: str) -> None:
    with Writer(index) as writer:
        for change in (writer.add, writer.replace):
            with pytest.raises(ValueError, match=message):
                change(**batch)
        assert writer.commit() == 2


def test_changes_to_what_is_not_there(index: Path) -> None:
    with Writer(index) as writer:
        with pytest.raises(ValueError, match=r"1 rows are not in the index, first '5.*; add them"):
            replace(writer, [4, 5], 7)
        with pytest.raises(ValueError, match=r"each named once; not there: \[5, 99\]"):
            writer.delete([0, 5, 99])
        with pytest.raises(ValueError, match="each named once"):
            writer.delete([0, 0])
        assert writer.commit() == 2


def test_a_full_disk_leaves_the_old_version(index: Path) -> None:
    """The operating system refuses to make a file longer than 600 bytes, in the middle of a segment."""
    before, files = content(index), sorted(index.rglob("*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = Writer(index)
    add(writer, list(range(100, 140)))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, limits[1]))
        with pytest.raises(StoreError, match=r"File too large.*; the index stays at version 2; mend that"):
            writer.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert content(index) == before
    assert sorted(index.rglob("*")) == files
    with Writer(index) as again:
        add(again, list(range(100, 140)))
        assert again.commit() == 3


@pytest.mark.slow
def test_an_error_at_any_step_leaves_the_old_or_the_new_version(tmp_path: Path) -> None:
    """No space is left at step n, for every n; the text says which version there is, and the next writer goes on."""
    old, new = dict.fromkeys(range(4), 0), {0: 1, 2: 0, 3: 0, 4: 0}
    for number in range(1000):
        path = tmp_path / str(number)
        with Writer(path, HEADER) as writer:
            add(writer, [0, 1, 2, 3])
            writer.commit()
        reached: list[Step] = []

        def full(step: Step, file: Path, *, reached: list[Step] = reached, number: int = number) -> None:
            reached.append(step)
            if len(reached) == number + 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

        message = None
        with watched(full), Writer(path) as writer:
            try:
                add(writer, [4])
                replace(writer, [0], 1)
                writer.delete([1])
                writer.commit()
            except StoreError as error:
                message = str(error)
        linked = Step.LINKED in reached
        assert content(path) == expected(new if linked else old)
        if message:
            there = "version 2 is there, but may not survive a power cut"
            assert (there if linked else "the index stays at version 1; make room, and run") in message
        with Writer(path) as writer:
            add(writer, [5])
            assert writer.commit() == 2 + linked
        assert check(path).problems == check(path).leftovers == ()
        if len(reached) <= number:
            assert message is None
            assert number > 40
            return
    pytest.fail("the steps do not end")


def test_the_limit_of_open_files_is_told_as_such(index: Path) -> None:
    with descriptors(0), pytest.raises(StoreLimitError, match=r"Too many open files.*stays as it is; raise the limit"):
        Writer(index)
    with Writer(index) as writer:
        add(writer, [30])
        with descriptors(0), pytest.raises(StoreLimitError, match="the index stays at version 2; raise the limit"):
            writer.commit()
    with (
        Writer(index.with_name("new"), HEADER) as writer,
        descriptors(0),
        pytest.raises(StoreLimitError, match="the index stays without a version; raise the limit"),
    ):
        writer.commit()
    assert content(index) == expected(EDITIONS)


def test_a_place_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoStoreError, match=f"^{tmp_path / 'file'} is a file; name a folder$"):
        Writer(tmp_path / "file" / "index", HEADER)


@pytest.mark.parametrize("name", ["quantizer.safetensors", "deleted/2.bitmap", "segments/000000001-000001/codes.npy"])
def test_a_missing_file_is_named(index: Path, name: str) -> None:
    (index / name).unlink()
    for act in (lambda writer: writer.compact(), lambda writer: writer.find("a.jpg"), lambda writer: writer.opened()):
        with (
            pytest.raises(StoreError, match=rf"is incomplete: .*{name} is missing; copy the whole folder$"),
            Writer(index) as writer,
        ):
            act(writer)


def test_compaction_tells_damage_where_there_is_nothing_to_merge(tmp_path: Path) -> None:
    with Writer(tmp_path, HEADER) as writer:
        add(writer, [0, 1])
        writer.commit()
    flip(tmp_path / "segments" / "000000001-000000" / "codes.npy")
    with Writer(tmp_path) as writer, pytest.raises(StoreError, match=r"codes.npy is damaged.*copy the index again"):
        writer.compact()


def test_what_is_opened_is_what_was_committed(tmp_path: Path) -> None:
    with Writer(tmp_path, HEADER) as writer:
        with pytest.raises(StoreError, match=r"has no version yet; call commit\(\) first"):
            writer.opened()
        add(writer, [0])
        writer.commit()
        add(writer, [1])
        assert writer.opened().ids.tolist() == [0]


def test_what_cannot_be_removed_is_left_for_later(index: Path, caplog: pytest.LogCaptureFixture) -> None:
    def stuck(step: Step, file: Path) -> None:
        if step is Step.REMOVED and file.name == "v2.json":
            raise PermissionError(errno.EPERM, "not permitted", str(file))

    with Writer(index) as writer:
        writer.delete([0])
        with watched(stuck), caplog.at_level(logging.WARNING):
            assert writer.commit() == 3
    assert "files of the version before stay until the next writer" in caplog.text
    assert opened(index).manifest.version == 3
