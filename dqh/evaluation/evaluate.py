"""The whole evaluation of an artifact: encode, search, measure, and the files that come of it.

Training and `evaluate.py` both come here with an artifact read from disk, so they cannot disagree.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.artifact import Artifact
from dqh.conveniences import convenience
from dqh.data import Prepared, Source, prepare
from dqh.encoding.encode import encode
from dqh.errors import ArtifactError, ConfigError, DataError
from dqh.evaluation.code_map import CodeMap, code_map
from dqh.evaluation.gallery import RESULTS, choose, gallery
from dqh.evaluation.length_rows import measure_lengths, rows_of_lengths
from dqh.evaluation.measure import PerQuery
from dqh.evaluation.metrics_content import metrics_content
from dqh.evaluation.other_data import Match, require_data
from dqh.evaluation.query_scores import UNSEEN, Scores, query_scores, write_scores
from dqh.evaluation.rank_choice import ITEMS, QUERIES, Ranked, choose_ranking
from dqh.evaluation.ranked_elsewhere import Elsewhere
from dqh.evaluation.references import References, require_same_split
from dqh.evaluation.report.grid import Grid
from dqh.evaluation.report.limits import beyond_relevant, limits_text, loss_text, subset_text
from dqh.evaluation.report.page import write_report
from dqh.evaluation.report.rows import protocol_of_unseen
from dqh.evaluation.report.table import is_trained, render
from dqh.evaluation.retrieval import Retrieval, neighbours
from dqh.evaluation.rows import Rows, Sides, measure_rows
from dqh.evaluation.subset import Subset, drawn, of_classes, unseen_classes
from dqh.files import write_json
from dqh.plural import counted
from dqh.progress import Progress
from dqh.ranking.side import Side

logger = logging.getLogger(__name__)

LARGEST_BATCH = 65_536
"""Images that an artifact may ask to encode at a time."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found: the content of `metrics.json`, a row of numbers for each epoch, pictures, scores.

    Attributes:
        scores: average precision of each query, by row; see `query_scores`.
    """

    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    grid: Grid
    code_map: CodeMap | None = None
    scores: Scores = field(default_factory=dict)

    def text(self) -> str:
        """The table for a terminal."""
        metrics, protocol = self.metrics, self.metrics["protocol"]
        limits = metrics["limits"]
        beyond = beyond_relevant(list(limits["best"]), limits)
        lines = [
            render(
                metrics["rows"],
                protocol=protocol,
                intervals=metrics["intervals"],
                missing=metrics["missing"],
                remark=limits_text(limits, protocol),
                further=subset_text(metrics),
                beyond=beyond,
            )
        ]
        if loss := loss_text(metrics):
            lines.append(f"\n{loss}")
        if lengths := rows_of_lengths(metrics):
            source = "from the same training" if is_trained(metrics) else "computed from the same features"
            lines += [f"\neach length by codes alone, {source}", render(lengths, beyond=beyond)]
        unseen, skipped = metrics["unseen"], protocol["skipped"]
        if unseen is not None:
            of_unseen = protocol_of_unseen(metrics)
            lines.append(f"\nclasses never trained on, among themselves: {', '.join(unseen['classes'])}")
            limits = unseen["limits"]
            beyond = beyond_relevant(list(limits["best"]), limits)
            remark = limits_text(limits, of_unseen)
            spans = unseen.get("intervals")
            lines.append(render(unseen["rows"], protocol=of_unseen, intervals=spans, remark=remark, beyond=beyond))
        if metrics["training"].get("overfit"):
            images = counted(metrics["training"]["overfit"], "image")
            lines.append(f"trained on {images} only (trainer.overfit): no result")
        if ranking := metrics.get("ranking"):
            lines.append(str(Ranked.from_json(ranking)))
        if left_out := protocol["left_out"]:
            what = "is not of the split and is" if left_out == 1 else "are not of the split and are"
            lines.append(f"{left_out:,} of {counted(protocol['images'], 'image')} {what} left out")
        if skipped:
            lines.append(f"{counted(skipped, 'query or database image')} could not be used, see skipped.csv")
        return "\n".join(lines)

    def write(self, folder: Path, *, environment: Mapping[str, Any]) -> None:
        """Write `report.html`, `queries.npz` and `metrics.json` into a folder that exists; see `dqh.environment`."""
        metrics = {**self.metrics, "environment": dict(environment)}
        protocol = metrics["protocol"]
        title = f"{protocol['method'].upper()} on {protocol['data']}, {protocol['bits']} bits"
        write_report(
            folder / "report.html",
            metrics,
            self.history,
            self.grid,
            title=title,
            command=environment["command"],
            code_map=self.code_map,
        )
        write_scores(folder / "queries.npz", self.scores)
        write_json(folder / "metrics.json", metrics)


def evaluate(
    artifact: Artifact,
    data: Prepared,
    *,
    retrieval: Retrieval,
    device: torch.device,
    batch_size: int,
    devices: int = 1,
    references: References | None = None,
    choose_rank: bool = False,
    other_data: Sequence[str] = (),
    elsewhere: Elsewhere | None = None,
    phase: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> Evaluation:
    """Encode queries and database, search, and measure.

    Args:
        artifact: as read from disk.
        data: the images of its split.
        retrieval: how to search and what to measure.
        device: to compute on.
        batch_size: images encoded at a time; another size may change last digits.
        devices: CUDA devices that share the encoding, see `encode`.
        references: networks to compare it with; None for none.
        choose_rank: whether validation images choose between codes and coarse-to-fine, see `choose_ranking`; they
            search the database without themselves.
        other_data: in what the data differ from those of the artifact; every table says so, and no class is said to be
            one that was never trained on.
        elsewhere: who ranks the queries, to the same bits; None for this process.
        phase: entered by name around what takes time, for a profile.

    Raises:
        ConfigError: a radius in bits for product-quantized codes.
        DataError: no query or no database image can be used, or more cannot than the source allows.
        ArtifactError: the references belong to another split.
    """
    references = references or References()
    require_same_split(artifact, references)
    _require_search(artifact, retrieval)
    rows = {role: getattr(data.roles, role) for role in ("query", "database", "train")}
    rows["validation"] = data.roles.validation[drawn(len(data.roles.validation), QUERIES)]

    def named(by: Artifact) -> str:
        if by is artifact:
            return "trained network"
        return "network before training" if by is references.untrained else "network without H"

    def side(by: Artifact, role: str, positions: NDArray[np.int64] | None = None) -> Side:
        wanted = rows[role] if positions is None else rows[role][positions]
        with phase("encoding"):
            encoded = encode(
                by.encoder,
                by.quantizer,
                store=data.store,
                rows=wanted,
                device=device,
                batch_size=batch_size,
                devices=devices,
                progress=Progress("encoded", len(wanted), noun=f"{role} images by the {named(by)}"),
            )
        if len(encoded.rows) == 0:
            raise DataError(f"none of the {role} images can be used; see {data.skipped_file}")
        if positions is None:
            rows[role] = encoded.rows
        return Side(encoded.codes, encoded.embedding, encoded.features, data.source.labels[encoded.rows])

    def encoded(by: Artifact, subset: Subset | None = None) -> Sides:
        query, database = (None, None) if subset is None else subset
        return Sides(side(by, "query", query), side(by, "database", database))

    sides = encoded(artifact)

    def of_role(role: str) -> Side:
        """Out of the database where it has all of them."""
        place = {row: number for number, row in enumerate(rows["database"].tolist())}
        known = [place[row] for row in rows[role].tolist() if row in place]
        return sides.database.at(known) if len(known) == len(rows[role]) else side(artifact, role)

    train = of_role("train") if retrieval.baselines else None
    ranking = chosen_by = None
    if choose_rank:
        asking = of_role("validation") if len(rows["validation"]) else sides.database.at([])
        others = np.flatnonzero(~np.isin(rows["database"], rows["validation"]))
        others = others[drawn(len(others), ITEMS)]
        chosen_by = Sides(asking, sides.database.at(others.tolist()))
        ranking = choose_ranking(*chosen_by, quantizer=artifact.quantizer, retrieval=retrieval, device=device)
    data.report_skipped()
    unseen = unseen_classes(data.source.labels, data.roles, classes=len(data.source.class_names))
    unseen &= not other_data  # of others, nobody knows what was trained on
    measured = measure_rows(
        artifact,
        sides,
        references=references,
        encode=encoded,
        unseen=unseen,
        retrieval=retrieval,
        device=device,
        train=train,
        class_names=data.source.class_names,
        elsewhere=elsewhere,
    )
    metrics = metrics_content(
        artifact, data, sides, measured, unseen=unseen, retrieval=retrieval, device=device, elsewhere=elsewhere
    )
    if other_data:
        metrics["protocol"]["other_data"] = list(other_data)
    if ranking is not None:
        metrics["ranking"] = ranking.to_json()
    names = data.source.class_names
    metrics |= measure_lengths(
        artifact,
        sides,
        chosen_by=chosen_by,
        retrieval=retrieval,
        device=device,
        class_names=names,
        elsewhere=elsewhere,
    )
    quantizer, items = artifact.quantizer, sides.database
    picture, grid = None, Grid()
    with convenience("the map of the codes"):
        picture = code_map(items.codes, items.labels, bits=quantizer.bits, class_names=names, decode=quantizer.decode)
    if data.source.kind == "image":
        best = measured.everything.average_precision["coarse_to_fine"]
        with convenience("pictures of retrieved images"):
            grid = _grid(artifact, data, sides, best, rows=rows, retrieval=retrieval)
    scores = _scores(measured, data.source.ids[rows["query"]], of_classes(sides.query.labels, unseen))
    return Evaluation(metrics, artifact.training.get("history", []), grid, picture, scores)


def _scores(measured: Rows, ids: NDArray[np.str_], unseen: NDArray[np.bool_]) -> Scores:
    """Average precision of the queries with these ids; (Q,) `unseen` says which of them have an unseen class."""
    scores = query_scores(measured.everything.average_precision, ids)
    if measured.unseen is None:
        return scores
    return scores | query_scores(measured.unseen.average_precision, ids[unseen], prefix=UNSEEN)


def _grid(
    artifact: Artifact,
    data: Prepared,
    sides: Sides,
    scores: PerQuery,
    *,
    rows: Mapping[str, NDArray[np.int64]],
    retrieval: Retrieval,
) -> Grid:
    """Pictures of queries with high, middle and low scores, and of what coarse-to-fine finds for them."""
    choices = choose(scores.values, sides.query.labels)
    chosen = sides.query.at([choice.position for choice in choices])
    answers = neighbours(chosen, sides.database, quantizer=artifact.quantizer, retrieval=retrieval, k=RESULTS)
    return gallery(
        data,
        choices,
        query_rows=rows["query"],
        database_rows=rows["database"],
        answers=answers,
        metric=scores.metric,
    )


def _require_search(artifact: Artifact, retrieval: Retrieval) -> None:
    if retrieval.radius is not None and "hamming" not in artifact.quantizer.distances:
        raise ConfigError(
            f"search.radius: {retrieval.radius} bits were asked for, but product-quantized codes are not compared by "
            "bits; give search.pool"
        )


def evaluate_artifact(
    artifact: Artifact,
    source: Source,
    *,
    device: torch.device,
    skipped_file: Path,
    retrieval: Retrieval | None = None,
    batch_size: int | None = None,
    devices: int = 1,
    references: References | None = None,
    match: Match | None = None,
    elsewhere: Elsewhere | None = None,
) -> Evaluation:
    """Evaluate an artifact on its own split: the numbers that its training printed; or on other data that are meant.

    The source is what it was trained on, unusable images are listed in `skipped_file`, should there be any, and `match`
    is as `require_data` returned it; None: the source must not differ. The other arguments are as of `evaluate`; where
    `retrieval` or `batch_size` is None, it is as after the training.

    Raises:
        DataError: the source is not the one of the artifact, or its images cannot be used.
    """
    match = match or require_data(artifact, source)
    retrieval = retrieval or trained_retrieval(artifact)
    data = prepare(
        source,
        match.split,
        artifact.encoder.spec,
        allow_duplicates=True,  # decided when the split was drawn; their number is in the protocol
        skipped_file=skipped_file,
        roles=("query", "database", "train") if retrieval.baselines else ("query", "database"),
    )
    size = batch_size or _number(artifact, "eval_batch_size", most=LARGEST_BATCH)
    with torch_threads(_number(artifact, "threads", most=os.cpu_count() or 1)):
        return evaluate(
            artifact,
            data,
            retrieval=retrieval,
            device=device,
            batch_size=size,
            devices=devices,
            references=references,
            other_data=match.differences,
            elsewhere=elsewhere,
        )


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
