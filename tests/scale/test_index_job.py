"""Indexing by partitions: the same index, whatever made it, and whatever happened on the way."""

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.collection import TooManyUnusableError, index_images
from dqh.errors import ConfigError
from dqh.executors import Executor, Failure, SerialExecutor
from dqh.index.store import check, open_index
from dqh.scale import index_job
from dqh.scale.index_job import PartitionedIndexing
from dqh.scale.part_files import read_part
from tests.data.conftest import png
from tests.test_executors import started


def content(index: Path) -> list[tuple[Any, ...]]:
    """All that an index has, to the last bit."""
    version = open_index(index).version
    places = np.arange(len(version))
    rows, codes = version.rows(places), version.codes(places)
    features = version.read_features(places)
    return [(row, code.tobytes(), own.tobytes()) for row, code, own in zip(rows, codes, features, strict=True)]


def indexed(artifact: Path, images: Path | str, out: Path, executor: Executor, **options: Any) -> Any:
    job = PartitionedIndexing(executor, **options)
    return index_images(artifact, [images], out, device="cpu", batch_size=2, elsewhere=job, max_bad_fraction=0.5)


@pytest.fixture
def photos(folder: Callable[[int], Path]) -> Path:
    """21 photos, of which two cannot be used."""
    root = folder(19)
    (root / "a" / "1bad.png").write_text("text")
    (root / "b" / "2bad.png").touch()
    return root


@pytest.mark.slow
def test_partitions_change_nothing(artifact: Path, photos: Path, tmp_path: Path) -> None:
    """21 images in batches of two: up to eleven partitions."""
    index_images(artifact, [photos], tmp_path / "plain", device="cpu", batch_size=2, max_bad_fraction=0.5)
    wanted = content(tmp_path / "plain")
    assert [row[0].id for row in wanted] == list(range(19))
    for asked, got in ((1, 1), (8, 6), (40, 11)):
        out = tmp_path / f"index-{asked}"
        with SerialExecutor() as executor:
            done = indexed(artifact, photos, out, executor, partitions=asked)
        assert (len(done.partitions), done.added, done.skipped, done.failed) == (got, 19, 2, 0)
        assert {row.state for row in done.partitions} == {"encoded"}
        assert sum(row.images for row in done.partitions) == 21
        assert content(out) == wanted
        assert len(open_index(out).version.manifest.segments) == got
        assert (out / "skipped.csv").read_bytes() == (tmp_path / "plain" / "skipped.csv").read_bytes()
        assert (out / "failed.csv").read_text() == "partition,images,first,last,attempts,reason\n"
        assert check(out).problems == ()
        assert not out.with_name(f"{out.name}.parts").exists()


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in ("local", "ray", "spark")])
def test_workers_of_every_executor_read_stores_themselves(
    name: str, artifact: Path, photos: Path, tmp_path: Path
) -> None:
    """Images by the URL of a disk, which other processes see: the index of those by their path, but for that."""
    index_images(artifact, [photos], tmp_path / "plain", device="cpu", batch_size=2, max_bad_fraction=0.5)
    url = f"file://{photos}"
    with started(name) as executor:
        done = indexed(artifact, url, tmp_path / "index", executor, partitions=3)
        assert (done.added, done.skipped, done.failed) == (19, 2, 0)
        assert content(tmp_path / "index") == content(tmp_path / "plain")
        again = indexed(artifact, url, tmp_path / "index", executor, partitions=3)
        assert (again.added, again.unchanged, again.skipped) == (0, 19, 2)
    assert open_index(tmp_path / "index").version.manifest.root == url
    assert f"{url}/a/1bad.png," in (tmp_path / "index" / "skipped.csv").read_text()


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in ("local", "ray", "spark")])
def test_every_executor_makes_the_same_index(name: str, artifact: Path, photos: Path, tmp_path: Path) -> None:
    index_images(artifact, [photos], tmp_path / "plain", device="cpu", batch_size=2, max_bad_fraction=0.5)
    with started(name) as executor:
        for count in (1, 8):
            indexed(artifact, photos, tmp_path / str(count), executor, partitions=count)
            assert content(tmp_path / str(count)) == content(tmp_path / "plain")


