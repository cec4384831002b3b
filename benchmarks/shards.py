"""A router over shards beside one service over the whole index: the same answers, how soon, and what kills cost.

    python benchmarks/shards.py --runs DIR --rows 1000000 --shards 4

The index has --rows rows around 1,000 drawn centres: each has bits of the code of its centre turned over, and normal
noise on the features, from a seed. It is asked by its items, so that the encoder, of the digits, is there for its name
alone. All services run on this machine and share its cores: times are those of the work in sum, not of machines side by
side.

- same answers: --queries items are asked of both, with every field of the answers compared.
- latency: `hey` asks both for one item, by features and by codes, at 1, 4 and 16 connections for --seconds each.
- kills: --kills times one shard, by turns, is killed with SIGKILL at a random moment under load of --clients clients,
  and started again. Every answer must be that of the whole index, or be marked as partial, name that shard, and be what
  the others have of the whole ranking: `wrong` counts those that are neither.

Writes benchmarks/results/shards.json and shards.md.
"""

import argparse
import contextlib
import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from neighbours import busy_cores, in_words
from quality import RESULTS, ROOT, where
from running_service import Running, running
from service import hey

from dqh.artifact import load_interface
from dqh.collection.artifact_note import artifact_note
from dqh.environment import environment
from dqh.index.store import Header, Row, Writer, open_index
from dqh.index.store.given_rows import distances_to
from dqh.index.store.splitting import split

COMMAND = "python benchmarks/shards.py --runs DIR --rows 1000000 --shards 4"
CONNECTIONS, K, BITS = (1, 4, 16), 20, 64
CENTRES, FLIP = 1000, 0.1
ASKED = {"fine": "by features", "codes": "by codes"}
SAME = ("hits", "candidates", "rule", "rank", "note")
_BLOCK = 2**16
_RESTS = 1.5
"""Seconds after a start until the router asks a shard again."""


