"""Evaluate an artifact on its data, without the training code: `python evaluate.py artifact=DIR data=NAME`.

Or compare features that nothing was trained for: `python evaluate.py study=features data=NAME …`, of whole images, or
`study=crops`, of the objects in photos with boxes; or ways of searching, `study=search`, of an artifact or of vectors.
"""

from dqh import signals

if __name__ == "__main__":
    signals.listen()  # before all else is loaded, which takes its time

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from dqh.artifact import read_manifest
from dqh.commands import command_line
from dqh.config import FAILED, Node, Problems, check, exit_status, start
from dqh.data import read_class_map
from dqh.detection.detector_manifest import is_detector
from dqh.errors import ConfigError
from dqh.files import claim_folder
from dqh.scale.asked_executor import OPTIONS, asked_executor, option_problems
from dqh.terminal import say

CONF = Path(__file__).resolve().parent / "conf"
COMMON = {"data": Node, "device": Literal["auto", "cpu", "cuda"], "batch_size": int | None, "runs": str}
FIELDS = COMMON | {
    "artifact": str,
    "bits": int | None,
    "search": Node,
    "devices": int,
    "other_data": bool,
    "class_map": str | None,
    **OPTIONS,
}
OF_TRAINING = ("split", "augment", "trainer")  # data/*.yaml sets them for train.py; here the artifact says who is who
STUDY_FIELDS = COMMON | {"study": Node, "split": Node, "seed": int}
SEARCH_FIELDS = STUDY_FIELDS | {"artifact": str | None, "bits": int | None, "other_data": bool}
NOT_OF_STUDY = ("artifact", "bits", "search", "devices", "other_data", "class_map", "augment", "trainer", *OPTIONS)
NOT_OF_SEARCH = tuple(key for key in NOT_OF_STUDY if key not in SEARCH_FIELDS)
SEARCH = "dqh.evaluation.SearchStudy"
OF_CODES = ("bits", "search", "devices", "batch_size", *OPTIONS)  # that a detector has none of


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(composed: DictConfig) -> None:
    """Check the configuration, read the artifact, encode, search, measure, and write a folder of its own."""
    do: Callable[[dict[str, Any], Sequence[str]], None] = evaluate
    unread: tuple[str, ...] = (*OF_TRAINING, "study", "seed")
    if composed.get("study") is not None:
        of_searches = composed.study.get("_target_") == SEARCH
        do, unread = (study_searches, NOT_OF_SEARCH) if of_searches else (study, NOT_OF_STUDY)
    elif is_detector(Path(str(composed.artifact))):
        do = detect
    kept = OmegaConf.masked_copy(composed, [str(key) for key in composed if key not in unread])
    config: dict[str, Any] = OmegaConf.to_container(kept, resolve=True)  # type: ignore[assignment]
    with exit_status():
        do(config, [each.removeprefix("++") for each in HydraConfig.get().overrides.task])


