"""One cell of `methods.py`: a method, a length and a seed on features that were computed once, in this process.

What a run of `train.py` does with them, but for its folder, its artifact and its report, which take longer than heads
do to learn: the same constructors, the same loop, the same search.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray
from omegaconf import OmegaConf
from quality import ROOT

from dqh.data import Prepared, Protocol, prepare
from dqh.encoding.encode import encode
from dqh.evaluation.metrics import average_precision
from dqh.evaluation.subset import unseen_classes, unseen_part
from dqh.index.ways import WAYS, Way, main_way
from dqh.models import Encoder, HashHead, Identity
from dqh.quantizers import Quantizer, Threshold
from dqh.ranking.side import Side
from dqh.training import Experiment, HashModule, assemble
from dqh.training.closed_form import ClosedForm, fit_closed_form
from dqh.training.datamodule import HashDataModule
from dqh.training.fit import fit
from dqh.training.preflight import Drawn, preflight
from dqh.training.refit import fit_quantizer
from dqh.training.seeds import derive

FLOATS = "floats"
"""The cell of the features themselves, by squared L2."""

INITIAL = 5000
"""Training images that a backbone is initialised with, as in a run."""


class Split(NamedTuple):
    """What the cells of one seed share.

    Attributes:
        data: the vectors with their roles.
        drawn: the same for `assemble`.
        unseen: (C,) bool, classes that are not trained on.
    """

    data: Prepared
    drawn: Drawn
    unseen: NDArray[np.bool_]


def composed(arguments: Sequence[str]) -> dict[str, Any]:
    """The configuration that `train.py` makes of these arguments."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        found = OmegaConf.to_container(compose("train", [*arguments]), resolve=True)
    return {str(key): value for key, value in found.items()}


def opened(config: Mapping[str, Any], folder: Path) -> Split:
    """Draw the split of a configuration, and read its images or vectors; `folder` gets the list of unusable ones."""
    drawn = preflight(config)
    spec = assemble(config, drawn=drawn).method.encoder.spec
    skipped = folder / "skipped.csv"
    data = prepare(drawn.source, drawn.split, spec, allow_duplicates=True, skipped_file=skipped)
    unseen = unseen_classes(data.source.labels, data.roles, classes=len(data.source.class_names))
    return Split(data, drawn, unseen)


class Learned(NamedTuple):
    """A trained method, in evaluation mode, and its best `val/mAP`, None where nothing was validated."""

    module: HashModule
    score: float | None


