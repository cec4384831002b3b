"""Where and with what a run took place: command, seed, date, machine, versions. No host, no user, no paths."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import dqh

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "numpy", "faiss-cpu", "hydra-core")


def environment(*, command: str, seed: int) -> dict[str, Any]:
    """The content of `environment.json`; what cannot be found out is absent, and never an error.

    Args:
        command: starts the run again.
        seed: of the run.

    Returns:
        `command`; `seed`; `date`, now in UTC as ISO 8601; `machine`: `cpu` (model), `cores` (of the machine),
        `usable_cores` (of this process), `memory_gb` (10⁹ bytes), `gpus` (names, may be empty), `os`, `python`;
        `versions`: of `dqh`, the packages of `PACKAGES`, `cuda` (that torch was built for), and where the package runs
        from a git checkout `commit` and `dirty`, whether tracked files differ from it.
    """
    return {
        "command": command,
        "seed": seed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _present(
            cpu=_cpu(),
            cores=os.cpu_count(),
            usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            memory_gb=_memory_gb(),
            gpus=_gpus(),
            os=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
        ),
        "versions": _present(
            dqh=dqh.__version__,
            **{name: _version(name) for name in PACKAGES},
            cuda=torch.version.cuda,
            **_checkout(Path(dqh.__file__).resolve().parent.parent),
        ),
    }


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The model's name, where the platform tells it; else the architecture."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    if not names and sys.platform == "darwin":
        names = [_output("sysctl", "-n", "machdep.cpu.brand_string") or ""]
    return next(filter(None, [*names, platform.processor(), platform.machine()]), None)


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    except (AttributeError, OSError, ValueError):  # no sysconf, or not these names
        return None


def _gpus() -> list[str]:
    try:
        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    except (AssertionError, RuntimeError):  # a driver that does not answer
        return []


def _checkout(root: Path) -> dict[str, Any]:
    """`commit` and `dirty` of the git checkout at `root`; nothing where there is none, or git does not answer."""
    if not (root / ".git").exists():  # an installed package may lie inside somebody else's checkout
        return {}
    git = ("git", "--no-optional-locks", "-C", str(root))
    commit = _output(*git, "rev-parse", "HEAD")
    changes = _output(*git, "status", "--porcelain", "--untracked-files=no")
    return {} if not commit or changes is None else {"commit": commit, "dirty": bool(changes)}


def _output(*command: str) -> str | None:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return answer.stdout.strip()