def evaluate(config: dict[str, Any], given: Sequence[str]) -> None:
    """The evaluation that a composed and resolved configuration describes; searches as the training did, unless told.

    Args:
        config: of `FIELDS`.
        given: the arguments of the command line.
    """
    of_artifact = (*OF_TRAINING, "seed")
    refused = [f"{each}: the {key} is the artifact's; leave it out" for key, each in keys(given) if key in of_artifact]
    if config["class_map"] is not None:
        refused.append(f"class_map={config['class_map']}: is of detectors; leave it out")
    size = config["batch_size"]
    if isinstance(size, int) and size < 1:
        refused.append(f"batch_size: got {size}, wanted at least 1, or null for that of the training")
    with Problems([*refused, *option_problems(config), *check(config, FIELDS, imports=False)]) as problems:
        source = problems.build(config, "data")
        problems.call(read_manifest, Path(config["artifact"]))
    from dqh import evaluation  # torch, which mistakes and --help do without
    from dqh.artifact import load_artifact
    from dqh.environment import environment
    from dqh.scale.spread_queries import SpreadQueries

    with Problems(check(config, FIELDS)) as problems:
        device = problems.call(evaluation.torch_device, config["device"])
        if isinstance(config["devices"], int):
            problems.call(evaluation.shared_by, device, config["devices"])
        artifact = problems.call(load_artifact, Path(config["artifact"]), bits=config["bits"])
        match = problems.call(evaluation.require_data, artifact, source, other_data=config["other_data"] is True)
        if artifact is not FAILED and not set_by("search=", given):
            kept = problems.call(evaluation.trained_retrieval, artifact)
            changes = {key: value for key, value in config["search"].items() if set_by(f"search.{key}=", given)}
            config["search"] = {"_target_": config["search"]["_target_"]} | kept.to_json() | changes
        retrieval = problems.build(config, "search")
        references = problems.call(evaluation.read_references, Path(config["artifact"]).parent, bits=config["bits"])
        executor = problems.call(asked_executor, config)
    name = re.sub(r"[^\w.-]+", "_", f"evaluate_{artifact.method}_{source.name}_{artifact.quantizer.bits}")
    spread = None
    if executor is not None:
        parts, of = Path(config["parts"] or f"{config['runs']}/{name}.parts"), Path(config["runs"]) / name
        spread = SpreadQueries(executor, folder=parts, of=of, partitions=config["partitions"])
    with spread or nullcontext():  # a folder that cannot be used is refused before anything is encoded
        folder = claim_folder(Path(config["runs"]), name)
        with executor or nullcontext():
            result = evaluation.evaluate_artifact(
                artifact,
                source,
                retrieval=retrieval,
                device=device,
                batch_size=size,
                devices=config["devices"],
                references=references,
                skipped_file=folder / "skipped.csv",
                match=match,
                elsewhere=spread,
            )
        say(*result.text().split("\n"), "")  # what was measured is told whether it can be written or not
        command = command_line([sys.argv[0], *given])
        seed = artifact.training.get("seed", artifact.split.seed)
        result.write(folder, environment=environment(command=command, seed=seed))
        if spread is not None:
            spread.end()
    say(f"report    {folder / 'report.html'}")


def detect(config: dict[str, Any], given: Sequence[str]) -> None:
    """The evaluation of a detector: what it finds in photos, compared with the boxes that they have.

    Args:
        config: of `FIELDS`.
        given: the arguments of the command line.
    """
    not_its_own = (*OF_TRAINING, "seed", *OF_CODES)
    refused = [
        f"{each}: a detector has no {key} to choose; leave it out" for key, each in keys(given) if key in not_its_own
    ]
    artifact, class_map = Path(config["artifact"]), config["class_map"]
    with Problems([*refused, *check(config, FIELDS, imports=False)]) as problems:
        source = problems.build(config, "data")
        named = None if class_map is None else problems.call(read_class_map, Path(class_map))
    from dqh.detection.opening import open_detector
    from dqh.environment import environment
    from dqh.evaluation import torch_device
    from dqh.evaluation.detection import require_measures
    from dqh.evaluation.detector_data import asked_photos
    from dqh.evaluation.detector_evaluation import LEAST_SCORE, evaluate_detector

    require_measures()
    device = torch_device(config["device"]).type
    asked = asked_photos(artifact, source, other_data=config["other_data"])
    folder = claim_folder(Path(config["runs"]), re.sub(r"[^\w.-]+", "_", f"evaluate_{asked.method}_{source.name}"))
    with open_detector(artifact, threshold=LEAST_SCORE, device=device) as detector:
        result = evaluate_detector(
            detector,
            asked.source,
            asked.rows,
            skipped_file=folder / "skipped.csv",
            protocol=asked.protocol,
            training=asked.training,
            class_map=named,
        )
    say(*result.text().split("\n"), "")
    command = command_line([sys.argv[0], *given])
    result.write(folder, environment=environment(command=command, seed=asked.protocol.get("split_seed", 0)))
    say(f"report    {folder / 'report.html'}")


def study(config: dict[str, Any], given: Sequence[str]) -> None:
    """The study that a composed and resolved configuration describes, written anew after each network.

    Args:
        config: of `STUDY_FIELDS`.
        given: the arguments of the command line.
    """
    if "_target_" not in config["study"]:
        raise ConfigError("study: no kind of study is chosen; write study=features too")
    refused = [f"{each}: a study reads no {key}; leave it out" for key, each in keys(given) if key in NOT_OF_STUDY]
    size = config["batch_size"]
    if isinstance(size, int) and size < 1:
        refused.append(f"batch_size: got {size}, wanted at least 1, or null for that of a study")
    with Problems([*refused, *check(config, STUDY_FIELDS, imports=False)]) as problems:
        source, protocol = (problems.build(config, key) for key in ("data", "split"))
        split = problems.call(lambda drawn_by, data: drawn_by.draw(data), protocol, source)
    from dqh import discovery, evaluation  # torch, which mistakes and --help do without

    with Problems(check(config, STUDY_FIELDS)) as problems:
        settings = problems.build(config, "study")
        device = problems.call(evaluation.torch_device, config["device"])
        problems.call(lambda networks, data: networks.require_source(data), settings, source)
    folder = claim_folder(Path(config["runs"]), re.sub(r"[^\w.-]+", "_", f"study_{source.name}"))
    study_all = discovery.study_crops if isinstance(settings, discovery.CropStudy) else evaluation.study_features
    results = study_all(
        settings,
        source,
        split,
        device=device,
        skipped_file=folder / "skipped.csv",
        allow_duplicates=protocol.duplicates_allowed,
        batch_size=size or evaluation.STUDY_BATCH_SIZE,
    )
    write_all(results, folder, given)


