"""Canonical JSON that carries its own hash: what a manifest or a note of this package is written as."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

FIELD = "self_sha256"
"""Of the hash, the last one in the file."""


def canonical(fields: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, ASCII only and no spaces: equal content gives equal bytes.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: a value has no JSON.
    """
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def seal(fields: Mapping[str, Any]) -> bytes:
    """Canonical JSON of `fields`, behind which the SHA-256 of that JSON follows as the last field, and a line feed.

    Example:
        >>> seal({"b": 1, "a": 2})[:28]
        b'{"a":2,"b":1,"self_sha256":"'
    """
    body = canonical(fields)
    return _sealed(body, hashlib.sha256(body).hexdigest())


def unseal(content: bytes) -> dict[str, Any]:
    """The fields of what `seal` made, without the hash.

    Raises:
        ValueError: the content is not the very bytes that `seal` makes of some fields; the text says why.
    """
    try:
        fields = json.loads(content)
        claimed = fields.pop(FIELD)
        body = canonical(fields)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError("not the JSON that was written") from error
    digest = hashlib.sha256(body).hexdigest()
    if digest != claimed:
        raise ValueError("its content does not match its hash")
    if _sealed(body, digest) != content:  # the same values in other characters, as 1E5 for 1e5
        raise ValueError("not the bytes that were written")
    return dict(fields)


def _sealed(body: bytes, digest: str) -> bytes:
    return body[:-1] + f',"{FIELD}":"{digest}"}}\n'.encode()
