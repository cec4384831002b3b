"""Queries ranked by an executor: what takes the time in an evaluation.

Queries are cut into partitions, each of which begins where a pass over all of them begins a chunk, as products and sums
of other shapes have other last bits. A worker reads both sides once, by memory map from a folder, and asks the very
ranking that one process asks. What it answers about each query is a part, and the parts of all partitions in their
order are the answer, to the last bit. A part is named after what it was made of, so an interrupted evaluation goes on.

Q queries.
"""

import hashlib
import logging
import pickle
from collections.abc import Sequence
from mmap import mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import dqh
from dqh.errors import DqhError
from dqh.executors import Failure
from dqh.index.orders.order import Order, Question
from dqh.index.ways import Way
from dqh.plural import counted
from dqh.progress import Progress
from dqh.quantizers.quantizer import Coder
from dqh.ranking.side import Side
from dqh.scale.part_files import mapped_part, part_name, read_part, required, write_bytes_part, write_part
from dqh.scale.spread_job import SpreadJob

logger = logging.getLogger(__name__)

MOST_QUERIES = 2**14
"""Of a partition, but for one chunk: some 40 MB of answers."""

LEAST_BYTES = 2**16
"""Of an array that is a part of its own; smaller ones go to a worker with the question."""


class SpreadQueries(SpreadJob):
    """Lets an executor rank queries; see `dqh.evaluation.ranked_elsewhere.Elsewhere`, arguments as of `SpreadJob`."""

    def order(
        self, way: Way, query: Side, database: Side, quantizer: Coder | None, *, device: torch.device | str = "cpu"
    ) -> "SpreadOrder":
        """See `Elsewhere.order`; errors as of `Way.order`."""
        return SpreadOrder(self, way, query, database, quantizer, device)


