"""A sweep: one run for each combination of settings, in folders that the same command finds again.

Here: which cells a sweep has, where they lie, how they stand, and how the others survive the failure of one. What the
cells show together is in `sweep_summary`, what keeps two commands apart in `sweep_lock`.
"""

import hashlib
import itertools
import json
import logging
import re
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NamedTuple

from dqh.errors import ConfigError
from dqh.files import write_text
from dqh.training.checkpoints import Interrupted

logger = logging.getLogger(__name__)

ALWAYS = ("bits", "seed")
"""Settings that name a cell whether they are swept or not, so that a sweep can grow by them."""

APART = (*ALWAYS, "runs", "resume")
"""Settings that do not tell one sweep from another."""

_LONGEST_NAME = 120

State = Literal["complete", "failed", "waiting"]


class Cell(NamedTuple):
    """One combination of settings.

    Attributes:
        values: setting → value as the command line writes it: bits, seed, and whatever else is swept, in that order.
            Bits and seed that are not swept are those of the cell's own configuration.
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
        return next(each for each in self.cells if all(values[key] == each.values[key] for key in self.swept))


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
    cells = []
    for values in itertools.product(*swept.values()):
        given = dict(zip(swept, values, strict=True))
        if not set(ALWAYS) <= set(swept):  # what else is swept may bring them along, as a file with bits of its own
            own = compose({key: value for key, value in given.items() if key not in ALWAYS})
            given = {key: str(own[key]) for key in ALWAYS} | given
        ordered = {key: given[key] for key in (*ALWAYS, *names)}
        cells.append(Cell(ordered, folder / _folder_name(Cell(ordered, folder).name)))
    return Sweep(folder, tuple(cells), tuple(swept))


@contextmanager
def surviving(cell: Cell) -> Iterator[None]:
    """A block in which a failure is logged and written to the cell's `error.txt`, and ends nothing but the block.

    What asks to stop, `Interrupted`, `KeyboardInterrupt` and `SystemExit`, goes through.
    """
    cell.folder.mkdir(parents=True, exist_ok=True)
    file = cell.folder / "error.txt"
    file.unlink(missing_ok=True)
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:  # whatever it is, the other cells do not depend on it
        text = str(error) or type(error).__name__
        write_text(file, f"{text}\n\n{''.join(traceback.format_exception(error))}")
        logger.error("%s failed, see %s: %s", cell.name, file, text)


@contextmanager
def terminable() -> Iterator[None]:
    """A block that SIGTERM ends by `SystemExit` with status 143, as Ctrl-C ends it by `KeyboardInterrupt`.

    A training inside has its own, gentler way.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if values.count(value) > 1]


def _folder_name(name: str) -> str:
    """The name itself where it can be that of a folder, else a name like it with a digest behind."""
    clean = re.sub(r"[^\w.,=+-]+", "_", name)
    return name if clean == name and len(name) <= _LONGEST_NAME else f"{clean[:_LONGEST_NAME]}-{_digest(name)}"


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:8]
