"""Nothing but what is ours is replaced or removed, whenever a writer ends; links are not followed."""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqh import intent
from dqh.artifact import publishing
from dqh.artifact.manifest import EXPORT_MANIFEST, damages, read_manifest, unlisted
from dqh.artifact.publishing import opened, write_contents
from dqh.errors import ArtifactError, ConfigError
from dqh.locks import locked_folder

FIELDS = {
    "format_version": 2,
    "kind": "index",
    "encoder_id": "e",
    "precision": "float32",
    "code_kind": "binary",
    "bits": 12,
    "bit_order": "low bits first",
    "distance": "hamming",
    "feature_size": 3,
    "feature_distance": "squared L2",
    "root": "/photos",
    "version": 1,
    "rows": 5,
    "index_sha256": "1" * 64,
}


def form(contents: dict[str, bytes]) -> Callable[[Path], None]:
    return lambda root: write_contents(root, contents)


def put(path: Path, **forms: dict[str, bytes]) -> None:
    with opened(path, EXPORT_MANIFEST) as folder:
        own = {"quantizer.safetensors": b"q"} if folder.manifest is None else {}
        folder.publish(FIELDS, own=own, forms={name: form(contents) for name, contents in forms.items()})


def tree(path: Path) -> dict[str, bytes]:
    """Every file below a folder, but for its manifest."""
    return {
        each.relative_to(path).as_posix(): each.read_bytes()
        for each in sorted(path.rglob("*"))
        if each.is_file() and each.name != EXPORT_MANIFEST
    }


def whole(path: Path) -> dict[str, Any]:
    files: dict[str, Any] = read_manifest(path, EXPORT_MANIFEST)["files"]
    assert damages(path, files, EXPORT_MANIFEST) == []
    return files


def test_a_form_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x"
    put(path, faiss={"faiss/1": b"old", "faiss/deep/2": b"old"}, lance={"lance/g": b"kept"})
    put(path, faiss={"faiss/1": b"new"})
    forms = {name: entry.get("form") for name, entry in whole(path).items()}
    assert forms == {"faiss/1": "faiss", "lance/g": "lance", "quantizer.safetensors": None}
    assert tree(path) == {"faiss/1": b"new", "lance/g": b"kept", "quantizer.safetensors": b"q"}
    assert sorted(each.name for each in path.rglob("*") if each.is_dir()) == ["faiss", "lance"]


def test_files_of_others_stay_and_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, faiss={"faiss/1": b"old"})
    others = {"faiss/thesis.txt": b"mine", ".new-2/thesis.txt": b"mine", "faiss.txt": b"mine"}
    write_contents(tmp_path, others)
    (tmp_path / ".new-1").symlink_to("nowhere")
    (tmp_path / ".new-3").write_bytes(b"mine")
    with caplog.at_level(logging.WARNING, "dqh"):
        put(tmp_path, faiss={"faiss/2": b"new"})
    own = {"faiss/2": b"new", "quantizer.safetensors": b"q", ".new-3": b"mine"}
    assert tree(tmp_path) == own | others
    assert (tmp_path / ".new-1").is_symlink()
    assert "left as they are, since no manifest lists them: '.new-1', '.new-2/thesis.txt', '.new-3' and 2 more" in (
        caplog.text
    )


@pytest.mark.parametrize("name", ["photo.jpg", ".new-1/x", "quantizer.safetensors", "faiss/1", ".intent-1.json"])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, name: str) -> None:
    write_contents(tmp_path, {name: b"mine"})
    with pytest.raises(ConfigError, match=rf"is not empty; choose another folder or .*{name.partition('/')[0]} lies"):
        put(tmp_path, faiss={"faiss/1": b"new"})
    assert tree(tmp_path) == {name: b"mine"}


def test_a_file_of_somebody_else_in_the_place_of_a_new_one(tmp_path: Path) -> None:
    put(tmp_path, faiss={"faiss/1": b"old"})
    write_contents(tmp_path, {"faiss/2": b"mine", "lance": b"mine"})
    (tmp_path / "faiss" / "3").symlink_to("nowhere")
    before = tree(tmp_path)
    with pytest.raises(
        ConfigError, match=r"faiss/2 is there already, faiss/3 is there already, lance is no folder, which"
    ):
        put(tmp_path, faiss={"faiss/2": b"", "faiss/3": b""}, lance={"lance/a": b""})
    assert tree(tmp_path) == before
    assert whole(tmp_path).keys() == {"faiss/1", "quantizer.safetensors"}


def test_a_pipe_in_the_place_of_a_folder(tmp_path: Path) -> None:
    put(tmp_path, faiss={"faiss/1": b"old"})
    os.mkfifo(tmp_path / "lance")
    with pytest.raises(ConfigError, match="lance is no folder, which no manifest of this folder lists; move it away"):
        put(tmp_path, lance={"lance/a": b""})
    assert (tmp_path / "lance").is_fifo()


@pytest.mark.parametrize("contents", [{"faiss/1": b"new"}, {"faiss/2": b"new"}])
def test_a_form_behind_a_link_is_left_alone(tmp_path: Path, contents: dict[str, bytes]) -> None:
    path, other = tmp_path / "x", tmp_path / "other"
    put(path, faiss={"faiss/1": b"old"})
    (path / "faiss").rename(other)
    (path / "faiss").symlink_to(other)
    with pytest.raises(ConfigError, match="faiss is a symbolic link, which no manifest"):
        put(path, faiss=contents)
    assert tree(other) == {"1": b"old"}


