"""The course of a sweep: its cells are trained one after the other, and the failure of one leaves the others alone."""

import logging
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from dqh.files import write_text
from dqh.training.checkpoints import Interrupted
from dqh.training.sweep import Cell, Sweep

logger = logging.getLogger(__name__)


def run_cell(
    sweep: Sweep,
    number: int,
    values: Mapping[str, str],
    *,
    command: str,
    is_done: Callable[[Path], bool],
    train: Callable[[Path], object],
) -> str:
    """Train one cell of a sweep, unless that is done, and sum up all cells.

    Args:
        sweep: all cells.
        number: of the one that is to be trained, from 1.
        values: setting → value of all that is swept; others may be there too.
        command: what goes on with the sweep.
        is_done: whether the folder of a cell is complete; what it raises counts as a failure of the cell.
        train: trains in the folder of a cell.

    Returns:
        The summary for a terminal, of the last cell; else "".

    Raises:
        Interrupted: and `KeyboardInterrupt`, `SystemExit`: the sweep was asked to stop; the cell goes on another time.
    """
    from dqh.training.sweep_files import write_summary  # with the plots

    cell, last, done, text = sweep.cell(values), number == len(sweep.cells), False, ""
    try:
        with terminable():
            with surviving(cell):
                done = is_done(cell.folder)
                logger.info("cell %d of %d: %s%s", number, len(sweep.cells), cell.name, ", complete" if done else "")
                if not done:
                    train(cell.folder)
            if last or not done:
                text = write_summary(sweep, command=command)
    except (Interrupted, KeyboardInterrupt, SystemExit):
        logger.warning("the sweep goes on with the same command: %s", command)
        raise
    return text if last else ""


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
