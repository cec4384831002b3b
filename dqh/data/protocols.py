"""Named protocols that split a source into queries, database, train and validation."""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dqh.data.draws import draw, split_classes
from dqh.data.shares import share_of_queries, share_of_validation
from dqh.data.source import Source
from dqh.data.split_fields import LARGEST_SEED, PROTOCOLS, ProtocolName
from dqh.data.splits import Roles, Split
from dqh.errors import ConfigError, DataError

AUTO: Literal["auto"] = "auto"
_PUBLISHED = ("full", "cifar10", "cifar10-1")  # their numbers compare only where nothing is taken out

_CIFAR_QUERY, _CIFAR_TRAIN, _CIFAR_CLASSES = 100, 500, 10  # a class


@dataclass(frozen=True)
class Protocol:
    """How a source is split; the same seed draws the same split.

    - `full`: the official parts: query = test, train = database = train.
    - `cifar10`: 100 queries and 500 train images a class out of all images of 10 classes; the rest is the database.
    - `cifar10-1`: the same queries and train images; the database is everything but the queries.
    - `given`: the roles that the source hands out; without a database it is train, without train it is the database.
    - `counts`: own numbers, as even over the classes as these allow where each image has one, else uniform (`train`
      also by `even_train=False`); or shares of the collection, as the table in `dqh.data.shares` allows.

    Args:
        protocol: one of the names above.
        query: number of queries; `counts` alone takes it, and needs it. `auto`: 15 % of all images, at most 1,000, so
            that every query keeps a relevant image; other protocols set it themselves.
        train: number of train images before validation is taken out; None: all of the database. `counts` only.
        database: number of database images; None: all that are no queries. `counts` only.
        validation: number of images taken out of train, even over the classes, to choose the epoch on; they stay in
            the database where train images are in it. None: the validation part of `full` and `given` where the
            source has one, else none. `auto`: that part, else 12 % of the train images, at most 1,000, two or more of
            a class; none of fewer than 20.
        seed: of all draws, at least 0, below 2**63.
        database_includes_train: whether the database of `counts` holds the train images.
        even_train: whether `train` images of `counts` are as even over the classes as these allow; else every image is
            as likely, and where few classes have most of the images, they have most of these too.
        unseen: number of classes drawn to be left out of train and validation, or their names; query and database keep
            them. An image with several labels is left out where one of them is such a class.
        allow_duplicates: whether a query whose content is found again in another role is reported, not refused.
            None: reported for the published splits (`full`, `cifar10`, `cifar10-1`), refused for own ones (`given`,
            `counts`).

    Raises:
        ConfigError: a value is impossible; all problems are reported together.
    """

    protocol: ProtocolName
    _: KW_ONLY
    query: int | Literal["auto"] | None = None
    train: int | None = None
    database: int | None = None
    validation: int | Literal["auto"] | None = None
    seed: int = 0
    database_includes_train: bool = True
    even_train: bool = True
    unseen: int | tuple[str, ...] = 0
    allow_duplicates: bool | None = None

    def __post_init__(self) -> None:
        problems = self._problems()
        if problems:
            raise ConfigError(problems)

    @property
    def duplicates_allowed(self) -> bool:
        """`allow_duplicates`, decided."""
        return self.protocol in _PUBLISHED if self.allow_duplicates is None else self.allow_duplicates

    def draw(self, source: Source) -> Split:
        """Split a source.

        Raises:
            DataError: the protocol does not suit the source, more images are wanted than there are, or two of its
                classes have one name, or none.
        """
        _require_names(source)
        supported = supported_protocols(source)
        if self.protocol not in supported:
            raise DataError(
                f"protocol {self.protocol!r} needs {_NEEDS[self.protocol]}; {source.name} hands out the roles "
                f"{', '.join(source.roles) or 'none'} and supports: {', '.join(supported)}"
            )
        rng = np.random.default_rng(self.seed)
        roles = self._without_unseen(self._draw_roles(source, rng), source)
        roles = self._with_validation(roles, source, rng)
        ids = source.ids
        query, database, train, validation = (tuple(ids[np.sort(rows)].tolist()) for rows in roles)
        return Split(self.protocol, self.seed, source.name, query, database, train, validation)

    def _problems(self) -> list[str]:
        problems = []
        if self.protocol not in PROTOCOLS:
            problems.append(f"protocol must be one of {', '.join(PROTOCOLS)}, got {self.protocol!r}")
        lowest = {"query": 1, "train": 1, "database": 1, "validation": 0, "seed": 0}
        for name, least in lowest.items():
            value = getattr(self, name)
            shared = name in ("query", "validation")
            if (value is None and name != "seed") or (shared and value == AUTO):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                more = " or auto" * shared
                problems.append(f"{name} must be a whole number of at least {least}{more}, got {value!r}")
            elif name == "seed" and value > LARGEST_SEED:
                problems.append(f"seed must be a whole number below 2**63, got {value!r:.40}")
        named = isinstance(self.unseen, tuple | list) and all(isinstance(name, str) for name in self.unseen)
        if not named and (type(self.unseen) is not int or self.unseen < 0):
            problems.append(f"unseen must be a whole number of at least 0, or names of classes, got {self.unseen!r}")
        if problems:
            return problems
        return self._contradictions()

    def _contradictions(self) -> list[str]:
        problems = []
        sizes = {"query": self.query, "train": self.train, "database": self.database}
        if self.protocol != "counts":
            problems += [
                f"{name}={value} belongs to protocol 'counts'; {self.protocol!r} sets it: write split.{name}=null"
                for name, value in sizes.items()
                if value not in (None, AUTO)
            ]
            problems += [
                f"{name}=False belongs to 'counts', got protocol {self.protocol!r}"
                for name in ("database_includes_train", "even_train")
                if not getattr(self, name)
            ]
            return problems
        if self.query is None:
            problems.append("protocol 'counts' needs query, the number of queries, or auto for a share of the images")
        problems += [
            f"{name}=False needs train, the number of train images"
            for name in ("database_includes_train", "even_train")
            if self.train is None and not getattr(self, name)
        ]
        enough = self.train is None or self.database is None or self.train <= self.database
        if self.database_includes_train and not enough:
            problems.append(
                f"train={self.train} is more than database={self.database}, which shall include it; lower train or "
                "pass database_includes_train=False"
            )
        if isinstance(self.validation, int) and self.train is not None and self.validation >= self.train:
            problems.append(
                f"validation={self.validation} leaves nothing of train={self.train}; lower split.validation"
            )
        return problems

    def _draw_roles(self, source: Source, rng: np.random.Generator) -> Roles:
        nothing = np.zeros(0, dtype=np.int64)
        given = source.roles
        if self.protocol == "full":
            return Roles(given["test"], given["train"], given["train"], given.get("validation", nothing))
        if self.protocol == "given":
            database = given.get("database", given.get("train", nothing))
            return Roles(given["query"], database, given.get("train", database), given.get("validation", nothing))
        everything = np.arange(len(source), dtype=np.int64)
        if self.protocol == "counts":
            return self._draw_counts(everything, source, rng)
        query, train, rest = split_classes(source.labels, (_CIFAR_QUERY, _CIFAR_TRAIN), rng)
        database = rest if self.protocol == "cifar10" else np.setdiff1d(everything, query)
        return Roles(query, database, train, nothing)

    def _draw_counts(self, everything: NDArray[np.int64], source: Source, rng: np.random.Generator) -> Roles:
        assert self.query is not None
        nothing, labels = np.zeros(0, dtype=np.int64), source.labels
        if self.query == AUTO:
            query = share_of_queries(labels, rng, name=source.name)
        else:
            query = draw(everything, labels, self.query, rng, what="query")
        rest = np.setdiff1d(everything, query)
        if self.train is None:
            database = rest if self.database is None else draw(rest, labels, self.database, rng, what="database")
            return Roles(query, database, database, nothing)
        train = draw(rest, labels, self.train, rng, what="train", even=self.even_train)
        rest = np.setdiff1d(rest, train)
        if self.database is not None:
            more = self.database - (len(train) if self.database_includes_train else 0)
            rest = draw(rest, labels, more, rng, what="database")
        database = np.union1d(rest, train) if self.database_includes_train else rest
        return Roles(query, database, train, nothing)

    def _without_unseen(self, roles: Roles, source: Source) -> Roles:
        if not self.unseen:
            return roles
        names, labels = source.class_names, source.labels
        present = np.flatnonzero(labels.any(axis=0)) if labels.ndim == 2 else np.unique(labels)
        if isinstance(self.unseen, int):
            if self.unseen > len(present):
                raise DataError(
                    f"unseen={self.unseen} is more than the {len(present)} classes of {source.name} that have images"
                )
            # a generator of its own: the same queries and database with and without unseen classes
            chosen = np.random.default_rng([self.seed, 1]).choice(present, self.unseen, replace=False)
        else:
            unknown = [name for name in self.unseen if name not in names]
            if unknown:
                raise DataError(f"unseen: {unknown[0]!r} is no class of {source.name}, known are {', '.join(names)}")
            chosen = np.array([names.index(name) for name in self.unseen])
            empty = [names[number] for number in chosen if number not in present]
            if empty:
                raise DataError(f"unseen: class {empty[0]!r} of {source.name} has no images; leave it out")
        out = np.asarray(labels[:, chosen].any(axis=1) if labels.ndim == 2 else np.isin(labels, chosen))
        roles = roles._replace(
            train=roles.train[~out[roles.train]], validation=roles.validation[~out[roles.validation]]
        )
        seen = labels[roles.train].any(axis=0).sum() if labels.ndim == 2 else len(np.unique(labels[roles.train]))
        if seen < 2:
            raise DataError(
                f"unseen={self.unseen} leaves {len(roles.train)} train images of {seen} classes of {source.name}, "
                "wanted at least two classes; lower split.unseen"
            )
        return roles

    def _with_validation(self, roles: Roles, source: Source, rng: np.random.Generator) -> Roles:
        validation, train, labels = roles.validation, roles.train, source.labels
        if self.validation == AUTO:
            if len(validation) == 0:
                validation = share_of_validation(train, labels, rng)
        elif self.validation is not None:
            validation = draw(train, labels, self.validation, rng, what="validation")
            if 0 < len(validation) == len(train):
                raise DataError(
                    f"protocol {self.protocol!r} leaves no train images of {source.name}: got validation="
                    f"{self.validation} of {len(train)}, wanted at most {len(train) - 1}; lower split.validation"
                )
        train = np.setdiff1d(train, validation)
        roles = roles._replace(train=train, validation=validation)
        for name in ("query", "database", "train"):
            if len(getattr(roles, name)) == 0:
                raise DataError(
                    f"protocol {self.protocol!r} leaves no {name} images of the {len(source)} in {source.name}: "
                    f"{', '.join(f'{len(rows)} {role}' for role, rows in roles._asdict().items())}"
                )
        return roles


