"""What train.py does around a training: the link to the newest run, and what a run folder keeps."""

import logging
from pathlib import Path

import pytest

import train
from dqh.errors import ConfigError


@pytest.mark.parametrize("kind", ["folder", "file", "empty folder"])
def test_what_is_no_link_stays_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """As `cp -rL` and downloads from a drive leave it."""
    latest, run = tmp_path / "my runs" / "latest", tmp_path / "my runs" / "2026"
    run.mkdir(parents=True)
    kept = latest if kind == "file" else latest / "thesis.txt"
    if kind != "file":
        latest.mkdir()
    if kind != "empty folder":
        kept.write_text("mine")
    with caplog.at_level(logging.WARNING):
        train.move_latest(latest, run)
    assert not latest.is_symlink()
    assert kind == "empty folder" or kept.read_text() == "mine"
    (message,) = caplog.messages
    assert f"does not lead to this run, {run}" in message
    assert message.endswith(f"mv '{latest}' '{latest}-kept'")


def test_the_link_moves_and_a_broken_one_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    latest = tmp_path / "latest"
    latest.symlink_to("gone")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        train.move_latest(latest, tmp_path / name)
        assert latest.readlink() == Path(name)
    assert not caplog.messages


def test_without_links_a_warning_names_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted", "latest")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with caplog.at_level(logging.WARNING):
        train.move_latest(tmp_path / "latest", tmp_path / "run")
    (message,) = caplog.messages
    assert f"does not lead to this run: name {tmp_path / 'run'} itself" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["[" * 5_000, "a: [", "3", "[]", "backbone: {}", "trainer: 3\nbackbone: 3", "\x00"])
def test_a_damaged_configuration_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"config\.yaml is damaged: .*; restore it, or move the folder away"):
        train.record_of(tmp_path)
