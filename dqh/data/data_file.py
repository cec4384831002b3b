"""Files of a data set as they are opened: regular ones alone, links followed, never by waiting for another program.

Where a URL is taken too, it is read by `dqh.remote`.
"""

import errno
import io
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import TypeGuard

from dqh import remote
from dqh.errors import DataError
from dqh.files import open_regular
from dqh.urls import is_url, not_local

Location = Path | str
"""Where a file lies: a path, or a URL as text."""


def is_remote(path: Location) -> TypeGuard[str]:
    """Whether this is a URL."""
    return isinstance(path, str) and is_url(path)


def open_data(path: Location, *, kind: str, advice: str) -> BufferedReader:
    """A regular file, or one at a URL, opened for reading.

    Raises:
        DataError: nothing is there, something else is there, or it cannot be read; the text says which.
        RemoteError: the URL is not taken, or its file system is not installed here.
    """
    try:
        if is_remote(path):
            return io.BufferedReader(remote.opened(path), remote.PIECE)
        if problem := not_local(path):
            raise DataError(problem)
        return open_regular(path, links=True)
    except FileNotFoundError as error:
        raise DataError(f"{kind} not found: looked for {path}; {advice}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise DataError(f"{path} {_what(error)}; {advice}") from error


def require_files(paths: Iterable[Path], *, kind: str, advice: str) -> None:
    """Raise `DataError` unless all of these can be opened, see `open_data`; what is missing is told together."""
    missing = []
    for path in paths:
        try:
            open_data(path, kind=kind, advice=advice).close()
        except DataError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            missing.append(str(path))
    if missing:
        raise DataError(f"{kind} not found: looked for {', '.join(missing)}; {advice}")


def _what(error: OSError | ValueError) -> str:
    if isinstance(error, IsADirectoryError):
        return "is a folder where a file is wanted"
    if isinstance(error, OSError) and error.errno == errno.EINVAL:  # a pipe, a socket, a device
        return f"is {error.strerror}"
    return f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else f"cannot be read: {error}"


def role_lists(root: Path, **files: str | None) -> dict[str, str]:
    """The list files that are given, by role, as they are named below a root.

    Raises:
        DataError: one of them cannot be opened, see `require_files`.
    """
    given = {role: file for role, file in files.items() if file is not None}
    require_files([root / file for file in given.values()], kind="list file", advice="put the files there")
    return given
