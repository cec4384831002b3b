"""How the tests run: all of them side by side on the cores there are, or those named in this process."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

MOST_PROCESSES = 4  # each takes up to 2.8 GB

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks; read when torch is first loaded, here or in a child

if sys.dont_write_bytecode:
    # Tests start some twenty processes, and each would compile torch from its sources, for five seconds and more.
    # Bytecode goes to a folder of ours then, so that there is still no __pycache__ beside the sources.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parent / ".pytest_cache" / "bytecode")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


settings.register_profile("unhurried", deadline=None)  # nothing is said of time beside other tests
settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Plain `pytest` takes all cores; what is named on the command line runs in this process, unless `-n` is given."""
    distributes = config.pluginmanager.hasplugin("xdist") and not hasattr(config, "workerinput")
    if distributes and config.args_source is pytest.Config.ArgsSource.TESTPATHS and config.option.numprocesses is None:
        config.option.numprocesses, config.option.dist = "logical", "worksteal"
        config.option.maxprocesses = config.option.maxprocesses or MOST_PROCESSES
