"""Images in folders, a folder a class."""

import logging
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dqh.data.images import EXTENSIONS, MAX_BYTES, MAX_PIXELS, ImageFiles, Limits, has_image_name
from dqh.data.source import ROLES, Source, check_bad_limit
from dqh.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

_PART_NAMES = frozenset({"train", "training", "test", "val", "valid", "validation", "query", "database", "gallery"})


class ImageFolder(Source):
    """Images in `root/class/`, or in `root/role folder/class/` where `roles` names the folders.

    Every file below a class folder that is named like an image is a row, so that a damaged one is reported and not
    lost. Links are followed. Ids are paths relative to `root` with forward slashes, in sorted order.

    Args:
        root: the folder.
        roles: the folder below `root` of each role, such as `{query: test, database: train}`; roles are `query`,
            `database`, `train`, `validation` and `test`. None: the class folders lie in `root` itself.
        max_bad_fraction: the largest fraction of unusable images that a run accepts, 0 … 1.
        max_pixels: cap on the width × height of an image.
        max_bytes: cap on the size of an image file, bytes.
        name: what reports call the data set.

    Raises:
        ConfigError: a value is impossible.
        DataError: a folder is missing.
    """

    size = None

    def __init__(
        self,
        *,
        root: str | Path,
        roles: Mapping[str, str] | None = None,
        max_bad_fraction: float = 0.01,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
        name: str = "image_folder",
    ) -> None:
        check_bad_limit(max_bad_fraction)
        self.name = name
        self.max_bad_fraction = max_bad_fraction
        self._files = ImageFiles(Path(root), Limits(max_pixels, max_bytes))
        self._folders = dict(roles) if roles else {}
        _check_roles(self._folders)
        missing = [str(path) for path in self._parts.values() if not path.is_dir()]
        if missing:
            raise DataError(f"image folder not found: looked for {', '.join(missing)}; put the images there")

    @property
    def ids(self) -> NDArray[np.str_]:
        """(N,) paths relative to the root; bytes that are not UTF-8 are kept as lone surrogates."""
        return self._listing.ids

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) the class."""
        return self._listing.labels

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the class folders that hold images, sorted."""
        return self._listing.class_names

    @cached_property
    def roles(self) -> dict[str, NDArray[np.int64]]:
        """The rows below the folder of each role."""
        return {role: np.flatnonzero(self._listing.folders == folder) for role, folder in self._folders.items()}

    def read(self, row: int) -> Image.Image:
        """The RGB image of a row.

        Raises:
            BadImageError: it cannot be read or decoded.
        """
        return self._files.read(str(self.ids[row]))

    def shorter_side(self, row: int) -> int:
        """Pixels of the shorter side of an image, by its header.

        Raises:
            BadImageError: it cannot be read.
        """
        return self._files.shorter_side(str(self.ids[row]))

    def content_hash(self, row: int) -> bytes:
        """16 bytes from the file of a row.

        Raises:
            BadImageError: it cannot be read.
        """
        return self._files.content_hash(str(self.ids[row]))

    @property
    def _parts(self) -> dict[str, Path]:
        """The folders that hold class folders, by their path below the root."""
        root = self._files.root
        return {folder: root / folder for folder in sorted(set(self._folders.values()))} or {"": root}

    @cached_property
    def _listing(self) -> "_Listing":
        rows = sorted(
            (Path(path).relative_to(self._files.root).as_posix(), kind, folder)
            for folder, part in self._parts.items()
            for kind, path in _class_images(part)
        )
        if not rows:
            raise DataError(
                f"no images in {', '.join(map(str, self._parts.values()))}: looked for CLASS/*"
                f"{{{','.join(sorted(EXTENSIONS))}}} in each"
            )
        class_names = tuple(sorted({kind for _, kind, _ in rows}))
        if not self._folders and _PART_NAMES.issuperset(map(str.lower, class_names)):
            raise DataError(
                f"the folders {', '.join(class_names)} in {self._files.root} look like parts of a data set, not like "
                "classes; say what they are for: roles={query: test, database: train}"
            )
        number = {kind: label for label, kind in enumerate(class_names)}
        return _Listing(
            ids=np.array([name for name, _, _ in rows], dtype=np.str_),
            labels=np.array([number[kind] for _, kind, _ in rows], dtype=np.int64),
            class_names=class_names,
            folders=np.array([folder for _, _, folder in rows], dtype=np.str_),
        )


class _Listing(NamedTuple):
    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    folders: NDArray[np.str_]


def _check_roles(folders: Mapping[str, str]) -> None:
    problems = [f"roles: {role!r} is no role; one of {', '.join(ROLES)}" for role in folders if role not in ROLES]
    paths = sorted(set(folders.values()))
    problems += [
        f"roles: {path!r} must be a folder below root, relative, without '..'"
        for path in paths
        if not path or Path(path).is_absolute() or ".." in Path(path).parts
    ]
    nested = [(a, b) for a in paths for b in paths if a != b and Path(a) in (Path(b), *Path(b).parents)]
    problems += [f"roles: {a!r} and {b!r} hold the same images" for a, b in nested]
    if problems:
        raise ConfigError(problems)


def _class_images(folder: Path) -> Iterator[tuple[str, str]]:
    """(class, path) of every image in the class folders of `folder`."""
    stray = []
    for entry in _entries(str(folder)):
        if not entry.is_dir():
            stray += [entry.name] if has_image_name(entry.name) else []
            continue
        paths = list(images_below(entry.path, _keys(folder)))
        if not paths:
            logger.warning("%s holds no images and is no class", entry.path)
        yield from ((entry.name, path) for path in paths)
    if stray:
        raise DataError(
            f"{len(stray)} images lie in {folder} itself, outside every class folder, such as {stray[0]!r}; "
            "each image belongs in the folder of its class"
        )


def images_below(folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """The path of everything below a folder that is named like an image, in no order; links are followed.

    Args:
        folder: the folder.
        above: device and inode of the folders above it that a link may not lead back to.

    Raises:
        DataError: a folder cannot be listed.
    """
    here = above | _keys(Path(folder))
    if len(here) == len(above):
        logger.warning("%s is a link to a folder above it and is left out", folder)
        return
    for entry in _entries(folder):
        if has_image_name(entry.name):
            yield entry.path
        elif entry.is_dir():
            yield from images_below(entry.path, here)


def _keys(folder: Path) -> frozenset[tuple[int, int]]:
    status = folder.stat()
    return frozenset({(status.st_dev, status.st_ino)})


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror or error}") from error
