"""Which files below a folder are images: by suffix, else by content. What is left out is counted and told once."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from dqh.data.images import FORMATS, has_image_name
from dqh.errors import DataError
from dqh.files import open_regular

logger = logging.getLogger(__name__)

_SHOWN = 5  # names or suffixes in a line
_LONGEST_SUFFIX = 12
_FILE_MANAGERS = frozenset(
    {
        *("__macosx", "icon\r"),  # macOS, beside .DS_Store, ._* and other hidden files
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),  # Windows
        "@eadir",  # Synology
    }
)


def is_of_file_manager(name: str) -> bool:
    """Whether a file or folder is hidden, or one that file managers and notebooks keep for themselves.

    Example:
        >>> [is_of_file_manager(name) for name in ("._1.jpg", ".ipynb_checkpoints", "Thumbs.db", "hat")]
        [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in _FILE_MANAGERS


def holds_image(path: str) -> bool:
    """Whether a regular file has the header of an image that `decode` knows, whatever its name; links are followed."""
    try:
        with open_regular(path, links=True) as file, Image.open(file, formats=FORMATS):
            return True
    except Image.DecompressionBombError:
        return True  # an image; reading it says what is wrong
    except Exception:  # of what is no image, the decoders raise nearly anything
        return False


class ImageWalk:
    """Walks through folders for their images, and keeps count of what it leaves out.

    An image is what is named like one, so that a damaged one is reported and not lost, and any other file that holds
    one. Links are followed. What file managers keep for themselves is passed over.
    """

    def __init__(self) -> None:
        self._of_file_managers: Counter[str] = Counter()
        self._by_content: Counter[str] = Counter()
        self._no_images: Counter[str] = Counter()

    def entries(self, folder: str) -> list[os.DirEntry[str]]:
        """What lies in a folder, in no order.

        Raises:
            DataError: it cannot be listed.
        """
        try:
            with os.scandir(folder) as found:
                listed = list(found)
        except OSError as error:
            raise DataError(f"{folder} cannot be listed: {error.strerror or error}") from error
        kept = [entry for entry in listed if not is_of_file_manager(entry.name)]
        if len(kept) < len(listed):
            self._of_file_managers.update(entry.name for entry in listed if is_of_file_manager(entry.name))
        return kept

    def is_image(self, entry: os.DirEntry[str]) -> bool:
        """Whether an entry of a folder is named like an image or is a file that holds one."""
        if has_image_name(entry.name):
            return True
        if entry.is_dir():
            return False
        image = holds_image(entry.path)
        (self._by_content if image else self._no_images)[_suffix(entry.name)] += 1
        return image

    def below(self, folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
        """The path of every image below a folder, in no order.

        Args:
            folder: the folder.
            above: `folder_key` of the folders above it that a link may not lead back to.

        Returns:
            Paths of images, and of folders below that cannot be listed, which are unusable images.

        Raises:
            DataError: the folder itself cannot be listed.
        """
        yield from self._below(folder, self.entries(folder), above)

    def _below(self, folder: str, entries: list[os.DirEntry[str]], above: frozenset[tuple[int, int]]) -> Iterator[str]:
        here = above | {folder_key(folder)}
        if len(here) == len(above):
            logger.warning("%s is a link to a folder above it and is left out", folder)
            return
        for entry in entries:
            try:
                image = self.is_image(entry)
                inside = self.entries(entry.path) if not image and entry.is_dir() else []
            except (DataError, OSError):  # it stands for what cannot be seen, and reading it says why
                image, inside = True, []
            if image:
                yield entry.path
            elif inside:
                yield from self._below(entry.path, inside, here)

    def tell(self) -> None:
        """Log what was left out so far, a line a kind."""
        if self._of_file_managers:
            names = _few(repr(name)[1:-1] for name in sorted(self._of_file_managers))
            total = self._of_file_managers.total()
            logger.info("%d hidden or file managers' own files and folders are left out: %s", total, names)
        if self._by_content:
            logger.info("%d files are images by content: %s", self._by_content.total(), _counts(self._by_content))
        if self._no_images:
            logger.info(
                "%d files are no images and are left out: %s", self._no_images.total(), _counts(self._no_images)
            )


def folder_key(folder: str) -> tuple[int, int]:
    """Device and inode of a folder, the same by whatever links it is reached."""
    status = Path(folder).stat()
    return status.st_dev, status.st_ino


def _suffix(name: str) -> str:
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path a name is 10× slower)
    return suffix if 1 < len(suffix) <= _LONGEST_SUFFIX and suffix.isprintable() and " " not in suffix else ""


def _counts(suffixes: Counter[str]) -> str:
    ordered = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    return _few(f"{count} {suffix or 'of no known suffix'}" for suffix, count in ordered)


def _few(texts: Iterable[str]) -> str:
    listed = list(texts)
    return ", ".join(listed[:_SHOWN]) + (", …" if len(listed) > _SHOWN else "")