def study_searches(config: dict[str, Any], given: Sequence[str]) -> None:
    """The study of searches that a configuration describes: of vectors as they are, or of what an artifact encodes.

    Args:
        config: of `SEARCH_FIELDS`. Of images, the artifact is that of the latest run unless one is given; of vectors
            none is read unless it is given.
        given: the arguments of the command line.
    """
    with Problems(check(config, SEARCH_FIELDS, imports=False)) as problems:
        source = problems.build(config, "data")
        encoded = source is not FAILED and (source.kind == "image" or set_by("artifact=", given))
        problems.call(refuse_of_search, given, encoded=encoded)
        if encoded:
            problems.call(read_manifest, Path(config["artifact"]))
        else:
            protocol = problems.build(config, "split")
            split = problems.call(lambda drawn_by, data: drawn_by.draw(data), protocol, source)
    from dqh import evaluation  # torch, which mistakes and --help do without
    from dqh.artifact import load_artifact

    with Problems(check(config, SEARCH_FIELDS)) as problems:
        settings = problems.build(config, "study")
        device = problems.call(evaluation.torch_device, config["device"])
        if encoded:
            artifact = problems.call(load_artifact, Path(config["artifact"]), bits=config["bits"])
            other = config["other_data"] is True
            match = problems.call(evaluation.require_data, artifact, source, other_data=other)
            split = problems.call(lambda of_data: of_data.split, match)
        problems.call(lambda study, data: study.sizes_of(len(data.database), growing=not encoded), settings, split)
    folder = claim_folder(Path(config["runs"]), re.sub(r"[^\w.-]+", "_", f"study_search_{source.name}"))
    skipped = folder / "skipped.csv"
    if encoded:
        searched = evaluation.searched_codes(artifact, source, match, device=device, skipped_file=skipped)
    else:
        duplicates = protocol.duplicates_allowed
        searched = evaluation.searched_vectors(source, split, skipped_file=skipped, allow_duplicates=duplicates)
    write_all(evaluation.study_search(settings, searched), folder, given)


def refuse_of_search(given: Sequence[str], *, encoded: bool) -> None:
    """Raise `ConfigError` for arguments that a study of searches does not read, of an artifact or of vectors alone."""
    unread = dict.fromkeys((*NOT_OF_SEARCH, "batch_size"), "a study of searches reads none")
    unread |= (
        dict.fromkeys(("split", "augment"), "that of the artifact counts")
        if encoded
        else dict.fromkeys(("bits", "other_data"), "only with an artifact, and none is given")
    )
    problems = [f"{each}: {unread[key]}; leave it out" for key, each in keys(given) if key in unread]
    if problems:
        raise ConfigError(problems)


def write_all(results: Iterable[Any], folder: Path, given: Sequence[str]) -> None:
    """Write a study anew after each part of it, and tell what it found in the end."""
    for result in results:
        try:
            result.write(folder, command=command_line([sys.argv[0], *given]))
        except OSError:  # what was measured is told whether it can be written or not
            say(*result.text().split("\n"))
            raise
    say(*result.text().split("\n"), "", f"study     {folder / 'study.md'}")
    for picture in sorted(folder.glob("study*.svg")):
        say(f"picture   {picture}")


def keys(given: Sequence[str]) -> list[tuple[str, str]]:
    """The top-level key of each argument, and the argument."""
    return [(re.split(r"[.=]", argument.lstrip("+~"), maxsplit=1)[0], argument) for argument in given]


def set_by(start: str, given: Sequence[str]) -> bool:
    """Whether an argument begins so."""
    return any(argument.lstrip("+~").startswith(start) for argument in given)


if __name__ == "__main__":
    start(main, CONF, keys=tuple(FIELDS | SEARCH_FIELDS))
