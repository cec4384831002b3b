"""A writer that dies at any step, and the order in which what it writes reaches the disk."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.errors import NoStoreError
from dqh.index.store import Tag, Writer, check, open_index
from dqh.index.store.faults import Step, reached, watched
from tests.index.store.conftest import HEADER, add, content, encoded, expected, opened, payload, replace

Editions = dict[int, int]


def make(writer: Writer) -> None:
    add(writer, list(range(10)))
    writer.tag({name_of(number): (Tag("odd" if number % 2 else "even"),) for number in range(10)})


def name_of(number: int) -> str:
    return payload([number]).rows[0].path


def change(writer: Writer) -> None:
    replace(writer, [1, 8], 1)
    writer.delete([0, 9])
    add(writer, [10])


def grow(writer: Writer) -> None:
    add(writer, list(range(11, 16)))
    writer.delete([11])
    writer.tag({name_of(12): (Tag("new", 0.5), Tag("even"))})


SCRIPT: list[tuple[Callable[[Writer], None] | None, Editions]] = [
    (make, dict.fromkeys(range(10), 0)),
    (change, (after := dict.fromkeys(range(1, 9), 0) | {1: 1, 8: 1, 10: 0})),
    (None, after),
    (grow, after | dict.fromkeys(range(12, 16), 0)),
]
"""What makes each version, None for a compaction, and what it holds."""

TAGS = [
    {name_of(number): (("odd" if number % 2 else "even", 1.0),) for number in range(10)},
    {name_of(number): (("odd" if number % 2 else "even", 1.0),) for number in range(1, 9)},
    {name_of(number): (("odd" if number % 2 else "even", 1.0),) for number in range(1, 9)},
    {name_of(12): (("even", 1.0), ("new", 0.5))},
]
"""Of each version: 0 and 9 are deleted in the second one, and lose theirs; the last one gives all tags anew."""


def go_on(path: Path) -> None:
    """Make the versions that are missing."""
    with Writer(path, HEADER, segment_rows=6) as writer:
        for act, _ in SCRIPT[writer.manifest.version if writer.manifest else 0 :]:
            if act is None:
                writer.compact()
            else:
                act(writer)
                writer.commit()


def state(path: Path) -> tuple:
    """All rows, ids and answers."""
    found = open_index(path).search(encoded([1, 3, 12, 200]), k=5, pool=7)
    return content(path), opened(path).manifest.next_id, found.hits, opened(path).tags


def test_a_step_is_told_only_inside() -> None:
    told: list[Step] = []
    reached(Step.LINKED, Path("a"))
    with watched(lambda step, path: told.append(step)):
        reached(Step.LINKED, Path("a"))
    reached(Step.LINKED, Path("a"))
    assert told == [Step.LINKED]


@pytest.mark.slow
def test_a_writer_that_dies_at_any_step(tmp_path: Path) -> None:
    """What a killed process leaves is what its files are at that moment: the folder is copied at every step.

    Each copy opens as the version before or the new one; the next writer makes the rest of it, with the same rows, ids
    and answers as a writer that was never stopped, and leaves nothing else behind.
    """
    path = tmp_path / "index"
    copies: list[tuple[Step, Path, int]] = []
    published = 0

    def copy(step: Step, file: Path) -> None:
        nonlocal published
        published += step is Step.LINKED
        here = tmp_path / f"{len(copies)}"
        shutil.copytree(path, here)
        copies.append((step, here, published))

    with watched(copy):
        go_on(path)
    wanted = state(path)
    assert {step for step, _, _ in copies} == set(Step)
    assert published == len(SCRIPT)
    assert len(copies) > 200
    for number, (step, here, version) in enumerate(copies):
        if version == 0:
            with pytest.raises(NoStoreError):
                opened(here)
        else:
            assert opened(here).manifest.version == version, step
            assert content(here) == expected(SCRIPT[version - 1][1]), step
            assert opened(here).tags == TAGS[version - 1], step
        if number % 16 == 0 or step in (Step.LINKED, Step.PUBLISHED):
            go_on(here)
            assert state(here) == wanted, step
            assert check(here).problems == check(here).leftovers == ()
        shutil.rmtree(here)


class Trace:
    """System calls of a writer, in their order, by the paths they are about.

    Attributes:
        calls: (name, path); `rename` and `link` by the path that appears, and `announce` by the note.
        notes: what each note announces, in their order; None where that is not known.
    """

    def __init__(self, calls: list[tuple[str, str]], notes: list[frozenset[str]] | None = None) -> None:
        self.calls = calls
        self.notes = notes

    def check(self, root: Path) -> int:
        """Assert that what a version needs is flushed before it appears, and it before anything is removed.

        Each file is announced before it is created, and the note is flushed before.

        Returns:
            How many versions appeared.
        """
        dirty_files: set[str] = set()
        dirty_folders: set[str] = set()
        versions, unflushed = 0, None
        announced: set[str] = set()
        notes = iter(self.notes or ())
        for name, path in self.calls:
            folder = str(Path(path).parent)
            if name == "announce":
                dirty_folders.add(folder)
                announced |= set(next(notes, ()))
            elif name in ("create", "mkdir"):
                assert str(root) not in dirty_folders, f"{path} is made before its note is flushed"
                if self.notes is not None and name == "create":
                    assert os.path.relpath(path, root) in announced, f"{path} is created before it was announced"
                # a temporary name need not survive; its content must
                dirty_folders |= set() if path.endswith(".new") else {folder}
                dirty_files |= {path} if name == "create" else set()
            elif name == "write":
                assert path in dirty_files, f"{path} is written after it was flushed"
            elif name == "fsync":
                dirty_files.discard(path)
                dirty_folders.discard(path)
                unflushed = None if path == unflushed else unflushed
            elif name == "link":
                assert dirty_files == set(), f"{path} appears before its files are flushed"
                assert dirty_folders == set(), f"{path} appears before its folders are flushed: {dirty_folders}"
                versions, unflushed = versions + 1, str(root)
                dirty_folders.add(str(root))
            elif name == "unlink":
                assert unflushed is None, f"{path} is removed before the new version is flushed"
        assert unflushed is None
        return versions


def test_what_a_version_needs_is_flushed_before_it_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls of Python into the operating system, recorded in this process."""
    calls: list[tuple[str, str]] = []
    notes: list[frozenset[str]] = []

    def audit(event: str, arguments: tuple) -> None:
        if not recording:
            return
        kinds = {"os.mkdir": "mkdir", "os.link": "link", "os.remove": "unlink", "os.rmdir": "unlink"}
        if event == "os.link" and ".intent-" in str(arguments[1]):
            calls.append(("announce", str(arguments[1])))
            notes.append(frozenset(json.loads(Path(arguments[0]).read_bytes())["creates"]))
        elif event in kinds:
            calls.append((kinds[event], str(arguments[event == "os.link"])))
        elif event == "open" and isinstance(arguments[0], str) and "x" in str(arguments[1]):
            calls.append(("create", arguments[0]))

    def fsync(descriptor: int) -> None:
        calls.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))

    if not Path("/proc/self/fd").exists():
        pytest.skip("the path of a descriptor is found under /proc, which this platform does not have")
    recording = True
    monkeypatch.setattr(os, "fsync", fsync)
    sys.addaudithook(audit)
    try:
        go_on(tmp_path.resolve() / "index")
    finally:
        recording = False
    assert Trace(calls, notes).check(tmp_path.resolve() / "index") == len(SCRIPT)
    assert len(notes) == len(SCRIPT)
    kinds = {name for name, _ in calls}
    assert kinds == {"mkdir", "create", "announce", "fsync", "link", "unlink"}


