"""Train a method, write its artifact, evaluate it: `python train.py [key=value …]`."""

from dqh import signals

if __name__ == "__main__":
    signals.listen()  # before all else is loaded, which takes its time

import logging
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from dqh.commands import command, command_line, setting
from dqh.config import completed, differences, exit_status, start
from dqh.conveniences import convenience
from dqh.errors import ConfigError
from dqh.files import claim_folder, point_to, write_text
from dqh.terminal import say

if TYPE_CHECKING:
    from dqh.evaluation import Evaluation
    from dqh.training.sweep import Sweep

CONF = Path(__file__).resolve().parent / "conf"
KEYS = ("bits", "seed", "runs", "resume", "split", "augment", "without_h_minutes")  # beside the folders of conf/
MACHINE = ("devices", "workers", "memory_gb", "device_memory_gb", "compile", "threads", "profile", "loggers")
"""Keys of `trainer` that say where and how a run is computed, not what: a run may continue with others."""

logger = logging.getLogger("train")
until_exit = ExitStack()  # holds the claim on a sweep's folder from its first cell to its last


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(composed: DictConfig) -> None:
    """Check the whole configuration, then train, export and evaluate in a folder of its own, or in one of a sweep."""
    config: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    given = [each.removeprefix("++") for each in HydraConfig.get().overrides.task]
    with exit_status():
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            train_cell(config, given)
        else:
            train(config, given)


def train(config: dict[str, Any], given: list[str], cell: Path | None = None) -> None:
    """Train, export and evaluate.

    Args:
        config: composed and resolved.
        given: the arguments of the command line that give this one run.
        cell: the folder of a cell of a sweep, where the run begins or continues, and which tells nothing itself; None
            for a folder of its own.
    """
    from dqh.training import preflight

    drawn = preflight(config)
    from dqh.training import Interrupted, assemble, run  # torch and Lightning, which mistakes and --help do without

    line = command_line([sys.argv[0], *given])
    experiment = assemble(config, drawn=drawn)
    size = experiment.method.encoder.spec.size
    record = completed(config | {"backbone": config["backbone"] | {"size": size}})
    checkpoint = None if config["resume"] is None else Path(config["resume"]).resolve()
    if cell is not None and (cell / "checkpoints" / "last.ckpt").is_file():
        checkpoint = cell / "checkpoints" / "last.ckpt"
    if checkpoint is None:
        folder = cell or claim_folder(Path(config["runs"]), experiment.name)
        write_text(folder / "config.yaml", f"# {line}\n{OmegaConf.to_yaml(OmegaConf.create(record))}")
    else:
        folder = folder_to_continue(checkpoint, record)
    logger.info("run folder %s", folder)

    def tell(evaluation: "Evaluation") -> None:
        if cell is None:
            say(*evaluation.text().split("\n"), "")

    try:
        run(
            experiment,
            folder,
            command=line,
            resume=checkpoint,
            ready=lambda: move_latest(Path(config["runs"]) / "latest", folder),
            measured=tell,
        )
    except (Interrupted, OSError, MemoryError, KeyboardInterrupt, SystemExit):
        last = folder / "checkpoints" / "last.ckpt"
        if cell is None and last.is_file():
            again = [each for each in given if not each.startswith("resume=")]
            logger.warning("continue with: %s", command_line([sys.argv[0], *again, setting("resume", last)]))
        raise
    if cell is None:
        say(f"report    {folder / 'report.html'}", f"artifact  {folder / 'artifact'}")


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


def train_cell(config: dict[str, Any], given: list[str]) -> None:
    """Train one cell of a sweep, unless that is done, and sum up all cells; the last one tells the result."""
    from dqh.training import Interrupted
    from dqh.training.sweep import surviving, terminable
    from dqh.training.sweep_files import write_summary
    from dqh.training.sweep_lock import claimed

    if config["resume"] is not None:
        raise ConfigError("resume: belongs to a single run; a sweep goes on when its command is given again")
    sweep, number = planned(config["runs"]), HydraConfig.get().job.num + 1
    if number == 1:
        until_exit.enter_context(claimed(sweep.folder))
    last, done, text = number == len(sweep.cells), False, ""
    cell = sweep.cell(dict(each.lstrip("+").split("=", 1) for each in given if "=" in each))
    line = command_line([sys.argv[0], *(each.removeprefix("++") for each in sys.argv[1:])])
    try:
        with terminable():
            with surviving(cell):
                done = is_complete(cell.folder, config)
                logger.info("cell %d of %d: %s%s", number, len(sweep.cells), cell.name, ", complete" if done else "")
                if not done:
                    train(config, given, cell.folder)
            if last or not done:
                text = write_summary(sweep, command=line)
    except (Interrupted, KeyboardInterrupt, SystemExit):
        logger.warning("the sweep goes on with the same command: %s", line)
        raise
    if last:
        say(*text.split("\n"), "", f"sweep     {sweep.folder / 'sweep.html'}")
        if any(each.state == "failed" for each in sweep.cells):
            raise SystemExit(1)


