"""Builds the optional extension `dqh._native` of the C sources in `native/` when the package is built or installed.

DQH_NATIVE    `off`: not built; `require`: a failure is an error; else a failure leaves a package without it
CC, CFLAGS    the compiler, gcc or clang, and further flags
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from runpy import run_path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TAG = "cp311-abi3"
"""One build serves Python 3.11 and all later ones."""


class NativeBuildHook(BuildHookInterface[Any]):
    """Compiles before a wheel, also an editable one, is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and say in the name of the wheel what it is for."""
        root, mode = Path(self.root), os.environ.get("DQH_NATIVE", "")
        if mode not in ("", "off", "require"):
            raise ValueError(f"DQH_NATIVE must be off, require or empty, got {mode!r}")
        for old in (root / "dqh").glob("_native.*"):  # a build that fails would leave it
            old.unlink()
        if mode == "off":
            return
        try:
            target = build(root)
        except (OSError, RuntimeError) as error:
            if mode == "require":
                raise RuntimeError(f"dqh._native cannot be built, and DQH_NATIVE=require: {error}") from error
            self.app.display_warning(f"dqh._native is left out, search will be slower: {error}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"], build_data["tag"] = False, f"{TAG}-{platform}"
        if version != "editable":
            build_data["artifacts"].append(f"/dqh/{target.name}")


def compiler() -> list[str]:
    """The command of `CC`, or the first of cc, gcc and clang that there is.

    Raises:
        RuntimeError: there is none.
    """
    if asked := shlex.split(os.environ.get("CC", "")):
        return asked
    names = ("clang",) if os.name == "nt" else ("cc", "gcc", "clang")
    for name in names:
        if shutil.which(name):
            return [name]
    raise RuntimeError(f"no C compiler: CC is not set, and {', '.join(names)} not on the path")


def build(root: Path) -> Path:
    """Compile and link to `dqh/_native…`, and return it.

    Raises:
        RuntimeError: no compiler, or it fails; with what it wrote.
        OSError: it cannot be started.
    """
    target = root / "dqh" / ("_native.pyd" if os.name == "nt" else "_native.abi3.so")
    partial = target.with_name(f".{target.name}-{os.getpid()}")
    sources = run_path(str(root / "dqh" / "native" / "extension.py"))["source_hash"](root)
    flags = [
        "-std=c11",
        "-O3",
        "-ffp-contract=off",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
        f'-DDQH_SOURCE="{sources}"',
        "-shared",
    ]
    flags += [f"-I{sysconfig.get_paths()['include']}", *shlex.split(os.environ.get("CFLAGS", ""))]
    libraries: list[str] = []
    if os.name == "nt":
        libraries += [f"-L{Path(sys.base_prefix) / 'libs'}", "-lpython3"]
    elif sys.platform == "darwin":
        flags += ["-fPIC", "-undefined", "dynamic_lookup", *shlex.split(os.environ.get("ARCHFLAGS", ""))]
    else:
        flags += ["-fPIC"]
    files = [str(path) for path in sorted((root / "native").glob("*.c"))]
    try:
        command = [*compiler(), *flags, *files, *libraries, "-o", str(partial)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"{command[0]} ended with status {ended.returncode}:\n{ended.stderr[-2000:]}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
