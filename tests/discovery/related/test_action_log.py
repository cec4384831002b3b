"""Logs as text and as Parquet, and all that can be wrong with them."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dqh.discovery.related.action_log import UNKNOWN, read_action_log
from dqh.errors import DataError

HEAD = "user,item,action,time,query,position,board\n"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp()


def write(folder: Path, content: str | bytes) -> Path:
    file = folder / "log.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_what_lines_say(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        HEAD
        + "ann,b.jpg,save,2026-11-02T13:00:01+01:00,a.jpg,,sofas\n"
        + "ann,b.jpg,VIEW,2026-11-02T12:00:00,a.jpg,3,\n"
        + f"bob,c.jpg,show,{NOON + 5.5},,,\n"
        + "bob,c.jpg,closeup,2026-11-02,,,\n",
    )
    log = read_action_log(file)
    assert log.names == ("b.jpg", "a.jpg", "c.jpg")
    assert log.times.tolist() == [NOON, NOON + 1, NOON + 5.5]
    assert log.users.tolist() == [0, 0, 1]
    assert log.items.tolist() == [0, 0, 2]
    assert log.queries.tolist() == [1, 1, UNKNOWN]
    assert log.saved.tolist() == [False, True, False]
    assert log.positions.tolist() == [3, 0, 0]
    assert log.boards.tolist() == [UNKNOWN, 0, UNKNOWN]
    assert (log.lines, log.others, log.faults) == (4, 1, ())
    assert log.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_show_comes_before_a_save_of_the_same_moment(tmp_path: Path) -> None:
    log = read_action_log(write(tmp_path, "user,item,action,time\nu,i,save,5\nu,i,show,5\n"))
    assert log.saved.tolist() == [False, True]


def test_columns_by_other_names_in_any_order(tmp_path: Path) -> None:
    log = read_action_log(write(tmp_path, "timestamp;Event;image;more;visitor\n5;pin;x y.jpg;?;v\n"))
    assert (log.names, log.saved.tolist(), log.times.tolist()) == (("x y.jpg",), [True], [5.0])


def columns(**more: Any) -> dict[str, Any]:
    return {"user": ["u", "u"], "item": ["a", "b"], "action": ["show", "save"], "time": [1.5, 2.5]} | more


@pytest.mark.parametrize(
    "time",
    [
        pa.array([1.5, 2.5]),
        pa.array([1500, 2500], pa.timestamp("ms")),
        pa.array([1_500_000_000, 2_500_000_000], pa.timestamp("ns", tz="Europe/Berlin")),
        ["1970-01-01T00:00:01.5", "2.5"],
    ],
)
def test_parquet(tmp_path: Path, time: Any) -> None:
    file = tmp_path / "log.parquet"
    pq.write_table(pa.table(columns(time=time, position=[4, None], query=["q", None])), file)
    log = read_action_log(file)
    assert log.times.tolist() == [1.5, 2.5]
    assert log.positions.tolist() == [4, 0]
    assert log.queries.tolist() == [1, UNKNOWN]
    assert [log.names[item] for item in log.items] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",a,show,1,,,", "no user"),
        ("u,,show,1,,,", "no item"),
        ("u,a,,1,,,", "no action"),
        ("u,a,shown,1,,,", "the action must be one of show, view, impression, save, pin"),
        ("u,a,show,,,,", "a time must be ISO 8601, or seconds since 1970, got ''"),
        ("u,a,show,yesterday,,,", "got 'yesterday'"),
        ("u,a,show,-5,,,", "got '-5'"),
        ("u,a,show,nan,,,", "got 'nan'"),
        ("u,a,show,1e300,,,", "got '1e300'"),
        ("u,a,show,1,q,0,", "a position must be a whole number from 1 to 10000, got '0'"),
        ("u,a,show,1,q,1.5,", "got '1.5'"),
        ("u,a,show,1,q,99999999999,", "got '99999999999'"),
        ("u,a,show,1", "4 columns, but the header has 7"),
        ('u,"a,show,1,,,', "no line of a CSV file"),
        ("u,a\0,show,1,,,", "the character NUL"),
    ],
)
def test_a_faulty_line_is_told_and_costs_itself(tmp_path: Path, line: str, reason: str) -> None:
    file = write(tmp_path, f"{HEAD}u,a,show,1,,,\n{line}\nu,b,save,2,,,\n")
    log = read_action_log(file, most_faults=0.5)
    assert len(log) == 2
    (fault,) = log.faults
    assert fault.where == f"{file}:3"
    assert reason in fault.reason
    with pytest.raises(DataError, match=r"1 of 3 lines cannot be read, wanted at most 1%; mend them:\n  .*log.csv:3: "):
        read_action_log(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; the first line names the columns: user,item,action,time"),
        (HEAD, "has no lines of shows or saves among 0 lines"),
        (HEAD + "u,a,click,1,,,\n", "has no lines of shows or saves among 1 line"),
        ("u,a,show,1\n", "has no column user, item, action, time; the first line names the columns"),
        ("user,item,action\nu,a,show\n", "has no column time"),
        ("user\n", "has no column item, action, time"),
        ("user,item,action,time\n".encode("utf-16"), "UTF-16"),
        (bytes(range(1, 32)) * 40, "is no text"),
        (HEAD + "u,a,show,x,,,\n" * 9, "and 4 more"),
    ],
)
def test_what_is_no_log(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_action_log(write(tmp_path, content))


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not found: looked for"):
        read_action_log(tmp_path / "none.csv")
    with pytest.raises(DataError, match="not found: looked for"):
        read_action_log(tmp_path / "none.parquet")
    with pytest.raises(DataError, match="is a folder"):
        read_action_log(tmp_path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"user": ["u"]}, "has no column item, action, time"),
        (columns(time=[True, False]), "'time' must hold numbers, got bool"),
        (columns(item=[[1], [2]]), "'item' must hold integers or texts"),
        (columns(action=[None, "go"]), "2 of 2 lines cannot be read"),
    ],
)
def test_other_parquet_files(tmp_path: Path, table: dict[str, Any], message: str) -> None:
    pq.write_table(pa.table(table), tmp_path / "log.parquet")
    with pytest.raises(DataError, match=message):
        read_action_log(tmp_path / "log.parquet")


def test_what_is_no_parquet_file(tmp_path: Path) -> None:
    (tmp_path / "log.parquet").write_bytes(b"user,item")
    with pytest.raises(DataError):
        read_action_log(tmp_path / "log.parquet")


def test_numbers_of_users_do_not_depend_on_order_of_lines(tmp_path: Path) -> None:
    lines = [f"u{number % 3},i{number},show,{number}\n" for number in np.random.default_rng(0).permutation(20)]
    log = read_action_log(write(tmp_path, "user,item,action,time\n" + "".join(lines)))
    assert [log.names[item] for item in log.items] == [f"i{number}" for number in range(20)]
