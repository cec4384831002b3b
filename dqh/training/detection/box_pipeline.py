"""A detector in a run folder: train, write the artifact, evaluate what was written."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dqh.conveniences import convenience
from dqh.data.box_source import BoxSource
from dqh.detection.detector_files import MANIFEST
from dqh.detection.trained_detector import TrainedDetector, open_trained, record_detection, save_trained
from dqh.detection.trained_manifest import read_trained_manifest
from dqh.environment import environment
from dqh.errors import ConfigError
from dqh.evaluation import torch_device, torch_threads
from dqh.evaluation.detector_evaluation import LEAST_SCORE, DetectorEvaluation, evaluate_detector
from dqh.evaluation.report.metrics_rows import measured_rows
from dqh.files import write_json
from dqh.plural import counted
from dqh.training.checkpoints import require_resumable
from dqh.training.detection.box_datamodule import DetectionDataModule
from dqh.training.detection.box_experiment import DetectionExperiment, spec_of_training
from dqh.training.detection.box_fit import fit
from dqh.training.detection.detection_module import DetectionModule
from dqh.training.detection.fitted_photos import DetectionData, prepare_photos
from dqh.training.detection.kept_maps import KeptMaps, needed
from dqh.training.detection.photo_views import FrozenViews
from dqh.training.loggers import log_results
from dqh.training.run_folder import kept_environment, require_split

logger = logging.getLogger(__name__)

GOLDEN_INPUTS = 3

KEPT = ("protocol", "detection", "proposals", "first_stage")
"""What the artifact keeps of an evaluation."""


def run(
    experiment: DetectionExperiment,
    folder: Path,
    *,
    command: str,
    resume: Path | None = None,
    again: bool = False,
    ready: Callable[[], None] = lambda: None,
    measured: Callable[[DetectorEvaluation], None] = lambda evaluation: None,
) -> DetectorEvaluation:
    """Train, export and evaluate; everything that comes of it lies in `folder`.

    Args:
        experiment: what to do.
        folder: of the run; gets `split.json`, `environment.json`, `checkpoints/`, `metrics.csv`, `artifact/`,
            `metrics.json`, `report.html`, and `skipped.csv` where photos or boxes cannot be used.
        command: what the report says gives these numbers again.
        resume: a `last.ckpt` of this run to continue from; a run that has its artifact goes on to evaluate it.
        again: not read; a run that was interrupted has a checkpoint to continue from.
        ready: called once the photos are found fit for use, before the training.
        measured: called with the evaluation before it is written, which a full disk may prevent.

    Raises:
        DqhError: all that can go wrong with data, training and writing.
    """
    settings, path = experiment.settings, folder / "artifact"
    experiment = replace(experiment, split=experiment.split.recognisable(experiment.source))
    if resume is None:
        write_json(folder / "split.json", experiment.split.to_json())
        write_json(folder / "environment.json", environment(command=command, seed=experiment.seed))
    else:
        require_resumable(resume)
        require_split(folder / "split.json", experiment.split, experiment.source)
        _require_boxes(path, resume, experiment.source)
    with torch_threads(settings.threads):
        data = prepare_photos(
            experiment.source,
            experiment.split,
            experiment.size,
            allow_duplicates=experiment.allow_duplicates,
            skipped_file=folder / "skipped.csv",
            roles=("query", "train", "validation"),
            memory_limit=int(settings.memory_gb * 1e9),
            workers=settings.workers,
        )
        ready()
        if not (path / MANIFEST).is_file():
            _train(experiment, data, folder=folder, path=path, resume=resume)
        evaluation = evaluate_detector(
            open_trained(path, threshold=LEAST_SCORE, device=torch_device(settings.device).type),
            experiment.source,
            data.split.rows(experiment.source).query,
            skipped_file=None,
            protocol={
                "method": experiment.method.method,
                "split": experiment.split.protocol,
                "split_seed": experiment.split.seed,
                "split_sha256": experiment.split.sha256,
                "train": len(experiment.split.train),
                "validation": len(experiment.split.validation),
            },
            training=_training_of(path),
        )
    measured(evaluation)
    record_detection(path, {name: evaluation.metrics[name] for name in KEPT})
    evaluation.write(folder, environment={"command": command} | kept_environment(folder))
    with convenience("loggers"):
        log_results(settings.loggers, folder, rows=measured_rows(evaluation.metrics), history=evaluation.history)
    return evaluation


def _train(
    experiment: DetectionExperiment, data: DetectionData, *, folder: Path, path: Path, resume: Path | None
) -> None:
    """Train the network with its checkpoints in `folder`, and write it as the artifact `path`."""
    module, settings = experiment.method, experiment.settings
    if resume is not None:  # so that maps are kept of the weights of this run, whatever the file of weights has now
        module.load_state_dict(torch.load(resume, map_location="cpu", weights_only=True)["state_dict"])
    golden = data.inputs.pixels(data.roles.train[:GOLDEN_INPUTS].tolist())  # while they are surely there
    batches = _batches(experiment, data)
    logger.info(
        "plan: train on %s with %s for %s%s; then detect in %s and write the report",
        counted(len(data.roles.train), "photo"),
        counted(sum(map(data.inputs.marks, data.roles.train.tolist())), "box", "boxes"),
        counted(settings.epochs, "epoch"),
        f", over {_kept(module)}" if batches.keeps_maps else "",
        counted(len(data.split.query), "query photo"),
    )
    logger.info("random views in training: %s", batches.views)
    trained = fit(module, batches, settings=settings, folder=folder, seed=experiment.seed, resume=resume)
    detector = TrainedDetector(
        method=module.method,
        network=module.network,
        arguments=module.arguments,
        spec=spec_of_training(module, experiment.source),
        split=experiment.split,
        boxes_sha256=experiment.source.boxes_sha256,
        training={**trained.to_json(), "seed": experiment.seed},
    )
    save_trained(detector, path, golden=golden)
    logger.info("wrote %s", path)


def _batches(experiment: DetectionExperiment, data: DetectionData) -> DetectionDataModule:
    """What a step sees: what frozen layers of the trunk give where that finds room, else photos."""
    module, settings, augment = experiment.method, experiment.settings, experiment.augment
    train, validation = data.roles.train.tolist(), data.roles.validation.tolist()
    views = FrozenViews(data.inputs, augment, seed=experiment.seed)
    plain = FrozenViews(data.inputs, None, seed=experiment.seed)
    room = int(settings.memory_gb * 1e9)
    bytes_wanted = sum(
        needed(module.trunk, len(rows), views=own.count) for rows, own in ((train, views), (validation, plain))
    )
    features: dict[str, Any] = {}
    if module.trunk.stem_is_frozen and bytes_wanted <= room:
        shared: dict[str, Any] = {"batch_size": settings.eval_batch_size, "device": torch_device(settings.device)}
        features = {
            "features": KeptMaps(module.trunk, views, train, **shared),
            "validation_features": KeptMaps(module.trunk, plain, validation, **shared),
        }
        data.inputs.release()
        module.train()
    elif module.trunk.stem_is_frozen:
        logger.info(
            "%s would take %.1f GB, beyond trainer.memory_gb=%g: they are computed anew in every step",
            *(_kept(module), bytes_wanted / 1e9, settings.memory_gb),
        )
    return DetectionDataModule(
        data,
        augment=augment,
        batch_size=settings.batch_size,
        eval_batch_size=settings.eval_batch_size,
        seed=experiment.seed,
        frozen=module.trunk.stem_is_frozen,
        **features,
    )


def _kept(module: DetectionModule) -> str:
    """What is kept of photos, in words."""
    return f"the maps of {'a frozen backbone' if module.trunk.is_frozen else 'the frozen layers of a backbone'}"


def _training_of(path: Path) -> dict[str, Any]:
    """The facts of the training that an artifact keeps."""
    return dict(read_trained_manifest(path).around["training"])


def _require_boxes(path: Path, resume: Path, source: BoxSource) -> None:
    """Raise `ConfigError` where photos are marked otherwise than when the run began, which `split.json` does not tell.

    Args:
        path: of the artifact, if it is written.
        resume: a checkpoint; one of an older version does not say.
        source: the photos now.
    """
    if (path / MANIFEST).is_file():
        begun = read_trained_manifest(path).around["data"]["boxes_sha256"]
    else:
        content = torch.load(resume, map_location="cpu", weights_only=True)
        begun = content.get(DetectionDataModule.__qualname__, {}).get("boxes_sha256")
    if begun not in (None, source.boxes_sha256):
        raise ConfigError(
            f"resume: boxes of {source.name} have changed since the run began; restore them or start a new run"
        )
