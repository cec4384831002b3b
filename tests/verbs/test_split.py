"""`dqh split`."""

import json
from collections.abc import Callable
from pathlib import Path

from dqh.index.store import open_index


def test_shards_and_how_to_serve_them(index: Path, dqh: Callable, tmp_path: Path) -> None:
    out = tmp_path / "my shards"
    status, told, _ = dqh("split", index, "--shards", 2, "--out", out)
    assert status == 0
    rows = [len(open_index(out / name)) for name in "01"]
    total = len(open_index(index))
    assert sum(rows) == total
    assert told.splitlines() == [
        f"{total} rows in 2 shards; serve each, anywhere, and a router:",
        f"  dqh serve '{out}/0' --port 8001   # {rows[0]} rows",
        f"  dqh serve '{out}/1' --port 8002   # {rows[1]} rows",
        "  dqh serve --shard http://127.0.0.1:8001 --shard http://127.0.0.1:8002",
    ]


def test_as_json(index: Path, dqh: Callable, tmp_path: Path) -> None:
    status, told, _ = dqh("split", index, "--shards", 1, "--out", tmp_path / "new", "--json")
    rows = len(open_index(index))
    shard = {"path": str(tmp_path / "new" / "0"), "rows": rows}
    assert (status, json.loads(told)) == (0, {"shards": [shard], "rows": rows})


def test_what_is_there_is_no_place(index: Path, dqh: Callable, tmp_path: Path) -> None:
    status, _, message = dqh("split", index, "--shards", 2, "--out", tmp_path)
    assert (status, "is there already" in message) == (1, True)
    assert dqh("split", index, "--shards", 0, "--out", tmp_path / "new")[0] == 2
