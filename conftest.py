"""How the tests run: the quick ones side by side on the cores there are, or those named in this process."""

import os
import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from dqh.native.extension import extension

if find_spec("triton") is None:
    collect_ignore = ["dqh/native/device/triton_kernels.py"]
    collect_ignore += [f"tests/native/device/{name}.py" for name in ("compiled", "interpreted")]

MOST_PROCESSES = 4  # each takes up to 2.8 GB

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks; read when torch is first loaded, here or in a child

if sys.dont_write_bytecode:
    # Tests start some twenty processes, and each would compile torch from its sources, for five seconds and more.
    # Bytecode goes to a folder of ours then, so that there is still no __pycache__ beside the sources.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parent / ".pytest_cache" / "bytecode")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


if extension() is None:  # said once, by a warning; the processes that tests start say nothing of it
    os.environ["DQH_NATIVE"] = "off"

settings.register_profile("unhurried", deadline=None)  # nothing is said of time beside other tests
settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Plain `pytest` takes all cores, and leaves out what is marked slow unless `-m` says what it wants.

    What is named on the command line runs in this process, unless `-n` is given, the slow ones too.
    A worker comes by here as well: it collects by itself, and gets the command line but no option set here.
    """
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    config.option.markexpr = config.option.markexpr or "not slow"
    is_worker = hasattr(config, "workerinput")
    if not is_worker and config.pluginmanager.hasplugin("xdist") and config.option.numprocesses is None:
        config.option.numprocesses, config.option.dist = "logical", "worksteal"
        config.option.maxprocesses = config.option.maxprocesses or MOST_PROCESSES


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Reports as they can be sent to the first process: names of files that are no UTF-8 show as escapes."""
    return sendable((yield))


def sendable(value: Any) -> Any:
    """The same without half characters in its texts."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {sendable(key): sendable(item) for key, item in value.items()}
    return type(value)(map(sendable, value)) if type(value) in (list, tuple) else value