def learn(experiment: Experiment, data: Prepared) -> Learned:
    """Train a method as a run does, without its artifact."""
    module, settings, train = experiment.method, experiment.settings, data.roles.train
    (batch,) = data.store.batches([train[:: -(-len(train) // INITIAL)]], size=data.store.spec.size)
    module.encoder.backbone.initialise(module.encoder.normalise(batch.images))
    if isinstance(module, ClosedForm):
        fit_closed_form(module, data, settings, seed=experiment.seed)
        return Learned(module.eval(), None)
    if module.refit_every is not None:
        seed = derive(experiment.seed, "quantizer", 0)
        fit_quantizer(module, data.store, train, batch_size=settings.eval_batch_size, seed=seed)
    batches = HashDataModule(
        data,
        augment=experiment.augment,
        batch_size=settings.batch_size,
        eval_batch_size=settings.eval_batch_size,
        seed=experiment.seed,
        passes=settings.passes(len(train)),
    )
    with tempfile.TemporaryDirectory() as folder:
        trained = fit(module, batches, settings=settings, folder=Path(folder), seed=experiment.seed)
    return Learned(module.cpu().eval(), trained.best_score)


def features_of(arguments: Sequence[str], folder: Path) -> None:
    """Train a network on images, and write features.npy, labels.npy and roles.npz of all of them, if not there."""
    if (folder / "labels.npy").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    config = composed(arguments)
    split = opened(config, folder)
    module, source = learn(assemble(config, drawn=split.drawn), split.data).module, split.data.source
    everything = prepare(
        source,
        Protocol("counts", query=1).draw(source),
        module.encoder.spec,
        allow_duplicates=True,
        skipped_file=folder / "skipped.csv",
    )
    rows = np.arange(len(source.ids))
    found = encode(module.encoder, module.quantizer(), store=everything.store, rows=rows, device="cpu")
    if not np.array_equal(found.rows, rows):
        raise RuntimeError(f"{len(rows) - len(found.rows)} images could not be used; every one must be")
    np.savez(folder / "roles.npz", **split.data.roles._asdict())
    np.save(folder / "features.npy", found.features.astype(np.float32))
    np.save(folder / "labels.npy", source.labels)


def require_roles(folder: Path, data: Prepared) -> None:
    """Raise `RuntimeError` unless heads learn from, and are asked for, the same images as the network below them."""
    with np.load(folder / "roles.npz", allow_pickle=False) as kept:
        other = [role for role, rows in data.roles._asdict().items() if not np.array_equal(kept[role], rows)]
    if other:
        raise RuntimeError(f"{folder}: the {', '.join(other)} rows are not those of the network; remove the folder")


def measured(split: Split, encoder: Encoder, quantizer: Quantizer, way: Way) -> dict[str, Any]:
    """MAP@all of the classes that were trained on and of those that were not, each among themselves; collisions."""
    sides = []
    for role in ("query", "database"):
        found = encode(
            encoder,
            quantizer,
            store=split.data.store,
            rows=getattr(split.data.roles, role),
            device="cpu",
            batch_size=4096,
        )
        labels = split.data.source.labels[found.rows]
        sides.append(Side(found.codes, found.embedding, found.features, labels))
    cell: dict[str, Any] = {"search": way.name}
    for name, classes in (("seen", ~split.unseen), ("unseen", split.unseen)):
        query, database = (unseen_part(side, classes) for side in sides)
        order = way.order(query, database, quantizer)
        cell[name] = float(torch.cat([average_precision(buckets) for buckets in order.buckets()]).mean())
        cell[f"{name}_queries"], cell[f"{name}_items"] = len(query.codes), len(database.codes)
    return cell | collisions(sides[1].codes)


def collisions(codes: NDArray[np.uint8]) -> dict[str, Any]:
    """`colliding`, share of the items whose code another item has too, and `distinct` codes."""
    if codes.shape[1] <= 8:  # whole words are sorted in a hundredth of the time that rows take
        words = np.zeros((len(codes), 8), np.uint8)
        words[:, : codes.shape[1]] = codes
        sizes = np.unique(words.view(np.uint64), return_counts=True)[1]
    else:
        sizes = np.unique(codes, axis=0, return_counts=True)[1]
    return {"colliding": float(sizes[sizes > 1].sum()) / len(codes), "distinct": len(sizes)}


def floats_of(split: Split) -> dict[str, Any]:
    """The cell of the features as they are, by squared L2."""
    size = split.data.store.spec.size
    assert size is not None
    encoder = Encoder(Identity(size=size), HashHead(size, 1)).eval()
    cell = measured(split, encoder, Threshold(1), WAYS["exhaustive"])
    return cell | {"colliding": None, "distinct": None, "seconds": 0.0, "validation": None}


def cell_of(config: Mapping[str, Any], split: Split) -> dict[str, Any]:
    """Train a method and measure its codes; `seconds` are those of CPU time that the training took."""
    experiment = assemble(config, drawn=split.drawn)
    started = time.process_time()
    learned = learn(experiment, split.data)
    seconds = time.process_time() - started
    quantizer = learned.module.quantizer()
    cell = measured(split, learned.module.encoder, quantizer, main_way(quantizer))
    return cell | {"seconds": round(seconds, 2), "validation": learned.score}


def methods() -> dict[str, str]:
    """Name → class of all methods that make codes, by their yaml."""
    listed = {path.stem: OmegaConf.load(path) for path in sorted((ROOT / "conf" / "method").glob("*.yaml"))}
    return {name: yaml["_target_"] for name, yaml in listed.items() if "_target_" in yaml}
