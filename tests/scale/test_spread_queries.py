"""Queries that an executor ranks: the same numbers, to the last bit."""

import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from dqh.artifact import Length
from dqh.errors import ConfigError, DqhError
from dqh.evaluation.baselines import NAMES
from dqh.evaluation.conventions import CONVENTIONS
from dqh.evaluation.evaluate import evaluate
from dqh.evaluation.measure import Pass, Retrieved
from dqh.evaluation.ranked_elsewhere import order_of
from dqh.evaluation.references import References
from dqh.evaluation.reproduction import reproduction
from dqh.evaluation.retrieval import Retrieval, retrieve
from dqh.executors import SerialExecutor
from dqh.index.orders import hamming as hamming_module
from dqh.index.orders import vectors as vectors_module
from dqh.index.orders.order import Order
from dqh.index.ways import WAYS, Candidates, main_way
from dqh.models import HashHead
from dqh.quantizers import OptimizedProductQuantizer, ProductQuantizer, Quantizer, Threshold
from dqh.ranking import buckets as buckets_module
from dqh.ranking import keys as keys_module
from dqh.ranking.side import Side
from dqh.scale import spread_queries
from dqh.scale.spread_queries import SpreadQueries
from tests.evaluation.test_evaluate import CPU, PRODUCT, SETTINGS, experiment
from tests.test_executors import started

QUERIES, ITEMS, DIMENSION = 45, 200, 16
UNTIMED = Retrieval(
    pool=20, timed_queries=0, map_cutoffs=(None, 30), precision_cutoffs=(1, 5), recall_cutoffs=(5,), within=(2, 9)
)
FITTED_ON = np.random.default_rng(1).standard_normal((300, DIMENSION)).astype(np.float32)
QUANTIZERS: dict[str, Quantizer] = {
    "threshold": Threshold(DIMENSION, threshold=0),
    "pq": ProductQuantizer(4, 8).fit(FITTED_ON),
    "opq": OptimizedProductQuantizer(4, 8).fit(FITTED_ON),
}


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries a chunk, two chunks a block, three queries of histograms; sent arrays are parts."""
    monkeypatch.setitem(keys_module._PAIRS, "cpu", 2 * ITEMS)
    monkeypatch.setitem(vectors_module._BLOCK_CHUNKS, "cpu", 2)
    monkeypatch.setattr(buckets_module, "QUERIES", 3)
    monkeypatch.setattr(hamming_module, "QUERIES", 3)
    monkeypatch.setattr(spread_queries, "LEAST_BYTES", 100)


def sides(
    quantizer: Quantizer, *, queries: int = QUERIES, items: int = ITEMS, several: bool = False
) -> tuple[Side, Side]:
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 5, queries + items)
    vectors = (generator.standard_normal((len(labels), DIMENSION)) + np.eye(5, DIMENSION)[labels]).astype(np.float32)
    known: Any = generator.random((len(labels), 6)) < 0.2 if several else labels
    whole = Side(quantizer.encode(vectors), vectors, vectors[:, ::-1] * 1.5, known)
    return whole.at(range(queries)), whole.at(range(queries, queries + items))


def job(executor: Any, folder: Path, **options: Any) -> SpreadQueries:
    return SpreadQueries(executor, folder=folder / "parts", of=folder / "evaluation", **options)


def same(one: Retrieved, other: Retrieved) -> bool:
    scores = [
        [(name, of.metric, of.values.tobytes(), of.kept.tobytes()) for name, of in each.average_precision.items()]
        for each in (one, other)
    ]
    return (one.rows, one.curves, scores[0]) == (other.rows, other.curves, scores[1])


class Counting(SerialExecutor):
    """Notes how many partitions it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[int] = []

    def run(self, setup: Any, task: Any, partitions: Any, *, retries: int = 2) -> Iterator[Any]:
        self.given.append(len(partitions))
        return super().run(setup, task, partitions, retries=retries)


@pytest.mark.parametrize(
    ("kind", "convention"), [("threshold", "default"), ("threshold", "trec"), ("pq", "hashnet"), ("opq", "default")]
)
@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_partitions_change_nothing(
    partitions: int, kind: str, convention: str, tmp_path: Path, small_chunks: None
) -> None:
    quantizer, settings = QUANTIZERS[kind], replace(UNTIMED, convention=convention)
    both = sides(quantizer, several=convention == "trec")
    plain = retrieve(*both, quantizer=quantizer, retrieval=settings)
    with Counting() as executor:
        spread = job(executor, tmp_path, partitions=partitions)
        assert same(retrieve(*both, quantizer=quantizer, retrieval=settings, elsewhere=spread), plain)
        assert max(executor.given) <= partitions
        assert min(executor.given) >= min(partitions, 6)  # of 12 blocks at least
        if convention == "default":
            orders = [
                order_of(main_way(quantizer), *both, quantizer, elsewhere=elsewhere) for elsewhere in (None, spread)
            ]
            one, other = (reproduction(order, cutoffs=(None, 30)) for order in orders)
            assert one == other
            assert len(one) == len(CONVENTIONS)
        spread.end()
    assert list(tmp_path.iterdir()) == []


