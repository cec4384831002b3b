"""An experiment in a run folder: train, write the artifact, evaluate what was written."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.data import Prepared, Split, prepare
from dqh.errors import ConfigError
from dqh.evaluation import Evaluation, evaluate, torch_device, torch_threads
from dqh.export import Artifact, golden_files, is_artifact, load_artifact, record_metrics, save_artifact
from dqh.files import write_json
from dqh.training.checkpoints import require_resumable
from dqh.training.datamodule import HashDataModule
from dqh.training.experiment import Experiment
from dqh.training.fit import fit

logger = logging.getLogger(__name__)

GOLDEN_INPUTS = 4


def run(
    experiment: Experiment,
    folder: Path,
    *,
    command: str,
    resume: Path | None = None,
    ready: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Train, export and evaluate; everything that comes of it lies in `folder`.

    Args:
        experiment: what to do.
        folder: of the run; gets `split.json`, `checkpoints/`, `metrics.csv`, `artifact/`, `metrics.json`,
            `report.html`, and `skipped.csv` where images cannot be used.
        command: what the report says gives these numbers again.
        resume: a `last.ckpt` of this run to continue from; a run that has its artifact goes on to evaluate it.
        ready: called once the images are found fit for use, before the training.

    Raises:
        DqhError: all that can go wrong with data, training and writing.
    """
    settings, path = experiment.settings, folder / "artifact"
    if resume is None:
        write_json(folder / "split.json", experiment.split.to_json())
    else:
        require_resumable(resume)
        _require_split(folder / "split.json", experiment.split)
    with torch_threads(settings.threads):
        data = prepare(
            experiment.source,
            experiment.split,
            experiment.method.encoder.spec,
            allow_duplicates=experiment.allow_duplicates,
            skipped_file=folder / "skipped.csv",
            memory_limit=int(settings.memory_gb * 1e9),
            workers=settings.workers,
        )
        ready()
        if resume is None or not is_artifact(path):
            artifact = _train(experiment, data, folder, resume)
            save_artifact(artifact, path, golden=golden_files(artifact, _golden_inputs(data)))
            logger.info("wrote %s", path)
        evaluation = evaluate(
            load_artifact(path),
            data,
            retrieval=experiment.retrieval,
            device=torch_device(settings.device),
            batch_size=settings.eval_batch_size,
        )
    record_metrics(path, {key: evaluation.metrics[key] for key in ("protocol", "accuracy", "rows")})
    evaluation.write(folder, command=command)
    return evaluation


def _train(experiment: Experiment, data: Prepared, folder: Path, resume: Path | None) -> Artifact:
    module, settings = experiment.method, experiment.settings
    batches = HashDataModule(
        data,
        augment=experiment.augment,
        batch_size=settings.batch_size,
        eval_batch_size=settings.eval_batch_size,
        seed=experiment.seed,
    )
    training = fit(module, batches, settings=settings, folder=folder, seed=experiment.seed, resume=resume)
    return Artifact(
        method=module.method,
        encoder=module.encoder,
        quantizer=module.quantizer(),
        classifier=module.classifier,
        class_names=experiment.source.class_names,
        split=experiment.split,
        training={**training, "search": experiment.retrieval.to_json()},
    )


def _require_split(file: Path, split: Split) -> None:
    """Raise `ConfigError` unless the data are still split as when the run began."""
    try:
        begun = Split.from_json(json.loads(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigError(f"resume: {file} is missing or damaged; a run continues in its own folder") from error
    if begun.sha256 != split.sha256:
        raise ConfigError(
            f"resume: the data have changed since the run began: {len(begun.train)} train and {len(begun.query)} query "
            f"images then, {len(split.train)} and {len(split.query)} now, or others; restore them or start a new run"
        )


def _golden_inputs(data: Prepared) -> NDArray[np.uint8] | NDArray[np.float32]:
    """The first few usable database images (or vectors), as the network gets them."""
    rows = data.roles.database
    groups = (rows[start : start + GOLDEN_INPUTS] for start in range(0, len(rows), GOLDEN_INPUTS))
    batches = data.store.batches(groups, size=data.store.spec.size)
    inputs: NDArray[np.uint8] | NDArray[np.float32] = next(
        batch.images.numpy() for batch in batches if len(batch.images)
    )
    return inputs
