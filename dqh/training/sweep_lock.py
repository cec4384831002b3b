"""What keeps two commands from writing into the folder of one sweep."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dqh.errors import ConfigError
from dqh.files import make_folders
from dqh.locks import locked_file, this_process

NAME = ".lock"
"""The file in the sweep's folder that is locked; it stays there, and names the process that locked it last."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """A block in which no other one, here or in another process, claims `folder`, which is made where it is missing.

    Raises:
        ConfigError: the folder is claimed already, a file or a symbolic link to nothing is in its place, or its file
            system keeps no locks.
        OSError: as for `locked_file`.
    """
    make_folders(folder)
    with locked_file(folder / NAME, error=ConfigError, holder=this_process()):
        yield