@pytest.mark.slow
def test_changed_images_tables_and_labels(artifact: Path, photos: Path, tmp_path: Path) -> None:
    """A second run has new images of a table and a changed one, whose id stays."""
    table = tmp_path / "more.parquet"
    images = [{"bytes": png(200 + number), "path": ""} for number in range(5)]
    pq.write_table(pa.table({"image": images, "label": ["x", "y", "x", "y", "x"]}), table, row_group_size=2)
    for out in ("plain", "parts"):
        index_images(artifact, [photos], tmp_path / out, device="cpu", batch_size=2, max_bad_fraction=0.5)
    (photos / "a" / "2.png").write_bytes(png(99))
    both = [photos, table]
    one = index_images(artifact, both, tmp_path / "plain", device="cpu", batch_size=2, max_bad_fraction=0.5)
    with SerialExecutor() as executor:
        job = PartitionedIndexing(executor, partitions=4)
        other = index_images(
            artifact, both, tmp_path / "parts", device="cpu", batch_size=2, max_bad_fraction=0.5, elsewhere=job
        )
    assert (one.added, one.replaced, one.unchanged) == (other.added, other.replaced, other.unchanged) == (5, 1, 18)
    assert content(tmp_path / "plain") == content(tmp_path / "parts")


class Failing(SerialExecutor):
    """Fails some partitions, or stops behind some."""

    def __init__(self, *, fails: tuple[int, ...] = (), stops: int | None = None) -> None:
        super().__init__()
        self.fails, self.stops, self.asked = fails, stops, 0

    def run(self, setup: Any, task: Any, partitions: Any, *, retries: int = 2) -> Any:
        self.asked = len(partitions)
        for number, partition in enumerate(partitions):
            if self.stops == number:
                raise KeyboardInterrupt
            if number in self.fails:
                yield number, Failure("lost", "its process ended (SIGKILL)", 3)
            else:
                yield from ((number, result) for _, result in super().run(setup, task, [partition]))


@pytest.mark.slow
def test_an_interrupted_job_goes_on_by_partitions(artifact: Path, photos: Path, tmp_path: Path) -> None:
    """Three of six are done when it stops; one of their files is damaged since, and made anew with the other three."""
    out, parts = tmp_path / "index", tmp_path / "index.parts"
    index_images(artifact, [photos], tmp_path / "plain", device="cpu", batch_size=2, max_bad_fraction=0.5)
    with pytest.raises(KeyboardInterrupt):
        indexed(artifact, photos, out, Failing(stops=3), partitions=6)
    names = sorted(file.stem for file in parts.glob("part-*.json"))
    assert len(names) == 3
    assert list(out.glob("v*.json")) == []
    damaged = parts / f"{names[0]}.safetensors"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert read_part(parts, names[0]) is None
    executor = Failing()
    done = indexed(artifact, photos, out, executor, partitions=6)
    assert executor.asked == 4
    assert sorted(row.state for row in done.partitions) == ["encoded"] * 4 + ["kept"] * 2
    assert content(out) == content(tmp_path / "plain")
    assert not parts.exists()


@pytest.mark.slow
def test_parts_of_other_images_are_removed(artifact: Path, photos: Path, tmp_path: Path) -> None:
    out, parts = tmp_path / "index", tmp_path / "index.parts"
    with pytest.raises(KeyboardInterrupt):
        indexed(artifact, photos, out, Failing(stops=3), partitions=6)
    (photos / "a" / "000.png").write_bytes(png(50))
    with pytest.raises(KeyboardInterrupt):
        indexed(artifact, photos, out, Failing(stops=0), partitions=6)
    assert sorted(file.name for file in parts.iterdir()) == ["job.json", "job.lock"]
    (parts / "of mine").touch()
    indexed(artifact, photos, out, Failing(), partitions=6)
    assert [file.name for file in parts.iterdir()] == ["of mine"]


def test_a_folder_of_something_else_is_left_alone(artifact: Path, photos: Path, tmp_path: Path) -> None:
    parts = tmp_path / "index.parts"
    parts.mkdir()
    (parts / "part-of-me.json").touch()
    with pytest.raises(ConfigError, match=r"holds files that are not of a job for .*index; name another folder"):
        indexed(artifact, photos, tmp_path / "index", Failing(), partitions=6)
    assert [file.name for file in parts.iterdir()] == ["part-of-me.json"]


