"""What keeps two commands from writing into the folder of one sweep."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dqh.errors import ConfigError
from dqh.files import make_folders

NAME = ".lock"
"""The file in the sweep's folder that is locked; it stays there, and names the process that locked it last."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """A block in which no other one, here or in another process, claims `folder`, which is made where it is missing.

    The operating system holds the lock for the process and lets go of it when that ends, however it ends. Where there
    are no such locks (Windows), nothing is claimed.

    Raises:
        ConfigError: the folder is claimed already, or a file or a symbolic link to nothing is in its place.
    """
    make_folders(folder)
    if os.name != "posix":
        yield
        return
    import fcntl

    with (folder / NAME).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise ConfigError(f"{folder}: {holder} is at work on this sweep; wait until it ends, or stop it") from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
