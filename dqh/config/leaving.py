"""How a script begins and ends: open keys for hydra, and errors as a text on stderr with an exit status."""

import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dqh.errors import ConfigError, DqhError
from dqh.files import no_folder
from dqh.remote import is_no_setting
from dqh.signals import raising
from dqh.terminal import flush_stdout, log_to_stderr, of_stdout, open_streams, shown
from dqh.urls import not_local

logger = logging.getLogger(__name__)

INTERRUPTED = 130  # 128 + SIGINT

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "WORLD_SIZE")
"""What a scheduler, or another training, leaves in the environment: several processes are started by us, and told."""

_NEXT_STEPS = {
    errno.ENOSPC: "make room there, or name a place elsewhere, and give the command again",
    errno.EDQUOT: "make room there, or name a place elsewhere, and give the command again",
    errno.EACCES: "let this user read and write it, or name another place",
    errno.EPERM: "let this user read and write it, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.EMFILE: "let this process open more files: ulimit -n 1024",
    errno.ENFILE: "the system has no more open files; end other programs",
    errno.ENOENT: "look whether the path is right, and whether something else removed it",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk, or the network behind it, does not answer well; look into the system's log",
}


def start(composing: Callable[[], object], conf: Path, *, keys: Sequence[str]) -> None:
    """Run a hydra entry point as a command-line tool: dotted keys are open, mistakes end in one clear message.

    `keys` are valid at the top level, and so are the folders of `conf`, which has the configurations.

    Raises:
        SystemExit: with the error's exit status.
    """
    for name in _RANKS:
        os.environ.pop(name, None)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra then raises its errors instead of printing them
    open_streams()
    log_to_stderr(logging.INFO)
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells which of its binaries it loads
    given = sys.argv[1:]
    sys.argv[1:] = open_keys(given)
    choices = {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in conf.iterdir() if folder.is_dir()
    }
    known = [*keys, *choices, *(f"{group}._target_" for group in choices)]
    with exit_status():
        _require_local(given)
        try:
            composing()
            flush_stdout()  # of --help
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:  # a missing choice is an OSError without one
                raise _of_hydra(error) from None
            if not _of_composition(error):
                raise
            text, cause = str(error) or type(error).__name__, str(error.__cause__ or "")
            message = text if cause in text else f"{text}\n{cause}"
            from dqh.config.composition import explain_composition

            unread = getattr(error, "override", None)
            told = explain_composition(
                message, known, given, choices=choices, unread=unread if isinstance(unread, str) else None
            )
            raise ConfigError(told) from error


def _require_local(given: Sequence[str]) -> None:
    """Refuse settings that are URLs of stores before hydra makes a folder of one, as it does for a sweep."""
    settings = [(key, value.strip("'\"")) for key, _, value in (argument.partition("=") for argument in given)]
    problems = [f"{key}: {not_local(value)}" for key, value in settings if is_no_setting(value)]
    if problems:
        raise ConfigError(problems)


def _of_composition(error: Exception) -> bool:
    """Whether an error is of hydra, or was raised in its code or in that of what it reads files with."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    raised_in = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    packages = {name.partition(".")[0] for name in (type(error).__module__, raised_in)}
    return not packages.isdisjoint({"hydra", "omegaconf", "yaml"})


@contextmanager
def exit_status() -> Iterator[None]:
    """Turn errors of this package and of the system, and signals, into `SystemExit`.

    Others are ours to mend and keep their traceback.
    """
    with raising() as received:
        try:
            yield
        except DqhError as error:
            if received:
                raise SystemExit(128 + received[0]) from error
            logger.error("\n".join(map(shown, error.lines)))
            raise SystemExit(error.exit_status) from error
        except BrokenPipeError:
            if flush_stdout():  # another pipe
                raise
        except OSError as error:  # a folder that cannot be written, a full disk
            if error.errno is None:
                raise
            logger.error("%s", _told(error))
            raise SystemExit(1) from error
        except MemoryError as error:
            logger.error("not enough memory: %s; take smaller batches, or fewer workers", str(error) or "none is left")
            raise SystemExit(1) from error
        except KeyboardInterrupt as error:
            logger.error("interrupted")
            raise SystemExit(INTERRUPTED) from error
        except Exception as error:
            if received:  # what a signal breaks off may end in any error
                raise SystemExit(128 + received[0]) from error
            raise


def _of_hydra(error: OSError) -> Exception:
    """The error of what hydra does before a script is called: it prints its help, and makes the folder of a sweep."""
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename is not None:
        return ConfigError(problem) if (problem := no_folder(Path(error.filename))) else error
    names_nothing = error.filename is None and error.errno not in (None, errno.EPIPE)
    return of_stdout(error) if names_nothing else error


def _told(error: OSError) -> str:
    step = _NEXT_STEPS.get(error.errno or 0)
    return f"{error.filename or 'writing'}: {error.strerror}{f'; {step}' if step else ''}"


def open_keys(argv: Sequence[str]) -> list[str]:
    """Arguments for hydra in which every dotted key may be new: `trainer.epochs=3` becomes `++trainer.epochs=3`.

    A node's keys are the arguments of its constructor, whether its yaml sets them or not; `check` knows them, hydra
    does not.

    Example:
        >>> open_keys(["data=mnist", "trainer.epochs=3", "hydra.verbose=true", "--cfg", "job"])
        ['data=mnist', '++trainer.epochs=3', 'hydra.verbose=true', '--cfg', 'job']
    """
    return [
        f"++{argument}" if re.match(r"(?!hydra\.)[A-Za-z_]\w*(\.\w+)+=", argument) else argument for argument in argv
    ]
