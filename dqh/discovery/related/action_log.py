"""Logs of what people did with images: a table of who was shown what, and who saved it.

    user,item,action,time,query,position,board
    ann,rooms/1.jpg,show,2026-11-02T10:15:00,rooms/7.jpg,1,
    ann,rooms/2.jpg,show,2026-11-02T10:15:00,rooms/7.jpg,2,
    ann,rooms/2.jpg,save,2026-11-02T10:15:20,rooms/7.jpg,,sofas

The first line names the columns, in any order; `query`, `position` and `board` may be missing, others are not read. A
Parquet file has the same columns.

- `user`: any text.
- `item`: the image, by the path that the index has it by, or as a file, relative to the folder of the table.
- `action`: `show` (or `view`, `impression`), `save` (or `pin`, `like`, `buy`); `click`, `closeup` and `hide` are known
  and not read.
- `time`: ISO 8601, which is UTC where it names no zone, or seconds since 1970.
- `query`: the image beside which the item was shown as a related one, or from there saved.
- `position`: of the item among what was shown there, 1 the first.
- `board`: what the item was saved to; without one, saves of a user that are no half an hour apart belong together.

L lines that can be read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.cell_lines import cell_lines, columns_of
from dqh.data.list_file import PATH_NAMES
from dqh.data.parquet_table import Table
from dqh.errors import DataError
from dqh.files import sha256
from dqh.plural import counted

COLUMNS: dict[str, frozenset[str]] = {
    "user": frozenset({"user", "user_id", "visitor", "visitor_id"}),
    "item": PATH_NAMES | {"item", "item_id"},
    "action": frozenset({"action", "event", "event_type"}),
    "time": frozenset({"time", "timestamp", "date", "datetime"}),
    "query": frozenset({"query", "query_id", "source", "seed"}),
    "position": frozenset({"position", "rank"}),
    "board": frozenset({"board", "board_id", "collection", "basket"}),
}
"""Columns of a log, and what each may be called."""

NEEDED = ("user", "item", "action", "time")
SHOW, SAVE = "show", "save"
ACTIONS = {
    **dict.fromkeys((SHOW, "view", "impression"), SHOW),
    **dict.fromkeys((SAVE, "pin", "like", "buy"), SAVE),
    **dict.fromkeys(("click", "closeup", "hide"), None),
}
"""What an action may be called → what it is; None for one that is not read."""

UNKNOWN = -1
"""Number of what a line does not name."""

MOST_FAULTS = 0.01
"""Share of the lines that may be faulty."""

_LAST_POSITION = 10_000
_SHOWN = 5
_WANTED = "the first line names the columns: user,item,action,time and perhaps query,position,board"


class Fault(NamedTuple):
    """A line that cannot be read: `LOG:LINE`, or `LOG#ROW` of a Parquet file, and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class ActionLog:
    """Shows and saves, in the order of their times.

    Attributes:
        users: (L,) int64, numbers of users from 0.
        items: (L,) int64, places in `names`.
        queries: (L,) int64, likewise; `UNKNOWN` where a line names none.
        saved: (L,) bool, whether it is a save; else a show.
        times: (L,) float64, seconds since 1970.
        positions: (L,) int64, from 1; 0 where a line names none.
        boards: (L,) int64, numbers of boards from 0; `UNKNOWN` where a line names none.
        names: of the images, as the log has them.
        lines: of the log, those that cannot be read and those of other actions among them.
        others: lines of actions that are not read.
        faults: lines that cannot be read.
        sha256: of the file, hexadecimal.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    queries: NDArray[np.int64]
    saved: NDArray[np.bool_]
    times: NDArray[np.float64]
    positions: NDArray[np.int64]
    boards: NDArray[np.int64]
    names: tuple[str, ...]
    lines: int
    others: int
    faults: tuple[Fault, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.users)


def read_action_log(path: Path, *, most_faults: float = MOST_FAULTS) -> ActionLog:
    """The shows and saves of a log; about 60 bytes a line.

    Args:
        path: a text file, or a `.parquet` file.
        most_faults: share of the lines that may be faulty, 0 … 1.

    Raises:
        DataError: it cannot be read, has no such columns, no shows or saves, or more faulty lines; the first faults are
            told.
    """
    lines = _of_parquet(path) if path.suffix.lower() == ".parquet" else _of_text(path)
    count = others = 0
    faults: list[Fault] = []
    users, names, boards = _Numbers(), _Numbers(), _Numbers()
    rows: list[tuple[int, int, int, bool, float, int, int]] = []
    for where, cells, fault in lines:
        count += 1
        try:
            if fault:
                raise ValueError(fault)
            action = _action(cells)
            if action is None:
                others += 1
                continue
            row = (_needed(cells, "user"), _needed(cells, "item"), _time(cells["time"]), _position(cells))
        except ValueError as error:
            faults.append(Fault(where, str(error)))
            continue
        query, board = (cells.get(name, "") for name in ("query", "board"))
        numbers = users[row[0]], names[row[1]], names[query] if query else UNKNOWN
        rows.append((*numbers, action == SAVE, row[2], row[3], boards[board] if board else UNKNOWN))
    _require_lines(path, count, len(rows), faults, most_faults)
    dtypes = (np.int64, np.int64, np.int64, np.bool_, np.float64, np.int64, np.int64)
    arrays: list[Any] = [np.array(column, dtype) for column, dtype in zip(zip(*rows, strict=True), dtypes, strict=True)]
    order = np.lexsort((arrays[3], arrays[4]))  # by time, of equal times a show before its save
    columns: list[Any] = [array[order] for array in arrays]
    about: tuple[Any, ...] = (tuple(names), count, others, tuple(faults), sha256(path.resolve()))
    return ActionLog(*columns, *about)


class _Numbers(dict[str, int]):
    """Texts, each with the number by which it came first."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


