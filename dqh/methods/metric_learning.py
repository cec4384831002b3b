"""Any loss of pytorch-metric-learning, with any of its miners, on a tanh layer whose signs are the code.

Musgrave, Belongie and Lim, "PyTorch Metric Learning", 2020. Needs the package, imported at use.
"""

import math
from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from dqh.errors import DqhError
from dqh.losses import cubic_sign_penalty
from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.quantizers import Threshold
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer


class MetricLearning(HashModule):
    """A loss of metric learning, and a penalty on what lies between the signs.

    What a loss learns besides, such as proxies, trains with the network and is no part of the artifact. These losses
    ask for values of the device at every step.

    Args:
        backbone: images → features.
        classes: C, number of classes; handed on to a loss that takes `num_classes`.
        bits: B, length of a code; handed on to a loss that takes `embedding_size`.
        optimizer: how the weights move.
        loss: name of a class in `pytorch_metric_learning.losses`.
        loss_arguments: of its constructor, by name.
        miner: name of a class in `pytorch_metric_learning.miners`; None for all pairs or triplets of a batch.
        miner_arguments: of its constructor, by name.
        penalty: weight of the distance from the signs (`cubic_sign_penalty`), at least 0.
        dropout: share of the features zeroed before the last layer, 0 … 1.
        noise: of the features in training, see `HashHead`.
        hidden: units of a layer between features and head, of which `dropout` is then a share, see `HashHead`; None for
            no such layer.

    Raises:
        ValueError: a value outside its range, a name that the package does not have, or arguments that its class
            refuses.
        DqhError: pytorch-metric-learning is not installed.
    """

    method = "metric_learning"
    waits_for_device = True

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        loss: str = "MultiSimilarityLoss",
        loss_arguments: Mapping[str, Any] | None = None,
        miner: str | None = None,
        miner_arguments: Mapping[str, Any] | None = None,
        penalty: float = 0.1,
        dropout: float = 0.0,
        noise: float = 0.0,
        hidden: int | None = None,
    ) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not 0 <= penalty < math.inf:
            raise ValueError(f"penalty must be at least 0, got {penalty}")
        if miner is None and miner_arguments:
            raise ValueError(f"miner_arguments belong to a miner, got {dict(miner_arguments)} and none")
        supplied = {"num_classes": classes, "embedding_size": bits}
        term = _make("losses", loss, loss_arguments or {}, supplied=supplied)
        mining = None if miner is None else _make("miners", miner, miner_arguments or {}, supplied={})
        head = HashHead(backbone.dimension, bits, activation="tanh", dropout=dropout, noise=noise, hidden=hidden)
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.loss = term
        self.miner = mining
        self.penalty = penalty

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """The loss of what was mined, and the penalty.

        Raises:
            ValueError: several labels an image, which these losses do not know.
        """
        if labels.ndim != 1:
            raise ValueError(
                f"labels must be (N,), one an image, got shape {tuple(labels.shape)}; choose another method"
            )
        embedding = output.embedding.to(torch.promote_types(output.embedding.dtype, torch.float32))
        everyone, classes = self.together(embedding), self.together(labels)
        with torch.autocast(embedding.device.type, enabled=False):
            pairs = None if self.miner is None else self.miner(everyone, classes)
            metric: Tensor = self.loss(everyone, classes, pairs)
        return {"metric": metric, "sign": self.penalty * cubic_sign_penalty(embedding)}

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)


def _make(kind: str, name: str, arguments: Mapping[str, Any], *, supplied: Mapping[str, int]) -> nn.Module:
    """An object of a class of the package, with what its constructor takes of `supplied`."""
    try:
        module = import_module(f"pytorch_metric_learning.{kind}")
    except ModuleNotFoundError as error:
        raise DqhError(
            "method=metric_learning needs pytorch-metric-learning, which is not installed; install it: "
            "pip install 'dqh[metric]'"
        ) from error
    base = {"losses": "BaseMetricLossFunction", "miners": "BaseMiner"}[kind]
    known = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, getattr(module, base)) and key != base
    }
    what = kind.removesuffix("es") if kind == "losses" else "miner"
    if name not in known:
        raise ValueError(f"{what} must be one of {', '.join(sorted(known))}, got {name!r}")
    taken = {key: value for key, value in supplied.items() if key in signature(known[name]).parameters}
    try:
        built: nn.Module = known[name](**(taken | dict(arguments)))
    except (TypeError, ValueError, AssertionError, AttributeError) as error:
        raise ValueError(f"{what}_arguments: {name} refuses {dict(arguments)}: {error}") from error
    return built
