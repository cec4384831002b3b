"""Which files below a folder are images: by suffix, else by content. What is left out is counted and told once."""

import errno
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from dqh import remote
from dqh.data.caps import FilePieces
from dqh.data.images import has_image_name
from dqh.data.pixels import FORMATS, MAX_BYTES
from dqh.errors import DataError
from dqh.files import open_regular
from dqh.plural import counted
from dqh.urls import is_url

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

_BACKUPS = ("~", ".bak", ".orig", ".tmp", ".part", ".partial", ".crdownload", ".download")
"""Ends of the names of copies that editors keep, in lower case, and of what browsers have not loaded in full."""

_OTHER_FORMATS = frozenset(
    {
        *(".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".psd", ".tga", ".exr"),
        *(".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2"),  # of cameras
    }
)
"""Suffixes of formats that `decode` does not know."""

_OWN = "hidden or file managers' own files and folders are"


def is_of_file_manager(name: str) -> bool:
    """Whether a file or folder is hidden, or one that file managers and notebooks keep for themselves.

    Example:
        >>> [is_of_file_manager(name) for name in ("._1.jpg", ".ipynb_checkpoints", "Thumbs.db", "hat")]
        [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in _FILE_MANAGERS


def is_backup(name: str) -> bool:
    """Whether a file is an editor's backup of another, or a browser's unfinished download.

    Example:
        >>> [is_backup(name) for name in ("1.jpg~", "1.png.BAK", "1.jpg.crdownload", "hat.jpg", "backup")]
        [True, True, True, False, False]
    """
    return name.lower().endswith(_BACKUPS)


def holds_image(path: str) -> bool:
    """Whether a regular file, or one at a URL, has the header of an image that `decode` knows, whatever its name.

    Links are followed.

    The header is read and nothing decoded, within the bounds of `dqh.data.caps`.
    """
    try:
        with (
            remote.opened(path) if is_url(path) else open_regular(path, links=True) as file,
            Image.open(FilePieces(file, most=MAX_BYTES), formats=FORMATS),  # type: ignore[arg-type] # an IO will do
        ):
            return True
    except Image.DecompressionBombError:
        return True  # an image; reading it says what is wrong
    except Exception:  # of what is no image, the decoders raise nearly anything
        return False


class ImageWalk:
    """Walks through folders for their images, and keeps count of what it leaves out.

    An image is what is named like one, so that a damaged one is reported and not lost, and any other file that holds
    one. Links are followed. What file managers keep for themselves, and files that are backups, are passed over.

    Attributes:
        unlisted: folders that could not be looked into, and why.
        url_folders: those of stores that were asked for.
    """

    def __init__(self) -> None:
        self.unlisted: dict[str, str] = {}
        self.url_folders: set[str] = set()
        self._not_looked_into: Counter[str] = Counter()
        self._of_file_managers: Counter[str] = Counter()
        self._backups: Counter[str] = Counter()
        self._by_content: Counter[str] = Counter()
        self._no_images: Counter[str] = Counter()

    def entries(self, folder: str) -> list[os.DirEntry[str]]:
        """What lies in a folder, in no order; `DataError` where it cannot be listed."""
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
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
        if self.is_folder(entry):
            return False
        if is_backup(entry.name):
            self._backups[entry.name] += 1
            return False
        image = holds_image(entry.path)
        (self._by_content if image else self._no_images)[_suffix(entry.name)] += 1
        return image

    def is_folder(self, entry: os.DirEntry[str]) -> bool:
        """Whether an entry of a folder is a folder, or a link to one or to where this process may not look."""
        try:
            return entry.is_dir()
        except OSError as error:  # its listing says why
            return error.errno != errno.ELOOP

    def below(self, folder: str) -> Iterator[str]:
        """The path of every image below a folder, in no order.

        Raises:
            DataError: the folder itself cannot be listed; those below it are told as `unlisted`.
        """
        yield from self._below(self.entries(folder), frozenset({folder_key(folder)}))

    def inside(self, folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
        """As `below`, but where the folder cannot be listed, it holds no images and is one of `unlisted`.

        `above` has the `folder_key` of the folders above it, to which a link may not lead back.
        """
        try:
            entries, key = self.entries(folder), folder_key(folder)
        except (DataError, OSError) as error:
            cause = error.__cause__ if isinstance(error, DataError) else error
            self.unlisted[folder] = f"a folder that was not looked into: {getattr(cause, 'strerror', None) or cause}"
            return
        if key in above:
            logger.warning("%s is a link to a folder above it and is left out", folder)
            return
        yield from self._below(entries, above | {key})

    def below_url(self, url: str) -> list[str]:
        """The URL of every image below a folder of a store, sorted, by its name alone.

        Raises:
            DataError: the folder cannot be listed.
            RemoteError: see `dqh.remote.entry`.
        """
        self.url_folders.add(url)
        try:
            files = remote.below(url)
        except OSError as error:
            raise DataError(f"{url} cannot be listed: {error.strerror or error}") from error
        images, hidden = [], set[str]()
        for file in files:
            parts = file.removeprefix(url + "/").split("/")
            own = next((place for place, name in enumerate(parts) if is_of_file_manager(name)), None)
            if own is not None:
                hidden.add("/".join(parts[: own + 1]))
            elif has_image_name(parts[-1]):
                images.append(file)
            elif is_backup(parts[-1]):
                self._backups[parts[-1]] += 1
            else:
                self._not_looked_into[_suffix(parts[-1])] += 1
        self._of_file_managers.update(path.rpartition("/")[2] for path in hidden)
        return images

    def _below(self, entries: list[os.DirEntry[str]], here: frozenset[tuple[int, int]]) -> Iterator[str]:
        for entry in entries:
            if self.is_image(entry):
                yield entry.path
            elif self.is_folder(entry):
                yield from self.inside(entry.path, here)

    def tell(self) -> None:
        """Log what was left out so far, a line a kind."""
        if self.unlisted:
            logger.warning(
                "%s cannot be listed, and what is in there was not looked at: %s",
                counted(len(self.unlisted), "folder"),
                _few(f"{folder!r} ({reason.rpartition(': ')[2]})" for folder, reason in self.unlisted.items()),
            )
        if self._of_file_managers:
            names = _few(repr(name)[1:-1] for name in sorted(self._of_file_managers))
            total = self._of_file_managers.total()
            what = counted(total, "hidden or file manager's own file or folder is", _OWN)
            logger.info("%s left out: %s", what, names)
        if self._backups:
            what = counted(
                self._backups.total(), "backup or unfinished download is", "backups or unfinished downloads are"
            )
            logger.info("%s left out: %s", what, _few(repr(name)[1:-1] for name in sorted(self._backups)))
        if self._by_content:
            what = counted(self._by_content.total(), "file is an image", "files are images")
            logger.info("%s by content: %s", what, _counts(self._by_content))
        others = Counter({suffix: count for suffix, count in self._no_images.items() if suffix in _OTHER_FORMATS})
        if others:
            what = counted(others.total(), "photo is of a format that is", "photos are of formats that are")
            logger.warning("%s not decoded and left out: %s; save them as JPEG or PNG", what, _counts(others))
        if self._not_looked_into:
            what = counted(self._not_looked_into.total(), "object is", "objects are")
            why = "not named like images and left out, as each look into one is a request; name images among them in a"
            logger.info("%s %s list: %s", what, why, _counts(self._not_looked_into))
        if rest := self._no_images - others:
            what = counted(rest.total(), "file is no image and is", "files are no images and are")
            logger.info("%s left out: %s", what, _counts(rest))


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
