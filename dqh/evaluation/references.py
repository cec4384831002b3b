"""Rows to compare a trained code with: the class index, the network before training, the network without H.

A supervised hash that does not beat the class its own classifier names, or features that were never trained, has
learned nothing worth a code. These rows stand in every report; one that cannot be made says why.

    class_index   the class that the classifier names, as the code: items of the same class tie
    untrained     squared L2 between the features before training
    untrained_h   the latent layer before training, cut at the medians: random projections of the features
    without_h     squared L2 between the features of the same network trained without the latent layer
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.artifact import Artifact, is_artifact, load_artifact
from dqh.artifact.places import UNTRAINED, WITHOUT_H
from dqh.errors import ArtifactError
from dqh.evaluation.measure import Retrieved, Row, measure
from dqh.evaluation.ranked_elsewhere import Elsewhere, order_of
from dqh.evaluation.retrieval import Retrieval
from dqh.index.orders.order import Asked
from dqh.index.ways import WAYS, main_way
from dqh.quantizers import ClassIndex
from dqh.quantizers.quantizer import Coder
from dqh.ranking.side import Side


@dataclass(frozen=True)
class References:
    """Networks to compare an artifact with: its own before training, and the same trained without H."""

    untrained: Artifact | None = None
    without_h: Artifact | None = None


class Reference(NamedTuple):
    """One further way of searching, not timed: its order, bytes an item, and the accuracy of a classifier behind it."""

    order: Asked
    bytes_per_item: int
    accuracy: float | None = None

    def costs(self, items: int) -> Row:
        """The columns that are not measured, in a database of N `items`."""
        costs: Row = {"bytes_per_item": self.bytes_per_item, "candidates": items}
        return costs if self.accuracy is None else costs | {"accuracy": self.accuracy}


def reference_folder(run: Path, name: str) -> Path:
    """Where a run has the artifact of a network to compare with.

    Args:
        run: its folder.
        name: `untrained` or `without_h`. The latter holds its own training too, so that its artifact has a folder in
            it; runs of older versions have it beside the checkpoints.
    """
    place = run / name
    return place if name == UNTRAINED or is_artifact(place) else place / "artifact"


def read_references(folder: Path, *, bits: int | None = None) -> References:
    """The networks in the folders `untrained` and `without_h` of a run, as far as they are there.

    Args:
        folder: of the run.
        bits: the length that they are compared with, where they have it; None for their main one.

    Raises:
        ArtifactError: one of them is damaged.
    """
    artifacts = {
        name: _reference(place, bits) if is_artifact(place := reference_folder(folder, name)) else None
        for name in (UNTRAINED, WITHOUT_H)
    }
    return References(**artifacts)


def _reference(path: Path, bits: int | None) -> Artifact:
    artifact = load_artifact(path)
    return artifact if bits is None or bits not in artifact.lengths else artifact.of_length(bits)


def require_same_split(artifact: Artifact, references: References) -> None:
    """Raise `ArtifactError` unless the references belong to the split of the artifact."""
    for name in (UNTRAINED, WITHOUT_H):
        other: Artifact | None = getattr(references, name)
        if other is not None and other.split.sha256 != artifact.split.sha256:
            raise ArtifactError(
                f"the {name}/ folder beside the artifact belongs to another split than the artifact's; move it away"
            )


def class_scores(artifact: Artifact, embedding: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Class scores (N, C) of embeddings (N, D), or None where the artifact has no classifier."""
    if artifact.quantizer.kind == ClassIndex.kind:
        return embedding
    if artifact.classifier is None:
        return None
    with torch.inference_mode():
        scores: NDArray[np.float32] = artifact.classifier(torch.from_numpy(embedding)).numpy()
    return scores


def accuracy(artifact: Artifact, query: Side, class_names: Sequence[str] | None = None) -> float | None:
    """Share of the queries that the classifier names rightly.

    Args:
        artifact: with its classifier.
        query: the queries.
        class_names: of their labels; None for those of the artifact. The classes of data may be numbered otherwise than
            when it was trained, so names are compared.

    Returns:
        0 … 1; None without a classifier, with multi-labels, or where a query's class has a name that the artifact does
        not know.
    """
    scores = class_scores(artifact, query.embedding) if query.labels.ndim == 1 else None
    if scores is None:
        return None
    labels = query.labels
    if class_names is not None and tuple(class_names) != tuple(artifact.class_names):
        number = {name: label for label, name in enumerate(artifact.class_names)}
        labels = np.array([number.get(name, -1) for name in class_names])[labels]
        if (labels < 0).any():
            return None
    return float((scores.argmax(1) == labels).mean())


def class_index(
    artifact: Artifact,
    query: Side,
    database: Side,
    *,
    device: torch.device | str = "cpu",
    elsewhere: Elsewhere | None = None,
) -> Reference | None:
    """The row `class_index`, or None where the artifact has no classifier."""
    queries, items = class_scores(artifact, query.embedding), class_scores(artifact, database.embedding)
    if queries is None or items is None:
        return None
    quantizer = ClassIndex(items.shape[1])
    coded = query._replace(codes=quantizer.encode(queries)), database._replace(codes=quantizer.encode(items))
    order = order_of(main_way(quantizer), *coded, quantizer, device=device, elsewhere=elsewhere)
    return Reference(order, math.ceil(math.log2(quantizer.bits) / 8))


def by_features(
    query: Side,
    database: Side,
    *,
    accuracy: float | None = None,
    device: torch.device | str = "cpu",
    elsewhere: Elsewhere | None = None,
) -> Reference:
    """A row that ranks by squared L2 between features."""
    way = WAYS["exhaustive"]
    order = order_of(way, query, database, None, device=device, elsewhere=elsewhere)
    return Reference(order, way.item_bytes(database), accuracy)


def by_codes(
    query: Side,
    database: Side,
    *,
    quantizer: Coder,
    device: torch.device | str = "cpu",
    elsewhere: Elsewhere | None = None,
) -> Reference:
    """A row that ranks by codes, by their own distance."""
    way = main_way(quantizer)
    order = order_of(way, query, database, quantizer, device=device, elsewhere=elsewhere)
    return Reference(order, way.item_bytes(database))


def compare(reference: Reference, name: str, *, items: int, retrieval: Retrieval) -> Retrieved:
    """Metrics and curve of one reference among N `items`, as `retrieve` has them for the ways of searching."""
    return measure(reference.order, name, empty=partial(retrieval.tally, items), costs=reference.costs(items))


def left_out(training: Mapping[str, object]) -> str | None:
    """Why a run did not train its network without H although it has one: its own training took too long.

    Of the facts of a training, `seconds` that its loops took, beyond `without_h_minutes`, None for no limit.

    Example:
        >>> [left_out({"seconds": seconds, "without_h_minutes": 3}) is None for seconds in (170.0, 200.0)]
        [True, False]
    """
    seconds, limit = (training.get(name) for name in ("seconds", "without_h_minutes"))
    if not isinstance(seconds, int | float) or not isinstance(limit, int | float) or seconds <= 60 * limit:
        return None
    return (
        f"the training of this one took {seconds / 60:.3g} minutes, over the {limit:g} of without_h_minutes; train.py "
        "without_h=softmax trains that network however long it takes"
    )


MISSING: dict[str, str] = {
    "class_index": "the method has no classifier",
    "untrained": "there is no folder untrained/ beside the artifact",
    "untrained_h": "there is no folder untrained/ beside the artifact",
    "without_h": "there is no folder without_h/ beside the artifact; train.py without_h=softmax trains that network",
}
"""Why a row may be missing."""