def test_a_whole_evaluation_is_the_same(tmp_path: Path, small_chunks: None) -> None:
    """Every baseline, reference, length, some images, and a class that was not trained on."""
    artifact, data = experiment(tmp_path, PRODUCT)
    artifact = replace(
        artifact, classifier=nn.Linear(6, 3), lengths={3: Length(HashHead(8, 3), Threshold(3, threshold=0), None)}
    )
    binary = replace(artifact, quantizer=Threshold(6, threshold=0))
    train = data.roles.train
    data = replace(data, roles=data.roles._replace(train=train[data.source.labels[train] < 2]))
    settings = replace(SETTINGS, timed_queries=0, baselines=NAMES, untrained_images=100)

    def metrics(elsewhere: SpreadQueries | None) -> tuple[Any, dict[str, bytes]]:
        found = evaluate(
            artifact,
            data,
            retrieval=settings,
            device=CPU,
            batch_size=50,
            references=References(untrained=binary, without_h=artifact),
            elsewhere=elsewhere,
        )
        return dict(found.metrics), {name: values.tobytes() for name, values in found.scores.items()}

    plain = metrics(None)
    assert {"class_index", "untrained", "untrained_h", "without_h"} <= {row["search"] for row in plain[0]["rows"]}
    assert plain[0]["unseen"] is not None
    assert plain[0]["subset"] is not None
    with Counting() as executor:
        spread = job(executor, tmp_path, partitions=3)
        assert metrics(spread) == plain
        assert max(executor.given) == 3
        executor.given.clear()
        assert metrics(spread) == plain
        assert executor.given == []  # all is there


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in ("local", "ray", "spark")])
def test_every_executor_finds_the_same(name: str, tmp_path: Path) -> None:
    """Of 100,000 items a block has 100 queries, a chunk of codes five."""
    question = Pass(partial(UNTIMED.tally, 100_000), within=(2,))
    with started(name) as executor:
        for kind, way in (("threshold", WAYS["coarse_to_fine"].among(Candidates(20))), ("opq", WAYS["aqd_l2"])):
            spread, quantizer = job(executor, tmp_path, partitions=8), QUANTIZERS[kind]
            both = sides(quantizer, queries=110, items=100_000)
            plain = way.order(*both, quantizer).asked(question)
            found = spread.order(way, *both, quantizer).asked(question)
            assert {column: values.numpy().tobytes() for column, values in found.items()} == {
                column: values.numpy().tobytes() for column, values in plain.items()
            }
            assert len(list((tmp_path / "parts").glob("*.safetensors"))) == (2 if kind == "threshold" else 8)
            spread.end()


@dataclass(frozen=True)
class Places:
    """Asks each query for its place; files in the folder say who was asked, and what fails."""

    folder: Path
    stable: ClassVar[bool] = False

    def __call__(self, order: Order, rows: slice) -> dict[str, torch.Tensor]:
        number = len(list(self.folder.glob(f"asked-{rows.start}-*")))
        (self.folder / f"asked-{rows.start}-{number}").touch()
        if (self.folder / f"dying-{rows.start}").exists() and number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if (self.folder / f"broken-{rows.start}").exists():
            raise OSError(5, "the disk is away")
        return {"place": torch.arange(rows.start, rows.stop)}


def asked(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("asked-*"))


def places(spread: SpreadQueries, folder: Path) -> list[int]:
    quantizer = QUANTIZERS["threshold"]
    with spread:
        return spread.order(main_way(quantizer), *sides(quantizer), quantizer).asked(Places(folder))["place"].tolist()


@pytest.mark.slow
def test_a_killed_worker_costs_an_attempt(tmp_path: Path, small_chunks: None) -> None:
    (tmp_path / "dying-12").touch()
    with started("local") as executor:
        assert places(job(executor, tmp_path, partitions=4), tmp_path) == list(range(QUERIES))
    assert asked(tmp_path) == ["asked-0-0", "asked-12-0", "asked-12-1", "asked-24-0", "asked-36-0"]


def test_a_partition_that_fails_ends_the_evaluation_which_goes_on_later(
    tmp_path: Path, small_chunks: None, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = (
        r"^binary, partition 1 of 4, queries 12 to 23, failed \(3 attempts\): OSError: .* the disk is away; mend that"
    )
    (tmp_path / "broken-12").touch()
    with SerialExecutor() as executor:
        with pytest.raises(DqhError, match=wanted):
            places(job(executor, tmp_path, partitions=4), tmp_path)
        first = asked(tmp_path)
        assert first == ["asked-0-0", "asked-12-0", "asked-12-1", "asked-12-2", "asked-24-0", "asked-36-0"]
        (tmp_path / "broken-12").unlink()
        damaged = min((tmp_path / "parts").glob("*.safetensors"))
        damaged.write_bytes(damaged.read_bytes()[:-1])
        with caplog.at_level(logging.INFO):
            assert places(job(executor, tmp_path, partitions=4), tmp_path) == list(range(QUERIES))
    again = sorted({*asked(tmp_path)} - {*first})
    assert len(again) == 2
    assert "asked-12-3" in again
    assert "binary: 2 partitions of an earlier run taken as they are" in caplog.text


def test_a_partition_is_no_larger_than_its_answers_may_be(
    tmp_path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread_queries, "MOST_QUERIES", 7)
    with Counting() as executor:
        places(job(executor, tmp_path, partitions=1), tmp_path)
    assert executor.given == [-(-QUERIES // 6)]


def test_parts_that_a_worker_does_not_see(tmp_path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread_queries, "write_bytes_part", lambda *arguments: None)
    with (
        SerialExecutor() as executor,
        pytest.raises(DqhError, match=r"name a folder that all machines see \(--parts, or parts="),
    ):
        places(job(executor, tmp_path), tmp_path)


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "mine.txt").touch()
    with SerialExecutor() as executor, pytest.raises(ConfigError, match="holds files that are not of a job for"):
        places(job(executor, tmp_path), tmp_path)
