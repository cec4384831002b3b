"""faiss, given the files alone, answers as the index: the same ids, the same distances."""

import re
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from dqh.errors import StoreError
from dqh.export.index import content as collections
from dqh.export.index import faiss_form
from dqh.export.index.content import IndexContent
from dqh.export.index.faiss_form import features_file, write_faiss
from dqh.index.store import open_index, remove
from dqh.index.ways import main_way
from tests.export.index.conftest import FEATURES, damaged, made, queries

KINDS = ("binary", "pq", "pq_ip", "pq_plain")


def written(path: Path, kind: str = "binary") -> IndexContent:
    collection = IndexContent(made(path / "index", kind))
    write_faiss(collection, path)
    return collection


@pytest.mark.parametrize("kind", KINDS)
def test_codes_answer_as_the_exact_engine(kind: str, tmp_path: Path) -> None:
    version, query = written(tmp_path, kind).version, queries(kind)
    quantizer: Any = version.quantizer
    engine = main_way(quantizer).index(quantizer, version.codes(np.arange(len(version))))
    wanted = engine.search(query.embedding, 20)
    if kind == "binary":
        index = faiss.read_index_binary(str(tmp_path / "codes.faiss"))
        distances, ids = index.search(query.codes, 20)
        assert ids.tolist() == version.ids[wanted.ids].tolist()
        assert distances.tolist() == wanted.distances.tolist()
        return
    index = faiss.read_index(str(tmp_path / "codes.faiss"))
    assert index.metric_type == (faiss.METRIC_INNER_PRODUCT if kind == "pq_ip" else faiss.METRIC_L2)
    distances, ids = index.search(query.embedding, 20)
    distances = -distances if kind == "pq_ip" else distances
    np.testing.assert_allclose(distances, wanted.distances, rtol=1e-5, atol=1e-5)
    gaps = np.pad(np.diff(wanted.distances, axis=1), ((0, 0), (1, 1)), constant_values=((0, 0), (1, 0))) > 1e-5
    alone = gaps[:, :-1] & gaps[:, 1:]  # equal codes are ties, whose order faiss leaves open
    assert alone.sum() > 20
    assert ids[alone].tolist() == version.ids[wanted.ids][alone].tolist()
    decoded = quantizer.decode(version.codes(np.arange(len(version))))
    for number in (0, 30, 77):
        np.testing.assert_allclose(index.reconstruct(int(version.ids[number])), decoded[number], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_the_readme_is_coarse_to_fine(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool takes all 78; then with pools of 20 bits, which cut among equal distances, by id."""
    collection, query = written(tmp_path, kind), queries(kind)
    monkeypatch.chdir(tmp_path)
    code = "".join(re.findall(r"^    (.*\n)", (tmp_path / "README.md").read_text(), flags=re.MULTILINE))
    assert ", 1000)" in code
    for pool in (1000, 20) if kind == "binary" else (1000,):
        wanted = open_index(collection.version.path).search(query, k=10, pool=pool)
        for number in range(len(query.codes)):
            names: dict[str, Any] = {name: getattr(query, name)[number:] for name in ("codes", "embedding", "features")}
            exec(code.replace(", 1000)", f", {pool})"), names)
            assert names["ids"][0].tolist() == wanted.ranking.ids[number].tolist()
            np.testing.assert_allclose(names["distances"][0], wanted.ranking.distances[number], rtol=1e-5)


def test_the_file_of_the_features_is_that_of_faiss(collection: IndexContent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written some rows at a time it has the bytes that faiss writes of an index that holds all of them."""
    monkeypatch.setattr(collections, "_PART_ROWS", 50)
    pieces = [bytes(piece) for piece in features_file(collection)]
    assert [len(piece) for piece in pieces[2:4]] == [50 * 2 * FEATURES, 28 * 2 * FEATURES]
    monkeypatch.setattr(faiss_form, "_knows_the_file", lambda size: False)
    (whole,) = features_file(collection)
    assert b"".join(pieces) == whole


def test_nothing_left_and_damage(index: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"features\.npy is damaged"):
        write_faiss(IndexContent(damaged(index)), tmp_path)
    remove(index, where="id >= 0")
    write_faiss(IndexContent(index), tmp_path)
    assert faiss.read_index_binary(str(tmp_path / "codes.faiss")).ntotal == 0
    features = faiss.read_index(str(tmp_path / "features.faiss"))
    assert (features.ntotal, features.d) == (0, FEATURES)
