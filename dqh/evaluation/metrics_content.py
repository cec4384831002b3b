"""What goes into `metrics.json`: the rows, and all that must be known beside them to read and compare them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.artifact import Artifact
from dqh.data import Prepared
from dqh.evaluation.health import code_health
from dqh.evaluation.intervals import intervals
from dqh.evaluation.measure import PerQuery, Retrieved
from dqh.evaluation.ranked_elsewhere import Elsewhere, order_of
from dqh.evaluation.references import accuracy
from dqh.evaluation.reproduction import reproduction
from dqh.evaluation.retrieval import Retrieval
from dqh.evaluation.rows import Rows, Sides
from dqh.evaluation.subset import SubsetRows
from dqh.index.ways import main_way
from dqh.ranking.side import Side

OF_ANY_CODES = ("items", "bits", "code_entropy", "distinct", "expected_distinct", "colliding", "sharing", "largest")
"""What the health of bits says of product-quantized codes, too."""
ACTIVATION_RANGE = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "none": (0.0, 0.0)}
"""Ends of what an activation gives; equal where it has none."""


def metrics_content(
    artifact: Artifact,
    data: Prepared,
    sides: Sides,
    measured: Rows,
    *,
    unseen: NDArray[np.bool_],
    retrieval: Retrieval,
    device: torch.device,
    elsewhere: Elsewhere | None = None,
) -> dict[str, Any]:
    """The content of `metrics.json`, but for the environment.

    Returns:
        JSON values: `protocol`, `accuracy`, `rows`, `limits`, `missing`, `intervals`, `subset`, `unseen`, `curves`,
        `conventions`, `health` and `training`.
    """
    query, database, quantizer = sides.query, sides.database, artifact.quantizer
    main, right = main_way(quantizer), accuracy(artifact, query, data.source.class_names)
    rows = measured.everything.rows
    if right is not None:
        rows = [row | ({"accuracy": right} if row["search"] == main.name else {}) for row in rows]
    new_classes = [name for name, new in zip(data.source.class_names, unseen, strict=True) if new]
    of_unseen = None
    if measured.unseen is not None:
        of_unseen = {
            "classes": new_classes,
            "query": measured.unseen_sizes[0],
            "database": measured.unseen_sizes[1],
            "rows": measured.unseen.rows,
            "limits": measured.unseen_limits,
            "intervals": intervals(_of_all_queries(measured.unseen, measured.subset), main=main.name),
        }
    return {
        "protocol": _protocol(artifact, data, query=len(query.codes), database=len(database.codes))
        | {name: measured.limits[name] for name in ("without_relevant", "all_relevant")}
        | {"unseen_classes": new_classes or None}
        | retrieval.protocol(quantizer)
        | {"baselines": list(measured.baselines)},
        "accuracy": right,
        "rows": rows,
        "limits": measured.limits,
        "missing": measured.missing,
        "intervals": intervals(
            measured.everything.average_precision,
            main=main.name,
            counterparts=None if measured.subset is None else measured.subset.counterparts(),
        ),
        "subset": None if measured.subset is None else measured.subset.to_json(),
        "unseen": of_unseen,
        "curves": measured.everything.curves,
        "conventions": reproduction(
            order_of(main, query, database, quantizer, device=device, elsewhere=elsewhere),
            cutoffs=retrieval.map_cutoffs,
        ),
        "health": _health(artifact, database),
        "training": {name: value for name, value in artifact.training.items() if name not in ("history", "search")},
    }


def _of_all_queries(measured: Retrieved, subset: SubsetRows | None) -> dict[str, PerQuery]:
    """Average precision of the rows that have all queries; those of a subset have nothing to be compared with here."""
    of_few = () if subset is None else subset.searches
    return {name: scores for name, scores in measured.average_precision.items() if name not in of_few}


def _health(artifact: Artifact, database: Side) -> dict[str, Any]:
    """The health of the database codes, with the `kind` of codes that it speaks of: `binary` or `pq`."""
    quantizer = artifact.quantizer
    usage = quantizer.usage(database.embedding)
    if usage is not None:
        codes = code_health(database.codes, bits=quantizer.bits).to_json()
        return {"kind": quantizer.kind, **usage.to_json(), **{name: codes[name] for name in OF_ANY_CODES}}
    low, high = ACTIVATION_RANGE[artifact.encoder.head.activation]
    embedding = database.embedding if low < high else None
    health = code_health(database.codes, bits=quantizer.bits, embedding=embedding, low=low, high=high)
    return {"kind": "binary"} | health.to_json()


def _protocol(artifact: Artifact, data: Prepared, *, query: int, database: int) -> dict[str, Any]:
    """What was compared with what: `query` and `database` images were usable, the rest is the split's."""
    split, rows = data.split, data.split.rows(data.source)
    searched = set(np.concatenate([rows.query, rows.database]).tolist())
    own = split.sha256 == artifact.split.sha256  # else it is one of other data, which say nothing of the training
    return {
        "method": artifact.method,
        "bits": artifact.quantizer.bits,
        "data": split.data,
        "split": split.protocol,
        "split_sha256": split.sha256,
        "seed": split.seed,
        "query": query,
        "database": database,
        "images": len(data.source),
        "left_out": len(data.source) - len(split.all_ids()),
        "train": len(split.train) if own else None,
        "validation": len(split.validation) if own else None,
        "database_includes_train": split.database_includes_train if own else None,
        "duplicates": data.leaks.by_content,
        "skipped": len(searched & data.store.skipped.keys()),
    }
