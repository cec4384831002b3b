"""Whether `dqh._native` is there, and built of the sources that lie beside it. Standard library alone.

DQH_NATIVE=off       it is left out, also where it is built
DQH_NATIVE=require   it is an error that it cannot be used; else a warning
"""

import hashlib
import logging
import os
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]


@cache
def extension() -> ModuleType | None:
    """The module `dqh._native`; None, with one warning that says what to do, where it cannot be used.

    Raises:
        ImportError: it cannot be used, and the environment says `DQH_NATIVE=require`.
    """
    mode = os.environ.get("DQH_NATIVE", "")
    if mode == "off":
        return None
    try:
        module = import_module("dqh._native")
    except ImportError as error:
        reason = "is not built" if isinstance(error, ModuleNotFoundError) else f"cannot be loaded: {error}"
    else:
        if source_hash(_ROOT) in (None, module.source()):
            return module
        reason = "was built of other sources than those in native/"
    advice = f"dqh._native {reason}; with a C compiler this mends it: {_mending()}"
    if mode == "require":
        raise ImportError(f"{advice}; or unset DQH_NATIVE")
    logger.warning("exact search by bits takes about 4 times as long as it need: %s", advice)
    return None


def source_hash(root: Path) -> str | None:
    """SHA-256 of the C sources in `native/` and their names; None where there are none, as beside a wheel."""
    if not (root / "hatch_build.py").is_file():
        return None
    digest = hashlib.sha256()
    for path in sorted((root / "native").iterdir()):
        if path.suffix in (".c", ".h"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _mending() -> str:
    if (_ROOT / "hatch_build.py").is_file():
        return "DQH_NATIVE=require uv sync --inexact --reinstall-package dqh"
    return "DQH_NATIVE=require pip install --force-reinstall --no-deps --no-cache-dir SOURCES_OF_DQH"
