"""Requests of which none may do harm: paths that lead out, bombs, bodies without end or speed, hosts, questions."""

import io
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from PIL import Image

LIMIT, SLOW = 1.0, 10.0
"""Seconds of an attack, and of a slow one."""

TARGETS = ("secret.txt", "etc/passwd", "windows/win.ini", "photos/0.png", "proc/self/environ")
STEPS = (
    *("../", "..\\", "..%2f", "..%5c", "%2e%2e/", "%2e%2e%2f", "%2e%2e%5c", "%252e%252e%252f", "..%252f", "....//"),
    *("..;/", "%c0%ae%c0%ae/", "%c0%ae%c0%ae%c0%af", "..%c0%af", "..%00/", "%uff0e%uff0e/", "..%u2215", "．．/"),
    *("./.././", "//../", "\\\\..\\", "..%0d%0a/"),
)
PLACES = (
    *("/{}", "/v1/items/{}", "/v1/items/0/{}", "/docs/{}", "/v2/models/{}", "/v1/items/{}/thumbnail"),
    *("/v1/clusters/{}", "/v1/related/{}"),
)
UPLOADS = ("/v1/search", "/v1/lens", "/v1/related")
"""Routes that read an image which is sent; a service without a detector refuses the others before they do."""
ABSOLUTE = (
    *("//server/share/secret.txt", "\\\\server\\share\\secret.txt", "\\\\?\\C:\\secret.txt", "file:///{}", "C:\\{}"),
    *(
        "/{}",
        "//{}",
        "/%2f{}",
        "{}%00.png",
        "{}%00",
        "{}::$DATA",
        "~/{}",
        "%00{}",
        "/./{}",
        "{}/.",
        "http://127.0.0.1/{}",
    ),
)


class Attack(NamedTuple):
    """A request, and what must come of it.

    Attributes:
        kind: of attacks.
        name: of this one.
        parts: that are sent one after another.
        statuses: that are right; 0 stands for a connection that is ended.
        pause: seconds between the parts.
        seconds: within which it must be over.
    """

    kind: str
    name: str
    parts: tuple[bytes, ...]
    statuses: Collection[int]
    pause: float = 0.0
    seconds: float = LIMIT


def head(path: str, *, method: str = "GET", host: str = "127.0.0.1", **headers: object) -> bytes:
    """Line and headers of a request, as they are."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def post(path: str, content: bytes, **headers: object) -> tuple[bytes, bytes]:
    """A request with a body."""
    return head(path, method="POST", content_length=len(content), **headers), content


def traversals(root: Path) -> Iterator[Attack]:
    """Ways out of whatever folder a path may be joined to, in paths and in parameters."""
    texts = [f"{step * depth}{target}" for step in STEPS for depth in (1, 8) for target in TARGETS]
    inside = str(root).strip("/")
    texts += [form.format(f"{inside}/secret.txt") if "{}" in form else form for form in ABSOLUTE]
    for number, text in enumerate(texts):
        place = PLACES[number % len(PLACES)].format(text)
        yield Attack("a way out, in the path", place, (head(place.replace(" ", "%20")),), range(400, 500))
    asked = [("/v1/search?id=0", name) for name in ("id", "where", "path", "box")]
    asked += [("/v1/related?k=1", "id"), ("/v1/related?id=0", "path"), ("/v1/clusters?most=1", "after")]
    for text in texts[:: len(texts) // 40]:
        for path, name in asked:
            query = f"{path}&{name}={quote(text)}"
            yield Attack("a way out, in a parameter", query, (head(query),), range(400, 500))


def bomb(width: int, height: int) -> bytes:
    """A PNG of one grey level: a thousandth of its pixels in bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    compress, row = zlib.compressobj(9), bytes(1 + width)
    packed = b"".join(compress.compress(row) for _ in range(min(height, 2000))) + compress.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def images(good: bytes) -> Iterator[Attack]:
    """Bodies that are no images, too large ones, and damaged ones."""
    stream = io.BytesIO()
    Image.new("L", (3000, 3000)).save(stream, "TIFF", compression="tiff_deflate")
    contents = {
        "a PNG of 3,600 MP": bomb(60_000, 60_000),
        "a PNG of 89 MP, above the limit of 40": bomb(9_400, 9_400),
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "a PNG with HTML behind its beginning": b"\x89PNG\r\n\x1a\n<html>",
        "a ZIP": b"PK\x03\x04" + bytes(1000),
        "zeros": bytes(10**6),
        "a JPEG's beginning": b"\xff\xd8\xff\xe0" + bytes(1000),
        "a GIF's beginning": b"GIF89a\xff\xff\xff\xff" + bytes(100),
        "a TIFF without an end": stream.getvalue()[:200],
        "EPS, which Pillow would hand to Ghostscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "half a photo": good[: len(good) // 2],
    }
    for name, content in contents.items():
        for path in UPLOADS:
            yield Attack("no image, or a bomb", f"{name}, {path}", post(path, content), (422,))
    for path in ("/v1/look", "/v1/objects"):
        yield Attack("no image, or a bomb", f"zeros, {path}", post(path, bytes(10**6)), (409, 422))


