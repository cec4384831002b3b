"""A few files come into a folder of their own, whole or not at all.

They are announced by a note of intent first (`dqh.intent`), and the one that makes the folder whole comes last: whoever
is killed leaves a whole folder, or a note by which the next writer removes what is left of it.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from dqh import intent
from dqh.artifact.publishing import require_empty
from dqh.errors import ConfigError, DqhError
from dqh.files import create, make_folders, no_folder, sync_folder
from dqh.locks import locked_folder


def require_new(out: Path, *, last: str, kind: str) -> None:
    """Raise `ConfigError` where `publish_new` would refuse a folder, before anything is worked out for it.

    Args:
        out: the folder.
        last: the file that makes it whole.
        kind: as of `publish_new`.
    """
    if problem := no_folder(out):
        raise ConfigError(problem)
    if os.path.lexists(out / last):
        raise ConfigError(f"{out} holds a {kind} already; choose another folder, or remove it first")
    if out.is_dir():
        require_empty(out)


def publish_new(
    out: Path, contents: Mapping[str, bytes], *, kind: str, check: Callable[[Path], object], error: type[DqhError]
) -> None:
    """Create the files of a folder; where it fails, there is nothing new.

    Args:
        out: a folder that is not there yet, or is empty.
        contents: of the files by name, in folders of it where names have a `/`; the last one makes the folder whole.
        kind: what the folder is, such as `detector`.
        check: reads the folder as everybody will, and raises where it is wrong.
        error: raised where another process writes there.

    Raises:
        ConfigError: the folder is whole already, or holds something else.
        OSError: it cannot be written.
    """
    *_, last = contents
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    make_folders(out)
    try:
        with locked_folder(out, error=error):
            require_new(out, last=last, kind=kind)
            intent.clear(out)
            try:
                folders = sorted({name.rpartition("/")[0] for name in contents if "/" in name})
                intent.announce(out, [*contents, *(f"{folder}/" for folder in folders)])
                for folder in folders:
                    (out / folder).mkdir()
                for name, content in contents.items():
                    create(out / name, content)
                for folder in (*folders, "."):
                    sync_folder(out / folder)
                check(out)
                intent.withdraw(out)
            except BaseException:
                with contextlib.suppress(OSError):  # the next writer tries again
                    intent.clear(out)
                raise
    except BaseException as failure:
        if isinstance(failure, OSError) and failure.errno is not None and failure.filename is None:  # a full disk
            failure.filename = str(out)
        for place in new:
            with contextlib.suppress(OSError):  # not empty
                place.rmdir()
        raise
