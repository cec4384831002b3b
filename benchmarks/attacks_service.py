"""Attacks on `dqh serve`: paths that lead out, bombs, bodies without end or speed, wrong hosts, questions too large.

    python benchmarks/attacks_service.py

Photos, a network that encodes them, their index, clusters and related items are made in a temporary folder, beside a
file that nobody may get. Each attack is one connection to a service of the default limits. One is survived where its
status is the right one within a second, a slow one at the limit of 10 s, where nothing of the file comes back, and
where the service answers a search afterwards. Memory is what the processes of the service hold for themselves; it is
looked at after every attack, and twenty times a second meanwhile; images as large as may be come last, and must leave
little behind. Writes benchmarks/results/attacks_service.json and .md.
"""

import argparse
import contextlib
import json
import select
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from growing import Noise, png
from hostile_requests import LIMIT, SLOW, Attack, allowed, bodies, head, heads, images, post, traversals
from look import dqh
from photos import make_artifact
from quality import RESULTS, where
from running_service import Running, running

from dqh.collection import index_images
from dqh.discovery.related import fit_related
from dqh.discovery.related.action_log import read_action_log
from dqh.environment import environment
from dqh.index.store import open_index
from dqh.models import SmallResNet

COMMAND = "python benchmarks/attacks_service.py"
SECRET = b"what nobody may get"
MEMORY = 100 * 2**20
"""Bytes that memory may grow by, and that the largest images which are allowed may leave behind."""


def send(service: Running, attack: Attack) -> tuple[int, bytes, float]:
    """Status, answer, and seconds of an attack."""
    began, content = time.monotonic(), b""
    with contextlib.closing(socket.create_connection(("127.0.0.1", service.port), timeout=30)) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in attack.parts:
                connection.sendall(part)
                if attack.pause and select.select([connection], [], [], attack.pause)[0]:  # it is answered
                    break
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            while part := connection.recv(2**16):
                content += part
                if not attack.pause and b"\r\n\r\n" in content and _is_whole(content):
                    break
    words = content.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0, content, time.monotonic() - began


