"""Further lengths of code of one artifact: a row each, by codes alone, beside the evaluation of the main length."""

import dataclasses
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch

from dqh.artifact import Artifact
from dqh.evaluation.measure import Row, measure
from dqh.evaluation.rank_choice import choose_ranking
from dqh.evaluation.ranked_elsewhere import Elsewhere, order_of
from dqh.evaluation.references import accuracy
from dqh.evaluation.retrieval import Retrieval
from dqh.evaluation.rows import Sides
from dqh.index.ways import main_way
from dqh.ranking.side import Side

_PART = 8192
"""Rows that go through a head at a time."""


def measure_lengths(
    artifact: Artifact,
    sides: Sides,
    *,
    chosen_by: Sides | None,
    retrieval: Retrieval,
    device: torch.device,
    class_names: Sequence[str],
    elsewhere: Elsewhere | None = None,
) -> dict[str, dict[str, Any]]:
    """What each further length reaches; its embeddings are made of the features, which all lengths share.

    Args:
        artifact: with its `lengths`.
        sides: queries and database, encoded by it.
        chosen_by: validation images, and what they search, which choose by what answers of each length are ranked; None
            where nothing is to be chosen.
        retrieval: how to search and what to measure.
        device: to compute on.
        class_names: of the labels.
        elsewhere: who ranks; None for this process. Validation images ask here.

    Returns:
        For `metrics.json` `lengths`: bits as a text → `rows`, the one row of the codes alone, and `ranking`, see
        `Ranked.to_json`, or None. Nothing of an artifact with one length.
    """
    untimed = dataclasses.replace(retrieval, timed_queries=0, baselines=(), radius=None)
    content = {}
    for bits in sorted(artifact.lengths):
        other = artifact.of_length(bits)
        query, database = (recoded(side, artifact, other, device=device) for side in sides)
        way = main_way(other.quantizer)
        costs: Row = {"bytes_per_item": way.item_bytes(database), "candidates": len(database.codes)}
        right = accuracy(other, query, class_names)
        costs |= {} if right is None else {"accuracy": right}
        order = order_of(way, query, database, other.quantizer, device=device, elsewhere=elsewhere)
        empty = partial(retrieval.tally, len(database.codes))
        ranking = None
        if chosen_by is not None:
            asking, items = (recoded(side, artifact, other, device=device) for side in chosen_by)
            ranking = choose_ranking(
                asking, items, quantizer=other.quantizer, retrieval=untimed, device=device
            ).to_json()
        content[str(bits)] = {"rows": measure(order, way.name, empty=empty, costs=costs).rows, "ranking": ranking}
    return {"lengths": content} if content else {}


def recoded(side: Side, artifact: Artifact, other: Artifact, *, device: torch.device | str = "cpu") -> Side:
    """Queries or items as an artifact of another length encodes them.

    Args:
        side: encoded by `artifact`.
        artifact: the main length.
        other: one of its lengths.
        device: to compute on.
    """
    embedding = side.embedding
    if other.encoder.head is not artifact.encoder.head:
        head = deepcopy(other.encoder.head).to(device)
        parts = [np.empty((0, head.dimension), np.float32)]
        with torch.inference_mode():
            for start in range(0, len(side.features), _PART):
                features = torch.from_numpy(np.ascontiguousarray(side.features[start : start + _PART]))
                parts.append(head(features.to(device)).cpu().numpy())
        embedding = np.concatenate(parts)
    return side._replace(codes=other.quantizer.encode(embedding), embedding=embedding)


def rows_of_lengths(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each length, named by its bits, ascending; none of an artifact with one length.

    Args:
        metrics: the content of `metrics.json`.
    """
    lengths, protocol = metrics.get("lengths") or {}, metrics["protocol"]
    if not lengths:
        return []
    (main,) = (row for row in metrics["rows"] if row["search"] == protocol["main"])
    rows = {int(bits): content["rows"][0] for bits, content in lengths.items()} | {int(protocol["bits"]): main}
    return [dict(rows[bits]) | {"search": f"{bits} bits"} for bits in sorted(rows)]
