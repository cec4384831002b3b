"""PostgreSQL with pgvector loads the files and answers as `dqh search`."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dqh.encoded import Encoded
from dqh.errors import DqhError, StoreError
from dqh.export.index.content import IndexContent
from dqh.export.index.pgvector_form import (
    array_value,
    bit_strings,
    bytes_value,
    copy_lines,
    halfvecs,
    require_pgvector,
    text_value,
    write_pgvector,
)
from dqh.index import exhaustive
from dqh.index.store import Found, Header, Row, Tag, Writer, open_index, remove
from dqh.quantizers import Threshold
from dqh.terminal import shown
from tests.export.index.conftest import EXPECTED, Psql, damaged, made, queries


@pytest.fixture
def written(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return write(made(tmp_path / "index", getattr(request, "param", "binary")), tmp_path / "pgvector")


def write(index: Path, folder: Path) -> Path:
    folder.mkdir()
    write_pgvector(IndexContent(index), folder)
    return folder


def variables(query: Encoded, number: int) -> list[str]:
    """As README.md says: the bytes of the code in hexadecimal, and the features as Python shows a list."""
    code, features = "\\x" + query.codes[number].tobytes().hex(), str(query.features[number].tolist())
    return ["-v", f"code={code}", "-v", f"features={features}"]


def answers(psql: Psql, folder: Path, *arguments: str) -> list[list[str]]:
    out = psql(*arguments, "-F", "\x1f", "-R", "\x1e", "-f", str(folder / "search.sql"))
    return [line.split("\x1f") for line in out.strip("\n").split("\x1e") if line]


def same(rows: list[list[str]], found: Found, number: int) -> None:
    assert [int(row[0]) for row in rows] == found.ranking.ids[number].tolist()
    assert [float(row[3]) for row in rows] == found.code_distances[number].tolist()
    np.testing.assert_allclose([float(row[4]) for row in rows], found.ranking.distances[number], rtol=1e-5)


def test_the_search_in_two_stages_is_that_of_the_index(psql: Psql, written: Path) -> None:
    """Pools of 20 of 78 cut through equal code distances, by id; then with an index, which is approximate elsewhere."""
    psql(shell=written / "load.sh")
    index, query = open_index(written.parent / "index"), queries()
    found = index.search(query, k=7, pool=20)
    for number in range(len(query.codes)):
        rows = answers(psql, written, *variables(query, number), "-v", "k=7", "-v", "pool=20")
        same(rows, found, number)
    assert len(answers(psql, written, *variables(query, 0))) == 10
    psql("-f", str(written / "indexes.sql"))
    pages = psql("-c", "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw (code bit_hamming_ops)%'")
    assert pages == "1\n"
    plan = written / "plan.sql"
    plan.write_text((written / "search.sql").read_text().replace("WITH pool", "EXPLAIN WITH pool"))
    used = psql("-c", "SET enable_seqscan = off", *variables(query, 1), "-f", str(plan))
    assert "Index Scan using images_code_idx" in used
    rows = answers(psql, written, "-c", "SET enable_seqscan = off", *variables(query, 1), "-v", "k=7", "-v", "pool=20")
    same(rows, found, 1)


def test_by_an_image_of_the_table(psql: Psql, written: Path) -> None:
    psql(shell=written / "load.sh")
    rows = answers(psql, written, "-v", "id=7", "-v", "k=1")
    assert rows == [["7", "日本/🌻.jpg", "{日本}", "0", "0"]]
    (bits,) = psql("-c", "SELECT code FROM images WHERE id = 7").splitlines()
    assert bits == "".join("01"[int(value > 0.5)] for value in EXPECTED[7].embedding)


def test_searches_that_make_no_sense(psql: Psql, written: Path) -> None:
    psql(shell=written / "load.sh")
    for arguments, message in (
        ((), "nothing to search by: give -v id=…, or code and features"),
        (("-v", "id=12"), "no rows returned"),  # a deleted image
        (("-v", r"code=\x00", "-v", "features=[1]"), "out of valid range"),  # one byte for 12 bits
        (("-v", r"code=\x0000", "-v", "features=[1]"), "different halfvec dimensions|expected 6 dimensions"),
    ):
        with pytest.raises(AssertionError, match=message):
            answers(psql, written, *arguments)


def test_every_value_arrives(psql: Psql, written: Path) -> None:
    """Names that are not UTF-8 have no text, and a label of theirs has escapes; everything else is the same bytes."""
    psql(shell=written / "load.sh")
    row = """SELECT json_build_object('id', id, 'path', path, 'name', encode(path_bytes, 'hex'), 'labels', labels,
        'box', ARRAY[x0, y0, x1, y1], 'hash', encode(content_hash, 'hex'), 'features', features::text)
        FROM images ORDER BY id"""
    found = [json.loads(line) for line in psql("-c", row).splitlines()]
    assert len(found) == len(EXPECTED)
    for got, wanted in zip(found, EXPECTED, strict=True):
        text = None if wanted.id == 6 else wanted.name.decode()
        assert (got["id"], got["path"], bytes.fromhex(got["name"])) == (wanted.id, text, wanted.name)
        assert got["labels"] == ([r"\xe9t\xe9"] if wanted.id == 6 else [label.decode() for label in wanted.labels])
        box: tuple[None, ...] | NDArray[np.float32] = (None,) * 4
        if wanted.box is not None:
            box = np.array(wanted.box, np.float32)
        assert [None if value is None else np.float32(value) for value in got["box"]] == list(box)
        assert bytes.fromhex(got["hash"]) == wanted.content_hash
        assert np.array(json.loads(got["features"]), np.float16).tolist() == wanted.features.tolist()
    (comment,) = psql("-c", "SELECT obj_description('images'::regclass)").splitlines()
    assert comment.endswith("12 bits (binary), paths relative to /it's/the root")


@pytest.mark.parametrize("written", ["pq"], indirect=True)
def test_product_quantized_codes_are_bytes_and_features_are_searched(psql: Psql, written: Path) -> None:
    psql(shell=written / "load.sh")
    query = queries("pq")
    wanted = exhaustive(query.features.astype(np.float16), np.stack([each.features for each in EXPECTED]), k=4)
    ids = np.array([each.id for each in EXPECTED])
    for number in range(len(query.codes)):
        out = psql(*variables(query, number), "-v", "k=4", "-f", str(written / "search.sql"))
        assert [int(line.partition("|")[0]) for line in out.splitlines()] == ids[wanted.ids[number]].tolist()
    (code,) = psql("-c", "SELECT encode(code, 'hex') FROM images WHERE id = 79").splitlines()
    version = open_index(written.parent / "index").version
    assert bytes.fromhex(code) == version.codes(np.array([len(version) - 1])).tobytes()
    psql("-f", str(written / "indexes.sql"))
    assert "pgvector does not compare such codes" in (written / "README.md").read_text()


def test_loading_is_all_or_nothing(psql: Psql, written: Path) -> None:
    lines = (written / "rows.copy").read_bytes()
    (written / "rows.copy").write_bytes(lines[:-20])
    with pytest.raises(AssertionError, match=r"invalid input syntax for type halfvec"):
        psql(shell=written / "load.sh")
    assert psql("-c", "SELECT to_regclass('images') IS NULL") == "t\n"
    (written / "rows.copy").write_bytes(lines)
    psql(shell=written / "load.sh")
    assert psql("-c", "SELECT count(*) FROM images") == "78\n"


def wide(path: Path, size: int) -> Path:
    with Writer(path, Header("e", Threshold(3), size)) as writer:
        writer.add([Row("a.jpg")], np.array([[0b101]], np.uint8), np.linspace(-9, 9, size, dtype=np.float32)[None])
        writer.commit()
    return path


def test_features_too_wide_for_an_index_of_pgvector(psql: Psql, tmp_path: Path) -> None:
    """4,000 dimensions at most in an HNSW index, 16,000 in a halfvec."""
    folder = write(wide(tmp_path / "wide", 4001), tmp_path / "pgvector")
    psql(shell=folder / "load.sh")
    psql("-f", str(folder / "indexes.sql"))
    assert answers(psql, folder, "-v", "id=0") == [["0", "a.jpg", "{}", "0", "0"]]
    assert "up to 4000 dimensions, these are 4001" in (folder / "indexes.sql").read_text()
    assert "up to 4,000 dimensions; these are 4,001" in (folder / "README.md").read_text()
    require_pgvector(IndexContent(wide(tmp_path / "widest", 16_000)))
    with pytest.raises(DqhError, match=r"features have 16001 dimensions, .* --to faiss,parquet,lance"):
        require_pgvector(IndexContent(wide(tmp_path / "wider", 16_001)))


def test_nothing_left_in_the_index(psql: Psql, tmp_path: Path) -> None:
    remove(made(tmp_path / "index"), where="id >= 0")
    folder = write(tmp_path / "index", tmp_path / "pgvector")
    psql(shell=folder / "load.sh")
    assert answers(psql, folder, *variables(queries(), 0)) == []


NASTY = "/a`b```c\n    import os\n\\! touch pwned\n*/ ' \\' $$; DROP TABLE images; --\x1b[2J\u2028\u202e:'x' :k\udce9"


@pytest.mark.parametrize("conforming", ["on", "off"])
def test_names_stay_names(psql: Psql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conforming: str) -> None:
    """A root, an encoder, a path and a label that would be commands of psql, SQL, Markdown and a terminal."""
    root, path, label = NASTY, NASTY.lstrip("/"), NASTY + "\\."
    with Writer(tmp_path / "index", Header(NASTY, Threshold(3), 2, root=root)) as writer:
        writer.add([Row(path, (label,))], np.array([[0b101]], np.uint8), np.ones((1, 2), np.float32))
        writer.commit()
    folder = write(tmp_path / "index", tmp_path / "-it's\n")
    monkeypatch.setenv("PGOPTIONS", f"-c standard_conforming_strings={conforming}")
    monkeypatch.setenv("CDPATH", str(tmp_path))
    psql(shell=folder / "load.sh")
    (comment,) = psql("-c", "SELECT obj_description('images'::regclass)").splitlines()
    assert comment == f"dqh: encoder {shown(NASTY)}, 3 bits (binary), paths relative to {shown(NASTY)}"
    assert bytes.fromhex(psql("-c", "SELECT encode(path_bytes, 'hex') FROM images")) == os.fsencode(path)
    assert json.loads(psql("-c", "SELECT to_json(labels[1]) FROM images")) == label.replace("\udce9", r"\xe9")
    assert len(answers(psql, folder, "-v", "id=0")) == 1
    texts = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name != "rows.copy"}
    assert all(line.isprintable() for text in texts.values() for line in text.split("\n"))
    assert not [
        line for text in texts.values() for line in text.split("\n") if line.startswith(("\\!", "    import os"))
    ]
    assert f"````{shown(NASTY)}````" in texts["README.md"]
    assert not list(tmp_path.rglob("pwned"))


def test_a_line_by_hand(collection: IndexContent) -> None:
    """Image 1: a newline in its name is \\n in the line, and its bytes are hexadecimal behind two backslashes."""
    lines = b"".join(copy_lines(collection)).decode().splitlines()
    assert len(lines) == len(EXPECTED) == 78
    first, second = (line.split("\t") for line in lines[:2])
    assert first[:11] == [
        "0",
        r"tab\there.jpg",
        r"\\x74616209686572652e6a7067",
        r'{"a\tb"}',
        *[r"\N"] * 4,
        r"\\x0000",
        *[r"\N"] * 2,
    ]
    assert second[:8] == ["1", r"new\nline\r.jpg", second[2], r'{"x\ny","x\ry"}', "0.1", "0.0", "2.0", "2.0"]
    bits = "".join("01"[int(value > 0.5)] for value in EXPECTED[1].embedding)
    assert second[11] == bits
    assert [np.float16(value) for value in second[12][1:-1].split(",")] == EXPECTED[1].features.tolist()


@pytest.mark.parametrize(
    ("text", "line"), [("a", "a"), (r"\N", r"\\N"), ("\t\n\r", r"\t\n\r"), ("\\", "\\\\"), ("", ""), ("é'\"", "é'\"")]
)
def test_texts(text: str, line: str) -> None:
    assert text_value(text) == line


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        ((), "{}"),
        (("",), '{""}'),
        (("NULL", "a,b"), '{"NULL","a,b"}'),
        (('"',), r'{"\\""}'),  # " is \" in the array, whose backslash is two in the line
        (("\\",), r'{"\\\\"}'),  # \ is \\ in the array, which are four in the line
        (("a\tb",), r'{"a\tb"}'),
    ],
)
def test_arrays(texts: tuple[str, ...], line: str) -> None:
    assert array_value(texts) == line


def test_bytes_and_bits() -> None:
    assert bytes_value(b"\x00\xff\\") == r"\\x00ff5c"
    assert bit_strings(np.array([[0b10000001, 0b1], [0, 0b100]], np.uint8), 11) == ["10000001100", "00000000001"]


def test_every_half_comes_back() -> None:
    """Also by way of float32, which pgvector parses into."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    (text,) = halfvecs(finite[None])
    back = np.array([np.float32(value) for value in text[1:-1].split(",")]).astype(np.float16)
    assert (back.view(np.uint16) == finite.view(np.uint16)).all()


