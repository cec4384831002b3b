"""Files of a detector's folder: read as far as is allowed, and compared with what the manifest says of them."""

import errno
import hashlib
from pathlib import Path
from typing import Any

from dqh.errors import DetectorError
from dqh.files import read_regular
from dqh.schema import text
from dqh.sealed import unseal

MANIFEST = "detector.json"
SPLIT = "split.json"
FORMAT_VERSION = 1
NAME = text(r"\w[\w.-]{0,99}", "a name")

_DAMAGE = (errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.EFBIG, errno.ENOENT, errno.ENOTDIR)
"""What the system says of a file that is no regular one, is too large, or is gone."""


def read_fields(file: Path, *, most: int) -> dict[str, Any]:
    """The fields of a manifest of at most so many bytes, which carries its own hash.

    Raises:
        DetectorError: it is broken, or of an unknown format version.
    """
    try:
        fields = unseal(_read(file, most))
    except ValueError as error:
        raise DetectorError(f"{file} is damaged: {error}; copy the folder again") from error
    number = fields.get("format_version")
    if type(number) is not int or number != FORMAT_VERSION:
        raise DetectorError(
            f"{file} has format version {number!r:.40}, this version of dqh reads {FORMAT_VERSION}; use the dqh that "
            "wrote it"
        )
    return dict(fields)


def read_hashed(file: Path, *, size: int, sha256: str) -> bytes:
    """The content of a file, whose hash is taken from the very bytes that are returned.

    Raises:
        DetectorError: it is missing, no regular file, or not what was written.
    """
    content = _read(file, size)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DetectorError(f"{file} is damaged: it does not match the hash in {MANIFEST}; copy it again")
    return content


def _read(file: Path, most: int) -> bytes:
    try:
        return read_regular(file, most=most)
    except OSError as error:
        if error.errno not in _DAMAGE:
            raise
        raise DetectorError(f"{file} is damaged: {error.strerror}; copy the whole folder again") from error