def _is_whole(content: bytes) -> bool:
    first, _, body = content.partition(b"\r\n\r\n")
    length = next((line for line in first.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return len(body) >= int(length.partition(b":")[2])


class Results:
    """What came of attacks."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.statuses: dict[str, Counter[int]] = {}
        self.slowest: dict[str, float] = {}
        self.problems: list[str] = []
        self._lock = threading.Lock()

    def note(self, attack: Attack, status: int, content: bytes, seconds: float) -> None:
        """Compare with what is right."""
        with self._lock:
            self.tried[attack.kind] += 1
            self.statuses.setdefault(attack.kind, Counter())[status] += 1
            self.slowest[attack.kind] = max(self.slowest.get(attack.kind, 0.0), seconds)
            wrong = []
            if status not in attack.statuses:
                wrong.append(f"status {status}")
            if seconds > attack.seconds:
                wrong.append(f"{seconds:.2f} s")
            if SECRET in content or b"root:" in content or b"Traceback" in content:
                wrong.append("something came back that nobody may get")
            if wrong:
                self.problems.append(f"{attack.kind}, {attack.name[:100]!r}: {', '.join(wrong)}")


def fitted(folder: Path) -> tuple[Path, Path]:
    """Related items, by a log in which each photo is shown beside others and one of these is saved; and clusters."""
    index, log = folder / "index", folder / "photos" / "log.csv"
    lines = ["user,item,action,time,query,position"]
    for user in range(40):
        query, time_seen = user % 4 + 1, 1_700_000_000 + 100 * user
        for place in range(1, 4):
            lines.append(f"{user},{(user + place) % 12 + 5}.png,show,{time_seen},{query}.png,{place}")
        lines.append(f"{user},{(user + 1) % 12 + 5}.png,save,{time_seen + 50},{query}.png,")
    log.write_text("\n".join(lines) + "\n")
    fit_related(open_index(index).version, read_action_log(log), log, measure=False).save(folder / "related")
    command = dqh("cluster", index, "-k", "3", "--method", "kmeans", "--out", folder / "clusters")
    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return folder / "related", folder / "clusters"


def run(folder: Path, results: Results) -> dict[str, float]:
    """All attacks on a service over photos in a folder; the bytes of its memory."""
    photos, artifact = folder / "photos", folder / "artifact"
    photos.mkdir()
    for number in range(1, 17):  # the 17th would be unusable
        (photos / f"{number}.png").write_bytes(png(number, 0))
    (folder / "secret.txt").write_bytes(SECRET)
    make_artifact(artifact, SmallResNet(width=8, size=32), Noise())
    index_images(artifact, [photos], folder / "index", device="cpu")
    related, clusters = fitted(folder)
    good = (photos / "1.png").read_bytes()
    how = ("--device", "cpu", "--related", related, "--clusters", clusters)
    with running(folder / "index", *how, messages=folder / "messages") as service:
        ask = Attack("", "", post("/v1/search?k=3", good), (200,))
        for path in ("/v1/related?id=0", "/v1/clusters", "/v1/clusters/0"):
            assert send(service, Attack("", "", (head(path),), (200,)))[0] == 200
        for _ in range(20):
            assert send(service, ask)[0] == 200
        before, peak, done = service.memory(), [0], threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                peak[0] = max(peak[0], service.memory())

        watching = threading.Thread(target=watch)
        watching.start()
        attacks = [*traversals(folder), *images(good), *bodies(), *heads()]
        slow = [attack for attack in attacks if attack.seconds > LIMIT]
        with ThreadPoolExecutor(len(slow)) as threads:
            answers = threads.map(lambda attack: (attack, *send(service, attack)), slow)
            for attack in attacks:
                if attack.seconds <= LIMIT:
                    results.note(attack, *send(service, attack))
            for answer in answers:
                results.note(*answer)
        grown = {"before": before, "peak": peak[0], "after": service.memory()}
        for attack in allowed():
            results.note(attack, *send(service, attack))
        done.set()
        watching.join()
        if send(service, ask)[0] != 200:
            results.problems.append("no search is answered afterwards")
        grown |= {"peak of allowed": peak[0], "after allowed": service.memory()}
    results.problems += memory_problems(grown)
    if "Traceback" in (folder / "messages").read_text():
        results.problems.append("a traceback in the log")
    return grown


def memory_problems(grown: dict[str, float]) -> list[str]:
    """What is wrong with how memory went, bytes."""
    more = {name: value - grown["before"] for name, value in grown.items()}
    told = {"peak": "memory grew by", "after allowed": "the largest images that are allowed left behind"}
    return [f"{text} {more[name] / 2**20:.0f} MiB" for name, text in told.items() if more[name] > MEMORY]


def page(results: dict[str, Any]) -> str:
    """The results as markdown."""
    memory = {name: f"{value / 2**20:.0f}" for name, value in results["memory"].items()}
    told = {
        kind: ", ".join(f"{status}: {count}" for status, count in sorted(own.items()))
        for kind, own in results["statuses"].items()
    }
    tried, slowest = results["tried"], results["slowest"]
    lines = [
        f"# Attacks on the service\n\n{where(results['environment'])}.\n\n    {COMMAND}\n",
        "| kind | tried | statuses | slowest, s |\n|---|--:|---|--:|",
        *(f"| {kind} | {count} | {told[kind]} | {slowest[kind]:.2f} |" for kind, count in tried.items()),
        f"\nOf {sum(tried.values())} attacks {len(results['problems'])} went wrong; status 0 is a connection that was "
        f"ended. Memory of all processes of the service, MiB: {memory['before']} before, {memory['peak']} at most, "
        f"{memory['after']} after; with the largest images that are allowed {memory['peak of allowed']} at most, and "
        f"{memory['after allowed']} after. Slow ones have {SLOW:g} s by the default limits, and one more in which what "
        f"they still send is read; the others must be over within {LIMIT:g} s.\n",
        *(f"- {line.encode('ascii', 'backslashreplace').decode()}" for line in results["problems"]),
    ]
    return "\n".join(lines)


def main() -> int:
    """Run all, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given, noted = parser.parse_args(), Results()
    with tempfile.TemporaryDirectory() as folder:
        memory = run(Path(folder).resolve(), noted)
    results = {
        "command": COMMAND,
        "environment": environment(command=COMMAND, seed=0),
        "tried": dict(noted.tried),
        "statuses": {kind: dict(own) for kind, own in noted.statuses.items()},
        "slowest": noted.slowest,
        "memory": memory,
        "problems": noted.problems,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "attacks_service.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "attacks_service.md").write_text(page(results).rstrip() + "\n")
    print(page(results))
    return int(bool(noted.problems))


if __name__ == "__main__":
    raise SystemExit(main())
