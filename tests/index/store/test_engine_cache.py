import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from dqh.index.store import Writer, check, open_index
from dqh.index.store.engine_cache import cache_file, engine_over, is_whole
from dqh.index.ways import WAYS
from tests.index.store.conftest import add, encoded, flip, opened


def answers(index: Path, engine: str) -> list:
    found = open_index(index, engine=engine).search(encoded([1, 2, 21]), k=3, pool=10)
    return [found.engine, found.ranking.ids.tolist(), found.ranking.distances.tolist()]


def test_an_engine_is_built_once(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = answers(index, "binary_hnsw")
    (file,) = (index / "cache").iterdir()
    assert file.name.startswith("binary_hnsw-v2-")
    assert is_whole(file)
    with monkeypatch.context() as patch:
        patch.setattr("dqh.index.store.engine_cache.build", lambda *_, **__: pytest.fail("built again"))
        assert answers(index, "binary_hnsw") == first
    assert open_index(index, engine="binary_ivf", cache=False).search(encoded([1])).engine == "binary_ivf"
    assert [file] == list((index / "cache").iterdir())


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "another", "long"])
def test_a_cache_that_is_not_what_was_written_is_not_used(
    index: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = answers(index, "binary_hnsw")
    (file,) = (index / "cache").iterdir()
    whole = file.read_bytes()
    if damage == "another":  # a whole one, of another engine
        answers(index, "binary_ivf")
        (other,) = (each for each in (index / "cache").iterdir() if each != file)
        other.replace(file)
    elif damage == "long":
        file.write_bytes(b"\0" * 2**25)
    elif damage == "flip":
        flip(file, 500)
    else:
        file.write_bytes(whole[: 100 if damage == "cut" else 0])
    assert is_whole(file) == (damage == "another")
    damaged = file.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert answers(index, "binary_hnsw") == wanted
    assert "is not used" in caplog.text
    if damage == "another":  # one that was written whole is replaced
        assert file.read_bytes() == whole
    else:  # anything else may be of anybody
        assert f"remove it: rm {file}" in caplog.text
        assert file.read_bytes() == damaged
        (problem,) = check(index).problems
        assert problem.file == f"cache/{file.name}"
        file.unlink()
        assert answers(index, "binary_hnsw") == wanted
        assert file.read_bytes() == whole


def test_what_others_keep_in_the_cache_stays(index: Path) -> None:
    """Files named like nothing of ours, like an engine of an older version, and a pipe."""
    engine_over("binary_ivf", opened(index), WAYS["binary"])
    (own,) = (index / "cache").iterdir()
    other = own.with_name(own.name.replace("-v2-", "-v1-"))
    pipe = own.with_name(own.name.replace("binary_ivf", "binary_hnsw"))
    (index / "cache" / "thesis.txt").write_text("mine")
    other.write_text("mine too")
    os.mkfifo(pipe)
    open_index(index, engine="binary_hnsw").search(encoded([1]))
    found = check(index, engines=())
    assert found.unchecked == (f"cache/{other.name}", "cache/thesis.txt")
    assert [problem.file for problem in found.problems] == [f"cache/{pipe.name}"]
    with Writer(index) as writer:
        add(writer, [40])
        writer.commit()
    assert set((index / "cache").iterdir()) == {index / "cache" / "thesis.txt", other, pipe}


def test_an_index_within_that_names_other_rows_is_not_used(index: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A cache with a right hash, of as many items as another version has."""
    version = opened(index)
    engine_over("binary_ivf", version, WAYS["binary"])
    file = cache_file(index, version.manifest, "binary_ivf", "hamming")
    with Writer(index) as writer:
        add(writer, [40])
        writer.commit()
    assert not file.exists()  # the next version has no use for it
    newer = opened(index)
    engine_over("binary_ivf", newer, WAYS["binary"])
    serial = cache_file(index, newer.manifest, "binary_ivf", "hamming").read_bytes()[32:]
    shorter = b"IBwQ" + serial[4:]
    cache_file(index, newer.manifest, "binary_ivf", "hamming").write_bytes(hashlib.sha256(shorter).digest() + shorter)
    with caplog.at_level(logging.WARNING):
        assert len(engine_over("binary_ivf", newer, WAYS["binary"]).search(encoded([1]).embedding, 3).ids) == 1
    assert "is not used" in caplog.text


def test_a_folder_that_cannot_be_written_is_no_obstacle(index: Path, caplog: pytest.LogCaptureFixture) -> None:
    (index / "cache").touch()
    with caplog.at_level(logging.WARNING):
        found = answers(index, "binary_hnsw")
    assert "cannot be written, the next search builds the engine again" in caplog.text
    (index / "cache").unlink()
    assert answers(index, "binary_hnsw") == found


def test_exact_engines_are_not_kept(index: Path) -> None:
    open_index(index).search(encoded([1]))
    assert not (index / "cache").exists()
    assert np.array_equal(open_index(index).version.ids, opened(index).ids)
