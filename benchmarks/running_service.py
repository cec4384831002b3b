"""`dqh serve` as benchmarks run it: in a process of its own on a port that is free, with what it takes of memory."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple


class Running(NamedTuple):
    """A service that takes requests."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> int:
        """Bytes that its processes hold for themselves: not the pages of files, which the system takes back."""
        return sum(anonymous(pid) for pid in (self.pid, *children(self.pid)))

    def cpu(self) -> float:
        """Seconds of CPU that its processes have taken."""
        return sum(ticks(pid) for pid in (self.pid, *children(self.pid))) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(index: str | Path, *arguments: str | Path, messages: Path) -> Iterator[Running]:
    """A service that is ended with the block.

    Args:
        index: its folder, or the first of other arguments.
        arguments: of `dqh serve`.
        messages: file of what it logs.
    """
    command: Sequence[str | Path] = [
        sys.executable,
        "-m",
        "dqh.cli",
        "serve",
        index,
        "--port",
        "0",
        "--json",
        *arguments,
    ]
    with messages.open("w") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)
    try:
        assert process.stdout is not None
        if not (line := process.stdout.readline()):
            raise RuntimeError(f"the service did not start: {messages.read_text()}")
        yield Running(process.pid, int(json.loads(line)["url"].rpartition(":")[2]))
    finally:
        process.terminate()
        process.wait()


def children(pid: int) -> list[int]:
    """The processes that a process has started, as far as they live."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in tasks for child in file.read_text().split()]


def anonymous(pid: int) -> int:
    """Bytes of memory of a process that no file backs, memory that it shares counted in part."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines[1:])}
        return 1024 * (sizes["Pss_Anon"] + sizes["Pss_Shmem"])
    return 0


def ticks(pid: int) -> int:
    """Of CPU that a process has taken."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0
