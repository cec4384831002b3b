"""What a service is told when it starts: where it listens, who may ask, and what a request may cost."""

import ipaddress
import os
from dataclasses import dataclass, field

from dqh.errors import ConfigError

SHORTEST_TOKEN = 16
"""Characters."""

_MAKE_TOKEN = "python -c 'import secrets; print(secrets.token_urlsafe())'"


@dataclass(frozen=True)
class Settings:
    """Addresses, rights and limits.

    Args:
        host: address to listen on; any but a loopback one needs a token.
        port: 0 for one that is free.
        token: that requests must bring; None for none.
        hosts: names by which clients may call the service, beside those of the loopback and `host`; `*` for all.
        originals: whether files are served as they are, with all that they say of place and camera.
        body_bytes: most of a request's body.
        body_seconds: in which a body must have come, and one more for each `BODY_RATE` bytes of it; and a head.
        pixels: most of an image, width × height.
        image_seconds: in which an image must be decoded; its process is ended otherwise.
        requests: answered at a time; more are refused with 503.
        uploads: of these, that bring an image.
        workers: processes that decode images, and images that are worked on at a time.
        thumbnail_bytes: of the small pictures that are kept in memory, all together.
        grace_seconds: in which requests may end when the service does.

    Raises:
        ConfigError: a value is out of range, or the address is for others and there is no token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    originals: bool = False
    body_bytes: int = 20 * 2**20
    body_seconds: float = 10.0
    pixels: int = 40_000_000
    image_seconds: float = 5.0
    requests: int = 64
    uploads: int = 16
    workers: int = 2
    thumbnail_bytes: int = 64 * 2**20
    grace_seconds: float = 10.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be in {least} … {most}, got {getattr(self, name)}"
            for name, (least, most) in _RANGES.items()
            if not least <= getattr(self, name) <= most
        ]
        if self.token is not None and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii()):
            problems.append(
                f"a token needs {SHORTEST_TOKEN} characters of ASCII, got {len(self.token)}; make one: {_MAKE_TOKEN}"
            )
        if self.token is None and not self.is_loopback:
            problems.append(
                f"{self.host} is an address for others, who need a token to ask: give one by --token-file FILE, or "
                "listen on 127.0.0.1"
            )
        if problems:
            raise ConfigError(problems)

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def names(self) -> frozenset[str]:
        """Hosts by which the service may be called, in small letters, without ports."""
        return frozenset(name.lower() for name in (*_LOOPBACK, self.host, *self.hosts))


_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_RANGES = {
    "port": (0, 65535),
    "body_bytes": (1, 2**30),
    "body_seconds": (0.01, 3600),
    "pixels": (1, 178_956_970),
    "image_seconds": (0.01, 600),
    "requests": (1, 10_000),
    "uploads": (1, 10_000),
    "workers": (1, 64),
    "thumbnail_bytes": (0, 2**40),
    "grace_seconds": (0, 3600),
}

BODY_RATE = 128 * 2**10
"""Bytes a second that a body must keep up with, once its first seconds are over."""


def address(host: str, port: int) -> str:
    """The URL of an address.

    Example:
        >>> address("::1", 8000)
        'http://[::1]:8000'
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_token(path: str | os.PathLike[str]) -> str:
    """The token in a file, without blanks around it.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123 (a pipe of a shell, too)
            return file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds more than ASCII"
        raise ConfigError(
            f"--token-file {os.fspath(path)} cannot be read: {reason}; write a token into it: {_MAKE_TOKEN}"
        ) from error
