"""What else a machine does while a benchmark is about to run."""

import time
from pathlib import Path


def busy_cores(seconds: float = 2.0) -> float | None:
    """Cores that others keep busy while this process sleeps; None where the platform does not tell."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    if before is None or after is None:
        return None
    busy, every = (after[field] - before[field] for field in range(2))
    return round(before[2] * busy / max(1, every), 2)


def in_words(cores: float | None) -> str:
    """For a page of results."""
    if cores is None:
        return "what else the machine did is not known"
    return f"other work kept {cores:g} cores busy in the two seconds before"


def _ticks() -> tuple[int, int, int] | None:
    """Of all cores since the machine started, at work and in all; and how many cores there are."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return None
    values = [int(value) for value in lines[0].split()[1:9]]  # the fourth is idle, the fifth waits for a disk
    return sum(values) - values[3] - values[4], sum(values), sum(line.startswith("cpu") for line in lines) - 1
