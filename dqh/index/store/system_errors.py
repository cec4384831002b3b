"""What an error of the system means for an index, and what to do: one that cannot be read, or not be written."""

import errno
from pathlib import Path

from dqh.commands import command
from dqh.errors import StoreError, StoreLimitError

_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def unreadable(path: Path, error: OSError) -> StoreError:
    """The error that says why an index cannot be read, and what to do."""
    if isinstance(error, FileNotFoundError):
        return StoreError(f"{path} is incomplete: {error.filename or error} is missing; copy the whole folder")
    if is_limit(error):
        return StoreLimitError(
            f"{path} was not read to its end: {error}; nothing is known to be wrong with it. Close other programs, or "
            "raise the limit of this process (ulimit -n for open files), and run the command again"
        )
    if error.errno == errno.ELOOP:
        return StoreError(
            f"{path} has {error.filename}, which is a symbolic link; an index holds its files itself, links inside are "
            f"not followed. Copy it with what they point to: {command('cp', '-rL', path, 'NEW')}"
        )
    return StoreError(f"{path} cannot be read: {error}; put that right, or copy the index again")


def is_limit(error: OSError) -> bool:
    """Whether the system had no more to give: that says nothing of the file."""
    return error.errno in _LIMITS


def uncertain(path: Path, error: OSError, version: int) -> StoreError:
    """The error of a commit whose version has appeared before it was known to be kept."""
    return StoreError(f"{path}: {error}; version {version} is there, but may not survive a power cut")


def unwritable(path: Path, error: OSError, *, begun: bool, version: int | None) -> StoreError:
    """The error that says why nothing new was written, at which version the index stays, and what to do.

    Args:
        path: folder of the index.
        error: as the system gave it.
        begun: whether the writer had looked at the index before.
        version: the newest one; None where there is none, or none is known.
    """
    if error.errno == errno.ELOOP or (version is not None and isinstance(error, FileNotFoundError)):
        return unreadable(path, error)
    stays = "as it is"
    if begun:
        stays = "without a version" if version is None else f"at version {version}"
    mend = "mend that"
    if error.errno in _FULL:
        mend = "make room"
    elif error.errno == errno.EEXIST:
        mend = "move it away"
    elif is_limit(error):
        mend = "raise the limit of this process (ulimit -n for open files)"
    kind = StoreLimitError if is_limit(error) else StoreError
    return kind(f"{path}: {error}; the index stays {stays}; {mend}, and run the command again")
