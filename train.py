"""Train a method, write its artifact, evaluate it: `python train.py [key=value …]`."""

from dqh import signals

if __name__ == "__main__":
    signals.listen()  # before all else is loaded, which takes its time

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from dqh.commands import command_line
from dqh.config import exit_status, start
from dqh.errors import ConfigError
from dqh.terminal import say
from dqh.training.job import train
from dqh.training.run_folder import Yaml, is_complete
from dqh.training.sweep import Argument, Composed, Sweep, plan_command

CONF = Path(__file__).resolve().parent / "conf"
KEYS = (
    "bits",
    "hidden",
    "noise",
    "seed",
    "runs",
    "resume",
    "split",
    "augment",
    "without_h_minutes",
)  # no folders of conf/

until_exit = ExitStack()  # holds the claim on a sweep's folder from its first cell to its last


def read_yaml(file: Path) -> Any:
    """The content of a file, as `dqh.training.run_folder.Yaml` wants it."""
    try:
        return OmegaConf.to_container(OmegaConf.load(file))
    except (YAMLError, OmegaConfBaseException) as error:
        raise ValueError(str(error)) from error


YAML = Yaml(read_yaml, lambda config: OmegaConf.to_yaml(OmegaConf.create(dict(config))), CONF / "train.yaml")


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(composed: DictConfig) -> None:
    """Check the whole configuration, then train, export and evaluate in a folder of its own, or in one of a sweep."""
    config: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    given = [argument.removeprefix("++") for argument in HydraConfig.get().overrides.task]
    with exit_status():
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            train_cell(config, given)
        else:
            train(config, [sys.argv[0], *given], yaml=YAML, say=say)


def train_cell(config: dict[str, Any], given: Sequence[str]) -> None:
    """Train one cell of a sweep, unless that is done, and sum up all cells; the last one tells the result."""
    from dqh.training.sweep_course import run_cell
    from dqh.training.sweep_lock import claimed

    if config["resume"] is not None:
        raise ConfigError("resume: belongs to a single run; a sweep goes on when its command is given again")
    sweep, number = planned(config["runs"]), HydraConfig.get().job.num + 1
    if number == 1:
        until_exit.enter_context(claimed(sweep.folder))
    values = dict(argument.lstrip("+").split("=", 1) for argument in given if "=" in argument)
    text = run_cell(
        *(sweep, number, values),
        command=command_line([sys.argv[0], *(argument.removeprefix("++") for argument in sys.argv[1:])]),
        is_done=lambda folder: is_complete(folder, config, yaml=YAML),
        train=lambda folder: train(config, [sys.argv[0], *given], yaml=YAML, cell=folder),
    )
    if number == len(sweep.cells):
        say(*text.split("\n"), "", f"sweep     {sweep.folder / 'sweep.html'}")
        if any(cell.state == "failed" for cell in sweep.cells):
            raise SystemExit(1)


@cache  # composing takes its time, and each cell asks
def planned(runs: str) -> Sweep:
    """The sweep that the command line describes."""
    job, parser = HydraConfig.get(), OverridesParser.create(GlobalHydra.instance().config_loader())
    texts = [f"{key}={value}" for key, value in (job.sweeper.params or {}).items()]
    texts += [text for text in sys.argv[1:] if not text.startswith("-") and ("=" in text or text.startswith("~"))]
    arguments = []
    for override in parser.parse_overrides(texts):
        is_swept = override.is_sweep_override() and not override.is_hydra_override()
        values = tuple(override.sweep_string_iterator()) if is_swept else None
        arguments.append(Argument(override.input_line or "", override.get_key_element(), values))

    def composed(chosen: Sequence[str]) -> Composed:
        own = hydra.compose(job.job.config_name, list(chosen), return_hydra_config=True)
        plain: Any = OmegaConf.to_container(OmegaConf.masked_copy(own, [str(key) for key in own if key != "hydra"]))
        bits = OmegaConf.select(own, "method.bits", default=OmegaConf.select(own, "bits"))
        return Composed(plain | {"bits": bits, "seed": OmegaConf.select(own, "seed")}, own.hydra.runtime.choices)

    return plan_command(Path(runs), arguments, composed)


if __name__ == "__main__":
    logging.getLogger("hydra").setLevel(logging.WARNING)  # it would name every cell of a sweep a second time
    with until_exit:
        start(main, CONF, keys=KEYS)
