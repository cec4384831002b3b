"""Images in folders, a folder a class."""

import logging
import posixpath
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dqh.commands import command, setting
from dqh.data.caps import MAX_PIXELS
from dqh.data.images import EXTENSIONS, Limits
from dqh.data.listed import FileSource, Listing
from dqh.data.listing import ImageWalk, folder_key
from dqh.data.pixels import MAX_BYTES
from dqh.data.source import ROLES
from dqh.errors import ConfigError, DataError
from dqh.plural import counted

logger = logging.getLogger(__name__)

_FOLDERS_OF = {
    "query": ("query", "queries", "test", "testing"),
    "database": ("database", "gallery"),
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
}
"""Names that folders of a role often have, in lower case."""


class ImageFolder(FileSource):
    """Images in `root/class/`, or in `root/role folder/class/` where `roles` names the folders.

    Every file below a class folder that is named like an image is a row, so that a damaged one is reported and not
    lost, and so is any other file that holds an image. Hidden files and folders, and those that file managers keep
    for themselves, are left out. Folders that cannot be listed hold nothing and are told. Links are followed. Ids are
    paths relative to `root` with forward slashes, in sorted order.

    Args:
        root: the folder.
        roles: the folder below `root` of each role, such as `{query: test, database: train}`; roles are `query`,
            `database`, `train`, `validation` and `test`. None: the class folders lie in `root` itself.
        depth: levels of folders that make a class: 1 for `hat/`, 2 for `clothes/hat/`; images that lie less deep are of
            the class of their own folder. None: all levels where no folder holds images both itself and below, so that
            each folder with images is a class; else 1. The log says which and what another depth would make.
        max_bad_fraction: the largest fraction of unusable images that a run accepts, 0 … 1.
        max_pixels: cap on the width × height of an image.
        max_bytes: cap on the size of an image file, bytes.
        name: what reports call the data set; None for the name of the folder `root`.

    Raises:
        ConfigError: a value is impossible; that `depth` is deeper than all images is told with the labels.
        DataError: a folder is missing.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        roles: Mapping[str, str] | None = None,
        depth: int | None = None,
        max_bad_fraction: float = 0.01,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
        name: str | None = None,
    ) -> None:
        limits = Limits(max_pixels, max_bytes)
        super().__init__(Path(root), name, otherwise="image_folder", max_bad_fraction=max_bad_fraction, limits=limits)
        self._folders = dict(roles) if roles else {}
        self._depth = depth
        _check_roles(self._folders)
        if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
            raise ConfigError(f"depth must be a whole number of at least 1, or null, got {depth!r}")
        missing = [str(path) for path in self._parts.values() if not path.is_dir()]
        if missing:
            raise DataError(f"image folder not found: looked for {', '.join(missing)}; put the images there")

    @property
    def _parts(self) -> dict[str, Path]:
        """The folders that hold class folders, by their path below the root."""
        root = self._files.root
        return {folder: root / folder for folder in sorted(set(self._folders.values()))} or {"": root}

    @cached_property
    def _listing(self) -> Listing:
        walk = ImageWalk()
        rows = self._rows(walk)
        if not rows:
            raise DataError(
                f"no images in {', '.join(map(str, self._parts.values()))}: looked for CLASS/*"
                f"{{{','.join(sorted(EXTENSIONS))}}} in each, and for files that hold images whatever their names"
            )
        if not self._folders and self._depth is None:
            _require_classes({row.inside.split("/")[0] for row in rows}, self._files.root)
        holders = {row.inside for row in rows}
        depth = _depth(holders) if self._depth is None else self._depth
        _require_depth(depth, holders, self._files.root)
        classes = {inside: _ancestor(inside, depth) for inside in holders}
        class_names = tuple(sorted(set(classes.values())))
        number = {name: label for label, name in enumerate(class_names)}
        folders = np.array([row.folder for row in rows], dtype=np.str_)
        return Listing(
            ids=np.array([row.id for row in rows], dtype=np.str_),
            labels=np.array([number[classes[row.inside]] for row in rows], dtype=np.int64),
            class_names=class_names,
            roles={role: np.flatnonzero(folders == folder) for role, folder in self._folders.items()},
            unusable={},
            unlisted=walk.unlisted,
        )

    def _rows(self, walk: ImageWalk) -> list["_Row"]:
        rows = []
        for folder, part in self._parts.items():
            for path in _class_images(walk, part):
                inside = Path(path).relative_to(part).as_posix()
                name = posixpath.join(Path(folder).as_posix(), inside) if folder else inside
                rows.append(_Row(name, folder, posixpath.dirname(inside)))
        walk.tell()
        return sorted(rows)


class _Row(NamedTuple):
    """An image: its id, the folder of its role, and the folder that it lies in, relative to the former."""

    id: str
    folder: str
    inside: str


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


def _class_images(walk: ImageWalk, folder: Path) -> Iterator[str]:
    """The path of every image in the class folders of `folder`."""
    stray = []
    for entry in walk.entries(str(folder)):
        if not walk.is_folder(entry):
            stray += [entry.name] if walk.is_image(entry) else []
            continue
        paths = list(walk.inside(entry.path, frozenset({folder_key(str(folder))})))
        if not paths and entry.path not in walk.unlisted:
            logger.warning("%s holds no images and is no class", entry.path)
        yield from paths
    if stray:
        raise DataError(
            f"{counted(len(stray), 'image lies', 'images lie')} in {folder} itself, outside every class folder, such "
            f"as {stray[0]!r}; each image belongs in the folder of its class"
        )


def _ancestor(folder: str, depth: int) -> str:
    """The first `depth` levels of a folder: `a/b` of `a/b/c` and 2."""
    return "/".join(folder.split("/")[:depth])


def _levels(folder: str) -> int:
    return folder.count("/") + 1


def _depth(holders: Collection[str]) -> int:
    """How many levels make a class, of the folders that hold images; told where there is a choice."""
    deepest = max(map(_levels, holders))
    if deepest == 1:
        return 1
    above = {_ancestor(folder, depth) for folder in holders for depth in range(1, _levels(folder))}
    depth = deepest if above.isdisjoint(holders) else 1
    counts = {levels: len({_ancestor(folder, levels) for folder in holders}) for levels in range(1, deepest + 1)}
    others = [f"{count} with data.depth={levels}" for levels, count in counts.items() if count != counts[depth]]
    kind = (
        "of the first level"
        if depth == 1
        else f"that are the folders with images, such as {max(sorted(holders), key=_levels)!r}"
    )
    logger.info("%s %s%s", counted(counts[depth], "class", "classes"), kind, "".join(f"; {other}" for other in others))
    return depth


def _require_depth(depth: int, holders: Collection[str], root: Path) -> None:
    """Raise `ConfigError` where no image lies as deep as a depth asks for."""
    deepest = max(sorted(holders), key=_levels)
    if depth > _levels(deepest):
        raise ConfigError(
            f"depth must be at most {_levels(deepest)}, got {depth}: the deepest folder with images in {root} is "
            f"{deepest!r}; take 1 … {_levels(deepest)}, or leave data.depth away"
        )


def _require_classes(names: set[str], root: Path) -> None:
    """Raise `DataError` where the folders of the first level are named like roles, not like classes."""
    folders = {name.lower(): name for name in sorted(names)}
    known = {role: [folders[name] for name in usual if name in folders] for role, usual in _FOLDERS_OF.items()}
    fitted, held_out = known["train"] + known["database"], known["query"] + known["validation"]
    if not (fitted and held_out) and len(fitted) + len(held_out) < len(names):
        return
    chosen = {role: folders[0] for role, folders in known.items() if folders}
    if "query" not in chosen and "validation" in chosen:
        chosen = {"query": chosen.pop("validation")} | chosen
    if "database" not in chosen and "train" in chosen:
        chosen["database"] = chosen.pop("train")  # without train it is the database
    if {"query", "database"} <= chosen.keys():
        roles = ", ".join(f"{role}: {chosen[role]}" for role in ROLES if role in chosen)
        advice = f"'data.roles={{{roles}}}' split.protocol=given"
    else:
        advice = f"{command(setting('data.root', root / min(fitted or held_out)))}, or data.roles={{ROLE: FOLDER, …}}"
    parts = ", ".join(sorted({*fitted, *held_out})[:9])
    raise DataError(
        f"the folders {parts} in {root} look like parts of a data set, not like classes; say what they are for: "
        f"{advice}; or that they are classes: data.depth=1"
    )
