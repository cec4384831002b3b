import errno
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.data import store as store_module
from dqh.data.digits import Digits
from dqh.data.features import Features
from dqh.data.store import Store
from dqh.errors import ConfigError, DqhError, SystemLimitError
from dqh.inputs import InputSpec
from tests.data.memory import Memory

SPEC = InputSpec(size=4, resize=4)
GROUPS = [np.array([7, 2, 1]), np.array([2]), np.array([0, 0, 9]), np.array([], dtype=np.int64)]


def source(**options):
    return Memory(np.zeros(10, int), bad=[2, 5], **options)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("loaded", [[], range(10), range(5)], ids=["nothing", "all", "some"])
def test_batches_keep_order_and_leave_bad_rows_out(workers, loaded):
    """Rows 2 and 5 are bad; a group of bad rows alone is an empty batch. The value of row r is r."""
    store = Store(source(), SPEC, workers=workers)
    if loaded:
        store.load(np.array(loaded))
    batches = list(store.batches(iter(GROUPS)))
    assert [batch.rows.tolist() for batch in batches] == [[7, 1], [], [0, 0, 9], []]
    for batch in batches:
        assert batch.images.dtype == torch.uint8
        assert batch.images.shape == (len(batch.rows), 3, 4, 4)
        assert batch.images[:, 0, 0, 0].tolist() == batch.rows.tolist()
    assert store.skipped[2] == "row 2 is bad"
    assert (5 in store.skipped) == bool(len(loaded) == 10)


@pytest.mark.parametrize("workers", [0, 2])
def test_groups_of_many_bytes_are_decoded_in_parts(workers, monkeypatch):
    """Two images of 48 bytes a part: 7 rows of which 2 and 5 are bad are 4 parts, and one batch."""
    monkeypatch.setattr(store_module, "_PART_BYTES", 100)
    store = Store(source(), SPEC, workers=workers)
    groups = [np.arange(7), np.array([2, 5]), np.array([9]), np.array([], dtype=np.int64)]
    batches = list(store.batches(iter(groups)))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1, 3, 4, 6], [], [9], []]
    assert all(batch.images[:, 0, 0, 0].tolist() == batch.rows.tolist() for batch in batches)
    assert batches[0].images.is_contiguous(memory_format=torch.channels_last)
    assert store.skipped == {2: "row 2 is bad", 5: "row 5 is bad"}


def test_loading_decodes_once():
    class Counting(Memory):
        reads = 0

        def read(self, row):
            type(self).reads += 1
            return super().read(row)

    store = Store(Counting(np.zeros(10, int), bad=[2]), SPEC)
    store.load(np.array([3, 1, 2, 3]))
    store.load(np.array([1, 2]))
    for _ in range(3):
        assert [batch.rows.tolist() for batch in store.batches([np.array([1, 2, 3])])] == [[1, 3]]
    assert Counting.reads == 3


def test_what_does_not_fit_is_decoded_when_it_is_read(caplog):
    """10 rows of 3 × 4 × 4 bytes are 480 bytes."""
    caplog.set_level(logging.INFO)
    store = Store(source(), SPEC, memory_limit=479)
    store.load(np.arange(10))
    assert "decoded whenever they are read" in caplog.text
    assert store.skipped == {}
    assert next(store.batches([np.array([3])])).images[0, 0, 0, 0] == 3
    enough = Store(source(), SPEC, memory_limit=480)
    enough.load(np.arange(10))
    assert enough.skipped.keys() == {2, 5}


@pytest.mark.parametrize("loaded", [False, True])
def test_batches_are_cropped_to_their_centre(loaded):
    """R = 8, S = 5: the crop begins at (8 − 5) // 2 = 1."""
    store = Store(Digits(), InputSpec(size=5, resize=8))
    rows = np.array([4, 0])
    if loaded:
        store.load(rows)
    batch = next(store.batches([rows], size=5))
    np.testing.assert_array_equal(batch.images.numpy(), Digits().read_many(rows)[:, :, 1:6, 1:6])
    with pytest.raises(ValueError, match="size=9 is larger"):
        next(store.batches([rows], size=9))


@pytest.mark.parametrize("loaded", [False, True])
def test_a_batch_is_a_copy(loaded):
    store = Store(Digits(), InputSpec(size=8, resize=8))
    if loaded:
        store.load(np.arange(3))
    next(store.batches([np.arange(3)])).images.zero_()
    assert next(store.batches([np.arange(3)])).images.sum() > 0


@pytest.mark.parametrize("loaded", [False, True])
def test_a_shared_store_arrives_with_its_images_and_without_a_copy_of_them(tmp_path, loaded):
    """The file may go once it has been read."""
    store = Store(Digits(), InputSpec(size=8, resize=8))
    rows = np.array([4, 0])
    if loaded:
        store.load(np.arange(1797))
    store.share(tmp_path / "images.npy")
    sent = pickle.dumps(store)
    assert (tmp_path / "images.npy").exists() == loaded
    assert store.__getstate__()["_images"] is None
    arrived = pickle.loads(sent)
    if loaded:
        (tmp_path / "images.npy").unlink()
    for each in (store, arrived):
        np.testing.assert_array_equal(next(each.batches([rows])).images.numpy(), Digits().read_many(rows))
    arrived.load(np.arange(10))
    assert torch.equal(next(arrived.batches([rows])).images, next(store.batches([rows])).images)


