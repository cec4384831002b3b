"""Methods that are not trained: their head is computed from the features of the training images, in one step.

What such a method is, and how a run makes its artifact. Which there are, `conf/method` says.
"""

import logging
import time
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.data import Prepared
from dqh.encoding.encode import encode
from dqh.errors import ConfigError
from dqh.evaluation import torch_device
from dqh.outliers import usual_rows
from dqh.plural import counted
from dqh.training.fit import Fit
from dqh.training.module import HashModule
from dqh.training.refit import spread
from dqh.training.trained import Trained, in_words

logger = logging.getLogger(__name__)

MOST_IMAGES = 100_000
"""Training images that a head is computed from, at most: the features of as many are held."""

REASON = "closed form"
"""What chose the weights: there was no epoch to choose."""


@runtime_checkable
class ClosedForm(Protocol):
    """A `HashModule` that no gradient trains."""

    def fit_head(self, features: NDArray[np.float32], labels: NDArray[Any], *, seed: int) -> None:
        """Compute the weights of the head, on the CPU.

        Args:
            features: (N, F) float32, of training images.
            labels: (N,) int64 or (N, C) bool; methods without supervision leave them unread.
            seed: of every random draw.

        Raises:
            ValueError: features or labels that the method cannot be fitted on.
        """
        ...


def fit_closed_form(module: HashModule, data: Prepared, settings: Fit, *, seed: int) -> Trained:
    """Compute the heads of a method that is one of `ClosedForm`, each length by itself; ends on the CPU.

    Args:
        module: the network.
        data: the images; the features of the training images are computed once, of centres and in evaluation mode.
        settings: device, threads and size of a batch; the rest is about a training and is not read.
        seed: of the run.

    Returns:
        Facts of a training of no epochs: `seconds` are those of the fit, `wall_seconds` also has those of the features.

    Raises:
        ConfigError: the features or labels are none that the method can be fitted on, or too few.
    """
    usable = len(data.roles.train)
    module.require_images(usable, f"{usable} can be used")
    began, device = time.perf_counter(), torch_device(settings.device)
    encoded = encode(
        module.encoder.eval(),
        module.quantizer(),
        store=data.store,
        rows=spread(data.roles.train, MOST_IMAGES),
        device=device,
        batch_size=settings.eval_batch_size,
    )
    module.cpu()
    features, labels = np.asarray(encoded.features, np.float32), data.source.labels[encoded.rows]
    usual = usual_rows(features, user=module.method)
    if not usual.all():
        features, labels = features[usual], labels[usual]
    fitted = time.perf_counter()
    own_seed = seed % 2**32  # as the row of this name, and as scikit-learn wants it
    for length in (module, *module.others.values()):
        assert isinstance(length, ClosedForm)
        try:
            length.fit_head(features, labels, seed=own_seed)
        except ValueError as error:
            raise ConfigError(f"method: {module.method} of {length.bits} bits: {error}") from error
    ended = time.perf_counter()
    logger.info(
        "computed %s from %s in %.1f s, their features in %.1f s",
        *(module.method, counted(len(features), data.source.kind), ended - fitted, fitted - began),
    )
    return Trained(
        epochs=0,
        best_epoch=0,
        chosen_by=REASON,
        best_score=None,
        seconds=round(ended - fitted, 1),
        wall_seconds=round(ended - began, 1),
        warm_up_seconds=0.0,
        waiting_seconds=0.0,
        images_per_s=round(len(features) / max(ended - fitted, 1e-9), 1),
        device=in_words(device),
        devices=1,
        threads=torch.get_num_threads(),
        precision="32-true",
        compiled=False,
        eval_batch_size=settings.eval_batch_size,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        overfit=None,
        history=[],
    )