_Line = tuple[str, Mapping[str, str], str]
"""Where it is, its cells by column, and why it cannot be read, or ""."""


def _of_text(path: Path) -> Iterator[_Line]:
    places: dict[str, int] = {}
    width = 0
    for line in cell_lines(path):
        if not width:
            places, width = columns_of(line.cells, COLUMNS), len(line.cells)
            _require_columns(path, places, line.cells)
            continue
        fault = line.fault
        if not fault and len(line.cells) != width:
            fault = f"{counted(len(line.cells), 'column')}, but the header has {width}"
        yield line.where, {} if fault else {name: line.cells[place] for name, place in places.items()}, fault
    if not width:
        raise DataError(f"{path} is empty; {_WANTED}")


def _of_parquet(path: Path) -> Iterator[_Line]:
    table = Table(path)
    places = columns_of(table.columns, COLUMNS)
    _require_columns(path, places, table.columns)
    readers: list[tuple[str, Any, Any, Mapping[int, str]]] = []
    for name, place in places.items():
        column = table.columns[place]
        if name == "time" and not table.holds_texts(column):
            values, faults = table.numbers(column)
            readers.append((name, values, np.isnan(values), faults))
        else:
            readers.append((name, *table.labels(column)))
    for row in range(table.rows):
        fault = next((faults[row] for _, _, _, faults in readers if row in faults), "")
        cells = {name: "" if empty[row] else str(values[row]).strip() for name, values, empty, _ in readers}
        yield f"{path}#{row}", cells, fault


def _require_columns(path: Path, places: Mapping[str, int], header: Sequence[str]) -> None:
    if missing := [name for name in NEEDED if name not in places]:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; {_WANTED}; got {', '.join(header)[:200] or 'nothing'}"
        )


def _require_lines(path: Path, count: int, rows: int, faults: Sequence[Fault], most_faults: float) -> None:
    told = "".join(f"\n  {fault.where}: {fault.reason}" for fault in faults[:_SHOWN])
    told += f"\n  and {len(faults) - _SHOWN:,} more" * (len(faults) > _SHOWN)
    if len(faults) > most_faults * count:
        raise DataError(
            f"{path}: {len(faults):,} of {counted(count, 'line')} cannot be read, wanted at most {most_faults:.0%}; "
            f"mend them:{told}"
        )
    if not rows:
        raise DataError(f"{path} has no lines of shows or saves among {counted(count, 'line')}; {_WANTED}")


def _needed(cells: Mapping[str, str], name: str) -> str:
    if not cells[name]:
        raise ValueError(f"no {name}")
    return cells[name]


def _action(cells: Mapping[str, str]) -> str | None:
    name = _needed(cells, "action").lower()
    if name not in ACTIONS:
        raise ValueError(f"the action must be one of {', '.join(ACTIONS)}, got {name[:40]!r}")
    return ACTIONS[name]


def _time(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = _seconds(text)
    if not 0 <= value < 1e11:  # year 5138
        raise ValueError(f"a time must be ISO 8601, or seconds since 1970, got {text[:40]!r}")
    return value


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return float("nan")


def _position(cells: Mapping[str, str]) -> int:
    text = cells.get("position", "")
    if not text:
        return 0
    if not text.isdecimal() or not 1 <= int(text[:9]) <= _LAST_POSITION:
        raise ValueError(f"a position must be a whole number from 1 to {_LAST_POSITION}, got {text[:40]!r}")
    return int(text)
