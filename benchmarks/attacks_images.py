"""Images and list files made to hang a reader or to fill its memory: which of them get through?

    python benchmarks/attacks_images.py

Every file is made here and read in a process of its own, as `dqh index` reads it. It survives where it is an image, or
unusable with a reason, within 5 s of CPU time and 500 MB. Writes benchmarks/results/attacks_images.json and .md.
"""

import argparse
import io
import json
import multiprocessing
import os
import resource
import socket
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from quality import RESULTS, where

from dqh.data import Photos
from dqh.data.images import ImageFiles, Limits
from dqh.environment import environment
from dqh.errors import BadImageError, DataError

SECONDS, MEGABYTES = 5.0, 500.0
WAITING = 120
"""Seconds after which a reader counts as hanging."""

Attack = tuple[str, str, Callable[[], bytes]]


def encoded(mode: str, megapixels: float, kind: str, **options: Any) -> bytes:
    """A flat image of so many pixels."""
    side = int((megapixels * 1e6) ** 0.5)
    image = Image.new("L", (side, side), 90).convert(mode)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(orientation: int = 6) -> Image.Exif:
    """EXIF with an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def odd_exif(number: int, value: bytes) -> bytes:
    """EXIF with orientation 6 and one value that is written otherwise than it is read."""
    entries = struct.pack("<HHIHxx", 0x0112, 3, 1, 6) + struct.pack("<HHI", 0x011A, number, 1)
    entries += value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", 38)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4) + (value if len(value) > 4 else b"")


def scans(count: int, megapixels: float) -> bytes:
    """A progressive JPEG with its last scan again and again."""
    jpeg = encoded("RGB", megapixels, "JPEG", progressive=True, subsampling=0)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * (count - jpeg.count(b"\xff\xda")) + jpeg[-2:]


def chunks(count: int) -> bytes:
    """A PNG with so many empty chunks."""
    png = encoded("L", 1e-4, "PNG")
    return png[:33] + (struct.pack(">I", 0) + b"vpAg" + struct.pack(">I", zlib.crc32(b"vpAg"))) * count + png[33:]


def segments(count: int) -> bytes:
    """A JPEG with so many empty comments."""
    jpeg = encoded("L", 1e-4, "JPEG")
    return jpeg[:2] + b"\xff\xfe\0\2" * count + jpeg[2:]


def attacks() -> Iterator[Attack]:
    """Kind, what is tried, and the content of the file."""
    for count, size in ((100, 12), (101, 12), (20_000, 0.1)):
        yield "scans", f"JPEG of {count} scans", lambda count=count, size=size: scans(count, size)
    large: tuple[tuple[str, float, str, dict[str, Any]], ...] = (
        ("RGB", 89, "JPEG", {}),
        ("RGB", 55, "JPEG", {"exif": turned()}),
        ("RGB", 89, "JPEG", {"exif": turned()}),
        ("RGB", 48, "JPEG", {"progressive": True, "subsampling": 0}),
        ("RGB", 89, "JPEG", {"progressive": True, "subsampling": 0}),
        ("CMYK", 60, "JPEG", {}),
        ("RGB", 89, "PNG", {"compress_level": 1}),
        ("RGBA", 60, "PNG", {"compress_level": 1}),
        ("RGBA", 89, "PNG", {"compress_level": 1}),
        ("P", 89, "PNG", {"compress_level": 1}),
        ("I;16", 80, "PNG", {"compress_level": 1}),
        ("RGB", 30, "WEBP", {"method": 0}),
        ("RGB", 60, "WEBP", {"method": 0}),
        ("RGB", 60, "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", 30, "AVIF", {"speed": 10}),
    )
    for mode, size, kind, options in large:
        extra = ", ".join(name for name in options if name in ("exif", "progressive"))
        text = f"{kind} {mode}, {size} million pixels{', ' + extra if extra else ''}"
        yield "near the caps", text, lambda m=mode, s=size, k=kind, o=options: encoded(m, s, k, **o)
    yield "pieces", "PNG of 3,000,000 chunks", lambda: chunks(3_000_000)
    yield "pieces", "JPEG of 3,000,000 segments", lambda: segments(3_000_000)
    yield "pieces", "PGM of 20 million pixels, read one by one", lambda: b"P5 5000 4000 254\n" + bytes(20_000_000)
    yield "pieces", "PPM of 20 million pixels in plain text", lambda: b"P3 5000 4000 255\n" + b"7 " * 60_000_000
    odd = ((5, struct.pack("<ii", -1, 3)), (8, struct.pack("<h", -5)), (9, struct.pack("<i", 70_000)))
    for number, value in (*odd, (11, struct.pack("<f", float("nan")))):
        for kind in ("JPEG", "PNG", "WEBP"):
            content = lambda k=kind, n=number, v=value: encoded("RGB", 0.01, k, exif=odd_exif(n, v))  # noqa: E731
            yield "EXIF", f"{kind}, orientation beside a value of type {number}", content


def special(folder: Path) -> list[tuple[str, str, str]]:
    """Kind, what is tried, and the name of a file that is none."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "zero.jpg").symlink_to("/dev/zero")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(folder / "socket.jpg"))
    (folder / "one_line.txt").write_text("a " * 40_000)
    (folder / "blanks.txt").write_text("a" + " " * 80_000 + "b.jpg")
    os.mkfifo(folder / "pipe.txt")
    os.mkfifo(folder / "pipe.parquet")
    return [
        *(("no regular file", name, name) for name in ("pipe.jpg", "zero.jpg", "loop.jpg", "socket.jpg")),
        *(("no regular file", name, name) for name in ("pipe.txt", "pipe.parquet")),
        *(("list files", f"{name}, one line of 80 kB", name) for name in ("one_line.txt", "blanks.txt")),
    ]


