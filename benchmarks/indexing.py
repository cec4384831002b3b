"""Ten thousand photos into an index and back: what is unusable is listed, nothing else is lost, nothing is mixed up.

    python benchmarks/indexing.py --root DIR --weights mobilenet_v2.pt

Parts of the pictures below `--root` (a folder of images, or a .parquet table) are written as files of many sizes:
100 of them are unusable, 100 odd but usable, 100 byte-identical to others. `dqh index` puts them into an index, with a
MobileNetV2 of the weights given, or with `--artifact`. Then, for every file, the code and the features that the index
has of its path are compared with those of the file, read and encoded anew outside the index, and the image is searched.
Exit status 1 where a row of the results fails. Writes benchmarks/results/indexing.json and .md.
"""

import argparse
import contextlib
import csv
import io
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from photos import Collection, Pictures, make_artifact, make_collection
from quality import RESULTS, where

from dqh import cli
from dqh.artifact import Artifact, load_artifact
from dqh.artifact.golden import FEATURE_TOLERANCE, Answers, eager, parity
from dqh.data import Photos
from dqh.data.source import content_hash
from dqh.encoded import Encoded
from dqh.environment import environment
from dqh.export.verify_onnx import read_image
from dqh.index.store import Snapshot, check, open_index
from dqh.models import MobileNetV2

BATCH = 50
"""Not the size that `dqh index` takes."""


class Claim(NamedTuple):
    """One line of the results.

    Attributes:
        what: shall be.
        of: number of things looked at.
        failures: what is otherwise, in words.
    """

    what: str
    of: int
    failures: list[str]


