"""Which rows of an index a filter chooses.

N rows that are not deleted.
"""

import operator
import re
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.index.store.rows import to_text
from dqh.index.store.version import Version
from dqh.index.store.where import NUMBERS, And, Comparison, Filter, In, Like, Not, Or, Value

_BLOCK = 2**18
"""Rows looked at together."""

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BOX = ("x0", "y0", "x1", "y1")


class _Texts(NamedTuple):
    """Texts of n rows: value `number[i]` of `values` belongs to row `owner[i]`."""

    owner: NDArray[np.int64]
    number: NDArray[np.int64]
    values: list[str]


def matching(tree: Filter, version: Version) -> NDArray[np.int64]:
    """The rows of a version that a filter chooses, ascending; `dqh.index.store.where` says what holds of a row."""
    ids = [np.empty(0, np.int64)]
    for start in range(0, len(version), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(version)))
        ids.append(rows[_holds(tree, _Columns(version, rows))])
    return np.concatenate(ids)


class _Columns:
    """The columns of a block of rows, read when they are asked for."""

    def __init__(self, version: Version, rows: NDArray[np.int64]) -> None:
        self._version = version
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def numbers(self, name: str) -> NDArray[np.int64] | NDArray[np.float64]:
        """(n,) a value a row; NaN where it is missing."""
        if name == "id":
            return self._version.ids[self._rows]
        if name == "score":
            scores = self._version.column("score", self._rows).to_numpy(zero_copy_only=False)  # NaN for none
            return np.asarray(scores, np.float64)
        boxes = self._version.column("box", self._rows)
        filled = np.full((len(self), 4), np.nan)
        filled[~boxes.is_null().to_numpy(zero_copy_only=False)] = (
            boxes.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
        )
        return filled[:, _BOX.index(name)]

    def texts(self, name: str) -> _Texts:
        """All texts of a column."""
        owner = np.arange(len(self))
        if name == "label":
            lists = self._version.column("labels", self._rows)
            owner = np.repeat(owner, lists.value_lengths().to_numpy(zero_copy_only=False))
            column = lists.flatten()
        else:
            column = self._version.column({"hash": "content_hash"}.get(name, name), self._rows)
            known = column.is_valid().to_numpy(zero_copy_only=False)
            owner, column = owner[known], column.drop_null()
        coded = column.dictionary_encode()
        convert = bytes.hex if name == "hash" else to_text
        values = [convert(value) for value in coded.dictionary.to_pylist()]
        return _Texts(owner, coded.indices.to_numpy(zero_copy_only=False).astype(np.int64), values)


def _holds(tree: Filter, columns: _Columns) -> NDArray[np.bool_]:
    """(n,) whether the filter holds of each row of a block."""
    match tree:
        case Not(part):
            return ~_holds(part, columns)
        case And(parts):
            return reduce(operator.and_, (_holds(part, columns) for part in parts))
        case Or(parts):
            return reduce(operator.or_, (_holds(part, columns) for part in parts))
        case Comparison(column, "!=", value):
            return ~_fits(column, lambda cell: cell == value, columns)
        case Comparison(column, name, value):
            return _fits(column, lambda cell: _OPERATORS[name](cell, value), columns)
        case In(column, values):
            if column in NUMBERS:
                return np.isin(columns.numbers(column), _wanted(column, values))
            chosen = frozenset(values)
            return _fits(column, lambda cell: cell in chosen, columns)
        case Like(column, pattern):
            fits = _like(pattern).fullmatch
            return _fits(column, lambda cell: fits(cell) is not None, columns)


def _wanted(column: str, values: tuple[Value, ...]) -> NDArray[np.int64] | NDArray[np.float64]:
    """Numbers as the column has them; ids are whole, and what is no id of 64 bits equals none."""
    if column != "id":
        return np.array([float(value) for value in values])
    whole = {int(value) for value in values if value % 1 == 0}
    return np.array([number for number in whole if abs(number) < 2**63], np.int64)


def _fits(column: str, test: Callable[[Any], Any], columns: _Columns) -> NDArray[np.bool_]:
    """(n,) whether the test holds of the number, or of one of the texts, of each row."""
    if column in NUMBERS:
        return np.asarray(test(columns.numbers(column)), np.bool_)
    texts = columns.texts(column)
    fits = np.fromiter(map(test, texts.values), np.bool_, count=len(texts.values))
    fitting = np.zeros(len(columns), np.bool_)
    fitting[texts.owner[fits[texts.number]]] = True
    return fitting


def _like(pattern: str) -> re.Pattern[str]:
    """% is any text, _ any character, all else itself.

    What stands between two % is matched where it comes first and never again elsewhere, which is enough, and keeps the
    time linear in the length of a text.
    """
    first, *others = [
        "".join("." if letter == "_" else re.escape(letter) for letter in part) for part in pattern.split("%")
    ]
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last, re.DOTALL)
