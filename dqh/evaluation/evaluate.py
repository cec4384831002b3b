"""The whole evaluation of an artifact: encode, search, measure, and the files that come of it.

Training and `evaluate.py` both come here with an artifact read from disk, so they cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.data import Prepared, Source, prepare
from dqh.errors import ConfigError, DataError
from dqh.evaluation.encoding import encode
from dqh.evaluation.grid import Grid, GridResult, GridRow
from dqh.evaluation.report import write_report
from dqh.evaluation.retrieval import Retrieval, Side, neighbours, retrieve
from dqh.evaluation.table import render
from dqh.export import Artifact
from dqh.files import write_json

GRID_QUERIES = 10
GRID_RESULTS = 10


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: the content of `metrics.json`.
        history: a row of numbers for each epoch of the training.
        grid: pictures of some queries and their answers.
    """

    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    grid: Grid

    def text(self) -> str:
        """The table for a terminal."""
        table = render(self.metrics["rows"], protocol=self.metrics["protocol"])
        accuracy = self.metrics["accuracy"]
        return table if accuracy is None else f"{table}\naccuracy of the classifier on the queries {accuracy:.4f}"

    def write(self, folder: Path, *, command: str) -> None:
        """Write `report.html` and `metrics.json` into a folder that exists."""
        protocol = self.metrics["protocol"]
        title = f"{protocol['method'].upper()} on {protocol['data']}, {protocol['bits']} bits"
        write_report(folder / "report.html", self.metrics, self.history, self.grid, title=title, command=command)
        write_json(folder / "metrics.json", self.metrics)


def evaluate(
    artifact: Artifact, data: Prepared, *, retrieval: Retrieval, device: torch.device, batch_size: int
) -> Evaluation:
    """Encode queries and database, search, and measure.

    Args:
        artifact: as read from disk.
        data: the images of its split.
        retrieval: how to search and what to measure.
        device: to compute on.
        batch_size: images encoded at a time; another size may change last digits.

    Raises:
        DataError: no query or no database image can be used, or more cannot than the source allows.
    """
    labels = data.source.labels
    rows, sides = {}, {}
    for role in ("query", "database"):
        encoded = encode(
            artifact.encoder,
            artifact.quantizer,
            store=data.store,
            rows=getattr(data.roles, role),
            device=device,
            batch_size=batch_size,
        )
        rows[role] = encoded.rows
        sides[role] = Side(encoded.codes, encoded.embedding, encoded.features, labels[encoded.rows])
    skipped = data.report_skipped()
    query, database = sides["query"], sides["database"]
    found = retrieve(query, database, quantizer=artifact.quantizer, retrieval=retrieval, device=device)
    split = data.split
    protocol = {
        "method": artifact.method,
        "bits": artifact.quantizer.bits,
        "data": split.data,
        "split": split.protocol,
        "split_sha256": split.sha256,
        "seed": split.seed,
        "query": len(rows["query"]),
        "database": len(rows["database"]),
        "train": len(split.train),
        "validation": len(split.validation),
        "database_includes_train": split.database_includes_train,
        "duplicates": data.leaks.by_content,
        "skipped": skipped,
        **retrieval.protocol(),
    }
    training = {name: value for name, value in artifact.training.items() if name != "history"}
    metrics = {
        "protocol": protocol,
        "accuracy": _accuracy(artifact, query),
        "rows": found.rows,
        "curves": found.curves,
        "training": training,
    }
    grid = Grid()
    if data.source.kind == "image":
        chosen = _first_of_each_class(query.labels)
        some = Side(query.codes[chosen], query.embedding[chosen], query.features[chosen], query.labels[chosen])
        answers = neighbours(some, database, quantizer=artifact.quantizer, retrieval=retrieval, k=GRID_RESULTS)
        grid = _grid(data, rows["query"][chosen], rows["database"][answers.ids], distances=answers.distances)
    return Evaluation(metrics, artifact.training.get("history", []), grid)