def _require_names(source: Source) -> None:
    """Raise DataError where classes cannot be told apart by their names, as whoever reads the artifact would."""
    names = source.class_names
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice or "" in names:
        got = f"{len(twice)} names twice, such as {twice[0]!r}" if twice else "an empty one"
        raise DataError(f"{source.name}: class names must differ and not be empty, got {got}; name its classes anew")


_NEEDS = {
    "full": "a source with the roles train and test",
    "given": "a source with the roles query and database or train",
    "cifar10": f"{_CIFAR_CLASSES} classes, one an image, with more than {_CIFAR_QUERY + _CIFAR_TRAIN} images each",
    "cifar10-1": f"{_CIFAR_CLASSES} classes, one an image, with more than {_CIFAR_QUERY + _CIFAR_TRAIN} images each",
}


def supported_protocols(source: Source) -> tuple[str, ...]:
    """The names of the protocols that suit a source."""
    roles, names = source.roles, ["counts"]
    if "train" in roles and "test" in roles:
        names.append("full")
    if "query" in roles and ("database" in roles or "train" in roles):
        names.append("given")
    if source.labels.ndim == 1 and len(source.class_names) == _CIFAR_CLASSES:
        counts = np.bincount(source.labels, minlength=_CIFAR_CLASSES)
        if counts.min() > _CIFAR_QUERY + _CIFAR_TRAIN:
            names += ["cifar10", "cifar10-1"]
    return tuple(name for name in PROTOCOLS if name in names)
