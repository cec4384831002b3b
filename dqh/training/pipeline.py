"""An experiment in a run folder: train, write the artifact, evaluate what was written."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.profilers import Profiler

from dqh.artifact import Artifact, Length, golden_files, is_artifact, load_artifact, record_metrics, save_artifact
from dqh.conveniences import convenience
from dqh.data import Prepared, prepare
from dqh.environment import environment
from dqh.errors import ArtifactError, ConfigError, DataError
from dqh.evaluation import (
    UNTRAINED,
    WITHOUT_H,
    Evaluation,
    evaluate,
    read_references,
    reference_folder,
    torch_device,
    torch_threads,
)
from dqh.evaluation.references import left_out
from dqh.files import make_folders, write_json
from dqh.models import UNFIT, Backbone
from dqh.training.checkpoints import Interrupted, require_resumable
from dqh.training.closed_form import ClosedForm, fit_closed_form
from dqh.training.datamodule import HashDataModule
from dqh.training.experiment import Experiment
from dqh.training.fit import Fit, fit
from dqh.training.head_steps import begin_head, finish_head, train_lengths
from dqh.training.loggers import log_results
from dqh.training.module import HashModule
from dqh.training.plan import plan_line, sequel
from dqh.training.profile import profiling
from dqh.training.refit import fit_quantizer, further_lengths
from dqh.training.run_folder import kept_environment, last_checkpoint, require_split
from dqh.training.seeds import derive

logger = logging.getLogger(__name__)

GOLDEN_INPUTS = 4
INITIAL_IMAGES = 5000
"""Most training images that a network is initialised with."""


def run(
    experiment: Experiment,
    folder: Path,
    *,
    command: str,
    resume: Path | None = None,
    again: bool = False,
    ready: Callable[[], None] = lambda: None,
    measured: Callable[[Evaluation], None] = lambda evaluation: None,
) -> Evaluation:
    """Train, export and evaluate; everything that comes of it lies in `folder`.

    Args:
        experiment: what to do.
        folder: of the run; gets `split.json`, `environment.json`, `checkpoints/`, `metrics.csv`, `artifact/`,
            `metrics.json`, `report.html`, `untrained/` and `without_h/` with the networks to compare with, and
            `skipped.csv` where images cannot be used.
        command: what the report says gives these numbers again.
        resume: a `last.ckpt` of this run to continue from; a run that has its artifact goes on to evaluate it.
        again: whether `folder` may hold this run, interrupted: where it has its artifact, it is evaluated without
            `resume` too, which methods in closed form have no checkpoint for.
        ready: called once the images are found fit for use, before the training.
        measured: called with the evaluation before it is written, which a full disk may prevent.

    Raises:
        DqhError: all that can go wrong with data, training and writing.
    """
    settings, path = experiment.settings, folder / "artifact"
    experiment = replace(experiment, split=experiment.split.recognisable(experiment.source))
    if resume is None and not (again and is_artifact(path)):
        if is_artifact(path):
            raise ArtifactError(f"{path} already holds an artifact; choose another folder or remove it first")
        write_json(folder / "split.json", experiment.split.to_json())
        write_json(folder / "environment.json", environment(command=command, seed=experiment.seed))
    else:
        if resume is not None:
            require_resumable(resume)
        require_split(folder / "split.json", experiment.split, experiment.source)
    device = torch_device(settings.device)
    with torch_threads(settings.threads), profiling(settings.profile, folder, device=device) as profiler:
        with profiler.profile("reading images"):
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
        places = {"artifact": path, "without_h": reference_folder(folder, WITHOUT_H)}
        logger.info("%s", plan_line(experiment, data, done=[name for name in places if is_artifact(places[name])]))
        with profiler.profile("reading images"):
            _initialise(experiment, data)
        begins = not is_artifact(path) and resume is None
        if experiment.method.refit_every is not None and (begins or not is_artifact(folder / UNTRAINED)):
            with profiler.profile("quantizer"):
                _fit_quantizer(experiment, data, device=device)
        if not is_artifact(folder / UNTRAINED):
            facts = {"eval_batch_size": settings.eval_batch_size, "threads": torch.get_num_threads()}
            with profiler.profile("artifact"):
                method, path_before = experiment.method, folder / UNTRAINED
                bits = () if method.one_embedding else experiment.lengths
                size, rows = settings.eval_batch_size, data.roles.train
                before = further_lengths(method, bits, data.store, rows, batch_size=size, seed=experiment.seed)
                _save(experiment, method, facts, data=data, path=path_before, lengths=before)
        if not is_artifact(path):
            _train(experiment, experiment.method, data, folder=folder, path=path, resume=resume, profiler=profiler)
        artifact = load_artifact(path)
        if experiment.without_h is not None and not is_artifact(reference_folder(folder, WITHOUT_H)):
            # by the time that the artifact keeps, so that a resumed run decides alike
            artifact = replace(artifact, training={**artifact.training, **_limit(experiment)})
            if reason := left_out(artifact.training):
                logger.info("no training without H: %s", reason)
            else:
                with profiler.profile("network without H"):
                    _train_without_h(experiment, experiment.without_h, data, folder=folder, profiler=profiler)
        with profiler.profile("evaluation"):
            evaluation = evaluate(
                artifact,
                data,
                retrieval=experiment.retrieval,
                references=read_references(folder),
                device=device,
                batch_size=settings.eval_batch_size,
                devices=settings.devices if device.type == "cuda" else 1,
                choose_rank=True,
                phase=profiler.profile,
            )
    measured(evaluation)
    recorded = ("protocol", "accuracy", "rows", "ranking", "lengths")
    record_metrics(path, {key: evaluation.metrics[key] for key in recorded if key in evaluation.metrics})
    evaluation.write(folder, environment={"command": command} | kept_environment(folder))
    with convenience("loggers"):
        log_results(settings.loggers, folder, rows=evaluation.metrics["rows"], history=evaluation.history)
    return evaluation


def _initialise(experiment: Experiment, data: Prepared) -> None:
    """Hand the networks some training images, where their first weights depend on them."""
    encoder = experiment.method.encoder
    if type(encoder.backbone).initialise is Backbone.initialise:
        return
    train = data.roles.train
    rows = train[:: -(-len(train) // INITIAL_IMAGES)]  # spread over data that are ordered by class
    (batch,) = data.store.batches([rows], size=data.store.spec.size)
    for module in (experiment.method, experiment.without_h):
        if module is not None:
            module.encoder.backbone.initialise(encoder.normalise(batch.images))
    if type(encoder.backbone).unfit is not Backbone.unfit:
        _require_fit(experiment, data)


def _require_fit(experiment: Experiment, data: Prepared) -> None:
    """Raise `DataError` that names the training vectors of which one would decide the whole training."""
    encoder, train, bad = experiment.method.encoder, data.roles.train, []
    groups = (train[start : start + INITIAL_IMAGES] for start in range(0, len(train), INITIAL_IMAGES))
    for batch in data.store.batches(groups, size=data.store.spec.size):
        bad += batch.rows[encoder.backbone.unfit(encoder.normalise(batch.images))].tolist()
    if bad:
        names = ", ".join(str(experiment.source.ids[row]) for row in bad[:10])
        raise DataError(
            f"data: {len(bad)} of {len(train)} training {data.source.kind}s are over {UNFIT:.0f} times as large as the "
            f"others, so that each would decide the training: {names}{', …' if len(bad) > 10 else ''}; remove them, or "
            "divide each by its length"
        )


def _fit_quantizer(experiment: Experiment, data: Prepared, *, device: torch.device) -> None:
    """Fit the quantizer to the embeddings of the network before its training, from which the training goes on."""
    module, seed = experiment.method.to(device), derive(experiment.seed, "quantizer", 0)
    fit_quantizer(module, data.store, data.roles.train, batch_size=experiment.settings.eval_batch_size, seed=seed)
    module.cpu()


def _train(
    experiment: Experiment,
    module: HashModule,
    data: Prepared,
    *,
    folder: Path,
    path: Path,
    resume: Path | None,
    profiler: Profiler,
) -> None:
    """Train one network with its checkpoints in `folder`, and write it as the artifact `path`."""
    own = module is experiment.method
    if isinstance(module, ClosedForm):
        with profiler.profile("closed form"):
            facts = fit_closed_form(module, data, experiment.settings, seed=experiment.seed).to_json()
    else:
        with torch_threads(_threads(experiment.settings, module)):
            facts = _by_gradient(experiment, module, data, folder=folder, resume=resume, profiler=profiler)
    facts["threads"] = torch.get_num_threads()  # of the evaluation, which `evaluate.py` repeats
    with profiler.profile("artifact"):
        facts |= _limit(experiment) if own else {}
        lengths = {}
        if own:
            module.to(torch_device(experiment.settings.device))
            began = time.perf_counter()
            lengths = further_lengths(
                module,
                experiment.lengths,
                data.store,
                data.roles.train,
                batch_size=experiment.settings.eval_batch_size,
                seed=derive(experiment.seed, "quantizer", 0, 1),
            )
            seconds = facts.pop("lengths_seconds", 0.0) + time.perf_counter() - began
            facts |= {"lengths_seconds": round(seconds, 1)} if lengths else {}
        _save(experiment, module, facts, data=data, path=path, lengths=lengths)
    logger.info("wrote %s", path)


def _threads(settings: Fit, module: HashModule) -> int | None:
    """Threads of the training: one for vectors, unless the settings say how many.

    The steps of a linear layer are too small to be shared: on a machine of two cores that does something else too, 20
    epochs of 98,000 vectors took 21 … 37 s on two threads and 12 … 14 s on one, with the same codes.
    """
    small = module.encoder.spec.kind == "vector" and torch_device(settings.device).type == "cpu"
    return 1 if small and settings.threads is None else settings.threads


def _by_gradient(
    experiment: Experiment,
    module: HashModule,
    data: Prepared,
    *,
    folder: Path,
    resume: Path | None,
    profiler: Profiler,
) -> dict[str, Any]:
    """Train one network by gradient; the facts of that."""
    settings, own = experiment.settings, module is experiment.method
    batches = HashDataModule(
        data,
        augment=experiment.augment,
        batch_size=settings.batch_size,
        eval_batch_size=settings.eval_batch_size,
        seed=experiment.seed,
        overfit=settings.overfit,
        passes=settings.passes(len(data.roles.train)),
        processes=settings.devices,
        device_memory=None if settings.device_memory_gb is None else int(settings.device_memory_gb * 1e9),
    )
    # the network before the training tells the kind of codes: the own one may still have to be read from a checkpoint
    coder = load_artifact((folder if own else folder.parent) / UNTRAINED).quantizer
    if own:  # the network without H sees the same
        logger.info("random views in training: %s", batches.views)
    _meet(module, batches)
    if resume is None:
        with profiler.profile("head"):
            begin_head(module, batches, settings, seed=experiment.seed)
    training = fit(
        module,
        batches,
        settings=settings,
        folder=folder,
        seed=experiment.seed,
        resume=resume,
        sequel=sequel(experiment, data, coder, without_h=not own),
        profiler=profiler,
    )
    with profiler.profile("head"):
        facts = training.to_json() | finish_head(module, batches, settings, seed=experiment.seed)
    if own:
        with profiler.profile("head"):
            began = time.perf_counter()
            train_lengths(module, batches, settings, seed=experiment.seed)
            facts["lengths_seconds"] = time.perf_counter() - began
    return facts


def _meet(module: HashModule, batches: HashDataModule) -> None:
    """Tell each length of the training images."""
    for length in (module, *module.others.values()):
        try:
            length.meet(torch.from_numpy(batches.train), batches.labels[batches.train])
        except ValueError as error:
            raise ConfigError(f"method: {length.method} of {length.bits} bits: {error}") from error


def _limit(experiment: Experiment) -> dict[str, Any]:
    """What the artifact keeps of a limit for the network without H, see `left_out`."""
    limit = None if experiment.without_h is None else experiment.without_h_minutes
    return {"without_h_minutes": limit}


def _train_without_h(
    experiment: Experiment, module: HashModule, data: Prepared, *, folder: Path, profiler: Profiler
) -> None:
    """Train the network without H as the method was, in a folder of its own; a signal stops the whole run."""
    logger.info("training the same network without H (without_h=none leaves it out)")
    own = folder / WITHOUT_H
    make_folders(own)
    last = own / "checkpoints" / "last.ckpt"
    try:
        _train(
            experiment,
            module,
            data,
            folder=own,
            path=reference_folder(folder, WITHOUT_H),
            resume=last if last.is_file() else None,
            profiler=profiler,
        )
    except Interrupted as stopped:
        raise Interrupted(stopped.exit_status - 128, last_checkpoint(folder)) from stopped


def _save(
    experiment: Experiment,
    module: HashModule,
    training: dict[str, Any],
    *,
    data: Prepared,
    path: Path,
    lengths: Mapping[int, Length] = MappingProxyType({}),
) -> None:
    module.cpu().eval()
    artifact = Artifact(
        method=module.method,
        encoder=module.encoder,
        quantizer=module.quantizer(),
        classifier=module.classifier,
        class_names=experiment.source.class_names,
        split=experiment.split,
        training={**training, "seed": experiment.seed, "search": experiment.retrieval.to_json()},
        lengths=lengths,
    )
    save_artifact(artifact, path, golden=golden_files(artifact, _golden_inputs(data)))
    module.train()


def _golden_inputs(data: Prepared) -> NDArray[np.uint8] | NDArray[np.float32]:
    """The first few usable database images (or vectors), as the network gets them."""
    rows = data.roles.database
    groups = (rows[start : start + GOLDEN_INPUTS] for start in range(0, len(rows), GOLDEN_INPUTS))
    batches = data.store.batches(groups, size=data.store.spec.size)
    inputs: NDArray[np.uint8] | NDArray[np.float32] = next(
        np.ascontiguousarray(batch.images.numpy()) for batch in batches if len(batch.images)
    )
    return inputs
