"""An experiment in a run folder: train, write the artifact, evaluate what was written."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dqh.data import Prepared, prepare
from dqh.errors import DataError
from dqh.evaluation import Evaluation, evaluate, torch_device
from dqh.export import Artifact, golden_files, load_artifact, record_metrics, save_artifact
from dqh.training.datamodule import HashDataModule
from dqh.training.experiment import Experiment
from dqh.training.fit import fit

logger = logging.getLogger(__name__)

GOLDEN_INPUTS = 4


def run(experiment: Experiment, folder: Path, *, command: str, resume: Path | None = None) -> Evaluation:
    """Train, export and evaluate; everything that comes of it lies in `folder`.

    Args:
        experiment: what to do.
        folder: of the run; gets `checkpoints/`, `metrics.csv`, `artifact/`, `metrics.json`, `report.html`, and
            `skipped.csv` where images cannot be used.
        command: what the report says gives these numbers again.
        resume: a `last.ckpt` of this run to continue from.

    Raises:
        DqhError: all that can go wrong with data, training and writing.
    """
    module, settings = experiment.method, experiment.settings
    data = prepare(
        experiment.source,
        experiment.split,
        module.encoder.spec,
        allow_duplicates=experiment.allow_duplicates,
        skipped_file=folder / "skipped.csv",
    )
    for role in ("query", "database", "train"):
        if len(getattr(data.roles, role)) == 0:
            raise DataError(f"no usable {role} images are left; {data.skipped_file} lists the others")
    batches = HashDataModule(
        data,
        augment=experiment.augment,
        batch_size=settings.batch_size,
        eval_batch_size=settings.eval_batch_size,
        seed=experiment.seed,
    )
    training = fit(module, batches, settings=settings, folder=folder, seed=experiment.seed, resume=resume)
    data.report_skipped()
    artifact = Artifact(
        method=module.method,
        encoder=module.encoder,
        quantizer=module.quantizer(),
        classifier=module.classifier,
        class_names=experiment.source.class_names,
        split=experiment.split,
        training=training,
    )
    path = folder / "artifact"
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


def _golden_inputs(data: Prepared) -> NDArray[np.uint8] | NDArray[np.float32]:
    """The first few database images (or vectors), as the network gets them."""
    batch = next(data.store.batches([data.roles.database[:GOLDEN_INPUTS]], size=data.store.spec.size))
    return batch.images.numpy()
