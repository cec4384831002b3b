"""What `dqh serve` answers a second and how soon, under load and beside a writer, and how its memory goes.

    python benchmarks/service.py --data DIR --model yolox_nano.onnx --weights mobilenet_v2.pt --runs DIR

DIR of --data, --model, --weights and --runs are as of `look.py`, which makes artifact, detector and a small index of
photos and objects, once. The index that is served has --rows rows, which repeat the photos of the small one: each
copy has code bits turned over with the probability --flip, and features with normal noise, from a seed. Encoder and
detector run by ONNX Runtime.

- load: `hey` asks by id, by an upload, and by an upload with detection, at 4, 16 and 64 connections for --seconds
  each. Answers of 503, by which the service says that it is asked too much, are counted apart.
- memory: half of 16 connections ask by upload, half by id, for --minutes; what the processes hold is read every second.
- a writer: 20 clients ask by ids drawn at random, for --seconds without and as long with a writer that adds, replaces
  and deletes rows every second. Each answer must be, row by row, what the version that it names holds.

Writes benchmarks/results/service.json and service.md. Of what --only and --asked leave out, the results that are there
stay: the whole takes an hour, and can be measured piece by piece.
"""

import argparse
import csv
import io
import json
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from look import artifact_of, dqh, small_index
from neighbours import busy_cores, in_words
from quality import RESULTS, where
from running_service import Running, running
from service_writer import CLIENTS, beside_a_writer, quantiles

from dqh.environment import environment
from dqh.index.store import Header, Row, Writer, open_index

COMMAND = "python benchmarks/service.py --data DIR --model yolox_nano.onnx --weights mobilenet_v2.pt --runs DIR"
PARTS = ("load", "memory", "writer")
CONNECTIONS, K = (4, 16, 64), 20
ASKED = {
    "id": "search by id, by features",
    "codes": "search by id, by codes",
    "upload": "search by upload",
    "objects": "objects of an upload",
    "look": "look at an upload",
}


