import os
from pathlib import Path

import numpy as np
import pytest

from dqh.encoded import Encoded
from dqh.errors import StoreLimitError
from dqh.index.store import Header, Problem, Row, Writer, check, checking, open_index
from dqh.index.store.checking import measure_recall, recall_at
from dqh.index.store.durable import FileEntry
from dqh.index.ways import main_way
from dqh.index.ways.hamming import Hamming
from dqh.quantizers import ClassIndex, ProductQuantizer, Quantizer, Threshold
from dqh.ranking import Ranking
from tests.index.store.conftest import ENCODER, HEADER, add, descriptors, encoded, flip, opened, payload


def test_a_whole_index(index: Path) -> None:
    found = check(index)
    assert (found.version, found.rows, found.files) == (2, 23, 19)
    assert found.bytes == sum(path.stat().st_size for path in index.rglob("*") if path.is_file())
    assert found.problems == found.leftovers == found.recalls == found.unchecked == ()


def test_every_file_is_checked(index: Path) -> None:
    """A bit turned over, a byte less, no file at all: each is found and named, and nothing else is."""
    open_index(index, engine="binary_ivf").search(encoded([1]))
    files = [path for path in sorted(index.rglob("*")) if path.is_file() and path.stat().st_size]
    assert len(files) == 20
    for file in files:
        whole = file.read_bytes()
        for damage in ("flip", "cut", "missing"):
            if damage == "flip":
                flip(file, len(whole) // 3, bit=5)
            elif damage == "cut":
                os.truncate(file, len(whole) - 1)
            else:
                file.unlink()
            name = str(file.relative_to(index))
            if "cache" not in name or damage != "missing":
                (problem,) = check(index).problems
                assert problem.file == ("v<N>.json" if name == "v2.json" else name)
            file.write_bytes(whole)
    assert check(index).problems == ()


def test_several_problems_are_reported_together(index: Path) -> None:
    flip(index / "deleted" / "2.bitmap")
    (index / "segments" / "000000001-000000" / "codes.npy").unlink()
    assert check(index).problems == (
        Problem("segments/000000001-000000/codes.npy", "is missing"),
        Problem("deleted/2.bitmap", "does not match its hash: its content has changed"),
    )


def test_too_few_descriptors_are_no_damage(index: Path) -> None:
    """None: the folder cannot be listed. One: every file can be hashed, and none mapped."""
    file = index / "quantizer.safetensors"
    for count in (0, 1):
        with descriptors(count), pytest.raises(StoreLimitError, match=r"Too many open files.*ulimit -n"):
            check(index)
    with descriptors(0), pytest.raises(OSError, match="Too many open files"):
        checking._difference(index, file.name, FileEntry("", file.stat().st_size))
    assert check(index).problems == ()


def test_checksums_that_fit_the_hashes_and_not_the_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a writer had computed them wrongly."""
    monkeypatch.setattr("dqh.index.store.segment.row_checksums", lambda features: np.arange(len(features), dtype="<u4"))
    with Writer(tmp_path, HEADER) as writer:
        add(writer, [0, 1, 2])
        writer.commit()
    monkeypatch.undo()
    (problem,) = check(tmp_path).problems
    assert "features.npy is damaged in 3 of 3 rows read, first row 0" in problem.what


def test_leftovers_are_told_and_are_no_problem(index: Path) -> None:
    writer = Writer(index, segment_rows=2)
    add(writer, [30, 31, 32])
    (index / ".v3.json.new").touch()
    found = check(index)
    writer.close()
    assert found.problems == found.unchecked == ()
    assert ".v3.json.new" in found.leftovers
    assert "segments/000000003-000000" in found.leftovers
    assert found.leftovers[-1] == ".intent-1.json"
    assert check(index).leftovers == ()


def test_what_nobody_vouches_for_is_named(index: Path) -> None:
    """Files beside those of the version and its kept engine; what the next writer removes is told as that."""
    open_index(index, engine="binary_ivf").search(encoded([1]))
    for name in ("skipped.csv", "encoder.json", "segments/000000001-000000/note.txt", "v1.json", ".intent-1.json"):
        (index / name).write_text("{}")
    (index / "photos").symlink_to("/")
    found = check(index)
    assert found.problems == ()
    assert found.leftovers == ()
    assert found.unchecked == (
        ".intent-1.json",
        "encoder.json",
        "photos",
        "segments/000000001-000000/note.txt",
        "skipped.csv",
        "v1.json",
    )


def test_recall_of_the_engines_asked_for_and_of_those_beside_it(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [each.engine for each in check(index, engines=("binary_ivf",), k=5).recalls] == ["binary_ivf"]
    (recall,) = check(index, k=5, queries=10).recalls
    assert (recall.engine, recall.way, recall.k, recall.queries) == ("binary_ivf", "binary", 5, 10)
    monkeypatch.setattr(Hamming, "most_rows", 3)
    with Writer(index) as writer:
        add(writer, [60])
        writer.commit()
    assert [each.engine for each in check(index).recalls] == ["binary_ivf"]
    with pytest.raises(ValueError, match="engine must be one of"):
        check(index, engines=("ivfpq",))


def test_a_version_that_goes_while_it_is_checked(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer publishes version 3 and removes files of version 2 between the manifest and the files."""
    before = checking._difference
    done = []

    def once(path: Path, name: str, entry: object) -> str | None:
        if not done:
            done.append(1)
            with Writer(index) as writer:
                writer.compact()
        return before(path, name, entry)  # type: ignore[arg-type]

    monkeypatch.setattr(checking, "_difference", once)
    found = check(index)
    assert (found.version, found.problems) == (3, ())
    assert found.rows == len(payload(list(range(23))).rows)


def test_kept_engines_are_told_by_their_ways(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((30, 6)).astype(np.float32)
    books = np.random.default_rng(1).standard_normal((2, 4, 3)).astype(np.float32)
    quantizer = ProductQuantizer.from_codebooks(books, distance="ip")
    codes, rows = quantizer.encode(values), [Row(f"{n}.jpg", (), None, bytes([n])) for n in range(30)]
    with Writer(tmp_path, Header(ENCODER, quantizer, 6)) as writer:
        writer.add(rows, codes, values.astype(np.float16))
        writer.commit()
    query = Encoded(codes[:1], values[:1], values[:1], ENCODER)
    open_index(tmp_path, engine="ivfpq", way="aqd_l2").search(query, k=3, pool=5)
    told = [[(recall.engine, recall.way) for recall in check(tmp_path, way=way).recalls] for way in (None, "aqd_ip")]
    assert told == [[("ivfpq", "aqd_l2")], []]
    open_index(tmp_path, engine="ivfpq").search(query, k=3, pool=5)
    told = [[(recall.engine, recall.way) for recall in check(tmp_path, way=way).recalls] for way in (None, "aqd_l2")]
    assert told == [[("ivfpq", "aqd_ip"), ("ivfpq", "aqd_l2")], [("ivfpq", "aqd_l2")]]


class Given:
    """An engine that knows its answers."""

    name = "given"

    def __init__(self, ids: list[list[int]], distances: list[list[float]]) -> None:
        self._answers = Ranking(np.array(ids), np.array(distances, np.float32))

    def search(self, embeddings: np.ndarray, k: int) -> Ranking:
        return Ranking(self._answers.ids[:, :k], self._answers.distances[:, :k])


def test_recall_by_hand() -> None:
    """Query 0: 7 is as near as 2, so both answers count; query 1: one of two. (2 + 1) / 4."""
    exact = Given([[1, 2, 7], [4, 5, 6]], [[0, 3, 3], [1, 2, 9]])
    engine = Given([[1, 7, -1], [4, 6, -1]], [[0, 3, np.inf], [1, 9, np.inf]])
    assert recall_at(engine, exact, np.zeros((2, 1)), 2) == 0.75
    assert recall_at(exact, exact, np.zeros((2, 1)), 3) == 1
    assert recall_at(Given([[-1], [-1]], [[np.inf], [np.inf]]), exact, np.zeros((2, 1)), 1) == 0


@pytest.mark.parametrize(
    "quantizer",
    [
        Threshold(8, threshold=-3.0),
        ClassIndex(8),
        ProductQuantizer.from_codebooks(np.random.default_rng(0).random((4, 16, 2), np.float32)),
    ],
    ids=lambda quantizer: quantizer.kind,
)
def test_recall_over_an_index(tmp_path: Path, quantizer: Quantizer) -> None:
    """Each query has the code of an item: an exact engine finds it at no distance, whatever the threshold is."""
    codes = quantizer.encode(np.random.default_rng(1).standard_normal((60, 8)).astype(np.float32) * 3)
    with Writer(tmp_path, Header("id", quantizer, 1)) as writer:
        writer.add([Row(str(number)) for number in range(60)], codes, np.zeros((60, 1), np.float32))
        writer.commit()
    exact, graph = ("aqd", "hnsw") if quantizer.kind == "pq" else ("hamming", "binary_hnsw")
    first, second = measure_recall(opened(tmp_path), (exact, graph), k=500, queries=20)
    assert first == (exact, main_way(quantizer).name, 1.0, 60, 20)
    assert second.recall > 0.9
    (again,) = measure_recall(opened(tmp_path), (graph,), k=500, queries=20)
    assert again == second
