import fnmatch
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dqh.index.store import Header, Row, StoredRow, Writer, filtering
from dqh.index.store.filtering import matching
from dqh.index.store.version import Version
from dqh.index.store.where import NUMBERS, TEXTS, And, Comparison, Filter, In, Like, Not, Or, parse
from dqh.quantizers import Threshold
from tests.index.store.conftest import opened

ROWS = [
    Row("shoes/a.jpg", ("shoe", "red"), None, b"\x01\xff"),
    Row("shoes/b_c.jpg", ("shoe",), (0, 0, 10, 20), b""),
    Row("dress/a.jpg", ("dress", "red"), (5, 5.5, 6, 7), b"\x02"),
    Row("dress/\udcff\n.jpg", (), (-3, 0, 1e6, 7), b"\x02"),
    Row("100%", ("50%_",), None, b"\x03"),
    Row("Ä", ("dress", "dress"), (0, 0, 0.1, 1), b"\x04"),
    Row("gone", ("dress",), None, b"\x05"),
]

SEEN = [
    Row("a.jpg", ("red",), None, b"\x01"),
    Row("a.jpg", ("red",), (0, 0, 10, 20), b"\x01", "dog", 0.5),
    Row("a.jpg", ("red",), (5, 0, 10, 20), b"\x01", "Hund%", 0.25),
    Row("b.jpg", (), None, b"\x02"),
    Row("b.jpg", (), (0, 0, 8, 8), b"\x02"),
    Row("b.jpg", (), (0, 0, 9, 9), b"\x02", "cat", 1),
]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """ids 0 … 5 and 8: ids 6 and 7 were deleted, 3 replaced; in three segments."""
    path = tmp_path_factory.mktemp("filtering")
    rng = np.random.default_rng(0)

    def batch(rows: list[Row]) -> tuple[list[Row], np.ndarray, np.ndarray]:
        return rows, rng.integers(0, 256, (len(rows), 1), np.uint8), rng.random((len(rows), 2), np.float32)

    with Writer(path, Header("id", Threshold(8), 2), segment_rows=4) as writer:
        writer.add(*batch(ROWS))
        writer.add(*batch([Row("also gone")]))
        writer.delete([6, 7])
        writer.add(*batch([Row("last", ("red",), (1, 1, 2, 2))]))
        writer.replace(*batch([ROWS[3]._replace(labels=("new",))]))
        writer.commit()
    return opened(path)


def stored(version: Version) -> list[StoredRow]:
    return version.rows(np.arange(len(version)))


def holds(tree: Filter, row: StoredRow) -> bool:
    """What a filter means, a row at a time and straight from the words."""
    match tree:
        case Not(part):
            return not holds(part, row)
        case And(parts):
            return all(holds(part, row) for part in parts)
        case Or(parts):
            return any(holds(part, row) for part in parts)
        case In(column, wanted):
            return any(value in wanted for value in values(column, row))
        case Like(column, pattern):
            glob = "".join({"%": "*", "_": "?"}.get(each) or f"[{each}]" for each in pattern)
            glob = glob.replace("[[]", "\0").replace("[^]", "\1").replace("[!]", "\2")
            plain = glob.replace("\0", "[[]").replace("\1", "^").replace("\2", "!")
            return any(fnmatch.fnmatchcase(value, plain) for value in values(column, row))
        case Comparison(column, "!=", wanted):
            return not holds(Comparison(column, "=", wanted), row)
        case Comparison(column, sign, wanted):
            signs = {"=": "__eq__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
            return any(getattr(value, signs[sign])(wanted) is True for value in values(column, row))


def values(column: str, row: StoredRow) -> list:
    if column == "id":
        return [float(row.id)]
    if column == "label":
        return list(row.labels)
    if column in ("object", "score"):
        value = getattr(row, column)
        return [] if value is None else [value]
    if column in ("path", "hash"):
        return [row.path if column == "path" else row.content_hash.hex()]
    return [] if row.box is None else [float(row.box[("x0", "y0", "x1", "y1").index(column)])]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("label = 'dress'", [2, 5]),
        ("label != 'dress'", [0, 1, 3, 4, 8]),
        ("label = 'shoe' and label = 'red'", [0]),
        ("label in ('new', 'shoe')", [0, 1, 3]),
        ("label not in ('new', 'shoe')", [2, 4, 5, 8]),
        ("id >= 4 or id = 0", [0, 4, 5, 8]),
        ("id in (1, 8, 7)", [1, 8]),
        ("id in (1.0, 8.5, 1e30, 9223372036854775808, -1)", [1]),
        ("x0 in (-3, 5.0, 1e38, 100000000000000000000000)", [2, 3]),
        ("x0 not in (0, 5)", [0, 3, 4, 8]),
        ("id < 100000000000000000000000", [0, 1, 2, 3, 4, 5, 8]),
        ("id = 2.5", []),
        ("path like 'shoes/%'", [0, 1]),
        ("path like '%/a.jpg'", [0, 2]),
        ("path like '%a%.%'", [0, 2]),
        ("path like '_'", [5]),
        ("path like '%%'", [0, 1, 2, 3, 4, 5, 8]),
        ("path like 'dress/__.jpg'", [3]),
        ("path = 'Ä'", [5]),
        ("hash = '01ff'", [0]),
        ("hash like '02%' and not label = 'red'", [3]),
        ("x0 < 0", [3]),
        ("x1 = 0.1", []),
        ("x1 > 0.09 and x1 < 0.11", [5]),
        ("not x0 >= 0", [0, 3, 4]),
        ("x0 != 0", [0, 2, 3, 4, 8]),
    ],
)
def test_which_rows_a_filter_chooses(version: Version, text: str, ids: list[int]) -> None:
    """A box is kept as float32, so 0.1 is not exactly 0.1; a row without a box fits no comparison."""
    assert version.ids[matching(parse(text), version)].tolist() == ids