class SpreadOrder:
    """A ranking whose queries are ranked by partitions; see `dqh.index.orders.order.Asked`."""

    def __init__(
        self,
        job: SpreadQueries,
        way: Way,
        query: Side,
        database: Side,
        quantizer: Coder | None,
        device: torch.device | str,
    ) -> None:
        self._job, self._way, self._parts = job, way, (query, _read_by(way, database), quantizer, str(device))
        self._order = way.order(query, database, quantizer, device=device)

    def asked(self, question: Question) -> dict[str, Tensor]:
        """See `Asked.asked`.

        Raises:
            DqhError: a partition failed, or its answer is not in the folder.
            ConfigError, OSError: the folder cannot be one, or not be written.
        """
        search = self._written()
        partitions = [_Asked(search, question, rows, _name(search, question, rows)) for rows in self._rows(question)]
        self._job.begin([partition.name for partition in partitions], further=True)
        self._compute(partitions)
        answers = [_answer(self._job.folder, partition.name) for partition in partitions]
        return {name: torch.cat([answer[name] for answer in answers]) for name in answers[0]}

    def _written(self) -> "_Search":
        """The search as workers read it; large arrays are parts named after their content."""
        buffers: dict[str, memoryview] = {}

        def aside(buffer: pickle.PickleBuffer) -> bool:
            content = buffer.raw()
            if content.nbytes < LEAST_BYTES:
                return True  # it stays where it is
            names.append(part_name({"bytes": hashlib.sha256(content).hexdigest()}))
            buffers[names[-1]] = content
            return False

        names: list[str] = []
        query, database, quantizer, device = self._parts
        search = (self._way, _contiguous(query), _contiguous(database), quantizer, device)
        content = pickle.dumps(search, protocol=5, buffer_callback=aside)
        self._job.begin(list(buffers), further=True)
        for name, buffer in buffers.items():
            write_bytes_part(self._job.folder, name, buffer)
        return _Search(self._job.folder, content, tuple(names))

    def _rows(self, question: Question) -> list[slice]:
        """Queries of each partition: whole chunks but for the last one."""
        total, chunk = len(self._order.query.labels), self._order.together(stable=question.stable)
        size = chunk * min(-(-total // (chunk * self._job.partitions)), max(1, MOST_QUERIES // chunk))
        return [slice(start, min(start + size, total)) for start in range(0, total, size)]

    def _compute(self, partitions: Sequence["_Asked"]) -> None:
        """Write the answers that are not there yet."""
        job, name = self._job, self._way.name
        missing = [number for number, part in enumerate(partitions) if read_part(job.folder, part.name) is None]
        if len(missing) < len(partitions):
            kept = counted(len(partitions) - len(missing), "partition")
            logger.info("%s: %s of an earlier run taken as they are", name, kept)
        if not missing:
            return
        asked = [partitions[number] for number in missing]
        progress = Progress("ranked", sum(_size(part.rows) for part in asked), noun="queries")
        progress.note = f", {name}"
        for place, result in job.executor.run(_Read, answered, asked, retries=job.retries):
            rows = asked[place].rows
            if isinstance(result, Failure):
                raise DqhError(
                    f"{name}, partition {missing[place]} of {len(partitions)}, queries {rows.start} to "
                    f"{rows.stop - 1}, failed ({counted(result.attempts, 'attempt')}): {result.reason}; mend that, "
                    "and run the same command again"
                )
            progress.advance(_size(rows))


class _Search(NamedTuple):
    """A search as a worker reads it: what was pickled, and the parts in `folder` that are its large arrays."""

    folder: Path
    content: bytes
    parts: tuple[str, ...]


class _Asked(NamedTuple):
    """What a worker is asked about the queries of a partition, and the part that its answer becomes."""

    search: _Search
    question: Question
    rows: slice
    name: str


class _Read:
    """The state of a worker: the ranking that was asked last, and the arrays that it reads."""

    def __init__(self) -> None:
        self._search: _Search | None = None
        self._order: Order | None = None
        self._arrays: dict[str, mmap] = {}

    def order(self, search: _Search) -> Order:
        """The ranking of a search.

        Raises:
            DqhError: its parts are not there.
        """
        if self._order is None or self._search != search:
            self._search = self._order = None  # before others take their memory
            kept = {name: self._arrays[name] for name in search.parts if name in self._arrays}
            self._arrays = kept | {
                name: required(mapped_part(search.folder, name), search.folder, name)
                for name in search.parts
                if name not in kept
            }
            buffers = [self._arrays[name] for name in search.parts]
            way, query, database, quantizer, device = pickle.loads(search.content, buffers=buffers)
            self._search, self._order = search, way.order(query, database, quantizer, device=device)
        assert self._order is not None
        return self._order


def answered(read: _Read, asked: _Asked) -> None:
    """Write the answer about the queries of a partition; another attempt writes the same bytes.

    Raises:
        DqhError: what is searched is not there.
        OSError: the answer cannot be written.
    """
    answer = asked.question(read.order(asked.search), asked.rows)
    write_part(asked.search.folder, asked.name, {name: values.cpu().numpy() for name, values in answer.items()}, {})


def _contiguous(side: Side) -> Side:
    """A side whose arrays are pickled apart: not those of a file, or views with gaps."""
    arrays: Any = [np.ascontiguousarray(values) for values in side]
    return Side(*arrays)


def _read_by(way: Way, database: Side) -> Side:
    """The database without vectors that a way does not read."""
    if "features" not in way.reads:
        database = database._replace(features=database.features[:, :0])
    return database if way.reads == "embedding" else database._replace(embedding=database.embedding[:, :0])


def _name(search: _Search, question: Question, rows: slice) -> str:
    asked = hashlib.sha256(pickle.dumps((search.content, search.parts, question), protocol=5)).hexdigest()
    return part_name({"asked": asked, "rows": [rows.start, rows.stop], "version": dqh.__version__})


def _size(rows: slice) -> int:
    return int(rows.stop - rows.start)


def _answer(folder: Path, name: str) -> dict[str, Tensor]:
    arrays = required(read_part(folder, name), folder, name).arrays
    return {column: torch.from_numpy(np.asarray(values)) for column, values in arrays.items()}