@pytest.mark.slow
def test_failed_partitions_are_named_and_come_with_the_next_run(artifact: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    job = PartitionedIndexing(Failing(fails=(1,)), partitions=6)
    with pytest.raises(
        TooManyUnusableError, match=r"^4 of 21 images lie in partitions that failed, listed in .*failed\.csv, and 1 "
    ) as caught:
        index_images(artifact, [photos], out, device="cpu", batch_size=2, elsewhere=job)
    assert caught.value.exit_status == 3
    done = caught.value.done
    assert (done.failed, done.rows, done.skipped) == (4, 16, 1)
    with (out / "failed.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["partition"], line["images"], line["attempts"]) == ("1", "4", "3")
    assert line["reason"] == "its process ended (SIGKILL)"
    again = indexed(artifact, photos, out, SerialExecutor(), partitions=6)
    assert (again.added, again.failed, again.rows) == (3, 0, 19)
    wanted = {row.path: rest for row, *rest in content(plain(artifact, photos, tmp_path))}
    assert {row.path: rest for row, *rest in content(out)} == wanted  # their ids are in the order of the runs
    index_images(artifact, [photos], out, device="cpu", max_bad_fraction=0.5)
    assert (out / "failed.csv").read_text() == "partition,images,first,last,attempts,reason\n"


def plain(artifact: Path, photos: Path, tmp_path: Path) -> Path:
    index_images(artifact, [photos], tmp_path / "plain", device="cpu", batch_size=2, max_bad_fraction=0.5)
    return tmp_path / "plain"


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(artifact: Path, photos: Path, tmp_path: Path) -> None:
    """The first worker that has written a part is killed at once."""
    out = tmp_path / "index"
    program = f"""
import os, signal
from pathlib import Path
from dqh.collection import index_images
from dqh.process_executor import ProcessExecutor
from dqh.scale.index_job import PartitionedIndexing

class Killing(ProcessExecutor):
    def run(self, *arguments, **options):
        for number, result in super().run(*arguments, **options):
            if number == 0:
                os.kill(int(result.worker.rpartition(":")[2]), signal.SIGKILL)
            yield number, result

if __name__ == "__main__":
    with Killing(workers=1) as executor:
        job = PartitionedIndexing(executor, partitions=6)
        done = index_images({str(artifact)!r}, [{str(photos)!r}], {str(out)!r}, device="cpu", batch_size=2,
                            max_bad_fraction=0.5, elsewhere=job)
        print(len({{row.worker for row in done.partitions}}))
"""
    script = tmp_path / "script.py"
    script.write_text(program)
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "2\n"), ended.stderr
    assert content(out) == content(plain(artifact, photos, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_job_that_is_ended_leaves_what_is_finished(
    number: signal.Signals, artifact: Path, photos: Path, tmp_path: Path
) -> None:
    """The command is ended when it has a part, and goes on from there; no process of it is left."""
    out, parts = tmp_path / "index", tmp_path / "index.parts"
    command = [sys.executable, "-m", "dqh.cli", "index", artifact, photos, "--out", out, "--device", "cpu"]
    command += ["--batch-size", "2", "--max-bad-fraction", "0.5", "--executor", "local", "--workers", "1"]
    command += ["--partitions", "11"]
    job = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    while not list(parts.glob("part-*.json")):
        assert job.poll() is None
        time.sleep(0.01)
    job.send_signal(number)
    job.communicate(timeout=60)
    assert job.returncode == (130 if number == signal.SIGINT else -9)
    assert open_or_none(out) is None
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert "of an earlier run taken as they are" in ended.stderr
    assert content(out) == content(plain(artifact, photos, tmp_path))


def open_or_none(index: Path) -> list[str] | None:
    return [file.name for file in index.glob("v*.json")] or None


@pytest.mark.parametrize(("options", "message"), [({"partitions": 0}, "partitions"), ({"retries": -1}, "retries")])
def test_numbers_out_of_range(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=f"{message} must be at least"):
        PartitionedIndexing(SerialExecutor(), **options)


@pytest.mark.slow
def test_a_part_that_this_machine_does_not_see(
    artifact: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_job, "write_part", lambda *arguments: None)
    done = indexed_or_done(artifact, photos, tmp_path / "index")
    assert {row.state for row in done.partitions} == {"failed"}
    assert "name a folder that all machines see" in done.partitions[0].reason
    assert done.rows == 0


def indexed_or_done(artifact: Path, photos: Path, out: Path) -> Any:
    with pytest.raises(TooManyUnusableError) as caught:
        indexed(artifact, photos, out, SerialExecutor(), partitions=2)
    return caught.value.done
