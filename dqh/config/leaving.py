"""How a script begins and ends: open keys for hydra, and errors as a text on stderr with an exit status."""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dqh.config.composition import explain_composition
from dqh.errors import ConfigError, DqhError

logger = logging.getLogger(__name__)

INTERRUPTED = 130  # 128 + SIGINT


def start(composing: Callable[[], object], conf: Path, *, keys: Sequence[str]) -> None:
    """Run a hydra entry point as a command-line tool: dotted keys are open, mistakes end in one clear message.

    Args:
        composing: the function that hydra decorated.
        conf: its folder of configurations.
        keys: the valid keys of the top level; the folders of `conf` are valid beside them.

    Raises:
        SystemExit: with the error's exit status.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported: threads that wait must not spin
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra then raises its errors instead of printing them
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells which of its binaries it loads
    given = sys.argv[1:]
    sys.argv[1:] = open_keys(given)
    groups = [folder.name for folder in conf.iterdir() if folder.is_dir()]
    known = [*keys, *groups, *(f"{group}._target_" for group in groups)]
    with exit_status():
        try:
            composing()
        except Exception as error:
            of_composition = type(error).__module__.partition(".")[0] in {"hydra", "omegaconf", "yaml"}
            if not of_composition and not str(error).startswith("Config group override must be"):
                raise
            message = f"{error}\n{error.__cause__ or ''}"
            raise ConfigError(explain_composition(message, known, given)) from error


@contextmanager
def exit_status() -> Iterator[None]:
    """Turn errors of this package, and Ctrl-C, into `SystemExit`; others are ours to mend and keep their traceback."""
    try:
        yield
    except DqhError as error:
        logger.error("%s", error)
        raise SystemExit(error.exit_status) from error
    except OSError as error:  # a folder that cannot be written, a full disk
        if error.errno is None:
            raise
        logger.error("%s: %s", error.filename or "writing", error.strerror)
        raise SystemExit(1) from error
    except KeyboardInterrupt as error:
        logger.error("interrupted")
        raise SystemExit(INTERRUPTED) from error


def open_keys(argv: Sequence[str]) -> list[str]:
    """Arguments for hydra in which every dotted key may be new: `trainer.epochs=3` becomes `++trainer.epochs=3`.

    A node's keys are the arguments of its constructor, whether its yaml sets them or not; `check` knows them, hydra
    does not.

    Example:
        >>> open_keys(["data=mnist", "trainer.epochs=3", "hydra.verbose=true", "--cfg", "job"])
        ['data=mnist', '++trainer.epochs=3', 'hydra.verbose=true', '--cfg', 'job']
    """
    return [f"++{each}" if re.match(r"(?!hydra\.)[A-Za-z_]\w*(\.\w+)+=", each) else each for each in argv]
