"""Which images are queries, database, train and validation, as ids that are saved with a hash.

How they are drawn is in `protocols`. The data of a split are known again by class names, the label of every row, and
the content of up to `LOOKED_AT` rows, drawn by the split's seed. A change of the content of single rows among many may
so go unnoticed; another order, noise, or other labels do not.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.source import Source
from dqh.data.split_fields import DIGITS, LOOKED_AT, split_problems
from dqh.errors import ArtifactError, BadImageError
from dqh.plural import counted


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


class Roles(NamedTuple):
    """The rows of a source in each role, ascending.

    Attributes:
        query: (Q,) int64.
        database: (N,) int64; it may hold train and validation images, never queries.
        train: (T,) int64, without the validation images.
        validation: (V,) int64, what the epoch is chosen on; may be empty.
    """

    query: NDArray[np.int64]
    database: NDArray[np.int64]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """The ids of each role, in the order of the source, and how they were drawn.

    Ids may hold lone surrogates (file names that are not UTF-8): write the JSON with `ensure_ascii=True`.

    Ids are of queries, of what is searched, what is trained on, and what the epoch is chosen on. `fingerprint` is None
    where it was not taken, see `recognisable`.
    """

    protocol: str
    seed: int
    data: str
    query: tuple[str, ...]
    database: tuple[str, ...]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    fingerprint: Fingerprint | None = None

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the canonical JSON of who is who: all fields but the fingerprint.

        Keys are sorted, there are no spaces, and all is ASCII.
        """
        text = json.dumps(self._values(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def database_includes_train(self) -> bool:
        """Whether every train image is in the database."""
        return set(self.train) <= set(self.database)

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, and `sha256`; `Split.from_json` is the inverse."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in self._values().items()}
        known = {} if self.fingerprint is None else {"fingerprint": self.fingerprint.to_json()}
        return values | known | {"sha256": self.sha256}

    @classmethod
    def from_json(cls, content: Any) -> "Split":
        """The split that `to_json` wrote.

        Raises:
            ArtifactError: a field is missing, unknown, or not what it must be, roles contradict one another, or the
                hash does not fit; all that is wrong is told together.
        """
        if problems := split_problems(content):
            raise ArtifactError(f"the split makes no sense: {'; '.join(problems)}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        taken, written = values.pop("fingerprint", None), values.pop("sha256")
        split = cls(**values, fingerprint=None if taken is None else Fingerprint.from_json(taken))
        if split.sha256 != written:
            raise ArtifactError(f"the split's hash is {split.sha256}, its file says {written!r:.80}")
        return split

    def _values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "fingerprint"}

    def recognisable(self, source: Source) -> "Split":
        """The split with the fingerprint of its data; errors as of `rows`."""
        return replace(self, fingerprint=fingerprint(source, self._all_rows(source), seed=self.seed))

    def differences(self, source: Source) -> list[str]:
        """In what `source` differs from the data of the split, a phrase each.

        Without a fingerprint, only ids are compared. Where some are missing, labels and content are not.
        """
        if missing := self.missing(source):
            names = ", ".join(map(repr, missing[:3])) + ", …" * (len(missing) > 3)
            lines = [f"ids ({len(missing):,} of {counted(len(self.all_ids()), 'id')} of the split not there: {names})"]
            return lines if self.fingerprint is None else lines + name_differences(self.fingerprint, source)
        if self.fingerprint is None:
            return []
        return differences(self.fingerprint, source, self._all_rows(source), seed=self.seed)

    def all_ids(self) -> tuple[str, ...]:
        """The ids of all roles, each once, in the order in which they appear in the split."""
        return tuple(dict.fromkeys((*self.query, *self.database, *self.train, *self.validation)))

    def looked_at(self) -> tuple[str, ...]:
        """The ids whose content the fingerprint keeps, in its order."""
        ids = self.all_ids()
        return tuple(ids[place] for place in looked_at(len(ids), seed=self.seed))

    def missing(self, source: Source) -> list[str]:
        """The ids that `source` lacks, sorted."""
        return sorted(set(self.all_ids()).difference(source.ids.tolist()))

    def _all_rows(self, source: Source) -> NDArray[np.int64]:
        """The rows of all ids, each once, in the order in which they appear in the split."""
        rows = np.concatenate(self.rows(source))
        return np.array(list(dict.fromkeys(rows.tolist())), dtype=np.int64)

    def rows(self, source: Source) -> Roles:
        """The rows of `source` that have the ids of each role.

        Raises:
            ArtifactError: the source lacks some of the ids.
        """
        if missing := self.missing(source):
            raise ArtifactError(
                f"{len(missing)} of the split's {len(self.all_ids())} ids are not in {source.name} ({len(source)} "
                f"rows), such as {', '.join(map(repr, missing[:3]))}: this is not the data ({self.data}) that the "
                "split was drawn from and the artifact trained on"
            )
        row = {name: number for number, name in enumerate(source.ids.tolist())}
        return Roles(
            *(
                np.array([row[name] for name in ids], dtype=np.int64)
                for ids in (self.query, self.database, self.train, self.validation)
            )
        )


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
