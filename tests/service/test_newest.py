import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dqh.errors import NoStoreError, StoreError
from dqh.service import newest as newest_module
from dqh.service.newest import Newest


class Opened:
    def __init__(self, number: int) -> None:
        self.number = number


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Opened]], Newest]]:
    """Nobody looks but who asks."""
    monkeypatch.setattr(newest_module, "POLL", 600.0)
    (tmp_path / "v1.json").touch()
    followers: list[Newest] = []

    def start(open_one: Callable[[], Opened]) -> Newest:
        followers.append(Newest(tmp_path, open_one))
        return followers[-1]

    yield start
    for follower in followers:
        follower.close()


def reads(folder: Path) -> Callable[[], Opened]:
    return lambda: Opened(len(list(folder.glob("v*.json"))))


def is_served(newest: Newest, number: int) -> bool:
    """Whether a version comes to be served, asked for until it is."""
    for _ in range(1000):
        if newest.current().number == number:
            return True
        threading.Event().wait(0.005)
    return False


def test_the_first_version_must_open(tmp_path: Path) -> None:
    def none() -> Opened:
        raise NoStoreError("no index")

    with pytest.raises(NoStoreError):
        Newest(tmp_path, none)


def test_a_new_version_is_served(tmp_path: Path, follow: Callable) -> None:
    newest = follow(reads(tmp_path))
    assert newest.current().number == 1
    (tmp_path / "v2.json").touch()
    assert is_served(newest, 2)


def test_who_asks_is_answered_while_the_next_version_opens(tmp_path: Path, follow: Callable) -> None:
    """The one before the newest is not too old; of the one before that, nobody is answered."""
    released = threading.Event()

    def slow() -> Opened:
        number = len(list(tmp_path.glob("v*.json")))
        assert number == 1 or released.wait(10)
        return Opened(number)

    newest = follow(slow)
    (tmp_path / "v2.json").touch()
    assert newest.current().number == 1
    (tmp_path / "v3.json").touch()
    numbers: list[int] = []
    asking = threading.Thread(target=lambda: numbers.append(newest.current().number))
    asking.start()
    asking.join(0.2)
    assert asking.is_alive()
    released.set()
    asking.join(10)
    assert numbers
    assert numbers[0] >= 2


def test_a_version_that_cannot_be_opened_is_tried_once(tmp_path: Path, follow: Callable) -> None:
    tried: list[int] = []

    def picky() -> Opened:
        number = len(list(tmp_path.glob("v*.json")))
        tried.append(number)
        if number == 2:
            raise StoreError("damaged")
        return Opened(number)

    newest = follow(picky)
    (tmp_path / "v2.json").touch()
    for _ in range(50):
        assert newest.current().number == 1
        threading.Event().wait(0.002)
    assert tried == [1, 2]
    assert newest.failures == 1
    (tmp_path / "v3.json").touch()
    assert is_served(newest, 3)


def test_an_index_that_is_away_is_served_from_memory(tmp_path: Path, follow: Callable) -> None:
    newest = follow(reads(tmp_path))
    (tmp_path / "v1.json").unlink()
    tmp_path.rmdir()
    assert newest.current().number == 1


def test_versions_are_looked_for_where_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_module, "POLL", 0.01)
    (tmp_path / "v1.json").touch()
    newest = Newest(tmp_path, reads(tmp_path))
    (tmp_path / "v2.json").touch()
    with newest._changed:
        assert newest._changed.wait_for(lambda: newest.held.number == 2, 10)
    newest.close()