def test_vectors_are_float(tmp_path):
    np.save(tmp_path / "features.npy", np.array([[1, 2], [np.inf, 1], [3, 4]], np.float16))
    np.save(tmp_path / "labels.npy", np.zeros(3, int))
    vectors = Features(features=tmp_path / "features.npy", labels=tmp_path / "labels.npy")
    store = Store(vectors, InputSpec(size=2, resize=2, kind="vector"))
    for _ in range(2):
        batch = next(store.batches([np.array([2, 1, 0])], size=2))
        assert batch.images.dtype == torch.float32
        assert batch.images.tolist() == [[3, 4], [1, 2]]
        store.load(np.arange(3))
    assert store.skipped == {1: "the vector holds NaN or infinity"}


@pytest.mark.parametrize("workers", [0, 2])
def test_no_global_random_state_is_touched(workers):
    before = torch.get_rng_state()
    store = Store(source(), SPEC, workers=workers)
    list(store.batches(GROUPS))
    store.load(np.arange(10))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_worker_that_dies_is_an_error():
    store = Store(source(dies_at=4), SPEC, workers=1)
    with pytest.raises(DqhError, match="a decoding worker died"):
        store.load(np.arange(10))


HANDLED = """
import itertools, multiprocessing, os, signal, sys
import numpy as np
from dqh.data.store import Store
from dqh.inputs import InputSpec
from tests.data.memory import Memory

multiprocessing.set_start_method(sys.argv[1])
multiprocessing.set_forkserver_preload(["dqh.data.store"])
got = []

def handle(number, frame):
    got.append(number)
    os.write(1, b"handled\\n")

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, handle)
groups = (np.array([row % 10]) for row in itertools.count())
batches = Store(Memory(np.zeros(10, int)), InputSpec(size=4, resize=4), workers=2).batches(groups)
rows = [next(batches).rows.item()]
os.write(1, b"ready\\n")
while not got:
    rows.append(next(batches).rows.item())
for _ in range(200):
    rows.append(next(batches).rows.item())
batches.close()
assert rows == [row % 10 for row in range(len(rows))]
os.write(1, b"done\\n")
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="there are no process groups")
@pytest.mark.parametrize(
    ("start", "number"), [("fork", signal.SIGINT), ("fork", signal.SIGTERM), ("forkserver", signal.SIGTERM)]
)
def test_a_signal_to_the_process_group_is_the_main_process_affair(start, number):
    """As sent by Ctrl-C, timeout, Slurm: the main process's handler runs once, and the workers go on."""
    command = [sys.executable, "-c", HANDLED, start]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, text=True, start_new_session=True, **pipes) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            os.killpg(process.pid, number)
            out, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (out, errors, process.returncode) == ("handled\ndone\n", "", 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_other_errors_of_a_source_come_through(workers):
    class Broken(Memory):
        def read(self, row):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(Store(Broken(np.zeros(3, int)), SPEC, workers=workers).batches(GROUPS[1:2]))


def test_batches_may_be_left_early():
    store = Store(source(), SPEC, workers=2)
    batches = store.batches(np.array([row % 10]) for row in range(10_000))
    assert next(batches).rows.tolist() == [0]
    batches.close()


@pytest.mark.parametrize(
    ("data", "workers", "wanted"),
    [
        (Memory(np.zeros(10, int)), None, 0),
        (Digits(), None, 0),
        (Memory(np.zeros(5000, int)), 0, 0),
        (Memory(np.zeros(10, int)), 3, 3),
    ],
)
def test_workers_start_only_where_they_pay(data, workers, wanted):
    assert Store(data, SPEC, workers=workers)._worker_count() == wanted


def test_large_sources_get_workers():
    assert 1 <= Store(Memory(np.zeros(5000, int)), SPEC)._worker_count() <= 16


def test_progress_is_logged(caplog, monkeypatch):
    monkeypatch.setattr("dqh.progress._SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    Store(source(), SPEC).load(np.arange(10))
    assert "decoded 10 of 10 images" in caplog.text


def test_impossible_values_are_refused_together():
    with pytest.raises(
        ConfigError, match="memory_limit must be at least 0, got -1\nworkers must be at least 0, got -2"
    ):
        Store(source(), SPEC, memory_limit=-1, workers=-2)


class NoMoreFiles(Memory):
    """Its images cannot be opened, as the process has too many files open."""

    bulk_size = None

    def read(self, row):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_a_limit_met_by_a_worker_is_told():
    store = Store(NoMoreFiles(np.zeros(4, int)), SPEC, workers=1)
    with pytest.raises(SystemLimitError, match=r"workers stopped: Too many open files; raise .*ulimit -n 1024.* fewer"):
        list(store.batches([np.arange(4)]))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("_reset", OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
        ("_next_data", RuntimeError("Too many open files. Communication with the workers is no longer possible.")),
        ("_next_data", RuntimeError("unable to mmap 64 bytes from file </torch_1>: Cannot allocate memory (12)")),
    ],
)
def test_a_limit_that_torch_meets_is_told_and_no_worker_stays(name, error, monkeypatch):
    def refused(*given, **named):
        raise error

    monkeypatch.setattr(f"torch.utils.data.dataloader._MultiProcessingDataLoaderIter.{name}", refused)
    store = Store(Memory(np.zeros(4, int)), SPEC, workers=1)
    with pytest.raises(SystemLimitError, match="raise the limit of this process"):
        list(store.batches([np.arange(4)]))
    assert not multiprocessing.active_children()