def bodies() -> Iterator[Attack]:
    """Bodies that are too large, too slow, or none."""
    large = b"x" * 2**20
    yield Attack(
        "a large body",
        "100 MB",
        (head("/v1/search", method="POST", content_length=100 * 2**20), *[large] * 100),
        (413,),
    )
    yield Attack(
        "a large body", "a length of 10 TB", (head("/v1/search", method="POST", content_length=10**13),), (413,)
    )
    chunk = b"100000\r\n" + large + b"\r\n"
    chunked = head("/v1/search", method="POST", transfer_encoding="chunked")
    yield Attack("a large body", "100 MB in chunks", (chunked, *[chunk] * 100), (413,))
    yield Attack("a large body", "JSON of 30 MB", (*post("/v2/models/encoder/infer", b"[" * 30 * 2**20),), (413,))
    yield Attack("JSON", "1,000,000 brackets", post("/v2/models/encoder/infer", b"[" * 10**6), (400,))
    yield Attack("JSON", "a shape of 2³¹", post("/v2/models/encoder/infer", _tensor([2**31, 3, 32, 32])), (400,))
    yield Attack("JSON", "numbers of 1,000 digits", post("/v2/models/encoder/infer", _tensor([1], "9" * 1000)), (400,))
    slow = {"kind": "slow", "statuses": (408,), "seconds": SLOW + 3}
    yield Attack(name="nothing is sent", parts=(), **slow)
    yield Attack(
        name="a head, a letter a second",
        parts=tuple(b"GET /v1/index HTTP/1.1\r\nX: y".decode()[:20].encode()[i : i + 1] for i in range(20)),
        pause=1,
        **slow,
    )
    stated = head("/v1/search", method="POST", content_length=10**6)
    yield Attack(name="a body, a byte a second", parts=(stated, *[b"x"] * 20), pause=1, **slow)
    yield Attack(name="a body that stops", parts=(stated, b"x" * 1000), **slow)


def allowed() -> Iterator[Attack]:
    """Images as large as may be."""
    for path in UPLOADS:
        yield Attack("40 MP, which is allowed", path, post(path, bomb(8_000, 5_000)), (200,))


def _tensor(shape: list[int], data: str = "1") -> bytes:
    given = f'{{"name": "inputs", "shape": {shape}, "datatype": "UINT8", "data": [{data}]}}'
    return f'{{"inputs": [{given}]}}'.encode()


def heads() -> Iterator[Attack]:
    """Hosts, questions and heads that are wrong or too large."""
    for host in ("evil.example", "127.0.0.1.evil.example", "", "localhost.", "127.1", "0", "2130706433", "a@127.0.0.1"):
        yield Attack("a wrong host", host or "none", (head("/v1/index", host=host),), (421,))
    yield Attack("a wrong host", "two hosts", (head("/v1/index", host="127.0.0.1\r\nHost: evil"),), (400, 421))
    yield Attack("a large question", "1,000,000 parameters", (head("/v1/search?" + "k=1&" * 10**6),), (414, 431))
    yield Attack("a large question", "a filter of 50 kB", (head("/v1/search?id=0&where=" + "x" * 50_000),), (414,))
    deep = quote("not (" * 5000 + "id = 1" + ")" * 5000)
    yield Attack(
        "a large question", "a filter of 5,000 parentheses", (head(f"/v1/search?id=0&where={deep}"),), (400, 414)
    )
    like = quote("path like '" + "%a" * 400 + "b'")
    yield Attack("a large question", "a pattern that backtracks", (head(f"/v1/search?id=0&where={like}"),), (200,))
    yield Attack("a large question", "a header of 1 MB", (head("/v1/index", x="y" * 2**20),), (431,))
    yield Attack(
        "a large question",
        "10,000 headers",
        (head("/v1/index", x="\r\n".join(f"H{i}: 1" for i in range(10**4))),),
        (431,),
    )
    for box in (
        "-1,0,1,1",
        "nan,0,1,1",
        "0,0,inf,1",
        "0,0,1e308,1",
        "1,1,0,0",
        "0,0,0,0",
        "0,0,1",
        "a,b,c,d",
        "0," * 10**4,
    ):
        yield Attack("a box", box[:20], (head(f"/v1/search?id=0&box={box}"),), (400,))
    for asked in (
        "k=0",
        "k=-1",
        "k=1001",
        "k=1e9",
        "k=nan",
        "id=-1",
        "id=1e30",
        "id=" + "9" * 1000,
        "dot=2,2",
        "rank=x",
    ):
        yield Attack("a number", asked[:20], (head(f"/v1/search?{asked}" + "&id=0" * ("id" not in asked)),), (400,))
    for path in (
        *("/v1/related?id=0&k=0", "/v1/related?id=0&k=101", "/v1/related?id=1e30", "/v1/related?id=-1", "/v1/related"),
        *("/v1/related?id=0&box=0,0,1,1", "/v1/clusters?after=-1", "/v1/clusters?most=0", "/v1/clusters?most=1e9"),
        *("/v1/clusters?after=nan", "/v1/clusters/0?most=1001", "/v1/clusters/0?after=" + "9" * 1000),
    ):
        yield Attack("a number", path[:40], (head(path),), (400,))
    for path in ("/v1/related?id=99", "/v1/clusters/99", "/v1/clusters/-1", "/v1/clusters/" + "9" * 1000):
        yield Attack("nothing of that number", path[:40], (head(path),), (404,))
    for site in ("cross-site", "same-site"):
        yield Attack("a page of another site", site, (head("/v1/index", Sec_Fetch_Site=site),), (403,))
    for content in (
        b"\x16\x03\x01\x02\x00\x01",
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        yield Attack("no HTTP", repr(content[:12]), (content,), (0, 400, 408, 421, 505), seconds=SLOW + 3)