@cache  # composing takes its time, and each cell asks
def planned(runs: str) -> "Sweep":
    """The sweep that the command line describes."""
    from dqh.training.sweep import plan

    job, hydra_itself = HydraConfig.get(), GlobalHydra.instance()
    arguments = [f"{key}={value}" for key, value in (job.sweeper.params or {}).items()]
    arguments += [each for each in sys.argv[1:] if not each.startswith("-") and ("=" in each or each.startswith("~"))]
    swept: dict[str, list[str]] = {}
    fixed, written = [], {}
    for override in OverridesParser.create(hydra_itself.config_loader()).parse_overrides(arguments):
        key = override.get_key_element().lstrip("+~")
        swept.pop(key, None)
        if override.is_sweep_override() and not override.is_hydra_override():
            swept[key], written[key] = list(override.sweep_string_iterator()), override.get_key_element()
        else:
            fixed.append(override.input_line)

    @cache
    def composed(*chosen: str) -> DictConfig:
        return compose(job.job.config_name, [*fixed, *chosen], return_hydra_config=True)

    def settings(values: Mapping[str, str]) -> dict[str, Any]:
        own = composed(*(f"{written[key]}={value}" for key, value in values.items()))
        plain: dict[str, Any] = OmegaConf.to_container(OmegaConf.masked_copy(own, [k for k in own if k != "hydra"]))
        bits = OmegaConf.select(own, "method.bits", default=OmegaConf.select(own, "bits"))
        return plain | {"bits": bits, "seed": OmegaConf.select(own, "seed")}

    if "experiment" in swept:  # which may bring method and data along
        name = "experiments"
    else:
        choices = composed().hydra.runtime.choices
        name = "_".join(choices[group] for group in ("method", "data") if group not in swept)
    return plan(Path(runs), settings, swept=swept, name=name)


def is_complete(folder: Path, config: dict[str, Any]) -> bool:
    """Whether a cell is done, with these settings; an error where its folder holds a run with others."""
    if not (folder / "config.yaml").is_file():
        return False
    before = record_of(folder)
    size = config["backbone"].get("size") or before["backbone"].get("size")
    changed = changes(before, completed(config | {"backbone": config["backbone"] | {"size": size}}))
    if changed:
        raise ConfigError([*changed, f"{folder} holds a run with other settings; move it away"])
    return (folder / "metrics.json").is_file()


def folder_to_continue(checkpoint: Path, record: dict[str, Any]) -> Path:
    """The run folder of a checkpoint, where the run is unfinished and was configured like this one."""
    folder = checkpoint.parent.parent
    kept = folder / "config.yaml"
    if not checkpoint.is_file():
        raise ConfigError(f"resume: no file at {checkpoint}; give checkpoints/last.ckpt of a run")
    if not kept.is_file():
        raise ConfigError(f"resume: {kept} is missing; a run continues in its own folder, keep the folder whole")
    if (folder / "metrics.json").exists():
        raise ConfigError(
            "resume: this run is complete; evaluate it with: "
            + command("python", "evaluate.py", setting("artifact", folder / "artifact"))
        )
    if changed := changes(record_of(folder), record):
        before = kept.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        again = f"{before} {command(setting('resume', checkpoint))}"
        raise ConfigError([*changed, f"resume: give the settings of the run again: {again}"])
    return folder


def record_of(folder: Path) -> dict[str, Any]:
    """The configuration that a run folder keeps."""
    file = folder / "config.yaml"
    try:
        record: Any = OmegaConf.to_container(OmegaConf.load(file))
        if not all(isinstance(record.get(name), dict) for name in ("backbone", "trainer")):
            raise ValueError("it has no backbone or no trainer")
    except (OSError, ValueError, AttributeError, RecursionError, YAMLError, OmegaConfBaseException) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{file} is damaged: {reason}; restore it, or move the folder away and begin anew") from error
    return dict(record)


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The differences of two configurations that make another run."""
    apart = ("resume", "runs", "without_h", "without_h_minutes")  # may be given up where its training fails or is long
    told = [{k: v for k, v in each.items() if k not in apart} for each in (before, now)]
    for each in told:
        each["trainer"] = {k: v for k, v in each["trainer"].items() if k not in MACHINE}
    return differences(*told)


if __name__ == "__main__":
    logging.getLogger("hydra").setLevel(logging.WARNING)  # it would name every cell of a sweep a second time
    with until_exit:
        start(main, CONF, keys=KEYS)