def whole_index(runs: Path, rows: int) -> Path:
    """Rows around those of the digits, see above; made once."""
    index = runs / f"{rows}.index"
    if index.exists():
        return index
    if not (runs / "latest" / "artifact").is_dir():
        train = [sys.executable, ROOT / "train.py", "method=itq", f"bits={BITS}", "trainer.device=cpu", f"runs={runs}"]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL)
    artifact = (runs / "latest" / "artifact").resolve()
    interface = load_interface(artifact)
    header = Header(interface.encoder_id, interface.quantizer, interface.feature_size)
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((CENTRES, interface.feature_size), np.float32)
    codes = generator.integers(0, 256, (CENTRES, BITS // 8), np.uint8)
    with Writer(index, header) as writer:
        for start in range(0, rows, _BLOCK):
            near = generator.integers(0, CENTRES, min(_BLOCK, rows - start))
            turned = np.packbits(generator.random((len(near), BITS)) < FLIP, axis=1, bitorder="little")
            features = centres[near] + FLIP * generator.standard_normal((len(near), centres.shape[1]), np.float32)
            named = [Row(f"{start + number}.png", (str(label % 10),)) for number, label in enumerate(near.tolist())]
            writer.add(named, codes[near] ^ turned, features)
        writer.commit(beside={"encoder.json": artifact_note(artifact)})
    return index


def found(port: int, item: int, **asked: Any) -> dict[str, Any]:
    """The answer to a search by an item; a status other than 200 stands in `status`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    query = "&".join(f"{name}={value}" for name, value in {"id": item, "k": K, **asked}.items())
    connection.request("GET", f"/v1/search?{query}")
    response = connection.getresponse()
    answer: dict[str, Any] = json.loads(response.read())
    connection.close()
    return answer | {"status": response.status}


def alike(whole: Running, router: Running, items: Sequence[int]) -> dict[str, int]:
    """How many searches had the same answers."""
    counts = Counter[str]()
    for item in items:
        for rank in ASKED:
            answers = [found(service.port, item, rank=rank) for service in (whole, router)]
            same = all(answers[0][name] == answers[1][name] for name in SAME)
            counts["same" if same and not answers[1]["partial"] else "different"] += 1
    return dict(counts)


def load(services: Mapping[str, Running], given: argparse.Namespace) -> list[dict[str, Any]]:
    """Times of all services, by turns."""
    rows = []
    for rank, asked in ASKED.items():
        for connections in CONNECTIONS:
            for name, service in services.items():
                url = f"{service.url}/v1/search?id=5&k={K}&rank={rank}"
                hey(url, seconds=1, connections=2, upload=None)
                row = hey(url, seconds=given.seconds, connections=connections, upload=None)
                rows.append({"service": name, "asked": asked, "connections": connections, **row})
                print(rows[-1])
    return rows


class Shards:
    """Services over shards, each of which can be killed and started again on its port."""

    def __init__(self, folders: Sequence[Path], runs: Path) -> None:
        self._folders, self._runs = folders, runs
        self.processes: list[subprocess.Popen[str]] = []
        self.ports: list[int] = []
        for number in range(len(folders)):
            process, port = self._started(number, 0)
            self.processes.append(process)
            self.ports.append(port)

    def _started(self, number: int, port: int) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-m", "dqh.cli", "serve", self._folders[number], "--port", str(port), "--json"]
        with (self._runs / f"shard_{number}.log").open("a") as messages:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=messages, text=True)
        assert process.stdout is not None
        return process, int(json.loads(process.stdout.readline())["url"].rpartition(":")[2])

    @property
    def urls(self) -> list[str]:
        """Where they listen."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def kill(self, number: int) -> None:
        """End one at once."""
        self.processes[number].send_signal(signal.SIGKILL)
        self.processes[number].wait()

    def start(self, number: int) -> None:
        """Start one again where it was."""
        self.processes[number], _ = self._started(number, self.ports[number])

    def close(self) -> None:
        """End all."""
        for process in self.processes:
            process.terminate()
            process.wait()


class Truth:
    """What the whole index, or its shards without some, answer to a search by codes and features: by brute force."""

    def __init__(self, index: Path, folders: Sequence[Path]) -> None:
        self._whole = open_index(index)
        self._parts = [open_index(folder) for folder in folders]
        self._lock, self._known = threading.Lock(), dict[tuple[int, int | None], list[int]]()

    def ids(self, item: int, missing: int | None, pool: int) -> list[int]:
        """Of the answers, where a shard is missing."""
        with self._lock:
            if (item, missing) not in self._known:
                self._known[item, missing] = self._ids(item, missing, pool)
            return self._known[item, missing]

    def _ids(self, item: int, missing: int | None, pool: int) -> list[int]:
        row = self._whole.version.row_of(item)
        assert row is not None
        query = self._whole.version.encoded(row)
        parts = [part for number, part in enumerate(self._parts) if number != missing]
        near = [part.search(query, k=pool, rank="codes") for part in parts]
        ids = np.concatenate([own.ranking.ids[0] for own in near])
        codes = np.concatenate([own.ranking.distances[0] for own in near])
        best = ids[np.lexsort((ids, codes))[:pool]]
        away = distances_to(self._whole, query, best.tolist(), rank="fine")
        chosen: list[int] = best[np.lexsort((best, away))[:K]].tolist()
        return chosen


def kills(
    router: Running, shards: Shards, truth: Truth, items: Sequence[int], given: argparse.Namespace
) -> dict[str, Any]:
    """Answers by what they were while shards are killed and started again."""
    counts, lock, end, wrong = Counter[str](), threading.Lock(), threading.Event(), list[str]()

    def client(seed: int) -> None:
        drawn = random.Random(seed)
        while not end.is_set():
            item = drawn.choice(items)
            answer = found(router.port, item, rank="fine")
            kind = judged(answer, item, truth)
            with lock:
                counts[kind] += 1
                if kind == "wrong":
                    wrong.append(json.dumps(answer)[:400])

    clients = [threading.Thread(target=client, args=(seed,)) for seed in range(given.clients)]
    for one in clients:
        one.start()
    drawn = random.Random(0)
    for number in range(given.kills):
        time.sleep(drawn.uniform(0, 2))
        shards.kill(number % len(shards.ports))
        time.sleep(drawn.uniform(0, 1))
        shards.start(number % len(shards.ports))
        time.sleep(_RESTS)
    end.set()
    for one in clients:
        one.join()
    after = [judged(found(router.port, item, rank="fine"), item, truth) for item in items]
    return {"kills": given.kills, "answers": dict(counts), "wrong": wrong[:5], "whole_after": after.count("whole")}


def judged(answer: Mapping[str, Any], item: int, truth: Truth) -> str:
    """`whole`, `partial`, `refused` (503, as for an item of a shard that is down), or `wrong`."""
    if answer["status"] == 503:
        return "refused"
    if answer["status"] != 200:
        return "wrong"
    missing = [state["shard"] for state in answer["shards"] if state["state"] == "down"]
    if len(missing) > 1 or answer["partial"] != bool(missing):
        return "wrong"
    ids = [hit["id"] for hit in answer["hits"]]
    if ids != truth.ids(item, missing[0] if missing else None, answer["candidates"]):
        return "wrong"
    return "partial" if missing else "whole"


def page(results: Mapping[str, Any]) -> str:
    """The results in words."""
    own, same = results["kills"], results["same"]
    lines = [
        "# A router over shards beside one service",
        "",
        f"    {COMMAND}",
        "",
        f"{results['rows']:,} rows of {BITS} bits in {results['shards']} shards, {K} answers; all on one machine "
        f"({where(results['environment'])}; {in_words(results['busy_cores_before'])}).",
        "",
        f"Same answers: {same.get('same', 0)} of {sum(same.values())} searches, by features and codes, field by field.",
        "",
        "| search by id | connections | service | p50 ms | p95 ms | p99 ms | answers a second | other statuses |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in results["load"]:
        others = sum(count for status, count in row["statuses"].items() if status != "200")
        lines.append(
            f"| {row['asked']} | {row['connections']} | {row['service']} | {row['p50']:.1f} | {row['p95']:.1f} | "
            f"{row['p99']:.1f} | {row['a_second']:.0f} | {others} |"
        )
    if own is not None:
        counts = own["answers"]
        lines += [
            "",
            f"Kills: {own['kills']} times a shard was killed with SIGKILL under load of {own['clients']} clients, and "
            f"started again. Of {sum(counts.values()):,} answers {counts.get('whole', 0):,} were whole, "
            f"{counts.get('partial', 0):,} partial, with the shard named and the answers of the others, "
            f"{counts.get('refused', 0):,} refused with 503, **{counts.get('wrong', 0)} wrong**. Afterwards "
            f"{own['whole_after']} of {own['items']} items had their whole answer.",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="where indexes go; made once")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    index = whole_index(given.runs.resolve(), given.rows)
    out = given.runs / f"{given.rows}_{given.shards}.shards"
    if not out.exists():
        split(index, out, shards=given.shards)
    folders = [out / str(number) for number in range(given.shards)]
    busy = busy_cores()
    items = np.random.default_rng(1).integers(0, given.rows, given.queries).tolist()
    with contextlib.ExitStack() as stack:
        whole = stack.enter_context(running(index, messages=given.runs / "whole.log"))
        shards = Shards(folders, given.runs)
        stack.callback(shards.close)
        named = [f"--shard={url}" for url in shards.urls]
        router = stack.enter_context(running(*named, messages=given.runs / "router.log"))
        same = alike(whole, router, items)
        print(same)
        times = load({"one service": whole, f"router, {given.shards} shards": router}, given)
        killed = None
        if given.kills:
            killed = kills(router, shards, Truth(index, folders), items, given)
            killed |= {"clients": given.clients, "items": len(items)}
    results = {
        "rows": given.rows,
        "shards": given.shards,
        "same": same,
        "load": times,
        "kills": killed,
        "busy_cores_before": busy,
        "environment": environment(command=COMMAND, seed=0),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "shards.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "shards.md").write_text(page(results))
    print(page(results))


if __name__ == "__main__":
    main()