def evaluate_artifact(
    artifact: Artifact,
    source: Source,
    *,
    retrieval: Retrieval,
    device: torch.device,
    skipped_file: Path,
    batch_size: int | None = None,
) -> Evaluation:
    """Evaluate an artifact on its own split: the numbers that its training printed.

    Args:
        artifact: as read from disk.
        source: the data that it was trained on.
        retrieval: how to search and what to measure.
        device: to compute on.
        skipped_file: where unusable images are listed, should there be any.
        batch_size: images encoded at a time; None: as in training.

    Raises:
        DataError: the source is not the one of the artifact, or its images cannot be used.
    """
    data = prepare(
        source,
        artifact.split,
        artifact.encoder.spec,
        allow_duplicates=True,  # decided when the split was drawn; their number is in the protocol
        skipped_file=skipped_file,
        roles=("query", "database"),
    )
    size = batch_size or int(artifact.training["eval_batch_size"])
    return evaluate(artifact, data, retrieval=retrieval, device=device, batch_size=size)


def torch_device(name: str) -> torch.device:
    """The device of a name: `auto` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: `cuda`, where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: cuda was asked for, but torch sees no CUDA device here; use auto or cpu")
    return torch.device("cpu" if name == "cpu" or not torch.cuda.is_available() else "cuda")


def require_data(artifact: Artifact, source: Source) -> None:
    """Raise `DataError` unless `source` has every image of the artifact's split, of the kind its encoder takes."""
    if source.kind != artifact.encoder.spec.kind:
        raise DataError(
            f"data: {source.name} has {source.kind}s, the artifact encodes {artifact.encoder.spec.kind}s of "
            f"{artifact.split.data}; give the data that it was trained on"
        )
    artifact.split.rows(source)


def _accuracy(artifact: Artifact, query: Side) -> float | None:
    """Share of the queries that the classifier names rightly; None without a classifier or with multi-labels."""
    if artifact.classifier is None or query.labels.ndim == 2:
        return None
    with torch.inference_mode():
        named = artifact.classifier(torch.from_numpy(query.embedding)).argmax(1).numpy()
    return float((named == query.labels).mean())


def _first_of_each_class(labels: NDArray[np.int64] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions of the first query of each class, up to `GRID_QUERIES` of them, in order of the classes."""
    if labels.ndim == 2:
        firsts = [int(column.argmax()) for column in labels.T if column.any()]
    else:
        firsts = np.unique(labels, return_index=True)[1].tolist()
    return np.array(list(dict.fromkeys(firsts))[:GRID_QUERIES], np.int64)


def _grid(
    data: Prepared,
    queries: NDArray[np.int64],
    answers: NDArray[np.int64],
    *,
    distances: NDArray[np.float32],
) -> Grid:
    """Pictures of queries, (Q,) rows of the source, and of their answers, (Q, k) rows."""
    shown = np.unique(np.concatenate([queries, answers.ravel()]))
    (batch,) = data.store.batches([shown], size=data.store.spec.size)
    images = dict(zip(batch.rows.tolist(), batch.images.numpy(), strict=True))
    ids, labels, names = data.source.ids, data.source.labels, data.source.class_names

    def label(row: int) -> str:
        return names[labels[row]] if labels.ndim == 1 else ", ".join(np.array(names)[labels[row]])

    def relevant(one: int, other: int) -> bool:
        return bool(labels[one] == labels[other]) if labels.ndim == 1 else bool((labels[one] & labels[other]).any())

    rows = []
    for query, found, apart in zip(queries.tolist(), answers.tolist(), distances.tolist(), strict=True):
        results = [
            GridResult(images.get(row), label(row), distance, relevant(query, row), str(ids[row]))
            for row, distance in zip(found, apart, strict=True)
            if np.isfinite(distance)
        ]
        rows.append(GridRow(images.get(query), label(query), str(ids[query]), results))
    return Grid(rows, search="coarse_to_fine", unit="squared L2", selection="the first query of each class")
