"""The whole evaluation of an artifact: encode, search, measure, and the files that come of it.

Training and `evaluate.py` both come here with an artifact read from disk, so they cannot disagree.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.data import Prepared, Source, prepare
from dqh.errors import ArtifactError, ConfigError, DataError
from dqh.evaluation.encoding import encode
from dqh.evaluation.grid import Grid, GridResult, GridRow
from dqh.evaluation.report import write_report
from dqh.evaluation.retrieval import Retrieval, Side, neighbours, retrieve
from dqh.evaluation.table import render
from dqh.export import Artifact
from dqh.files import write_json

GRID_QUERIES = 10
GRID_RESULTS = 10
LARGEST_BATCH = 65_536
"""Images that an artifact may ask to encode at a time."""


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
        lines = [render(self.metrics["rows"], protocol=self.metrics["protocol"])]
        accuracy, skipped = self.metrics["accuracy"], self.metrics["protocol"]["skipped"]
        if accuracy is not None:
            lines.append(f"accuracy of the classifier on the queries {accuracy:.4f}")
        if skipped:
            lines.append(f"{skipped} query and database images could not be used, see skipped.csv")
        return "\n".join(lines)

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
        if len(encoded.rows) == 0:
            raise DataError(f"none of the {role} images can be used; see {data.skipped_file}")
        rows[role] = encoded.rows
        labels = data.source.labels[encoded.rows]
        sides[role] = Side(encoded.codes, encoded.embedding, encoded.features, labels)
    data.report_skipped()
    query, database = sides["query"], sides["database"]
    found = retrieve(query, database, quantizer=artifact.quantizer, retrieval=retrieval, device=device)
    metrics = {
        "protocol": _protocol(artifact, data, query=len(query.codes), database=len(database.codes))
        | retrieval.protocol(),
        "accuracy": _accuracy(artifact, query),
        "rows": found.rows,
        "curves": found.curves,
        "training": {name: value for name, value in artifact.training.items() if name not in ("history", "search")},
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
    device: torch.device,
    skipped_file: Path,
    retrieval: Retrieval | None = None,
    batch_size: int | None = None,
) -> Evaluation:
    """Evaluate an artifact on its own split: the numbers that its training printed.

    Args:
        artifact: as read from disk.
        source: the data that it was trained on.
        device: to compute on.
        skipped_file: where unusable images are listed, should there be any.
        retrieval: how to search and what to measure; None: as after the training.
        batch_size: images encoded at a time; None: as after the training.

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
    size = batch_size or _number(artifact, "eval_batch_size", most=LARGEST_BATCH)
    retrieval = retrieval or trained_retrieval(artifact)
    with torch_threads(_number(artifact, "threads", most=os.cpu_count() or 1)):
        return evaluate(artifact, data, retrieval=retrieval, device=device, batch_size=size)


def trained_retrieval(artifact: Artifact) -> Retrieval:
    """How the artifact was evaluated after its training.

    Raises:
        ArtifactError: the artifact does not say, or not in this version's terms.
    """
    try:
        return Retrieval.from_json(artifact.training["search"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"the artifact does not say how it was evaluated: {error}; give search=default") from error


def _number(artifact: Artifact, name: str, *, most: int) -> int:
    """A count among the facts of the training, at most `most`."""
    value = artifact.training.get(name)
    if not isinstance(value, int) or value < 1:
        raise ArtifactError(f"the artifact's {name} is {value!r}, wanted a number of at least 1; export it again")
    return min(value, most)


def torch_device(name: str) -> torch.device:
    """The device of a name: `auto` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: `cuda`, where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: cuda was asked for, but torch sees no CUDA device here; use auto or cpu")
    return torch.device("cpu" if name == "cpu" or not torch.cuda.is_available() else "cuda")


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """A number of threads for torch on the CPU, None for its own choice; the former number afterwards."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def require_data(artifact: Artifact, source: Source) -> None:
    """Raise `DataError` unless `source` has every image of the artifact's split, of the kind its encoder takes."""
    if source.kind != artifact.encoder.spec.kind:
        raise DataError(
            f"data: {source.name} has {source.kind}s, the artifact encodes {artifact.encoder.spec.kind}s of "
            f"{artifact.split.data}; give the data that it was trained on"
        )
    artifact.split.rows(source)


def _protocol(artifact: Artifact, data: Prepared, *, query: int, database: int) -> dict[str, Any]:
    """What was compared with what: `query` and `database` images were usable, the rest is the split's."""
    split, rows = data.split, data.split.rows(data.source)
    searched = set(np.concatenate([rows.query, rows.database]).tolist())
    return {
        "method": artifact.method,
        "bits": artifact.quantizer.bits,
        "data": split.data,
        "split": split.protocol,
        "split_sha256": split.sha256,
        "seed": split.seed,
        "query": query,
        "database": database,
        "train": len(split.train),
        "validation": len(split.validation),
        "database_includes_train": split.database_includes_train,
        "duplicates": data.leaks.by_content,
        "skipped": len(searched & data.store.skipped.keys()),
    }


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
