"""By what the data of a split are known again: class names, the label of every row, and the content of some rows.

Covered are all rows of the split for labels, and up to `LOOKED_AT` of them, drawn by the split's seed, for content. A
change of the content of single rows among many may so go unnoticed; another order, noise, or other labels do not.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.data.source import Source
from dqh.data.split_fields import DIGITS, LOOKED_AT
from dqh.errors import BadImageError


@dataclass(frozen=True)
class Fingerprint:
    """By what data are known again.

    Attributes:
        class_names: SHA-256 of the class names in their order.
        labels: SHA-256 of the labels of all rows.
        contents: the first 16 hexadecimal digits of the content hash of some rows, "" where one cannot be read.
    """

    class_names: str
    labels: str
    contents: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values; `Fingerprint.from_json` is the inverse."""
        return asdict(self) | {"contents": list(self.contents)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Fingerprint":
        """The fingerprint that `to_json` wrote; what it holds is checked with the split that holds it."""
        return cls(content["class_names"], content["labels"], tuple(content["contents"]))


def fingerprint(source: Source, rows: NDArray[np.int64], *, seed: int) -> Fingerprint:
    """The fingerprint of data: (n,) rows of a split, in the order of their ids; `seed` draws whose content is read."""
    labels = source.labels[rows]
    values = np.packbits(labels, axis=1) if labels.ndim == 2 else labels.astype("<i8")
    return Fingerprint(
        _names_hash(source),
        _sha256(repr(labels.shape).encode() + values.tobytes()),
        tuple(contents(source, rows[looked_at(len(rows), seed=seed)])),
    )


def differences(before: Fingerprint, source: Source, rows: NDArray[np.int64], *, seed: int) -> list[str]:
    """In what data differ from those of a fingerprint, as far as it says, a phrase each; rows and seed as there."""
    now, lines = fingerprint(source, rows, seed=seed), name_differences(before, source)
    if now.labels != before.labels:
        lines.append("labels")
    other = [number for number, pair in enumerate(zip(before.contents, now.contents, strict=False)) if len({*pair}) > 1]
    if len(before.contents) != len(now.contents):
        lines.append("number of rows")
    elif other:
        present = set(contents(source, rows))
        moved = all(before.contents[number] in present for number in other)
        example = str(source.ids[rows[looked_at(len(rows), seed=seed)[other[0]]]])
        what = "order of the rows: the content is there, under other ids" if moved else "content"
        lines.append(f"{what} ({len(other)} of {len(now.contents)} rows looked at, such as {example!r})")
    return lines


def name_differences(before: Fingerprint, source: Source) -> list[str]:
    """That the class names of data differ from those that a fingerprint was taken of, in one phrase; else nothing."""
    if _names_hash(source) == before.class_names:
        return []
    names = ", ".join(map(repr, source.class_names[:5])) + ", …" * (len(source.class_names) > 5)
    return [f"class names (now {len(source.class_names)}: {names})"]


def looked_at(count: int, *, seed: int) -> NDArray[np.int64]:
    """Places, ascending, of those among `count` rows whose content is looked at: all, or `LOOKED_AT` that are drawn."""
    if count <= LOOKED_AT:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng([seed, 2]).choice(count, LOOKED_AT, replace=False))


def contents(source: Source, rows: NDArray[np.int64]) -> list[str]:
    """What a fingerprint keeps of the content of each row."""
    return [_content(source, row) for row in rows.tolist()]


def _names_hash(source: Source) -> str:
    return _sha256(json.dumps(source.class_names, ensure_ascii=True).encode())


def _content(source: Source, row: int) -> str:
    try:
        return source.content_hash(row).hex()[:DIGITS]
    except BadImageError:
        return ""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
