"""The link to the newest run, and what a run folder keeps."""

import logging
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import train
from dqh.config import completed
from dqh.errors import ConfigError
from dqh.training.run_folder import folder_to_continue, is_complete, last_checkpoint, move_latest, read_record


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
        move_latest(latest, run)
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
        move_latest(latest, tmp_path / name)
        assert latest.readlink() == Path(name)
    assert not caplog.messages


def test_without_links_a_warning_names_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted", "latest")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with caplog.at_level(logging.WARNING):
        move_latest(tmp_path / "latest", tmp_path / "run")
    (message,) = caplog.messages
    assert f"does not lead to this run: name {tmp_path / 'run'} itself" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["[" * 5_000, "a: [", "3", "[]", "backbone: {}", "trainer: 3\nbackbone: 3", "\x00"])
def test_a_damaged_configuration_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ConfigError, match=r"config\.yaml is damaged: .*; restore it, or move the folder away"):
        read_record(tmp_path, yaml=train.YAML)


RECORD = {"bits": 8, "runs": "runs", "resume": None, "backbone": {"size": 28}, "trainer": {"epochs": 2, "workers": 4}}


def kept(folder: Path, record: dict[str, Any] = RECORD, *, complete: bool = False) -> Path:
    """A run folder with a configuration and a checkpoint."""
    last_checkpoint(folder).parent.mkdir(parents=True)
    last_checkpoint(folder).touch()
    (folder / "config.yaml").write_text(f"# python train.py bits=8\n{train.YAML.write(record)}")
    if complete:
        (folder / "metrics.json").touch()
    return folder


def test_a_run_continues_on_another_machine_and_in_no_other_run(tmp_path: Path) -> None:
    folder = kept(tmp_path / "run")
    machine = RECORD | {"trainer": {"epochs": 2, "workers": 0, "devices": 2}, "resume": "last.ckpt", "without_h": None}
    assert folder_to_continue(last_checkpoint(folder), machine, yaml=train.YAML) == folder
    other = RECORD | {"trainer": {"epochs": 3, "workers": 4}}
    with pytest.raises(ConfigError) as refused:
        folder_to_continue(last_checkpoint(folder), other, yaml=train.YAML)
    changed, again = refused.value.lines
    assert changed == "trainer.epochs: 2 in the checkpoint, 3 now"
    assert again.startswith("resume: give the settings of the run again: python train.py bits=8 resume=")


def test_a_run_without_a_checkpoint_of_its_own_continues_from_that_of_the_network_without_h(tmp_path: Path) -> None:
    folder = kept(tmp_path / "run")
    own, beside = (place / "checkpoints" / "last.ckpt" for place in (folder, folder / "without_h"))
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert last_checkpoint(folder) == own
    own.unlink()
    assert last_checkpoint(folder) == beside
    assert folder_to_continue(beside, RECORD, yaml=train.YAML) == folder


def test_what_cannot_continue_is_told(tmp_path: Path) -> None:
    complete = kept(tmp_path / "complete", complete=True)
    bare = kept(tmp_path / "bare")
    (bare / "config.yaml").unlink()
    for folder, message in (
        (tmp_path / "none", "resume: no file at"),
        (bare, r"config\.yaml is missing; a run continues in its own folder"),
        (complete, r"this run is complete, its numbers are in .*report\.html; leave resume off to train anew"),
    ):
        with pytest.raises(ConfigError, match=message):
            folder_to_continue(last_checkpoint(folder), RECORD, yaml=train.YAML)


def test_a_cell_is_complete_with_its_own_settings_alone(tmp_path: Path) -> None:
    done = kept(tmp_path / "done", complete=True)
    unsized = RECORD | {"backbone": {"size": None}}
    assert is_complete(done, unsized, yaml=train.YAML)
    assert not is_complete(kept(tmp_path / "begun"), RECORD, yaml=train.YAML)
    assert not is_complete(tmp_path / "none", RECORD, yaml=train.YAML)
    with pytest.raises(ConfigError, match=r"bits: 8 in the checkpoint, 16 now\n.*done holds a run with other settings"):
        is_complete(done, RECORD | {"bits": 16}, yaml=train.YAML)


FIT = {"_target_": "dqh.training.fit.Fit", "epochs": 2}
EARLIER = RECORD | {
    "backbone": {"_target_": "dqh.models.SmallResNet", "size": 28},
    "method": {"_target_": "dqh.methods.dlbhc.DLBHC", "bits": 8, "dropout": 0.5},
    "trainer": FIT,
}
"""A run of a version that knew neither `hidden` nor `backbone.mirror`, nor most keys of `trainer`."""


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        (None, None, None),
        ("method.dropout", 0.25, "method.dropout: 0.5 in the checkpoint, 0.25 now"),
        ("backbone.mirror", True, "backbone.mirror: false in the checkpoint, true now"),
        ("method.hidden", 512, "method.hidden: null in the checkpoint, 512 now"),
        ("trainer.head_steps", 5, "trainer.head_steps: 0 in the checkpoint, 5 now"),
        ("hidden", 512, "hidden: null in the checkpoint, 512 now"),
        ("seed", 1, "seed: 0 in the checkpoint, 1 now"),
        ("backbone._target_", "dqh.models.WhitenedConvNet", None),
    ],
)
def test_what_an_earlier_version_did_not_know_counts_as_its_default(
    tmp_path: Path, setting: str | None, value: Any, told: str | None
) -> None:
    """At the top level as conf/train.yaml has it, else as the constructor; another constructor fills nothing in."""
    folder = kept(tmp_path / "run", EARLIER)
    now: dict[str, Any] = deepcopy(EARLIER) | {"hidden": None, "noise": 0, "seed": 0, "augment": None}
    if setting is not None:
        node, _, name = setting.rpartition(".")
        (now[node] if node else now)[name] = value
    record = completed(now)
    assert record["backbone"]["mirror"] == (value if setting == "backbone.mirror" else False)
    if setting is None:
        assert folder_to_continue(last_checkpoint(folder), record, yaml=train.YAML) == folder
        return
    with pytest.raises(ConfigError) as refused:
        folder_to_continue(last_checkpoint(folder), record, yaml=train.YAML)
    *changed, again = refused.value.lines
    assert again.startswith("resume: give the settings of the run again: ")
    if told is None:
        assert any(line.startswith("backbone.mirror: missing in the checkpoint") for line in changed)
    else:
        assert changed == [told]


def test_a_cell_of_an_earlier_version_is_complete(tmp_path: Path) -> None:
    done = kept(tmp_path / "done", EARLIER, complete=True)
    assert is_complete(done, deepcopy(EARLIER) | {"hidden": None, "noise": 0, "seed": 0}, yaml=train.YAML)
    with pytest.raises(ConfigError, match="hidden: null in the checkpoint, 64 now"):
        is_complete(done, deepcopy(EARLIER) | {"hidden": 64}, yaml=train.YAML)
