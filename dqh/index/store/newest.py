"""Which version of an index is the newest, and its manifest: how every reader and writer begins."""

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dqh.commands import command
from dqh.errors import StoreError, StoreLimitError
from dqh.files import read_regular
from dqh.index.store.manifest import Manifest, manifest_name
from dqh.index.store.schema import MANIFEST_BYTES
from dqh.index.store.strangers import no_index

_MANIFEST_NAME = re.compile(r"v([1-9][0-9]{0,8})\.json")
_LOOKS = 5
_LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)

T = TypeVar("T")


def newest_version(path: Path) -> int | None:
    """The greatest version that a folder has a manifest of."""
    # A listing may miss what appears while it is read, and then what disappears: whoever sees nothing looks again.
    for _ in range(_LOOKS):
        versions = versions_in(path)
        if versions:
            return max(versions)
    return None


def versions_in(path: Path) -> list[int]:
    """The versions that a folder has manifests of, in no order."""
    if not path.is_dir():
        return []
    return [int(match[1]) for file in path.iterdir() if (match := _MANIFEST_NAME.fullmatch(file.name))]


def read_manifest(path: Path, version: int) -> Manifest:
    """The manifest of a version.

    Raises:
        FileNotFoundError: it is not there any more.
        OSError: it cannot be read, or is no regular file.
        StoreError: it is damaged, or of another format version.
    """
    file = path / manifest_name(version)
    try:
        manifest = Manifest.from_bytes(read_regular(file, most=MANIFEST_BYTES))
        if manifest.version != version:
            raise ValueError(f"it says that it is version {manifest.version}")
    except ValueError as error:
        raise StoreError(f"{file}: {error}; copy the index again, or make it anew with dqh index") from error
    return manifest


def at_newest(path: Path, use: Callable[[Manifest], T]) -> T:
    """What `use` makes of the newest manifest; asked again where a writer removes its files meanwhile.

    Raises:
        NoStoreError: there is no index.
        StoreError: the manifest or a file of it is damaged or missing, or cannot be read.
        StoreLimitError: the system gives this process no more open files or memory.
    """
    while True:
        try:
            version = newest_version(path)
            if version is None:
                raise no_index(path)
            return use(read_manifest(path, version))
        except FileNotFoundError as error:
            if newest_version(path) == version:
                raise unreadable(path, error) from error
        except OSError as error:
            raise unreadable(path, error) from error


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
