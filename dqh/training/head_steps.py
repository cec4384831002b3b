"""The layers behind the backbone, trained to their end on features that are computed once.

A network that is fine-tuned for a few epochs takes some hundred steps. They are enough for a backbone that has seen a
million images, and too few for H and the classifier, which begin with nothing. With features in memory a thousand steps
take a second: before the training, so that the backbone follows gradients of layers that know something, and after it.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqh.encoding.encode import encode
from dqh.errors import NonFiniteLossError
from dqh.evaluation import torch_device
from dqh.evaluation.metrics import average_precision
from dqh.index.ways import main_way
from dqh.models import EncoderOutput
from dqh.ranking.side import Side
from dqh.training.datamodule import HashDataModule
from dqh.training.fit import Fit
from dqh.training.module import HashModule, full_float32
from dqh.training.optimizer import Optimizer
from dqh.training.refit import spread
from dqh.training.seeds import derive
from dqh.training.shared_backbone import BITS
from dqh.training.validation import EQUAL, cannot_choose

logger = logging.getLogger(__name__)

MOST_IMAGES = 50_000
"""Training images whose features are held, at most."""

MOST_NUMBERS = 2**28
"""Numbers in the features of vectors that are held, at most: 1 GiB; no network has to run for them."""

PART = 8192
"""Rows whose embeddings are computed at a time: a hidden layer may be many times as wide as the features."""

BACKBONE = "encoder.backbone."
"""How the names of what is left as it is begin."""

LATER_SHARE = 7
"""So many times less often than the main length a further one of vectors sees each of them."""

LATER_BATCHES = 4
"""So many batches at once it sees, where its loss is a sum over vectors."""

LATER_STEPS = 100
"""Steps that it takes at least."""

ON_UNITS = 8, 2.0
"""Of lengths that share a hidden layer: as `LATER_SHARE`, and the factor on their learning rate, as little moves."""


def begin_head(module: HashModule, data: HashDataModule, settings: Fit, *, seed: int) -> None:
    """Train the layers behind the backbone before the training, where the settings want it; ends on the CPU."""
    if not settings.head_begins:
        return
    device = torch_device(settings.device)
    train = cached(module, data, data.train, batch_size=settings.eval_batch_size, device=device)
    steps, size = settings.head_steps, settings.batch_size
    train_head(module, train, steps=steps, batch_size=size, seed=derive(seed, "head", 0))
    module.cpu()


def finish_head(module: HashModule, data: HashDataModule, settings: Fit, *, seed: int) -> dict[str, Any]:
    """Train them once more after it, where validation images can tell whether that is better; ends on the CPU.

    Returns:
        Facts for `metrics.json`, see `better_head`; none where nothing was done.
    """
    if not settings.head_begins or not len(data.validation):
        return {}
    encode_rows = partial(
        cached, module, data, batch_size=settings.eval_batch_size, device=torch_device(settings.device)
    )
    facts, validation = {}, encode_rows(data.validation)
    if not cannot_choose(validation.labels.cpu()):
        train = encode_rows(data.train)
        facts = better_head(
            module,
            train,
            validation,
            searched=train if np.isin(data.train, data.prepared.roles.database).all() else None,
            steps=settings.head_steps,
            batch_size=settings.batch_size,
            seed=derive(seed, "head", 1),
        )
    module.cpu()
    return facts


class Cached(NamedTuple):
    """Images as the layers behind the backbone see them.

    Attributes:
        features: (N, F) float32, on the device of the module.
        labels: (N,) int64 or (N, C) bool, there too.
    """

    features: Tensor
    labels: Tensor


def cached(
    module: HashModule, data: HashDataModule, rows: NDArray[np.int64], *, batch_size: int, device: torch.device
) -> Cached:
    """Features of these rows, of centres and in evaluation mode, as an artifact's are.

    There are at most `MOST_IMAGES`, and of vectors `MOST_NUMBERS` of their numbers.

    Args:
        module: the network; it is moved to `device` and left in evaluation mode.
        data: where images and labels come from.
        rows: (N,) int64; spread evenly where they are more.
        batch_size: images encoded at a time.
        device: to compute on.
    """
    encoder, size = module.to(device).encoder, module.encoder.spec.size
    module.eval()
    if encoder.spec.kind == "vector":  # no network has to run, nor has H
        rows = spread(rows, max(MOST_IMAGES, MOST_NUMBERS // encoder.backbone.dimension))
        groups = (rows[start : start + PART] for start in range(0, len(rows), PART))
        with torch.no_grad():
            parts = [
                (encoder.backbone(encoder.normalise(batch.images.to(device))), data.labels[batch.rows].to(device))
                for batch in data.store.batches(groups, size=size)
            ]
        return Cached(*(torch.cat(values) for values in zip(*parts, strict=True)))
    encoded = encode(
        module.encoder,
        module.quantizer(),
        store=data.store,
        rows=spread(rows, MOST_IMAGES),
        device=device,
        batch_size=batch_size,
    )
    features = torch.from_numpy(np.ascontiguousarray(encoded.features)).to(device)
    return Cached(features, data.labels[encoded.rows].to(device))


def train_lengths(module: HashModule, data: HashDataModule, settings: Fit, *, seed: int) -> None:
    """Train the further lengths where they follow, after everything else that moves the main one; ends on the CPU.

    Each begins with units of the main length, which know most of what there is to know: it then needs to see each
    vector a seventh as often as the main one, to come near to what it learns alone. Longer ones take as many more steps
    as they have more bits. A hidden layer is that of the main length, as it is: what it says of a batch is computed
    once for all lengths that take as many steps.
    """
    if not module.others_follow:
        return
    train = cached(module, data, data.train, batch_size=settings.eval_batch_size, device=torch_device(settings.device))
    shared = module.encoder.head.hidden is not None
    # without a classifier losses are of pairs and grow by squares; with a hidden layer a step is worth its overhead
    at_once = 1 if shared or module.classifier is None else LATER_BATCHES
    share = ON_UNITS[0] if shared else LATER_SHARE * at_once
    steps = max(LATER_STEPS, settings.epochs * data.steps // share)
    alike: defaultdict[int, list[HashModule]] = defaultdict(list)
    for bits, other in module.others.items():
        other.start_from(module)
        other.done = 1.0
        alike[round(max(1.0, bits / module.bits) * steps)].append(other)
    for count, others in alike.items():
        own = partial(derive, seed, "head", 2)
        if shared:
            train_on_units(module, others, train, steps=count, batch_size=data.batch_size, seed=own(count))
            continue
        for other in others:
            train_head(other, train, steps=count, batch_size=at_once * data.batch_size, seed=own(other.bits))
    module.cpu().eval()


def train_on_units(
    module: HashModule, others: Sequence[HashModule], train: Cached, *, steps: int, batch_size: int, seed: int
) -> None:
    """Train H and classifier of further lengths on the hidden units of the main one, which stay as they are.

    The units are those of the artifact, without noise: in the training of the main length the hidden layer has learned
    to ignore what tells single vectors apart, and a few steps come further without it (docs/lengths.md).

    Args:
        module: the main length, on the device of `train`; left there in evaluation mode.
        others: the further lengths, of which each has the hidden layer of the main one.
        train: the training images.
        steps: to take.
        batch_size: images a step.
        seed: of their order and of dropout.

    Raises:
        NonFiniteLossError: the loss became infinite or not a number.
    """
    lengths = nn.ModuleDict({f"{BITS}{other.bits}": other for other in others})
    for other in others:
        for layer in (other.encoder.head.first, other.encoder.head.norm):
            layer.requires_grad_(False)
    head = module.encoder.head
    module.eval()

    def losses(features: Tensor, labels: Tensor) -> list[Tensor]:
        with torch.no_grad():
            units = head.units(features)
        return [
            term
            for other in others
            for term in other.losses(EncoderOutput(other.encoder.head.code(units), features), labels).values()
        ]

    torch.manual_seed(seed)
    lengths.train()
    bits = ", ".join(str(other.bits) for other in others)
    faster = replace(module.optimizer, lr=ON_UNITS[1] * module.optimizer.lr)
    _descend(lengths, losses, train, optimizer=faster, steps=steps, batch_size=batch_size, bits=bits)
    lengths.eval()


def train_head(module: HashModule, train: Cached, *, steps: int, batch_size: int, seed: int) -> None:
    """Train all but the backbone by the method's own loss and optimizer, and fit the quantizer where it has to be.

    Of several lengths, all are trained, unless the further ones follow.

    The schedule is that of the optimizer, over these steps.

    Args:
        module: on the device of `train`; left there in evaluation mode.
        train: the training images.
        steps: to take.
        batch_size: images a step.
        seed: of their order, of dropout and of the quantizer.

    Raises:
        NonFiniteLossError: the loss became infinite or not a number.
    """
    behind = (weight for name, weight in module.named_parameters() if not name.startswith(BACKBONE))
    if not any(weight.requires_grad for weight in behind):
        return
    lengths = (module, *module.beside.values())

    def losses(features: Tensor, labels: Tensor) -> list[Tensor]:
        return [
            term
            for length in lengths
            for term in length.losses(EncoderOutput(length.encoder.head(features), features), labels).values()
        ]

    torch.manual_seed(seed)
    module.train()
    if hasattr(module.encoder, "backbone"):  # a further length has none
        module.encoder.backbone.eval()
    _descend(
        module, losses, train, optimizer=module.optimizer, steps=steps, batch_size=batch_size, bits=str(module.bits)
    )
    module.eval()
    if module.refit_every is not None:
        module.fit_quantizer(_embedding(module, train), seed=seed)


def better_head(
    module: HashModule,
    train: Cached,
    validation: Cached,
    *,
    searched: Cached | None,
    steps: int,
    batch_size: int,
    seed: int,
) -> dict[str, Any]:
    """`train_head` once more at the end of a training, kept where the codes then find more for validation images.

    Args:
        module: the trained network, as for `train_head`.
        train: the training images, with its features.
        validation: images that query.
        searched: what they search: the training images, where the database holds them; None for one another.
        steps: as in `train_head`.
        batch_size: so too.
        seed: so too.

    Returns:
        Facts for `metrics.json`: `head_steps`, 0 where those before were better, and `head_scores`, both mAP.

    Raises:
        NonFiniteLossError: see `train_head`.
    """
    module.done = 1.0
    before = {name: value.clone() for name, value in module.state_dict().items() if not name.startswith(BACKBONE)}
    scores = [_score(module, validation, searched)]
    train_head(module, train, steps=steps, batch_size=batch_size, seed=seed)
    scores.append(_score(module, validation, searched))
    kept = scores[1] > scores[0] + EQUAL
    logger.info(
        "validation images find with mAP %.4f after the training, %.4f after %d more steps of the head: %s",
        *(*scores, steps, "kept these" if kept else "kept those before"),
    )
    if not kept:
        module.load_state_dict(before, strict=False)
    return {"head_steps": steps if kept else 0, "head_scores": scores}


def _descend(
    network: nn.Module,
    losses: Callable[[Tensor, Tensor], list[Tensor]],
    train: Cached,
    *,
    optimizer: Optimizer,
    bits: str,
    steps: int,
    batch_size: int,
) -> None:
    """Move what trains of a network by the sum of the losses of features and labels; see `train_head`."""
    moved, schedule = optimizer.build(network, steps)  # of weights without gradient it moves none
    size, loss = min(batch_size, len(train.labels)), torch.zeros(())
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(len(train.labels)).to(train.labels.device)
        rows, order = order[:size], order[size:]
        with full_float32():
            loss = torch.stack(losses(train.features[rows], train.labels[rows])).sum()
        moved.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        moved.step()
        schedule.step()
    if not math.isfinite(loss.item()):
        raise NonFiniteLossError(
            f"the loss became {loss.item()} in {steps} steps of the layers behind the backbone for {bits} bits; "
            "lower optimizer.lr, or leave them out: trainer.head_steps=0, or these bits of method.lengths"
        )


def _embedding(module: HashModule, images: Cached) -> NDArray[np.float32]:
    """(N, D) embeddings, from features, `PART` rows at a time."""
    features = images.features
    with torch.no_grad(), full_float32():
        starts = range(0, max(1, len(features)), PART)
        parts = [module.encoder.head(features[start : start + PART]).float().cpu() for start in starts]
    embedding: NDArray[np.float32] = torch.cat(parts).numpy()
    return embedding


def _score(module: HashModule, validation: Cached, searched: Cached | None) -> float:
    """MAP of validation images by their codes, ties by expectation."""
    quantizer, query = module.quantizer(), _side(module, validation)
    order = main_way(quantizer).order(
        query, query if searched is None else _side(module, searched), quantizer, device=module.device
    )
    rankings = order.others() if searched is None else order.buckets()
    return float(torch.cat([average_precision(buckets) for buckets in rankings]).mean())


def _side(module: HashModule, images: Cached) -> Side:
    embedding = _embedding(module, images)
    return Side(module.quantizer().encode(embedding), embedding, embedding, images.labels.cpu().numpy())
