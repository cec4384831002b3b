import io
import json
import pickle
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dqh.data.parquet import Parquet
from dqh.errors import BadImageError, ConfigError, DataError


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (2, 2), (value, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def write(path, images, labels, *, column="img", kind="struct", names=None, group=2):
    if kind == "struct":
        values = pa.array([None if image is None else {"bytes": image, "path": "x"} for image in images])
    else:
        values = pa.array(images, type=pa.binary() if kind == "binary" else pa.large_binary())
    table = pa.table({column: values, "label": pa.array(labels, type=pa.int64())})
    if names:
        features = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path, row_group_size=group)


@pytest.mark.parametrize("column", ["img", "image"])
@pytest.mark.parametrize("kind", ["struct", "binary", "large_binary"])
def test_tables_become_rows(tmp_path, column, kind):
    write(
        tmp_path / "a.parquet", [png(v) for v in (1, 2, 3)], [0, 1, 0], column=column, kind=kind, names=["cat", "dog"]
    )
    write(tmp_path / "b.parquet", [png(4)], [1], column=column, kind=kind, names=["cat", "dog"])
    source = Parquet(root=tmp_path, train="a.parquet", test="b.parquet")
    assert source.ids.tolist() == ["train/0", "train/1", "train/2", "test/0"]
    assert source.labels.tolist() == [0, 1, 0, 1]
    assert source.class_names == ("cat", "dog")
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {"train": [0, 1, 2], "test": [3]}
    assert [source.read(row).getpixel((0, 0))[0] for row in (3, 0, 2, 1, 2)] == [4, 1, 3, 2, 3]
    assert source.content_hash(0) != source.content_hash(1)


@pytest.mark.parametrize("metadata", ["[" * 200_000, '{"info": ' * 50_000, "[]", '{"info": {"features": []}}', "\xff"])
def test_metadata_that_make_no_sense_name_no_class(tmp_path, metadata):
    table = pa.table({"image": [png(1)] * 2, "label": [3, 1]}).replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, tmp_path / "a.parquet")
    assert Parquet(root=tmp_path, train="a.parquet").class_names == ("1", "3")


