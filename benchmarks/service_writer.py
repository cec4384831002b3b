"""Clients of a service beside a writer: what each answer must hold, from what the writer notes of its versions."""

import http.client
import json
import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from running_service import Running

from dqh.index.store import Row, Writer, open_index

CLIENTS = 20
CHANGES = 50
"""Rows that a version replaces, and deletes; it adds twice as many."""


def quantiles(times: Sequence[float]) -> dict[str, float]:
    """Of milliseconds."""
    return dict(
        zip(("p50", "p95", "p99"), np.percentile(times or [np.nan], (50, 95, 99)).round(2).tolist(), strict=True)
    )


def rows(paths: Sequence[str], number: int) -> list[Row]:
    """Rows as a version writes them."""
    return [Row(path, (f"v{number}",), None, f"{number} {place}".encode()) for place, path in enumerate(paths)]


def write(index: Path, seconds: float, log: Path) -> None:
    """Commit versions for some time, a second apart, and note what each changed and when it was there."""
    version = open_index(index).version
    codes, features = version.codes(np.arange(1000)), version.read_features(np.arange(1000)).astype(np.float32)
    later = np.arange(len(version) // 2, len(version))
    paths = {row.id: row.path for row in version.rows(later)}
    generator, end, number = random.Random(0), time.monotonic() + seconds, version.manifest.version
    with Writer(index) as writer, log.open("w") as file:
        while time.monotonic() < end:
            number += 1
            chosen = generator.sample(sorted(paths), 2 * CHANGES)
            replaced, deleted = chosen[:CHANGES], chosen[CHANGES:]
            new = [f"v{number}/{place}" for place in range(2 * CHANGES)]
            added = writer.add(rows(new, number), codes[: len(new)], features[: len(new)]).tolist()
            writer.replace(rows([paths[own] for own in replaced], number), codes[:CHANGES], features[:CHANGES])
            writer.delete(np.array(deleted))
            assert writer.commit() == number
            paths |= dict(zip(added, new, strict=True))
            for own in deleted:
                del paths[own]
            noted = {"version": number, "time": time.time(), "added": added, "replaced": replaced, "deleted": deleted}
            file.write(json.dumps(noted) + "\n")
            file.flush()
            time.sleep(1)


def ask(service: Running, seconds: float, first: int) -> list[dict[str, Any]]:
    """What clients are answered that ask for some time, by ids below `first`, which the writer leaves alone."""
    answers: list[dict[str, Any]] = []
    end = time.monotonic() + seconds

    def client(seed: int) -> None:
        generator, connection = random.Random(seed), http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        while time.monotonic() < end:
            began, wall = time.perf_counter(), time.time()
            connection.request("GET", f"/v1/search?id={generator.randrange(first)}&k=50&rank=codes")
            response = connection.getresponse()
            content = response.read()
            noted = {"status": response.status, "ms": 1000 * (time.perf_counter() - began), "time": wall}
            answers.append(noted | {"content": content if response.status == 200 else b""})

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def beside_a_writer(service: Running, index: Path, *, seconds: float, log: Path) -> dict[str, Any]:
    """Times without and with a writer, errors, and answers that are not what their version holds."""
    version = open_index(index).version
    held = {row.id: row.labels for row in version.rows(np.arange(len(version)))}
    first = int(version.ids[len(version) // 2])
    idle = ask(service, seconds, first)
    writing = multiprocessing.get_context("spawn").Process(target=write, args=(index, seconds, log))
    writing.start()
    busy = ask(service, seconds, first)
    writing.join()
    versions = {version.manifest.version: held}
    committed = [(version.manifest.version, 0.0)]
    for line in map(json.loads, log.read_text().splitlines()):
        held = held | dict.fromkeys((*line["added"], *line["replaced"]), (f"v{line['version']}",))
        for own in line["deleted"]:
            del held[own]
        versions[line["version"]] = held
        committed.append((line["version"], line["time"]))
    mixed = old = 0
    seen: Counter[int] = Counter()
    for answer in busy:
        if answer["status"] != 200:
            continue
        content = json.loads(answer["content"])
        own = versions[content["version"]]
        seen[content["version"]] += 1
        mixed += any(own.get(hit["id"]) != tuple(hit["labels"]) for hit in content["hits"])
        newest = max(number for number, when in committed if when <= answer["time"])
        old += newest - content["version"] > 1
    return {
        "idle": quantiles([answer["ms"] for answer in idle]),
        "beside": quantiles([answer["ms"] for answer in busy]),
        "answers": len(busy),
        "statuses": dict(Counter(str(answer["status"]) for answer in (*idle, *busy))),
        "versions_written": len(committed) - 1,
        "versions_seen": len(seen),
        "mixed": mixed,
        "older_than_one_behind": old,
    }
