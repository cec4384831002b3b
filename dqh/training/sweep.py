"""A sweep: one run for each combination of settings, in folders that the same command finds again.

Here: which cells a sweep has, where they lie, and how they stand. That one is trained after the other is in
`sweep_course`, what they show together in `sweep_summary`, what keeps two commands apart in `sweep_lock`.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dqh.errors import ConfigError

ALWAYS = ("bits", "seed")
"""Settings that name a cell whether they are swept or not, so that a sweep can grow by them."""

APART = (*ALWAYS, "runs", "resume")
"""Settings that do not tell one sweep from another."""

NULL = "null"
"""A value of which there is none, as the command line writes it."""

_LONGEST_NAME = 120

State = Literal["complete", "failed", "waiting"]


class Cell(NamedTuple):
    """One combination of settings.

    Attributes:
        values: setting → value as the command line writes it: bits, seed, and whatever else is swept, in that order.
            Bits and seed that are not swept are those of the cell's own configuration; a sweep of detectors alone has
            no bits.
        folder: of its run.
    """

    values: Mapping[str, str]
    folder: Path

    @property
    def name(self) -> str:
        """`bits=16,seed=0`."""
        return ",".join(f"{key}={value}" for key, value in self.values.items())

    @property
    def state(self) -> State:
        """`failed` where the last attempt left `error.txt`, `complete` where it left `metrics.json`, else `waiting`."""
        if (self.folder / "error.txt").exists():
            return "failed"
        return "complete" if (self.folder / "metrics.json").exists() else "waiting"


@dataclass(frozen=True)
class Sweep:
    """All cells of a sweep.

    Args:
        folder: of the sweep, with one folder a cell.
        cells: the last setting that the command line sweeps varies fastest.
        swept: the settings that tell the cells apart.
    """

    folder: Path
    cells: tuple[Cell, ...]
    swept: tuple[str, ...]

    def cell(self, values: Mapping[str, str]) -> Cell:
        """The cell that these values belong to.

        Args:
            values: setting → value of all that is swept; settings that are not may be there too.
        """
        return next(cell for cell in self.cells if all(values[key] == cell.values[key] for key in self.swept))


class Argument(NamedTuple):
    """An argument of a command line that describes a sweep.

    Attributes:
        text: the whole argument.
        key: as it is written, such as `++trainer.epochs`.
        values: that are swept; None where there is one value, which all cells have.
    """

    text: str
    key: str
    values: tuple[str, ...] | None


class Composed(NamedTuple):
    """What some arguments compose.

    Attributes:
        settings: the configuration, and in it `ALWAYS` as the method gets them.
        choices: group of the configuration → the choice from it.
    """

    settings: Mapping[str, Any]
    choices: Mapping[str, str]


def plan_command(runs: Path, arguments: Iterable[Argument], compose: Callable[[Sequence[str]], Composed]) -> Sweep:
    """The sweep that a command line describes, see `plan`.

    Args:
        runs: where runs go.
        arguments: of the command line; of several with one key the last holds.
        compose: arguments without those that are swept, and then some of these with one value → what they compose.
    """
    swept: dict[str, tuple[str, ...]] = {}
    fixed, written = [], {}
    for argument in arguments:
        key = argument.key.lstrip("+~")
        swept.pop(key, None)
        if argument.values is None:
            fixed.append(argument.text)
        else:
            swept[key], written[key] = argument.values, argument.key

    @cache
    def composed(*chosen: str) -> Composed:
        return compose([*fixed, *chosen])

    def settings(values: Mapping[str, str]) -> Mapping[str, Any]:
        return composed(*(f"{written[key]}={value}" for key, value in values.items())).settings

    if "experiment" in swept:  # which may bring method and data along
        name = "experiments"
    else:
        name = "_".join(composed().choices[group] for group in ("method", "data") if group not in swept)
    return plan(runs, settings, swept=swept, name=name)


def plan(
    runs: Path,
    compose: Callable[[Mapping[str, str]], Mapping[str, Any]],
    *,
    swept: Mapping[str, Sequence[str]],
    name: str,
) -> Sweep:
    """The cells of a sweep and their folders, `RUNS/sweeps/<name>_<digest>/<cell>/`.

    The digest is that of the settings which are not swept, bits and seed aside, and of the names of those that are. So
    the same command finds its folder again, and so does one with further values.

    Args:
        runs: where runs go.
        compose: values of some swept settings → the configuration with these; with none, what all cells share. It
            must have `ALWAYS`.
        swept: setting → values.
        name: what the folder's name begins with.

    Raises:
        ConfigError: a value is given twice.
    """
    twice = [f"{key}: {value} is given twice" for key, all_of in swept.items() for value in _repeated(all_of)]
    if twice:
        raise ConfigError(twice)
    fixed = {key: value for key, value in compose({}).items() if key not in APART}
    names = sorted(set(swept) - set(ALWAYS))
    digest = _digest({"settings": fixed, "swept": names})
    folder = runs / "sweeps" / "_".join(part for part in (name, digest) if part)
    combinations = []
    for values in itertools.product(*swept.values()):
        given = dict(zip(swept, values, strict=True))
        if not set(ALWAYS) <= set(swept):  # what else is swept may bring them along, as a file with bits of its own
            own = compose({key: value for key, value in given.items() if key not in ALWAYS})
            given = {key: NULL if own[key] is None else str(own[key]) for key in ALWAYS} | given
        combinations.append(given)
    always = [key for key in ALWAYS if key in swept or any(given[key] != NULL for given in combinations)]
    cells = []
    for given in combinations:
        ordered = {key: given[key] for key in (*always, *names)}
        cells.append(Cell(ordered, folder / _folder_name(Cell(ordered, folder).name)))
    return Sweep(folder, tuple(cells), tuple(swept))


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if values.count(value) > 1]


def _folder_name(name: str) -> str:
    """The name itself where it can be that of a folder, else a name like it with a digest behind."""
    clean = re.sub(r"[^\w.,=+-]+", "_", name)
    return name if clean == name and len(name) <= _LONGEST_NAME else f"{clean[:_LONGEST_NAME]}-{_digest(name)}"


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:8]