def test_what_the_kernel_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same from a trace of system calls, where strace may look at this process; it sees every write too."""
    monkeypatch.undo()
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace; the test above asserts the order of the same calls as Python makes them")
    root, log = tmp_path.resolve() / "index", tmp_path / "trace"
    calls = "trace=openat,write,fsync,mkdir,link,linkat,unlink,rmdir"
    command = [strace, "-f", "-y", "-s", "4096", "-e", calls, "-o", str(log), "-p", str(os.getpid())]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    if "attached" not in (said := tracer.stderr.readline()):
        tracer.wait()
        pytest.skip(f"this machine does not let a process be traced: {said.strip()}")
    try:
        go_on(root)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate()
    assert parsed(log.read_text(), root).check(root) == len(SCRIPT)


def parsed(text: str, root: Path) -> Trace:
    calls = []
    for line in text.splitlines():
        if not re.search(rf'["<]{root.parent}(/index[^">]*)?[">]', line) or " = -1 " in line:
            continue
        name = re.sub(r"^\d+\s+", "", line).partition("(")[0]
        quoted, opened_files = re.findall(r'"([^"]*)"', line), re.findall(r"\((?:\d+)<([^>]*)>", line)
        if name == "openat" and "O_EXCL" in line:
            calls.append(("create", quoted[0]))
        elif name in ("write", "fsync"):
            if not Path(opened_files[0]).name.startswith("#"):  # a note that has no name yet
                calls.append((name, opened_files[0]))
        elif name in ("link", "linkat"):
            calls.append(("announce" if ".intent-" in quoted[-1] else "link", quoted[-1]))
        elif name in ("mkdir", "unlink", "rmdir"):
            calls.append(("unlink" if name == "rmdir" else name, quoted[0]))
    return Trace(calls)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda calls: [call for call in calls if call[0] != "fsync" or "features" not in call[1]], "before its files"),
        (lambda calls: [call for call in calls if call != ("fsync", "/i/segments")], "before its folders"),
        (lambda calls: [*calls[:-2], calls[-1], calls[-2]], "is removed before the new version is flushed"),
        (lambda calls: calls[1:], "is created before it was announced"),
        (lambda calls: [calls[0], *calls[2:]], "is made before its note is flushed"),
    ],
)
def test_the_assertion_on_a_trace_fails_where_it_should(spoil: Callable[[list], list], message: str) -> None:
    calls = [
        ("announce", "/i/.intent-1.json"),
        ("fsync", "/i"),
        ("mkdir", "/i/segments"),
        ("fsync", "/i"),
        ("mkdir", "/i/segments/1"),
        ("fsync", "/i/segments"),
        ("create", "/i/segments/1/features.npy"),
        ("write", "/i/segments/1/features.npy"),
        ("fsync", "/i/segments/1/features.npy"),
        ("fsync", "/i/segments/1"),
        ("link", "/i/v1.json"),
        ("fsync", "/i"),
        ("unlink", "/i/v0.json"),
    ]
    notes = [frozenset({"segments/1/features.npy"})]
    assert Trace(calls, notes).check(Path("/i")) == 1
    with pytest.raises(AssertionError, match=message):
        Trace(spoil(calls), notes).check(Path("/i"))


@pytest.mark.slow
def test_a_reader_during_every_step(tmp_path: Path) -> None:
    """One that opens the index at a step, and one that has had it open since the step before, see whole versions."""
    path = tmp_path / "index"
    seen: list[int] = []
    held: list = []

    def read(step: Step, file: Path) -> None:
        if step is Step.FILE_HALF:
            return
        try:
            version = opened(path)
        except NoStoreError:
            assert not seen
            return
        seen.append(version.manifest.version)
        for each in (version, *held):
            rows = np.arange(len(each))
            kept = zip(each.rows(rows), each.codes(rows), each.read_features(rows), strict=True)
            found = [(row, codes.tobytes(), features.tobytes()) for row, codes, features in kept]
            assert found == expected(SCRIPT[each.manifest.version - 1][1])
            assert each.tags == TAGS[each.manifest.version - 1]
        held[:] = [version]

    with watched(read):
        go_on(path)
    assert seen == sorted(seen)
    assert set(seen) == {1, 2, 3, 4}
