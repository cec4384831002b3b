from pathlib import Path

import pytest

from dqh.errors import ConfigError
from dqh.service.settings import Settings, address, read_token

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert Settings(host=host).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "shop.example", ""])
def test_others_need_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="is an address for others, who need a token"):
        Settings(host=host)
    assert not Settings(host=host, token=TOKEN).is_loopback


def test_names_are_those_of_the_loopback_and_those_given() -> None:
    assert Settings(host="::1", hosts=("Shop.Example",)).names == {"localhost", "127.0.0.1", "::1", "shop.example"}


def test_problems_come_together() -> None:
    with pytest.raises(ConfigError) as raised:
        Settings(port=70_000, requests=0, token="short")
    assert raised.value.problems == (
        "port must be in 0 … 65535, got 70000",
        "requests must be in 1 … 10000, got 0",
        "a token needs 16 characters of ASCII, got 5; make one: python -c 'import secrets; "
        "print(secrets.token_urlsafe())'",
    )


def test_no_limit_is_not_a_number() -> None:
    with pytest.raises(ConfigError, match=r"body_seconds must be in 0\.01 … 3600, got nan"):
        Settings(body_seconds=float("nan"))


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(Settings(token=TOKEN))


def test_a_token_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert read_token(tmp_path / "token") == TOKEN
    with pytest.raises(ConfigError, match=r"--token-file .*nothing"):
        read_token(tmp_path / "nothing")


def test_addresses() -> None:
    assert address("127.0.0.1", 80) == "http://127.0.0.1:80"
