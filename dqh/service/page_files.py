"""The page: the files that a browser loads, under an address that has the hash of all of them.

So each may be kept for ever, and what follows is never mixed with what was there before; only `index.html` is asked for
anew.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

HOME, START = "/", "index.html"
"""Where the page is, and the file that begins it; there `page/` stands for the address of the others."""

TYPES = MappingProxyType({".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"})


@cache
def page_files() -> dict[str, bytes]:
    """Content of each file by its path in the folder of the page; licences of others' files stay there."""
    folder = files("dqh.service") / "page"
    return {path: file.read_bytes() for path, file in sorted(_below(folder)) if _suffix(path) in TYPES}


@cache
def addresses() -> dict[str, str]:
    """Path in the folder by the address of each file."""
    content = page_files()
    digest = hashlib.sha256()
    for path, own in content.items():
        digest.update(f"{path} {len(own)}\n".encode() + own)
    below = f"/page/{digest.hexdigest()[:16]}/"
    return {HOME: START} | {below + path: path for path in content if path != START}


def address_of(path: str) -> str:
    """Where a file is served."""
    return next(address for address, own in addresses().items() if own == path)


def page_routes() -> list[Route]:
    """Routes to all files."""
    return [Route(address, _answer(address), name=f"page {path}") for address, path in addresses().items()]


def _answer(address: str) -> Callable[[Request], Response]:
    path = addresses()[address]
    content = page_files()[path]
    kept = "public, max-age=31536000, immutable"
    if address == HOME:
        below = next(own for own in addresses() if own != HOME).split("/")[2]
        content, kept = content.replace(b'"page/', f'"/page/{below}/'.encode()), "no-cache"
    headers = {"Cache-Control": kept, "ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"'}

    def answer(request: Request) -> Response:
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=TYPES[_suffix(path)])

    return answer


def _below(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    own = []
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        own += _below(entry, f"{path}/") if entry.is_dir() else [(path, entry)]
    return own


def _suffix(path: str) -> str:
    return path[path.rfind(".") :]