def read(folder: Path, name: str, answer: Any) -> None:
    """What a reader says of a file, with its seconds and its megabytes."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        photos = Photos([folder / name])
        said = " × ".join(map(str, ImageFiles(Path("/"), Limits()).read(photos.photos[0].path).size))
    except (BadImageError, DataError) as error:
        said = f"unusable: {str(error).replace(str(folder) + '/', '')[:90]}"
    except Exception as error:  # what a reader may not do
        said = f"CRASH {error!r}"[:120]
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    answer.send((said, time.process_time() - began, megabytes * 1.048576))


def tried(folder: Path, kind: str, text: str, name: str) -> dict[str, Any]:
    """One attack on a process of its own."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("forkserver").Process(target=read, args=(folder, name, sender))
    process.start()
    sender.close()
    try:
        said, seconds, megabytes = receiver.recv() if receiver.poll(WAITING) else ("HANGS", float(WAITING), 0.0)
    except EOFError:
        said, seconds, megabytes = "DIED", 0.0, 0.0
    process.kill()
    process.join()
    survived = said[:5] not in ("HANGS", "DIED", "CRASH") and seconds <= SECONDS and megabytes <= MEGABYTES
    survived = survived and (kind != "EXIF" or not said.startswith("unusable"))
    return {"kind": kind, "tried": text, "said": said, "seconds": seconds, "megabytes": megabytes, "survived": survived}


def page(results: dict[str, Any]) -> str:
    """The results as markdown."""
    rows = results["attacks"]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    counts = [[row["survived"] for row in rows if row["kind"] == kind] for kind in kinds]
    return "\n".join(
        [
            "# Attacks by images\n",
            f"{where(results['environment'])}.\n",
            f"    {results['environment']['command']}\n",
            f"{len(rows)} tried, {sum(row['survived'] for row in rows)} survived: an image, or unusable with a reason, "
            f"within {SECONDS:g} s of CPU time and {MEGABYTES:g} MB beside what the process took before.\n",
            "| kind | tried | survived |\n|---|---|---|",
            *(f"| {kind} | {len(each)} | {sum(each)} |" for kind, each in zip(kinds, counts, strict=True)),
            "\n| tried | answer | s | MB | survived |\n|---|---|---|---|---|",
            *(
                f"| {row['tried']} | {row['said']} | {row['seconds']:.1f} | {row['megabytes']:.0f} "
                f"| {'yes' if row['survived'] else '**no**'} |"
                for row in rows
            ),
            "",
        ]
    )


def main() -> int:
    """Try all, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    multiprocessing.set_forkserver_preload(["dqh.collection", "PIL.Image"])
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows += [tried(folder, *each) for each in special(folder)]
        for kind, text, content in attacks():
            (folder / "image.jpg").write_bytes(content())  # the name says nothing: the content counts
            rows.append(tried(folder, kind, text, "image.jpg"))
            print(rows[-1], flush=True)
    results = {"environment": environment(command="python benchmarks/attacks_images.py", seed=0), "attacks": rows}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "attacks_images.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "attacks_images.md").write_text(page(results))
    print(page(results))
    return int(not all(row["survived"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
