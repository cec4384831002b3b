"""Train a method, write its artifact, evaluate it: `python train.py [key=value …]`."""

import logging
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dqh.config import command_line, completed, differences, exit_status, start
from dqh.errors import ConfigError
from dqh.files import claim_folder, point_to, write_text

CONF = Path(__file__).resolve().parent / "conf"
KEYS = ("bits", "seed", "runs", "resume", "split", "augment")  # beside the folders of conf/

logger = logging.getLogger("train")


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(composed: DictConfig) -> None:
    """Check the whole configuration, then train, export and evaluate in a folder of its own."""
    config: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    given = [each.removeprefix("++") for each in HydraConfig.get().overrides.task]
    command = command_line([sys.argv[0], *given])
    with exit_status():
        from dqh.training import Interrupted, assemble, run  # torch and Lightning, which --help does without

        experiment = assemble(config)
        size = experiment.method.encoder.spec.size
        record = completed(config | {"backbone": config["backbone"] | {"size": size}})
        checkpoint = None if config["resume"] is None else Path(config["resume"]).resolve()
        if checkpoint is None:
            folder = claim_folder(Path(config["runs"]), experiment.name)
            write_text(folder / "config.yaml", f"# {command}\n{OmegaConf.to_yaml(OmegaConf.create(record))}")
        else:
            folder = folder_to_continue(checkpoint, record)
        latest = Path(config["runs"]) / "latest"
        logger.info("run folder %s", folder)
        try:
            evaluation = run(
                experiment, folder, command=command, resume=checkpoint, ready=lambda: point_to(latest, folder)
            )
        except Interrupted as stopped:
            again = [each for each in given if not each.startswith("resume=")]
            logger.warning("continue with: %s", command_line([sys.argv[0], *again, f"resume={stopped.checkpoint}"]))
            raise
        print(f"{evaluation.text()}\n\nreport    {folder / 'report.html'}\nartifact  {folder / 'artifact'}")


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
            f"resume: this run is complete; evaluate it with: python evaluate.py artifact={folder / 'artifact'}"
        )
    before: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(kept))  # type: ignore[assignment]
    apart = ("resume", "runs")
    changed = differences(*({k: v for k, v in each.items() if k not in apart} for each in (before, record)))
    if changed:
        command = kept.read_text().partition("\n")[0].removeprefix("# ")
        raise ConfigError([*changed, f"resume: give the settings of the run again: {command} resume={checkpoint}"])
    return folder


if __name__ == "__main__":
    start(main, CONF, keys=KEYS)