def indexed(arguments: list[str]) -> dict[str, Any]:
    """The result of `dqh index … --json`."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = cli.main(["index", *arguments, "--json"])
    assert status == 0
    return dict(json.loads(printed.getvalue()))


def skipped_of(index: Path) -> dict[str, str]:
    """Path → reason."""
    with (index / "skipped.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return {line["path"]: line["reason"] for line in csv.DictReader(file)}


def anew(artifact: Artifact, paths: list[str]) -> Iterator[tuple[list[bytes], Answers]]:
    """Content and answers of files, by none of the code that reads and batches for an index."""
    spec = artifact.encoder.spec.to_json()
    for start in range(0, len(paths), BATCH):
        contents = [Path(path).read_bytes() for path in paths[start : start + BATCH]]
        inputs = np.stack([read_image(content, spec) for content in contents])
        yield contents, eager(artifact.encoder, artifact.quantizer, inputs)


def of_files(made: Collection, index: Path, snapshot: Snapshot) -> list[Claim]:
    """Which files are in the index and in the list."""
    skipped, usable = skipped_of(index), {*made.odd, *made.copies, *made.plain}
    rows = snapshot.version.rows(np.arange(len(snapshot.version)))
    paths = [str(made.root / row.path) for row in rows]
    listed = [f"{made.unusable[path]}: {path}" for path in made.unusable if path not in skipped]
    lost = [f"{made.odd.get(path, 'plain')}: {path}" for path in usable - set(paths)]
    more = [*skipped.keys() - made.unusable.keys(), *set(paths) - usable]
    labels = [row.path for row in rows if row.labels != (row.path.partition("/")[0],)]
    ids = [] if [row.id for row in rows] == list(range(len(usable))) else ["not 0, 1, 2 …"]
    return [
        Claim("unusable files are in skipped.csv", len(made.unusable), listed),
        Claim("usable files are in the index, odd ones too", len(usable), lost),
        Claim("nothing else is in either", len(skipped) + len(rows), more),
        Claim("each path once, ids in the order of the paths, labels of the folders", len(rows), labels + ids),
    ]


def of_rows(made: Collection, artifact: Artifact, snapshot: Snapshot) -> tuple[list[Claim], dict[str, Any]]:
    """What the index has of each path, and finds for it, against the file."""
    version = snapshot.version
    rows = version.rows(np.arange(len(version)))
    paths = [str(made.root / row.path) for row in rows]
    hashes, of_id = [row.content_hash for row in rows], {row.id: place for place, row in enumerate(rows)}
    flips, soft, other_features, other_hash, not_first = [], 0, [], [], []
    largest, seconds, start = 0.0, 0.0, 0
    for contents, answers in anew(artifact, paths):
        places = np.arange(start, start + len(contents))
        start += len(contents)
        codes, features = version.codes(places), version.read_features(places).astype(np.float32)
        scale = float(np.abs(answers.features).max())
        errors: NDArray[np.float32] = np.abs(features - answers.features).max(axis=1) / scale
        largest = max(largest, float(errors.max()))
        began = time.perf_counter()
        encoded = Encoded(answers.codes, answers.embedding, answers.features, artifact.encoder_id)
        found = snapshot.search(encoded, k=1)
        seconds += time.perf_counter() - began
        for number, place in enumerate(places.tolist()):
            one = Answers(*(field[number : number + 1] for field in answers))
            hard, near = parity(codes[number : number + 1], one, artifact.quantizer)
            soft += near
            flips += [f"{paths[place]}: {hard} bits"] * (hard > 0)
            other_hash += [paths[place]] * (content_hash(contents[number]) != hashes[place])
            first = of_id[found.hits[number][0].id]
            if first != place and hashes[first] != hashes[place]:
                not_first.append(f"{paths[place]} finds {paths[first]}")
        other_features += [paths[place] for place in places[errors > FEATURE_TOLERANCE].tolist()]
    bits = artifact.quantizer.bits
    claims = [
        Claim("stored hash is that of the file of this path", len(rows), other_hash),
        Claim(f"stored code ({bits} bits) is that of the file, soft bits aside", len(rows), flips),
        Claim(
            f"stored features are those of the file, to {FEATURE_TOLERANCE:g} of the largest", len(rows), other_features
        ),
        Claim("as a query it comes first, itself or a file with the same bytes", len(rows), not_first),
    ]
    return claims, {"soft_bits": soft, "feature_error": largest, "search_ms": 1000 * seconds / len(rows)}


def measure(folder: Path, artifact_path: Path, made: Collection, more: list[str]) -> dict[str, Any]:
    """Index, look, index again."""
    index = folder / "index"
    arguments = [str(artifact_path), str(made.root), "--out", str(index), *more]
    first = indexed(arguments)
    snapshot, artifact = open_index(index), load_artifact(artifact_path)
    claims = of_files(made, index, snapshot)
    of_each, figures = of_rows(made, artifact, snapshot)
    again = indexed(arguments)
    unchanged = [] if (again["unchanged"], again["version"]) == (first["rows"], first["version"]) else [str(again)]
    found = check(index)
    claims += [
        *of_each,
        Claim("unchanged at a second run, which makes no version", first["rows"], unchanged),
        Claim("files of the index are whole: dqh check", found.files, [str(each) for each in found.problems]),
    ]
    return {
        "network": artifact.encoder.backbone.name,
        "size": artifact.encoder.spec.size,
        "files": {
            "unusable": dict(Counter(made.unusable.values())),
            "odd": dict(Counter(made.odd.values())),
            "copies": len(made.copies),
            "plain": len(made.plain),
        },
        "claims": [claim._asdict() for claim in claims],
        "reasons": dict(Counter(reason.split(":")[0] for reason in skipped_of(index).values())),
        "seconds": {"index": first["seconds"], "second run": again["seconds"]},
        **figures,
    }


def page(results: dict[str, Any]) -> str:
    """The results as markdown."""
    found = results["indexing"]
    files = found["files"]
    bad, odd = (", ".join(f"{count} {kind}" for kind, count in files[name].items()) for name in ("unusable", "odd"))
    total = sum(files["unusable"].values()) + sum(files["odd"].values()) + files["copies"] + files["plain"]
    lines = [
        "# Photos into an index\n",
        f"{where(results['environment'])}.\n",
        f"    {results['environment']['command']}\n",
        f"{total:,} files, parts of real pictures: {sum(files['unusable'].values())} unusable ({bad}); "
        f"{sum(files['odd'].values())} odd ({odd}); {files['copies']} byte-identical to others; "
        f"{files['plain']:,} plain JPEG. Encoded by {found['network']} at {found['size']} px; searched by codes, the "
        "nearest 1,000 ranked by features.\n",
        "| what shall be | of | otherwise |",
        "|---|---|---|",
        *(f"| {claim['what']} | {claim['of']:,} | **{len(claim['failures'])}** |" for claim in found["claims"]),
        "",
        f"Soft bits that differ: {found['soft_bits']}. Features differ by at most {found['feature_error']:.1e} of the "
        f"largest, float16 included. Indexing took {found['seconds']['index']:.0f} s, the second run, which hashes "
        f"every file, {found['seconds']['second run']:.1f} s, a search {found['search_ms']:.1f} ms.\n",
        "Reasons in `skipped.csv`: "
        + "; ".join(f"{count} {reason}" for reason, count in found["reasons"].items())
        + ".\n",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run, write the results, and say whether all is as it shall be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="a folder of images, or a .parquet table")
    network = parser.add_mutually_exclusive_group(required=True)
    network.add_argument("--weights", type=Path, help="of torchvision's mobilenet_v2")
    network.add_argument("--artifact", type=Path, help="in its place")
    parser.add_argument("--size", type=int, default=64, help="of the input of MobileNetV2, pixels")
    parser.add_argument("--images", type=int, default=10_000, help="files; 1 in 100 unusable, as many odd and copies")
    parser.add_argument("--runtime", default="torch", help="that dqh index encodes by")
    parser.add_argument("--folder", type=Path, help="where photos and index go; a temporary folder by default")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    pictures = Pictures(Photos([given.root]))
    own = f"--weights {given.weights.name} --size {given.size}" if given.weights else "--artifact RUN/artifact"
    runtime = "" if given.runtime == "torch" else f" --runtime {given.runtime}"
    command = f"python benchmarks/indexing.py --root {given.root.name} {own} --images {given.images}{runtime}"
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        folder, few = Path(scratch), given.images // 100
        artifact = given.artifact
        if artifact is None:
            artifact = folder / "artifact"
            network_of = MobileNetV2(tap="pool", size=given.size, weights=str(given.weights))
            make_artifact(artifact, network_of, pictures)
        if given.runtime == "onnx":
            cli.main(["export", str(artifact), "--to", "onnx"])
        made = make_collection(folder / "photos", pictures, count=given.images, unusable=few, odd=few, copies=few)
        found = measure(folder, artifact, made, ["--runtime", given.runtime])
    results = {"environment": environment(command=command, seed=0), "indexing": found}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "indexing.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "indexing.md").write_text(page(results))
    print(page(results))
    return int(any(claim["failures"] for claim in found["claims"]))


if __name__ == "__main__":
    raise SystemExit(main())
