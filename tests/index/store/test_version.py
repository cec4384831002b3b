import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from dqh.errors import StoreError
from dqh.index.store import Header, Writer, check
from dqh.index.store.durable import FileEntry
from dqh.index.store.place import read_manifest
from dqh.index.store.snapshot import Snapshot
from dqh.index.store.version import Version, deleted_rows, read_quantizer
from dqh.quantizers import ClassIndex, ProductQuantizer
from tests.index.store.conftest import BITS, EDITIONS, FEATURES, content, expected, flip, opened, payload


def test_rows_stand_in_the_order_of_their_ids(index: Path) -> None:
    """Replaced images stand where they stood, though their rows are in a later segment."""
    version = opened(index)
    assert version.ids.tolist() == sorted(EDITIONS)
    assert (np.diff(version.positions) < 0).any()
    assert content(index) == expected(EDITIONS)


def test_a_row_as_a_query_finds_itself(index: Path) -> None:
    version = opened(index)
    snapshot = Snapshot(version)
    for row in range(len(version)):
        query = version.encoded(row)
        assert query.encoder_id == version.manifest.encoder_id
        found = snapshot.search(query, k=1, pool=len(version))
        assert version.row_of(int(found.ranking.ids[0, 0])) == row
        assert (found.ranking.distances[0, 0], found.code_distances[0, 0]) == (0, 0)
    assert version.row_of(-1) is None
    assert version.row_of(10**9) is None


def test_any_rows_in_any_order(index: Path) -> None:
    version = opened(index)
    assert version.features[np.arange(23)].tobytes() == b"".join(each[2] for each in expected(EDITIONS))
    chosen = np.array([22, 0, 3, 3, 11])
    numbers = version.ids[chosen].tolist()
    wanted = [each for number in numbers for each in expected({number: EDITIONS[number]})]
    assert [row.id for row in version.rows(chosen)] == numbers
    assert [row.tobytes() for row in version.codes(chosen)] == [each[1] for each in wanted]
    assert [row.tobytes() for row in version.features[chosen]] == [each[2] for each in wanted]
    out = np.empty((5, FEATURES), np.float16)
    assert version.features.take(chosen, axis=0, out=out, mode="clip") is out
    assert np.array_equal(out, version.features[chosen])
    assert version.column("path", chosen).to_pylist() == [f"{number}".encode() + b"\xff.jpg" for number in numbers]
    assert version.features.shape == (len(version), FEATURES) == (23, 6)


def test_nothing_to_read(index: Path) -> None:
    version = opened(index)
    nothing = np.empty(0, np.int64)
    assert version.rows(nothing) == []
    assert version.codes(nothing).shape == (0, 2)
    assert version.read_features(nothing).shape == (0, FEATURES)


def test_an_older_version_is_read_while_newer_ones_come(index: Path) -> None:
    """Compaction removes every file that the reader has open."""
    version = opened(index)
    with Writer(index) as writer:
        writer.delete([0, 1])
        writer.commit()
        writer.compact()
    rows = np.arange(len(version))
    kept = zip(version.rows(rows), version.codes(rows), version.read_features(rows), strict=True)
    assert [(row, codes.tobytes(), features.tobytes()) for row, codes, features in kept] == expected(EDITIONS)
    assert opened(index).ids.tolist() == sorted(set(EDITIONS) - {0, 1})


@pytest.mark.parametrize(
    "quantizer",
    [
        ClassIndex(BITS),
        ProductQuantizer.from_codebooks(
            np.arange(48, dtype=np.float32).reshape(4, 4, 3), rotation=np.eye(12, dtype=np.float32)[::-1]
        ),
    ],
    ids=lambda quantizer: quantizer.kind,
)
def test_the_quantizer_comes_back(tmp_path: Path, quantizer: ClassIndex | ProductQuantizer) -> None:
    with Writer(tmp_path / "index", Header("id", quantizer, FEATURES)) as writer:
        writer.commit()
    found = opened(tmp_path / "index").quantizer
    embedding = payload([1, 2, 3]).embedding * 30
    assert type(found) is type(quantizer)
    assert np.array_equal(found.encode(embedding), quantizer.encode(embedding))


def test_damage_outside_the_segments(index: Path) -> None:
    manifest = read_manifest(index, 2)
    bitmap = index / "deleted" / "2.bitmap"
    assert deleted_rows(index, manifest).nonzero()[0].tolist() == [3, 4, 5, 19]
    flip(bitmap)
    with pytest.raises(StoreError, match=r"2.bitmap is damaged: it does not match the hash in v2.json"):
        deleted_rows(index, manifest)
    bitmap.write_bytes(b"")
    with pytest.raises(StoreError, match="is damaged"):
        Version(index, manifest)
    flip(index / "quantizer.safetensors")
    with pytest.raises(StoreError, match=r"quantizer.safetensors is damaged"):
        read_quantizer(index, manifest)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"threshold": torch.tensor(float("nan"), dtype=torch.float64)}, "threshold must be finite"),
        ({"threshold": torch.tensor(0.5)}, "threshold must be float64"),
        ({"threshold": torch.tensor(True)}, "threshold must be float64"),
        ({"threshold": torch.tensor(0.5, dtype=torch.complex64)}, "threshold must be float64"),
        ({"threshold": torch.zeros(12, dtype=torch.float64)}, "of 0 dimensions"),
        ({"codebooks": torch.zeros(3, 16, 4)}, "threshold must be there, got codebooks"),
    ],
)
def test_a_quantizer_that_makes_no_sense_is_refused(index: Path, state: dict, message: str) -> None:
    """Its file has the hash that the manifest gives: that it is as it was written does not make it a quantizer."""
    (index / "quantizer.safetensors").write_bytes(save(state))
    manifest = read_manifest(index, 2)
    content = (index / "quantizer.safetensors").read_bytes()
    entry = FileEntry(hashlib.sha256(content).hexdigest(), len(content))
    (index / "v2.json").write_bytes(dataclasses.replace(manifest, quantizer=entry).to_bytes())
    for use in (lambda: opened(index), lambda: Writer(index)):
        with pytest.raises(StoreError, match=rf"does not hold a binary quantizer: .*{message}.*; copy the index again"):
            use()
    assert message.partition(" must")[0] in check(index).problems[0].what
