import io
import json
import os
import pickle
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dqh.data.parquet import Parquet
from dqh.errors import BadImageError, ConfigError, DataError, TooManyBadImagesError
from tests.data.damage import damage


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
    table, group = source._tables._kept
    assert (table, group.rows, len(group.images)) == (0, range(2, 4), 2)


def test_a_source_travels_without_open_files(tmp_path):
    write(tmp_path / "a.parquet", [png(7)], [0])
    source = Parquet(root=tmp_path, train="a.parquet")
    source.read(0)
    assert pickle.loads(pickle.dumps(source)).read(0).getpixel((0, 0)) == (7, 0, 0)


def test_wrong_tables_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, [png(0)], [-1])
    with pytest.raises(DataError, match=r"train/0: the label -1; class numbers are .* at least 0 .*; leave these"):
        _ = Parquet(root=tmp_path, train="a.parquet").labels
    write(path, [png(0)], [None])
    with pytest.raises(DataError, match="train/0: 'label' is null"):
        _ = Parquet(root=tmp_path, train="a.parquet").labels
    with pytest.raises(DataError, match="no column 'fine_label'; it has img, label"):
        _ = Parquet(root=tmp_path, train="a.parquet", label="fine_label").labels
    write(path, [png(0)], [2], names=["a", "b"])
    with pytest.raises(DataError, match="label 2 has no name; the file names 2 classes"):
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


def test_labels_of_another_type_are_refused(tmp_path):
    pq.write_table(pa.table({"image": [png(1)], "label": [[1]]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: 'label' must hold integers or texts, got list<"):
        _ = Parquet(root=tmp_path, train="a.parquet").labels


@pytest.mark.parametrize(
    ("kind", "bad", "fault"),
    [
        (pa.int64(), None, "'label' is null"),
        (pa.int64(), -1, "the label -1; class numbers are whole, at least 0 and below 2⁶³; leave these rows out"),
        (pa.uint64(), 2**63, "the label 9223372036854775808; class numbers"),
        (pa.float64(), None, "'label' is null"),
        (pa.float64(), float("nan"), "'label' is null"),
        (pa.float32(), 0.5, "the label 0.5; class numbers are whole"),
        (pa.float64(), float("inf"), "the label inf; class numbers are whole"),
        (pa.string(), None, "'label' is null"),
        (pa.dictionary(pa.int8(), pa.string()), None, "'label' is null"),
        (pa.string(), "s" * 40_000, "a label of 40000 bytes, above 32768"),
    ],
)
def test_a_row_without_a_label_is_one_unusable_image(tmp_path, kind, bad, fault):
    """As pandas writes a column of integers in which one is missing."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    values = [5, bad, 3, 5] if not pa.types.is_string(inner) else ["5", bad, "3", "5"]
    labels = pa.array(values, inner).cast(kind)
    pq.write_table(pa.table({"image": [png(v) for v in range(4)], "label": labels}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"image": [png(v) for v in range(4, 8)], "label": labels}), tmp_path / "b.parquet")
    source = Parquet(root=tmp_path, train="a.parquet", query="b.parquet", max_bad_fraction=0.25)
    assert source.class_names == ("3", "5")
    assert source.labels.tolist() == [1, 0, 1, 1, 0, 1]
    assert source.ids.tolist() == ["train/0", "train/2", "train/3", "query/0", "query/2", "query/3"]
    assert {role: rows.tolist() for role, rows in source.roles.items()} == {"train": [0, 1, 2], "query": [3, 4, 5]}
    assert [source.read(row).getpixel((0, 0))[0] for row in range(6)] == [0, 2, 3, 4, 6, 7]
    assert list(source.unusable) == ["train/1", "query/1"]
    assert source.unusable["train/1"].startswith(fault)
    with pytest.raises(TooManyBadImagesError, match=r"2 of 8 rows of .* \(25.00%, above data.max_bad_fraction=0.01\)"):
        _ = Parquet(root=tmp_path, train="a.parquet", query="b.parquet").labels


def test_a_damaged_row_group_costs_its_rows(tmp_path):
    write(tmp_path / "a.parquet", [png(v) for v in range(6)], range(6), kind="binary")
    damage(tmp_path / "a.parquet", column="img", group=1)
    source = Parquet(root=tmp_path, train="a.parquet")
    assert len(source) == 6
    for row in (2, 3):
        with pytest.raises(BadImageError, match=r"row group 1 \(rows 2 … 3\) cannot be read: "):
            source.read(row)
    assert [source.read(row).getpixel((0, 0))[0] for row in (0, 1, 4, 5)] == [0, 1, 4, 5]


def test_labels_in_a_damaged_row_group_cost_its_rows(tmp_path):
    write(tmp_path / "a.parquet", [png(v) for v in range(6)], range(6), kind="binary")
    damage(tmp_path / "a.parquet", column="label", group=1)
    source = Parquet(root=tmp_path, train="a.parquet", max_bad_fraction=0.4)
    assert source.ids.tolist() == ["train/0", "train/1", "train/4", "train/5"]
    assert source.class_names == ("0", "1", "4", "5")
    assert source.read(2).getpixel((0, 0))[0] == 4
    assert list(source.unusable) == ["train/2", "train/3"]
    assert source.unusable["train/3"].startswith("row group 1 (rows 2 … 3) cannot be read: ")


def test_a_page_of_other_bytes_is_known_by_its_checksum(tmp_path):
    """Without a look at it, a flipped bit would be another label."""
    table = pa.table({"image": [png(1)] * 2, "label": [7, 8]})
    pq.write_table(table, tmp_path / "a.parquet", write_page_checksum=True, compression="none", use_dictionary=False)
    content = (tmp_path / "a.parquet").read_bytes()
    at = content.index((7).to_bytes(8, "little") + (8).to_bytes(8, "little"))
    (tmp_path / "a.parquet").write_bytes(content[:at] + b"\5" + content[at + 1 :])
    with pytest.raises(DataError, match=r"train/0: row group 0 \(rows 0 … 1\) cannot be read: .*(CRC|checksum)"):
        _ = Parquet(root=tmp_path, train="a.parquet").labels


@pytest.mark.parametrize("pattern", ["a.parquet", "*.parquet"])
def test_only_regular_files_are_opened(tmp_path, pattern):
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=r"a\.parquet is a named pipe where a regular file is wanted; put the file there"
    ):
        Parquet(root=tmp_path, train=pattern)
    (tmp_path / "a.parquet").unlink()
    write(tmp_path / "a.parquet", [png(0)], [0])
    source = Parquet(root=tmp_path, train=pattern)
    (tmp_path / "a.parquet").unlink()
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet is a named pipe"):
        _ = source.labels


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
