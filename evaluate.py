"""Evaluate an artifact on its data, without the training code: `python evaluate.py artifact=DIR data=NAME`."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dqh.config import FAILED, Node, Problems, check, command_line, exit_status, start
from dqh.files import claim_folder

CONF = Path(__file__).resolve().parent / "conf"
FIELDS = {
    "artifact": str,
    "data": Node,
    "search": Node,
    "device": Literal["auto", "cpu", "cuda"],
    "batch_size": int | None,
    "runs": str,
}
OF_TRAINING = ("split", "augment", "trainer")  # data/*.yaml sets them for train.py; here the artifact says who is who


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(composed: DictConfig) -> None:
    """Check the configuration, read the artifact, encode, search, measure, and write a folder of its own."""
    kept = OmegaConf.masked_copy(composed, [str(key) for key in composed if key not in OF_TRAINING])
    config: dict[str, Any] = OmegaConf.to_container(kept, resolve=True)  # type: ignore[assignment]
    with exit_status():
        evaluate(config, [each.removeprefix("++") for each in HydraConfig.get().overrides.task])


def evaluate(config: dict[str, Any], given: Sequence[str]) -> None:
    """The evaluation that a composed and resolved configuration describes; searches as the training did, unless told.

    Args:
        config: of `FIELDS`.
        given: the arguments of the command line.
    """
    from dqh import evaluation, export  # torch, which --help does without

    names = {argument.partition(".")[0]: argument for argument in given}
    refused = [f"{names[key]}: the {key} is the artifact's; leave it out" for key in OF_TRAINING if key in names]
    size = config["batch_size"]
    if isinstance(size, int) and size < 1:
        refused.append(f"batch_size: got {size}, wanted at least 1, or null for that of the training")
    with Problems([*refused, *check(config, FIELDS)]) as problems:
        source = problems.build(config, "data")
        device = problems.call(evaluation.torch_device, config["device"])
        artifact = problems.call(export.load_artifact, Path(config["artifact"]))
        problems.call(evaluation.require_data, artifact, source)
        if artifact is not FAILED and not set_by("search=", given):
            kept = problems.call(evaluation.trained_retrieval, artifact)
            changes = {key: value for key, value in config["search"].items() if set_by(f"search.{key}=", given)}
            config["search"] = {"_target_": config["search"]["_target_"]} | kept.to_json() | changes
        retrieval = problems.build(config, "search")
    name = re.sub(r"[^\w.-]+", "_", f"evaluate_{artifact.method}_{source.name}_{artifact.quantizer.bits}")
    folder = claim_folder(Path(config["runs"]), name)
    result = evaluation.evaluate_artifact(
        artifact,
        source,
        retrieval=retrieval,
        device=device,
        batch_size=size,
        skipped_file=folder / "skipped.csv",
    )
    result.write(folder, command=command_line([sys.argv[0], *given]))
    print(f"{result.text()}\n\nreport    {folder / 'report.html'}")


def set_by(start: str, given: Sequence[str]) -> bool:
    """Whether an argument begins so."""
    return any(argument.lstrip("+~").startswith(start) for argument in given)


if __name__ == "__main__":
    start(main, CONF, keys=tuple(FIELDS))
