"""What was fitted to the answers of searches, kept as one file: canonical JSON with its own hash, numbers and all."""

import os
from collections.abc import Mapping
from typing import Any

from dqh.errors import ArtifactError, NoArtifactError
from dqh.files import read_regular
from dqh.schema import Check, one_of, record
from dqh.sealed import seal, unseal

FORMAT = 1
"""Version of the format."""

_MOST_BYTES = 2**22


def fitted_bytes(kind: str, fields: Mapping[str, Any]) -> bytes:
    """The content of the file of what was fitted; `kind` says what it is, such as `dot filter`."""
    return seal({"format_version": FORMAT, "kind": kind, **fields})


def read_fitted(
    path: str | os.PathLike[str],
    kind: str,
    checks: Mapping[str, Check],
    *,
    together: Check | None = None,
    make: str = "fit one and save it there",
    content: bytes | None = None,
) -> dict[str, Any]:
    """The fields that `fitted_bytes` was given, each as its check wants it.

    Args:
        path: of the file.
        kind: what it is.
        checks: of each field.
        together: where every field is right by itself, it sees all of them.
        make: how one is made, for who has none.
        content: of the file, where it has been read already; None to read it.

    Raises:
        NoArtifactError: nothing is there.
        ArtifactError: it cannot be read, is damaged, of another format or kind, or does not make sense; all that is
            wrong with its fields together.
    """
    try:
        fields = unseal(read_regular(path, most=_MOST_BYTES, links=True) if content is None else content)
    except FileNotFoundError as error:
        raise NoArtifactError(f"no {kind} at {os.fspath(path)}; {make}") from error
    except OSError as error:
        raise ArtifactError(f"{os.fspath(path)} cannot be read as a {kind}: {error.strerror}; name its file") from error
    except ValueError as error:
        raise ArtifactError(f"{os.fspath(path)} is no {kind} as it was saved: {error}; save it again") from error
    head = {"format_version": one_of(FORMAT), "kind": one_of(kind)}
    problems = record(head, more=True)(fields, "") or record(head | dict(checks))(fields, "")
    if together is not None and not problems:
        problems = together(fields, "the fields")
    if problems:
        raise ArtifactError(f"{os.fspath(path)} is no {kind} of this version: {'; '.join(problems)}; fit it again")
    return {name: fields[name] for name in checks}
