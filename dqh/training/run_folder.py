"""The folder of a run: what it keeps of the configuration, and whether that of now is another."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from dqh.artifact.places import WITHOUT_H
from dqh.commands import command, setting
from dqh.config import completed, differences, with_later_defaults
from dqh.conveniences import convenience
from dqh.data import Source, Split
from dqh.errors import ArtifactError, ConfigError
from dqh.files import point_to

logger = logging.getLogger(__name__)

CONFIG = "config.yaml"
"""The completed configuration of a run, below a comment with the command that began it."""

MACHINE = ("devices", "workers", "memory_gb", "device_memory_gb", "compile", "threads", "profile", "loggers")
"""Keys of `trainer` that say where and how a run is computed, not what: a run may continue with others."""

_AROUND = ("resume", "runs", "without_h", "without_h_minutes")
"""Keys that make no other run: the network without H may be given up where its training fails or takes long."""


class Yaml(NamedTuple):
    """How configurations are read from files and written, and where they begin, which is the caller's to know.

    Attributes:
        read: the plain content of a file; raises `OSError` or `ValueError` where it cannot be read.
        write: a plain configuration as the text of a file.
        base: the file with the values at the top level as they are where nobody sets them; None where there is none.
    """

    read: Callable[[Path], Any]
    write: Callable[[Mapping[str, Any]], str]
    base: Path | None = None


def last_checkpoint(folder: Path) -> Path:
    """Where a run keeps the checkpoint that it continues from: the method's, which in closed form has none."""
    own, beside = (place / "checkpoints" / "last.ckpt" for place in (folder, folder / WITHOUT_H))
    return beside if beside.is_file() and not own.is_file() else own


def is_complete(folder: Path, config: Mapping[str, Any], *, yaml: Yaml) -> bool:
    """Whether a cell of a sweep is done.

    Args:
        folder: of the cell.
        config: composed and resolved.
        yaml: reads the configuration that the folder keeps.

    Raises:
        ConfigError: the folder holds a run with other settings, or its configuration is damaged.
    """
    if not (folder / CONFIG).is_file():
        return False
    before = read_record(folder, yaml=yaml)
    size = config["backbone"].get("size") or before["backbone"].get("size")
    now = completed({**config, "backbone": config["backbone"] | {"size": size}})
    changed = changes(before, now, defaults=_plain(yaml))
    if changed:
        raise ConfigError([*changed, f"{folder} holds a run with other settings; move it away"])
    return (folder / "metrics.json").is_file()


def folder_to_continue(checkpoint: Path, record: Mapping[str, Any], *, yaml: Yaml) -> Path:
    """The run folder of a checkpoint, where the run is unfinished and was configured like this one.

    Args:
        checkpoint: `checkpoints/last.ckpt` of a run, or of its network without H.
        record: the completed configuration of now.
        yaml: reads the one that the folder keeps.

    Raises:
        ConfigError: there is no such file or no such run, the run is complete, or its settings were others.
    """
    folder = checkpoint.parent.parent
    folder = folder.parent if folder.name == WITHOUT_H else folder
    kept = folder / CONFIG
    if not checkpoint.is_file():
        raise ConfigError(f"resume: no file at {checkpoint}; give checkpoints/last.ckpt of a run")
    if not kept.is_file():
        raise ConfigError(f"resume: {kept} is missing; a run continues in its own folder, keep the folder whole")
    if (folder / "metrics.json").exists():
        raise ConfigError(
            f"resume: this run is complete, its numbers are in {folder / 'report.html'}; leave resume off to train anew"
        )
    if changed := changes(read_record(folder, yaml=yaml), record, defaults=_plain(yaml)):
        before = kept.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        again = f"{before} {command(setting('resume', checkpoint))}"
        raise ConfigError([*changed, f"resume: give the settings of the run again: {again}"])
    return folder


def read_record(folder: Path, *, yaml: Yaml) -> dict[str, Any]:
    """The configuration that a run folder keeps.

    Raises:
        ConfigError: it cannot be read, or has no `backbone` or no `trainer`.
    """
    file = folder / CONFIG
    try:
        record: Any = yaml.read(file)
        if not all(isinstance(record.get(name), dict) for name in ("backbone", "trainer")):
            raise ValueError("it has no backbone or no trainer")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{file} is damaged: {reason}; restore it, or move the folder away and begin anew") from error
    return dict(record)


def changes(
    before: Mapping[str, Any], now: Mapping[str, Any], *, defaults: Mapping[str, Any] = MappingProxyType({})
) -> list[str]:
    """The differences of two completed configurations that make another run, one line each.

    A key that the first one lacks was not known to the version that wrote it, and counts as its default: that of the
    argument of a constructor; at the top level, what `defaults` has, or else null.
    """
    later = {key: defaults.get(key) for key in now if key not in before and (key in defaults or now[key] is None)}
    before = with_later_defaults({**before, **later}, now)
    decisive = [{key: value for key, value in config.items() if key not in _AROUND} for config in (before, now)]
    for config in decisive:
        config["trainer"] = {key: value for key, value in config["trainer"].items() if key not in MACHINE}
    return differences(*decisive)


def _plain(yaml: Yaml) -> dict[str, Any]:
    """The values at the top level that are no group, as they are where nobody sets them."""
    content = {} if yaml.base is None else yaml.read(yaml.base)
    return {key: value for key, value in content.items() if not isinstance(value, Mapping | list)}


def move_latest(latest: Path, folder: Path) -> None:
    """Point `runs/latest` to the folder of a run; a warning where that cannot be. What is there and no link stays."""
    with convenience(f"{latest} does not lead to this run: name {folder} itself"):
        if latest.is_symlink() or not latest.exists():
            point_to(latest, folder)
        elif latest.resolve() != folder.resolve():
            logger.warning(
                "%s is no link: it stays as it is and does not lead to this run, %s; to have the link again, move it "
                "away: %s",
                *(latest, folder, command("mv", latest, latest.with_name("latest-kept"))),
            )


def kept_environment(folder: Path) -> dict[str, Any]:
    """The content of the `environment.json` of a run; nothing where a resumed run has lost it."""
    try:
        return dict(json.loads((folder / "environment.json").read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}


def require_split(file: Path, split: Split, source: Source) -> None:
    """Raise `ConfigError` unless the data are still split as when the run began.

    Args:
        file: `split.json` of the run.
        split: of the data now.
        source: the data.
    """
    try:
        begun = Split.from_json(json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"resume: {file} is missing or damaged; a run continues in its own folder") from error
    except ArtifactError as error:
        raise ConfigError(f"resume: {file} is damaged: {error}; a run continues in its own folder") from error
    if begun.sha256 != split.sha256:
        raise ConfigError(
            f"resume: the data have changed since the run began: {len(begun.train)} train and {len(begun.query)} query "
            f"images then, {len(split.train)} and {len(split.query)} now, or others; restore them or start a new run"
        )
    if changed := begun.differences(source):
        raise ConfigError(
            f"resume: the data have changed since the run began: {'; '.join(changed)}; restore them or start a new run"
        )
