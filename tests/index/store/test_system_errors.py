import errno
import os
from pathlib import Path

import pytest

from dqh.errors import StoreError, StoreLimitError
from dqh.index.store.system_errors import uncertain, unreadable, unwritable

PLACE = Path("photos.index")


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, StoreError, "stays at version 3; make room, and run"),
        (errno.EEXIST, StoreError, "stays at version 3; move it away, and run"),
        (errno.EMFILE, StoreLimitError, r"stays at version 3; raise the limit of this process \(ulimit -n"),
        (errno.EIO, StoreError, "stays at version 3; mend that, and run"),
        (errno.ENOENT, StoreError, "is incomplete: .* copy the whole folder"),
        (errno.ELOOP, StoreError, "is a symbolic link"),
    ],
)
def test_what_to_do_where_nothing_was_written(number: int, kind: type[StoreError], said: str) -> None:
    error = unwritable(PLACE, system(number), begun=True, version=3)
    assert type(error) is kind
    with pytest.raises(kind, match=f"^photos.index.*{said}"):
        raise error


@pytest.mark.parametrize(("begun", "stays"), [(True, "without a version"), (False, "as it is")])
def test_an_index_that_has_no_version(begun: bool, stays: str) -> None:
    error = unwritable(PLACE, system(errno.ENOENT), begun=begun, version=None)
    assert f"the index stays {stays}; mend that" in str(error)


def test_what_limits_say_of_an_index_that_is_read() -> None:
    assert type(unreadable(PLACE, system(errno.ENOMEM))) is StoreLimitError
    assert type(unreadable(PLACE, system(errno.EIO))) is StoreError


def test_a_version_that_may_be_lost_is_named() -> None:
    assert "version 4 is there, but may not survive a power cut" in str(uncertain(PLACE, system(errno.EIO), 4))
