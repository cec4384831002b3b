"""What no work depends on: links, pages, loggers and hints, whose failure is told and ends nothing."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def convenience(what: str) -> Iterator[None]:
    """A block whose failure is a warning, and ends nothing but the block; signals go through.

    `what` fails, and what that means, is named by it: `loggers` or `runs/latest is not moved`.
    """
    try:
        yield
    except Exception as error:  # whatever it is, the work does not depend on it
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        logger.warning("%s: %s; the work goes on without", what, reason)