texts = st.sampled_from(
    [value for row in (*ROWS, *SEEN) for value in (row.path, *row.labels, row.content_hash.hex(), row.object or "cat")]
    + ["", "%", "a%", "%e%s%", "_%"]
)
figures = st.sampled_from([-3, 0, 0.25, 0.5, 1, 2, 5, 5.5, 7, 8, 10**6, 10**30])


def trees() -> st.SearchStrategy[Filter]:
    operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
    named, numbered = st.sampled_from(TEXTS), st.sampled_from(NUMBERS)
    leaves = st.one_of(
        st.builds(Comparison, numbered, operators, figures),
        st.builds(Comparison, named, operators, texts),
        st.builds(In, numbered, st.lists(figures, min_size=1, max_size=3).map(tuple)),
        st.builds(In, named, st.lists(texts, min_size=1, max_size=3).map(tuple)),
        st.builds(Like, named, texts),
    )
    several = lambda part: st.lists(part, min_size=2, max_size=3).map(tuple)  # noqa: E731
    return st.recursive(
        leaves, lambda part: st.one_of(part.map(Not), several(part).map(And), several(part).map(Or)), max_leaves=5
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees())
def test_a_filter_means_what_it_says(version: Version, tree: Filter) -> None:
    wanted = [row.id for row in stored(version) if holds(tree, row)]
    assert version.ids[matching(tree, version)].tolist() == wanted


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """Rows of two images and of boxes in them; the first segment has no object, the last no row without one."""
    path = tmp_path_factory.mktemp("objects")
    order = [0, 3, 4, 1, 2, 5]
    codes, features = np.zeros((6, 1), np.uint8), np.zeros((6, 2), np.float32)
    with Writer(path, Header("id", Threshold(8), 2, detector_id="seer"), segment_rows=3) as writer:
        writer.add([SEEN[number] for number in order], codes, features)
        writer.commit()
    return opened(path)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("object = 'dog'", [3]),
        ("object != 'dog'", [0, 1, 2, 4, 5]),
        ("object in ('cat', 'dog') and score > .5", [5]),
        ("object like 'H%'", [4]),
        ("score <= 0.5", [3, 4]),
        ("not score >= 0", [0, 1, 2]),
        ("not score >= 0 and x0 = 0", [2]),
        ("label = 'red' and object like '%'", [3, 4]),
    ],
)
def test_filters_know_objects(objects: Version, text: str, ids: list[int]) -> None:
    assert objects.ids[matching(parse(text), objects)].tolist() == ids


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_filter_of_objects_means_what_it_says(objects: Version, data: st.DataObject) -> None:
    tree = data.draw(trees())
    wanted = [row.id for row in stored(objects) if holds(tree, row)]
    assert objects.ids[matching(tree, objects)].tolist() == wanted


def test_a_list_of_numbers_reads_its_column_once(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a value, which took seconds for a filter of full length."""
    read: list[str] = []
    plain = filtering._Columns.numbers

    def counted(columns: filtering._Columns, name: str) -> np.ndarray:
        read.append(name)
        return plain(columns, name)

    monkeypatch.setattr(filtering._Columns, "numbers", counted)
    assert version.ids[matching(In("x0", tuple(range(1, 300))), version)].tolist() == [2, 8]
    assert read == ["x0"]


@pytest.mark.parametrize("size", [1, 3])
def test_blocks_of_rows_give_the_same(version: Version, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = parse("label = 'dress' or x0 >= 0 or path like '%.jpg'")
    whole = matching(tree, version)
    monkeypatch.setattr(filtering, "_BLOCK", size)
    assert matching(tree, version).tolist() == whole.tolist()


def test_many_wildcards_take_no_time_at_all(tmp_path: Path) -> None:
    """A pattern that backtracks would look at 30,000^20 places; this one ends."""
    row = Row("a" * 30_000)
    with Writer(tmp_path, Header("id", Threshold(8), 1)) as writer:
        writer.add([row], np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.float32))
        writer.commit()
    assert len(matching(Like("path", "%a" * 20 + "%b"), opened(tmp_path))) == 0
    assert len(matching(Like("path", "%a" * 20 + "%"), opened(tmp_path))) == 1
