"""Where photos are, and what is in them: files and rows of tables, of this machine or of a store, by path or URL."""

import os
import re
from pathlib import Path

from PIL import Image

from dqh import remote
from dqh.data.images import ImageFiles, Limits
from dqh.data.parquet_table import Tables
from dqh.data.pixels import check_bytes, decode
from dqh.errors import BadImageError, DataError, RemoteError
from dqh.urls import is_url, joined, spelt

_TABLE_ROW = re.compile(r"(?P<table>.+\.parquet)#(?P<row>[0-9]{1,18})", re.DOTALL | re.IGNORECASE)


def read_photo(path: str, *, limits: Limits | None = None) -> Image.Image:
    """The RGB image of a path as `Photo` has it.

    Raises:
        BadImageError: it is not there, or cannot be read or decoded.
    """
    limits = limits or Limits()
    return decode(photo_content(path, limits=limits), max_pixels=limits.max_pixels)


def photo_content(path: str, *, limits: Limits | None = None) -> bytes:
    """The encoded image of a path as `Photo` has it; `dqh.data.source.content_hash` of it is what an index keeps.

    Raises:
        BadImageError: it is not there, or cannot be read.
    """
    limits = limits or Limits()
    of_table = _TABLE_ROW.fullmatch(path)
    try:
        if of_table is None or (not is_url(path) and os.path.lexists(path)):
            return file_content(path, limits=limits)
        table = Tables([of_table["table"] if is_url(path) else Path(of_table["table"])])
        return table.content(0, int(of_table["row"]), max_bytes=limits.max_bytes)
    except (DataError, RemoteError, IndexError) as error:
        raise BadImageError(str(error)) from error


def file_content(path: str, *, limits: Limits) -> bytes:
    """The bytes of an image file at an absolute path or a URL.

    Raises:
        BadImageError: it is not there, cannot be read, or is larger than the caps allow.
        RemoteError: the URL is not taken, or its file system is not installed here, see `dqh.remote`.
    """
    if not is_url(path):
        return ImageFiles(Path("/"), limits).content(path)
    try:
        content = remote.read(path, most=limits.max_bytes + 1)
    except MemoryError as error:
        raise BadImageError("not enough memory to read it") from error
    except IsADirectoryError as error:
        raise BadImageError("a folder, not a file") from error
    except OSError as error:
        raise BadImageError(f"cannot be read: {error.strerror or error}") from error
    check_bytes(len(content), max_bytes=limits.max_bytes)
    return content


def located(path: str, folder: str | None = None) -> str:
    """The absolute path of what a path names, in one spelling, or its URL; links are kept.

    `..` behind a link leads out of the folder that it points to, as everywhere in the system.

    Args:
        path: absolute, a URL, or relative to the folder.
        folder: absolute, or a URL; None for the working directory.
    """
    if is_url(path):
        return spelt(path)
    if folder is not None and is_url(folder) and not path.startswith("/"):
        return joined(folder, path)
    whole = os.path.join(os.getcwd() if folder is None else folder, path)  # noqa: PTH109, PTH118
    parts = whole.split("/")
    if ".." not in parts:
        return os.path.normpath(whole)
    shared = "/"
    for number, part in enumerate(parts):
        if part != "..":
            shared = os.path.normpath(os.path.join(shared, part))  # noqa: PTH118
        elif os.path.isdir(shared):  # noqa: PTH112
            above = os.path.realpath(shared) if os.path.islink(shared) else shared  # noqa: PTH114
            shared = os.path.dirname(above)  # noqa: PTH120
        else:  # the system refuses it
            return os.path.join(shared, *parts[number:])  # noqa: PTH118
    return shared