def large_index(given: argparse.Namespace, runs: Path, small: Path) -> Path:
    """The photos of an index again and again, without their objects, until there are enough rows."""
    index = runs / f"{given.rows}.index"
    if index.exists():
        return index
    version = open_index(small).version
    rows = np.flatnonzero(~version.objects)
    stored, codes, features = version.rows(rows), version.codes(rows), version.read_features(rows).astype(np.float32)
    generator, spread = np.random.default_rng(0), features.std(axis=0)
    with Writer(index, Header.of(small, version.manifest)) as writer:
        for copy in range(-(-given.rows // len(rows))):
            count = min(len(rows), given.rows - copy * len(rows))
            turned = np.packbits(
                generator.random((len(rows), version.manifest.bits)) < given.flip, axis=1, bitorder="little"
            )
            noisy = features + given.flip * spread * generator.standard_normal(features.shape, np.float32)
            named = [
                Row(f"{copy}/{row.path}", row.labels, None, copy.to_bytes(4, "little") + row.content_hash[4:])
                for row in stored[:count]
            ]
            writer.add(named, (codes ^ turned)[:count], noisy[:count])
        writer.commit(beside={"encoder.json": (small / "encoder.json").read_bytes()})
    return index


def hey(url: str, *, seconds: float, connections: int, upload: Path | None) -> dict[str, Any]:
    """Milliseconds of the answers by quantile, answers a second, and how many had each status."""
    sent = [] if upload is None else ["-m", "POST", "-D", str(upload)]
    command = ["hey", "-z", f"{seconds}s", "-c", str(connections), "-t", "60", "-o", "csv", *sent, url]
    began = time.monotonic()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    passed = time.monotonic() - began
    lines = list(csv.DictReader(io.StringIO(output)))
    statuses = Counter(line["status-code"] for line in lines)
    times = [1000 * float(line["response-time"]) for line in lines if line["status-code"] == "200"]
    return quantiles(times) | {"a_second": len(times) / passed, "statuses": dict(statuses)}


def load(service: Running, given: argparse.Namespace, photo: Path) -> list[dict[str, Any]]:
    """All questions at all numbers of connections."""
    asked: dict[str, tuple[str, Path | None]] = {
        "id": (f"/v1/search?id=5&k={K}&rank=fine", None),
        "codes": (f"/v1/search?id=5&k={K}&rank=codes", None),
        "upload": (f"/v1/search?k={K}", photo),
        "objects": ("/v1/objects", photo),
        "look": ("/v1/look?k=10", photo),
    }
    rows = []
    for name in given.asked:
        path, upload = asked[name]
        hey(service.url + path, seconds=1, connections=2, upload=upload)
        for connections in CONNECTIONS:
            before = service.cpu()
            row = hey(service.url + path, seconds=given.seconds, connections=connections, upload=upload)
            answers = max(1, row["statuses"].get("200", 0))
            about = {"asked": ASKED[name], "connections": connections, "seconds": given.seconds}
            about["when"] = datetime.now(UTC).isoformat(" ", timespec="minutes")[:16]
            rows.append(about | {"cpu_ms": 1000 * (service.cpu() - before) / answers} | row)
            print(rows[-1], flush=True)
    return rows


def with_earlier(rows: Sequence[Mapping[str, Any]], earlier: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of a load, and those of earlier ones that were not measured anew, question by question."""
    known = {(row["asked"], row["connections"]): row for row in (*earlier, *rows)}
    return [known[key] for key in ((name, count) for name in ASKED.values() for count in CONNECTIONS) if key in known]


def memory(service: Running, given: argparse.Namespace, photo: Path) -> dict[str, Any]:
    """MiB at the end of each minute, and the most."""
    seen: list[float] = []
    seconds = 60 * given.minutes
    urls = [(f"{service.url}/v1/look?k=10", photo), (f"{service.url}/v1/search?id=5&k={K}", None)]
    asking = [
        threading.Thread(target=hey, args=(url,), kwargs={"seconds": seconds, "connections": 8, "upload": upload})
        for url, upload in urls
    ]
    for thread in asking:
        thread.start()
    while any(thread.is_alive() for thread in asking):
        seen.append(service.memory() / 2**20)
        time.sleep(1)
    step = max(1, len(seen) // 10)
    return {
        "minutes": given.minutes,
        "mib": [round(value, 1) for value in seen[step - 1 :: step]],
        "most": round(max(seen), 1),
    }


def page(results: Mapping[str, Any]) -> str:
    """The results as markdown."""
    lines = [
        f"# The service\n\n{where(results['environment'])}.\n\n    {COMMAND}",
        f"\n{results['rows']:,} rows of 128 bits and 1,280 features; MobileNetV2 and YOLOX-nano by ONNX Runtime; `hey` "
        "and other clients on the same cores as the service.",
    ]
    for name, told in (("load", load_lines), ("memory", memory_lines), ("writer", writer_lines)):
        if name in results:
            neighbours = in_words(results["busy_cores_before"][name])
            lines += ["", *told(results[name]), f"\n{neighbours[0].upper()}{neighbours[1:]}."]
    return "\n".join(lines)


def load_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of what was asked."""
    lines = [
        "| asked | connections | seconds | p50, ms | p95 | p99 | answers / s | CPU ms / answer | 503 | other errors "
        "| when, UTC |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        others = sum(count for status, count in row["statuses"].items() if status not in ("200", "503"))
        cells = [f"{row[column]:.1f}" for column in ("p50", "p95", "p99", "a_second", "cpu_ms")]
        cells += [str(row["statuses"].get("503", 0)), str(others), row["when"]]
        lines.append(f"| {row['asked']} | {row['connections']} | {row['seconds']:g} | {' | '.join(cells)} |")
    return lines


def memory_lines(own: Mapping[str, Any]) -> list[str]:
    """How memory goes."""
    mib = ", ".join(f"{value:.0f}" for value in own["mib"])
    return [
        f"Memory of all processes at ten moments of {own['minutes']:g} minutes, half of 16 connections looking at an "
        f"upload and half searching by id, MiB: {mib}; at most {own['most']:.0f}."
    ]


def writer_lines(own: Mapping[str, Any]) -> list[str]:
    """Answers beside a writer."""
    return [
        f"{CLIENTS} clients for {own['seconds']:g} s beside a writer, {own['answers']:,} answers, and as long alone: "
        f"statuses {own['statuses']}; {own['mixed']} "
        f"answers that are not what their version holds, {own['older_than_one_behind']} older than the version before "
        f"the newest; {own['versions_seen']} of {own['versions_written'] + 1} versions were seen.\n",
        "| clients | p50, ms | p95 | p99 |\n|---|--:|--:|--:|",
        *(
            f"| {name} | {' | '.join(f'{own[key][quantile]:.1f}' for quantile in ('p50', 'p95', 'p99'))} |"
            for name, key in (("alone", "idle"), ("beside a writer", "beside"))
        ),
    ]


def main() -> None:
    """Run what was asked for, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "model", "weights", "runs"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--flip", type=float, default=0.05)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--asked", nargs="+", choices=tuple(ASKED), default=tuple(ASKED), help="under load")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    runs, busy = given.runs.resolve() / "look", busy_cores()
    runs.mkdir(parents=True, exist_ok=True)
    artifact = artifact_of(given, runs)
    if not (artifact / "encoder.onnx").exists():
        subprocess.run(dqh("export", artifact, "--to", "onnx"), check=True)
    index = large_index(given, runs, small_index(given, runs, artifact))
    photo = given.data / (given.data / "query.txt").read_text().split()[0]
    file = given.out / "service.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"busy_cores_before": {}}
    results |= {"command": COMMAND, "environment": environment(command=COMMAND, seed=0), "rows": given.rows}
    results["busy_cores_before"] |= dict.fromkeys(given.only, busy)
    for part in given.only:
        if part == "writer":  # which writes to a copy
            shutil.rmtree(runs / "written.index", ignore_errors=True)
            index = Path(shutil.copytree(index, runs / "written.index"))
        how = ("--artifact", artifact, "--detector", runs / "detector", "--runtime", "onnx")
        with running(index, *how, messages=runs / "messages") as service:
            if part == "writer":
                log = runs / "writer.jsonl"
                own = beside_a_writer(service, index, seconds=given.seconds, log=log)
                results[part] = own | {"seconds": given.seconds}
            elif part == "memory":
                results[part] = memory(service, given, photo)
            else:
                results[part] = with_earlier(load(service, given, photo), results.get(part, []))
    given.out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "service.md").write_text(page(results) + "\n")
    print(page(results))


if __name__ == "__main__":
    main()
