"""A job in partitions: what runs it, and the folder in which its parts lie, which is its alone while it lasts.

job.json   sealed JSON: what the job makes, and names of all parts that may lie here; see `dqh.scale.part_files`
job.lock   locked by the process whose job it is, and names it; a process that is killed lets go
"""

import errno
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dqh.errors import ConfigError
from dqh.executors import RETRIES, Executor
from dqh.files import is_regular, make_folders, no_folder, read_regular, write_bytes
from dqh.locks import locked_file, this_process
from dqh.scale.in_order import require_counts
from dqh.scale.part_files import remove_parts
from dqh.sealed import seal, unseal

FORMAT_VERSION = 1
NOTE, LOCK = "job.json", "job.lock"

PARTITIONS_A_WORKER = 4
"""Where nobody says how many there are: what a lost one costs, against what each costs beside its work."""

_STAYS = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY, errno.EACCES, errno.EPERM)
"""Why a folder cannot be removed: files of others, or it is a link, a mount, or in a folder of somebody else."""

_NOTE_BYTES = 2**28
_OTHER = "name another folder for the parts (--parts, or parts= of evaluate.py)"


class SpreadJob:
    """What runs the partitions of a job, and where their parts lie.

    The folder is this job's from its first part to `end`, or to the end of a `with` block, which leaves the parts to
    the next run of the same job.

    Args:
        executor: that runs the partitions.
        folder: for parts, which all workers see; new, empty, or of an earlier run of the same job.
        of: path of what the job makes, by which its parts are known again.
        partitions: how many at most; None for `PARTITIONS_A_WORKER` a worker.
        retries: attempts of a partition beyond the first.

    Raises:
        ConfigError: a number is out of range.
    """

    def __init__(
        self, executor: Executor, *, folder: Path, of: Path, partitions: int | None = None, retries: int = RETRIES
    ) -> None:
        require_counts(partitions=partitions, retries=retries)
        self.executor, self.retries, self.asked_partitions = executor, retries, partitions
        self.folder, self._of = folder.absolute(), of
        self._held: ExitStack | None = None

    @property
    def partitions(self) -> int:
        """How many at most, beyond which each would be too large."""
        return self.asked_partitions or PARTITIONS_A_WORKER * self.executor.workers

    def __enter__(self) -> Self:
        """Take the folder; errors as of `begin`."""
        self.begin([], further=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, names: Sequence[str], *, further: bool = False) -> None:
        """Note the parts that are about to be made, before any is, and remove those of an earlier run that are not.

        Where they come `further` to those that are noted, nothing is removed before `end`.

        Raises:
            ConfigError: the folder cannot be one, holds what is not of this job, or is another process's meanwhile.
            OSError: it cannot be written.
        """
        self._take()
        before = self._noted() or []
        wanted = {*names, *(before if further else [])}
        remove_parts(self.folder, [name for name in before if name not in wanted])
        note = {"format_version": FORMAT_VERSION, "index": os.path.realpath(self._of), "parts": sorted(wanted)}
        write_bytes(self.folder / NOTE, seal(note))

    def end(self) -> None:
        """Remove all parts and, where nothing else lies in it and it can be, the folder; errors as of `begin`."""
        if self._noted() is not None:
            self._take()
            self._clear()
        self.close()

    def close(self) -> None:
        """Let go of the folder; its parts stay, and where there are none, nothing does."""
        if self._held is None:
            return
        try:
            if self._noted() == []:
                self._clear()
        finally:
            self._held.close()
            self._held = None

    def _take(self) -> None:
        """Lock the folder, made where it is missing; one of something else gets no file."""
        if self._held is not None:
            return
        if problem := no_folder(self.folder):
            raise ConfigError(problem)
        make_folders(self.folder)
        if _note(self.folder) is None:
            self._require_nothing_else()
        with ExitStack() as held:
            lock = locked_file(self.folder / LOCK, error=ConfigError, holder=this_process(), otherwise=_OTHER)
            held.enter_context(lock)
            if self._noted() is None:
                self._require_nothing_else()
            self._held = held.pop_all()

    def _require_nothing_else(self) -> None:
        if any(path.name != LOCK or not is_regular(path) for path in self.folder.iterdir()):
            raise ConfigError(f"{self.folder} holds files that are not of a job for {self._of}; {_OTHER}, or remove it")

    def _noted(self) -> list[str] | None:
        """The names in the note of this job; None where there is none."""
        fields = _note(self.folder)
        return None if fields is None or fields["index"] != os.path.realpath(self._of) else fields["parts"]

    def _clear(self) -> None:
        """Remove all parts, and what else the job has in its folder; the lock last, under which nobody else comes."""
        remove_parts(self.folder, self._noted() or [])
        for name in (NOTE, LOCK):
            (self.folder / name).unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError as error:
            if error.errno not in _STAYS:
                raise


def _note(folder: Path) -> dict[str, Any] | None:
    """The fields of the note of any job; None where there is none."""
    try:
        fields = unseal(read_regular(folder / NOTE, most=min(_NOTE_BYTES, (folder / NOTE).lstat().st_size)))
    except (OSError, ValueError):
        return None
    names = fields.get("parts")
    is_one = fields.get("format_version") == FORMAT_VERSION and isinstance(fields.get("index"), str)
    if (
        not is_one
        or not isinstance(names, list)
        or not all(isinstance(name, str) and "/" not in name for name in names)
    ):
        return None
    return fields