def test_damaged_features_are_no_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"features\.npy is damaged"):
        list(copy_lines(IndexContent(damaged(made(tmp_path / "index")))))


def test_an_object_by_hand(tmp_path: Path) -> None:
    """Class and score stand behind the hash of the file, and the README says what they are."""
    with Writer(tmp_path / "index", Header("e", Threshold(3), 2, detector_id="seer")) as writer:
        rows = [Row("a"), Row("a", (), (0, 0, 8, 9), b"", "a\tdog", 0.3)]
        writer.add(rows, np.array([[1], [2]], np.uint8), np.ones((2, 2), np.float32))
        writer.commit()
    folder = write(tmp_path / "index", tmp_path / "out")
    image, seen = ((folder / "rows.copy").read_text().splitlines()[number].split("\t") for number in (0, 1))
    assert image[4:11] == [r"\N"] * 4 + [r"\\x", r"\N", r"\N"]
    assert seen[4:11] == ["0.0", "0.0", "8.0", "9.0", r"\\x", r"a\tdog", "0.3"]
    assert (folder / "README.md").read_text().startswith("# 1 image and 1 object for PostgreSQL with pgvector\n")
    assert "`object IS NULL`" in (folder / "README.md").read_text()


def test_tags(psql: Psql, tmp_path: Path) -> None:
    index = made(tmp_path / "index")
    with Writer(index) as writer:
        writer.tag({EXPECTED[1].name.decode(): [Tag('"quoted", \\ and {braced}', 0.25), Tag("two\nlines")]})
        writer.commit()
    psql(shell=write(index, tmp_path / "pgvector") / "load.sh")
    (line,) = psql("-c", "SELECT json_build_array(tags, tag_weights) FROM images WHERE id = 1").splitlines()
    assert json.loads(line) == [["two\nlines", '"quoted", \\ and {braced}'], [1, 0.25]]
    assert psql("-c", "SELECT count(*) FROM images WHERE tags = '{}' AND tag_weights = '{}'") == "77\n"
