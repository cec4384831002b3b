"""Fitting what a quantizer learns from embeddings, before the training and after every few epochs of it.

Which methods have something to fit, `HashModule.refit_every` says; what they do with the embeddings is theirs.
"""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback
from torch import distributed

from dqh.artifact import Length
from dqh.data import Store
from dqh.training.module import HashModule, full_float32
from dqh.training.processes import count, everyone, rank
from dqh.training.seeds import derive

MOST_IMAGES = 20_000
"""Training images that a quantizer is fitted to, at most, unless it needs more."""

POINTS = 39
"""Images a codeword that are enough, as faiss has it (`ClusteringParameters.min_points_per_centroid`)."""


class Refit(Callback):
    """Fits the quantizer to the embeddings of the training images, right before the validation.

    What is validated is then what is saved. Without validation images it happens at the end of the epoch.

    Args:
        store: where images come from.
        rows: (N,) int64, training images.
        batch_size: images encoded at a time.
        seed: of every random draw.
    """

    def __init__(self, store: Store, rows: NDArray[np.int64], *, batch_size: int, seed: int) -> None:
        self.store = store
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self._done = -1

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fit, where it is time."""
        self._fit(trainer.current_epoch, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fit, where it is time and no validation came first."""
        self._fit(trainer.current_epoch, pl_module)

    def _fit(self, epoch: int, module: pl.LightningModule) -> None:
        assert isinstance(module, HashModule)
        if module.refit_every and (epoch + 1) % module.refit_every == 0 and epoch != self._done:
            self._done = epoch
            fit_quantizer(
                module,
                self.store,
                self.rows,
                batch_size=self.batch_size,
                seed=derive(self.seed, "quantizer", epoch + 1),
            )


def fit_quantizer(module: HashModule, store: Store, rows: NDArray[np.int64], *, batch_size: int, seed: int) -> None:
    """Fit the quantizer of a module to the embeddings of training images, see `training_embedding`.

    Several processes compute a part of them each, and fit to the whole.

    Args:
        module: the network, left in the mode it is in.
        store: where images come from.
        rows: (N,) int64, training images.
        batch_size: images encoded at a time.
        seed: of the fit.

    Raises:
        ConfigError: fewer usable images than the quantizer needs.
        NonFiniteLossError: in a training, an embedding is not finite.
    """
    embedding = training_embedding(module, store, rows, batch_size=batch_size)
    with full_float32():
        module.fit_quantizer(embedding, seed=seed)
    if count() > 1:  # what was fitted is equal but for the last digits
        for value in [*module.parameters(), *module.buffers()]:
            first = value.detach().contiguous()
            distributed.broadcast(first, src=0)
            with torch.no_grad():
                value.copy_(first)


def further_lengths(
    module: HashModule, bits: Sequence[int], store: Store, rows: NDArray[np.int64], *, batch_size: int, seed: int
) -> dict[int, Length]:
    """The codes of further lengths of a trained network: heads that were trained beside it, or quantizers fitted now.

    Args:
        module: the network.
        bits: of the lengths.
        store: where images come from.
        rows: (N,) int64, training images, for quantizers.
        batch_size: images encoded at a time.
        seed: of the fit.

    Raises:
        ConfigError: fewer usable images than the quantizers need.
        ValueError: a quantizer cannot have so many bits.
    """
    if not bits:
        return {}
    if not module.one_embedding:
        others = module.others
        return {b: Length(others[b].encoder.head, others[b].quantizer(), others[b].classifier) for b in bits}
    embedding = training_embedding(module, store, rows, batch_size=batch_size)
    with full_float32():
        quantizers = {b: module.quantizer_of(b, embedding, seed=seed) for b in bits}
    return {b: Length(module.encoder.head, quantizer, module.classifier) for b, quantizer in quantizers.items()}


def training_embedding(
    module: HashModule, store: Store, rows: NDArray[np.int64], *, batch_size: int
) -> NDArray[np.float32]:
    """The embeddings, (N, D), of at most `MOST_IMAGES` training images, spread evenly, that a quantizer is fitted to.

    They are computed in evaluation mode and float32, from centres as the artifact's are: augmentation, dropout and
    weights in motion belong to no embedding that is ever searched. Arguments and errors as of `fit_quantizer`.
    """
    most = max(MOST_IMAGES, POINTS * module.least_images)
    rows = spread(rows, most)
    groups = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    own = range(rank(), len(groups), count())
    training, numbered = module.training, []
    module.eval()
    exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)  # as for the artifact
    with torch.no_grad(), exact, full_float32():
        batches = store.batches((groups[place] for place in own), size=module.encoder.spec.size)
        for place, batch in zip(own, batches, strict=True):
            if len(batch.images):
                embedding = module.encoder(batch.images.to(module.device, non_blocking=True)).embedding
                if module.in_training:
                    module.require_finite(embedding, batch.rows)
                numbered.append((place, embedding.float().cpu().numpy()))
    module.train(training)
    parts = [
        part
        for _, part in sorted(
            (numbered_part for share in everyone(numbered) for numbered_part in share), key=itemgetter(0)
        )
    ]
    usable = sum(map(len, parts))
    module.require_images(usable, f"{usable} can be used")
    return np.concatenate(parts)


def spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The rows, or `most` of them, at least 1, from first to last in even steps."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