def test_a_link_in_the_place_of_an_old_file_is_replaced(tmp_path: Path) -> None:
    path, other = tmp_path / "x", tmp_path / "other"
    put(path, faiss={"faiss/1": b"old", "faiss/2": b"old"})
    other.write_bytes(b"mine")
    for name in ("1", "2"):
        (path / "faiss" / name).unlink()
        (path / "faiss" / name).symlink_to(other)
    put(path, faiss={"faiss/1": b"new"})
    assert (tree(path)["faiss/1"], other.read_bytes()) == (b"new", b"mine")
    assert not (path / "faiss" / "2").is_symlink()
    whole(path)


def test_the_folder_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    put(tmp_path / "link", faiss={"faiss/1": b"new"})
    assert whole(tmp_path / "real")


def test_a_file_or_a_link_to_nothing_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name, message in (
        ("file", "is a file; name a folder"),
        ("link", "is a symbolic link to 'nowhere', where nothing"),
    ):
        with pytest.raises(ConfigError, match=message):
            put(tmp_path / name, faiss={"faiss/1": b"new"})


class Killed(BaseException):
    """Nothing runs after it: what would clean up is switched off."""


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call that changes a folder counts; at call `step` the process is gone."""
    calls: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            calls.append(name)
            if len(calls) > step:
                raise Killed
            return real(*given, **more)

        return call

    for name in ("mkdir", "replace", "unlink", "open", "rmdir"):
        monkeypatch.setattr(Path, name, counted(name, getattr(Path, name)))
    for name in ("open", "link"):
        monkeypatch.setattr(intent.os, name, counted(f"os.{name}", getattr(os, name)))
    monkeypatch.setattr(publishing.shutil, "rmtree", counted("rmtree", publishing.shutil.rmtree))
    return calls


@pytest.mark.parametrize("begun", [False, True])
def test_a_kill_at_any_step_leaves_a_whole_folder_and_the_next_run_cleans_it(
    tmp_path: Path, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every call in turn, until one run reaches its end; a file of somebody else is there from the kill on."""
    old, new = {"faiss/1": b"old", "faiss/2": b"old"}, {"faiss/1": b"new", "faiss/3/4": b"new"}
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nothing here outlives the machine
    states = set()
    for step in range(500):
        path = tmp_path / str(step)
        path.mkdir()
        if begun:
            put(path, faiss=old, lance={"lance/g": b"kept"})
            write_contents(path, {"faiss/thesis.txt": b"mine"})
        with monkeypatch.context() as patched:
            calls = kill_at(step, patched)
            with contextlib.suppress(Killed):
                put(path, faiss=new)
        ended = len(calls) <= step
        if begun or (path / EXPORT_MANIFEST).exists():
            files = whole(path)
            states.add(frozenset(name for name in files if name.startswith("faiss")))
        put(path, faiss=new)
        assert {name for name in whole(path) if name.startswith("faiss")} == set(new)
        assert unlisted(path, whole(path), EXPORT_MANIFEST) == (["faiss/thesis.txt"] if begun else [])
        if ended:
            break
    assert ended
    assert step > 40
    assert states == ({frozenset(old), frozenset(), frozenset(new)} if begun else {frozenset(new)})


def test_what_a_killed_writer_left_beside_a_file_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        kill_at(22, patched)
        with pytest.raises(Killed):
            put(tmp_path, faiss={"faiss/1": b"new"})
    assert tree(tmp_path)
    write_contents(tmp_path, {"thesis.txt": b"mine"})
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match=r"is not empty; .* thesis\.txt lies there"):
        put(tmp_path, faiss={"faiss/1": b"new"})
    assert tree(tmp_path) == before


def test_a_note_of_somebody_else_removes_nothing_that_is_listed(tmp_path: Path) -> None:
    put(tmp_path, faiss={"faiss/1": b"old"})
    names = ["faiss/", "faiss/1", "quantizer.safetensors", EXPORT_MANIFEST]
    (tmp_path / ".intent-7.json").write_bytes(intent.seal({"format_version": 1, "creates": names}))
    put(tmp_path, lance={"lance/a": b"new"})
    assert whole(tmp_path).keys() == {"faiss/1", "lance/a", "quantizer.safetensors"}
    assert not (tmp_path / ".intent-7.json").exists()


def test_one_at_a_time(tmp_path: Path) -> None:
    with (
        locked_folder(tmp_path, error=ArtifactError),
        pytest.raises(ArtifactError, match="is being written by another process"),
    ):
        put(tmp_path, faiss={"faiss/1": b"new"})
    put(tmp_path, faiss={"faiss/1": b"new"})


def test_what_no_reader_would_take_is_not_written(tmp_path: Path) -> None:
    with (
        pytest.raises(ArtifactError, match=r"cannot be read again: bits must be an integer from 1 .* got 48.0"),
        opened(tmp_path / "x", EXPORT_MANIFEST) as folder,
    ):
        folder.publish({**FIELDS, "bits": 48.0}, own={"quantizer.safetensors": b"q"})
    assert not (tmp_path / "x").exists()
    with pytest.raises(ValueError, match=r"'thesis\.txt' has no place"):
        put(tmp_path / "x", faiss={"thesis.txt": b""})
    assert not (tmp_path / "x").exists()
