"""Every error that a user of `dqh` can cause, each with the exit status that the commands return for it."""

from collections.abc import Sequence


class DqhError(Exception):
    """Parent of all errors of this package. Its text names what was got, what was wanted and the next step."""

    exit_status = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """The text for people, a line a problem; names in it may hold ends of lines of their own."""
        return (str(self),)


class ConfigError(DqhError, ValueError):
    """One or several problems in a configuration, reported together.

    Attributes:
        problems: one line a problem.
    """

    exit_status = 2

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    @property
    def lines(self) -> tuple[str, ...]:
        """The problems."""
        return self.problems


class DataError(DqhError, ValueError):
    """A data set is missing, malformed or too small for what is asked of it."""

    exit_status = 2


class LeakError(DataError):
    """Query images were found again in the train or database images."""


class BadImageError(DqhError, ValueError):
    """One image cannot be used; the text is the reason."""

    exit_status = 2


class TooManyBadImagesError(DataError):
    """More images than `max_bad_fraction` allows cannot be used."""

    exit_status = 3


class ArtifactError(DqhError):
    """An artifact is corrupt, incomplete, of an unknown format, or does not belong to the data given."""


class NoArtifactError(ArtifactError):
    """There is no artifact where one was named."""

    exit_status = 2


class DetectorError(DqhError):
    """A detector on disk is corrupt, incomplete or of an unknown format, or its model does not run as it should."""


class NoDetectorError(DetectorError):
    """There is no detector where one was named."""

    exit_status = 2


class StoreError(DqhError):
    """An index on disk is corrupt, incomplete, of an unknown format, in use, or cannot be written."""


class NoStoreError(StoreError):
    """There is no index where one was named."""

    exit_status = 2


class StoreLimitError(StoreError):
    """The system gives this process no more open files or memory, which says nothing of the index."""


class MismatchError(StoreError):
    """Codes and features of one encoder meet an index made with another."""


class SystemLimitError(DqhError):
    """The system gives this process no more open files or memory, which says nothing of what was read."""


class RemoteError(DqhError):
    """A URL that is not taken: of no known store, with a secret in it, or of a file system that is not installed."""

    exit_status = 2


class WhereError(DqhError, ValueError):
    """A filter that does not parse; the text ends with the filter and a caret below the place."""

    exit_status = 2

    @property
    def lines(self) -> tuple[str, ...]:
        """What is wrong, the filter, the caret."""
        return tuple(str(self).split("\n"))


class NotFittedError(DqhError, RuntimeError):
    """A quantizer was used before `fit`."""


class NonFiniteLossError(DqhError, ArithmeticError):
    """The training loss became infinite or not a number."""


def first_line(error: Exception) -> str:
    """The first line of an error's text, cut to 200 characters; the name of its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
