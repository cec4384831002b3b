"""Atomic writes."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from dqh.errors import ConfigError
from dqh.files import (
    atomic_writer,
    claim_folder,
    is_regular,
    link_below,
    link_to_nothing,
    make_folders,
    no_folder,
    open_regular,
    point_to,
    read_regular,
    sha256,
    write_bytes,
    write_json,
    write_text,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def write_half() -> None:
        with atomic_writer(path) as file:
            file.write(b"new")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write_half()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_written_files_are_readable_by_others(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    write_bytes(tmp_path / "atomic", b"")
    assert stat.S_IMODE((tmp_path / "atomic").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"mAP": 0.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"mAP": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"mAP": 0.5}


def test_sha256_of_abc(tmp_path: Path) -> None:
    """FIPS 180-2, appendix B.1."""
    write_bytes(tmp_path / "abc", b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_link_is_relative_and_can_be_moved(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        point_to(tmp_path / "latest", tmp_path / name)
    assert (tmp_path / "latest").readlink() == Path("two")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["latest", "one", "two"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_link_is_refused_and_kept(tmp_path: Path, kind: str) -> None:
    latest = tmp_path / "latest"
    (latest if kind == "folder" else tmp_path / "else").mkdir()
    kept = latest / "thesis.txt" if kind == "folder" else latest
    kept.write_text("mine")
    with pytest.raises(FileExistsError, match=r"what is there is no link: .*latest"):
        point_to(latest, tmp_path / "run")
    assert kept.read_text() == "mine"
    assert not latest.is_symlink()


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot point to itself"):
        point_to(tmp_path / "latest", tmp_path / "latest")


def test_two_claims_in_one_second_give_two_folders(tmp_path: Path) -> None:
    folders = {claim_folder(tmp_path, "dlbhc_digits_48") for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.is_dir() and "_dlbhc_digits_48" in folder.name for folder in folders)


def test_names_that_are_no_utf8_survive_as_json_and_show_as_escapes_in_text(tmp_path: Path) -> None:
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    write_json(tmp_path / "a.json", [name])
    assert json.loads((tmp_path / "a.json").read_text()) == [name]
    write_text(tmp_path / "a.txt", name)
    assert (tmp_path / "a.txt").read_text() == "caf\\udce9.jpg"


def test_only_regular_files_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        for name, text in (("pipe", "a named pipe"), ("socket", "a socket"), ("/dev/zero", "a device")):
            with pytest.raises(OSError, match=f"{text} where a regular file is wanted"):
                open_regular(name)
    with pytest.raises(OSError, match="a symbolic link"):
        open_regular("link")
    with pytest.raises(OSError, match="a device"):
        open_regular("zero", links=True)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular("missing")
    assert read_regular("link", most=7, links=True) == b"content"
    with pytest.raises(OSError, match="larger than 6 bytes"):
        read_regular("file", most=6)
    assert [name for name in ("file", "link", "pipe", "missing", "a\0b") if is_regular(name)] == ["file"]


@pytest.mark.parametrize("below", ["", "run/2026"])
def test_a_link_to_nothing_is_told_where_a_folder_is_to_be_made(tmp_path: Path, below: str) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    message = f"{link} is a symbolic link to 'nowhere', where nothing is; make that folder, or remove the link"
    assert link_to_nothing(link / below) == no_folder(link / below) == message
    for make in (make_folders, lambda path: claim_folder(path, "train")):
        with pytest.raises(ConfigError) as raised:
            make(link / below)
        assert str(raised.value) == message
    assert list(tmp_path.iterdir()) == [link]
    (tmp_path / "nowhere").mkdir()
    make_folders(link / below)
    assert (tmp_path / "nowhere" / below).is_dir()
    assert link_to_nothing(link / below) is no_folder(link / below) is None


def test_a_loop_of_links_and_a_file_are_told_where_a_folder_is_to_be_made(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    assert (no_folder(tmp_path / "loop") or "").startswith(f"{tmp_path / 'loop'} is a symbolic link to 'loop', where")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ConfigError, match=f"^{tmp_path / 'file'} is a file; name a folder$"):
            make_folders(path)


def test_links_below_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "real" / "broken").symlink_to("nowhere")
    assert link_below(tmp_path / "linked", "file") is None
    assert link_below(tmp_path, "linked/file") == tmp_path / "linked"
    assert link_below(tmp_path, "real/broken") == tmp_path / "real" / "broken"
    assert link_below(tmp_path, "real/missing/file") is None