def test_columns_that_are_nested_too_deeply_are_told(tmp_path, monkeypatch):
    kind = pa.binary()
    for _ in range(200):
        kind = pa.struct([("a", kind)])
    pq.write_table(pa.table({"image": pa.nulls(1, kind), "label": [0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read: .*too deeply nested"):
        len(Parquet(root=tmp_path, train="a.parquet"))


def test_a_pattern_stands_for_all_shards(tmp_path):
    for shard in range(3):
        write(tmp_path / f"train-{shard}.parquet", [png(shard)] * 3, [shard] * 3)
    source = Parquet(root=tmp_path, train="train-*.parquet")
    assert source.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert source.class_names == ("0", "1", "2")
    assert [source.read(row).getpixel((0, 0))[0] for row in range(9)] == source.labels.tolist()


def test_sparse_labels_are_as_many_classes_as_there_are(tmp_path):
    write(tmp_path / "a.parquet", [png(1)] * 3, [3_000_000_000, 7, 90_007])
    write(tmp_path / "b.parquet", [png(2)], [1])
    source = Parquet(root=tmp_path, train="a.parquet", test="b.parquet")
    assert source.class_names == ("1", "7", "90007", "3000000000")
    assert source.labels.tolist() == [3, 1, 2, 0]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_labels_may_be_texts(tmp_path, kind):
    table = {"image": [png(1)] * 3, "kind": pa.array(["hat", "Shoe", "hat"]).cast(kind)}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    source = Parquet(root=tmp_path, train="a.parquet", label="kind")
    assert (source.class_names, source.labels.tolist()) == (("Shoe", "hat"), [1, 0, 1])
    pq.write_table(pa.table(table | {"kind": [1, 2, 3]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"'kind' holds integers in some files of test_labels_.* and texts in others"):
        _ = Parquet(root=tmp_path, train="a.parquet", test="b.parquet", label="kind").labels


def test_rows_without_an_image_are_bad(tmp_path):
    write(tmp_path / "a.parquet", [png(1), None, b"", b"text"], [0, 0, 0, 0])
    source = Parquet(root=tmp_path, train="a.parquet", max_bytes=1000)
    for row, reason in {1: "no image bytes", 2: "empty", 3: "not an image"}.items():
        with pytest.raises(BadImageError, match=reason):
            source.read(row)
    with pytest.raises(BadImageError, match="larger than max_bytes=10"):
        Parquet(root=tmp_path, train="a.parquet", max_bytes=10).read(0)


def test_one_row_group_is_kept(tmp_path):
    write(tmp_path / "a.parquet", [png(v) for v in range(6)], [0] * 6, group=2)
    source = Parquet(root=tmp_path, train="a.parquet")
    source.read(3)
    assert (source._group.start, source._group.end, len(source._group.images)) == (2, 4, 2)


def test_a_source_travels_without_open_files(tmp_path):
    write(tmp_path / "a.parquet", [png(7)], [0])
    source = Parquet(root=tmp_path, train="a.parquet")
    source.read(0)
    assert pickle.loads(pickle.dumps(source)).read(0).getpixel((0, 0)) == (7, 0, 0)


def test_wrong_tables_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, [png(0)], [-1])
    with pytest.raises(DataError, match=r"labels must be at least 0 .*, got -1 … -1; leave these rows out"):
        _ = Parquet(root=tmp_path, train="a.parquet").labels
    write(path, [png(0)], [None])
    with pytest.raises(DataError, match="integers or texts without nulls, got int64 with 1 nulls"):
        _ = Parquet(root=tmp_path, train="a.parquet").labels
    with pytest.raises(DataError, match="no column 'fine_label'; it has img, label"):
        _ = Parquet(root=tmp_path, train="a.parquet", label="fine_label").labels
    write(path, [png(0)], [2], names=["a", "b"])
    with pytest.raises(DataError, match="label 2 has no name; the files name 2 classes"):
        _ = Parquet(root=tmp_path, train="a.parquet").class_names
    write(path, [png(0)], [0], column="picture")
    with pytest.raises(DataError, match="no column of images: wanted `image` or `img`"):
        Parquet(root=tmp_path, train="a.parquet").read(0)
    write(path, [], [])
    with pytest.raises(DataError, match="no rows in"):
        len(Parquet(root=tmp_path, train="a.parquet"))
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read"):
        len(Parquet(root=tmp_path, train="a.parquet"))


def test_files_that_name_classes_differently_are_refused(tmp_path):
    write(tmp_path / "a.parquet", [png(0)], [0], names=["a", "b"])
    write(tmp_path / "b.parquet", [png(0)], [0], names=["b", "a"])
    with pytest.raises(DataError, match="name their classes differently"):
        _ = Parquet(root=tmp_path, train="a.parquet", test="b.parquet").class_names


def test_missing_files_and_package_are_named(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"looked for .*absent\.parquet"):
        Parquet(root=tmp_path, train="absent.parquet")
    with pytest.raises(ConfigError, match="at least one of"):
        Parquet(root=tmp_path)
    write(tmp_path / "a.parquet", [png(0)], [0])
    source = Parquet(root=tmp_path, train="a.parquet")
    for name in ("pyarrow.parquet", "pyarrow.lib"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DataError, match=r"uv sync --inexact --extra parquet"):
        len(source)


def test_many_rows_keep_their_order(tmp_path):
    labels = np.random.default_rng(0).integers(0, 5, 100).tolist()
    write(tmp_path / "a.parquet", [png(label) for label in labels], labels, group=7)
    source = Parquet(root=tmp_path, train="a.parquet")
    assert [source.read(row).getpixel((0, 0))[0] for row in range(100)] == labels
