"""Photos with boxes in folders as PASCAL VOC has them: a photo, and an XML file of the same name."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from dqh.data.annotations import Annotation, AnnotationError, Annotations, Collected
from dqh.data.box_source import BoxSource
from dqh.data.caps import MAX_PIXELS
from dqh.data.data_file import role_lists
from dqh.data.images import Limits
from dqh.data.list_text import list_texts
from dqh.data.listing import ImageWalk, is_of_file_manager
from dqh.data.pixels import MAX_BYTES
from dqh.data.voc_xml import MAX_BYTES as MAX_XML
from dqh.data.voc_xml import read_voc_xml
from dqh.errors import ConfigError, DataError
from dqh.files import read_regular
from dqh.plural import counted

_MARKS = ("-1", "0", "1")  # behind a name in the lists of one class


class VOCBoxes(BoxSource):
    """Photos `JPEGImages/NAME.jpg` with boxes in `Annotations/NAME.xml`.

    Lists such as `ImageSets/Main/train.txt` hand out roles: a line is a NAME, and a -1, 0 or 1 behind it says nothing
    here. With lists, their photos are the rows, in the order in which they first appear; without, all annotated ones,
    sorted. The photo of an annotation is the image of its name; of several such (`NAME.jpg`, `NAME.png`) the one that
    the annotation calls so. `difficult` is kept with the box. Ids are paths of photos below `root`.

    Args:
        root: the folder that all paths are relative to.
        query: the list file of the queries, relative to `root`.
        database: the list file of the database.
        train: the list file of the photos to train on.
        validation: the list file of the photos that choose the epoch.
        test: the list file of the photos to test on.
        annotations: the folder of the XML files below `root`.
        images: the folder of the photos below `root`.
        unannotated: what a photo without an XML file is: `unusable`, since nobody says what is in it; or `negative`, as
            of tools that write no file where nothing is marked.
        first_pixel: 1 where corners are pixels counted from 1, as in VOC; 0 where they are edges counted from 0, see
            `dqh.data.voc_xml.read_voc_xml`.
        classes: the names of the C classes, in order; None: those in the annotations, sorted.
        class_map: a CSV file with other names of classes, see `dqh.data.class_map`, relative to `root` or absolute.
        max_bad_fraction: the largest fraction of unusable images, and of unusable boxes, that a run accepts, 0 … 1.
        max_pixels: cap on the width × height of an image.
        max_bytes: cap on the size of an image file, bytes.
        name: what reports call the data set; None for the name of the folder `root`.

    Raises:
        ConfigError: a value is impossible.
        DataError: a folder, a list or the class map is missing, or cannot be read.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        query: str | None = None,
        database: str | None = None,
        train: str | None = None,
        validation: str | None = None,
        test: str | None = None,
        annotations: str = "Annotations",
        images: str = "JPEGImages",
        unannotated: Literal["unusable", "negative"] = "unusable",
        first_pixel: int = 1,
        classes: Sequence[str] | None = None,
        class_map: str | None = None,
        max_bad_fraction: float = 0.01,
        max_pixels: int = MAX_PIXELS,
        max_bytes: int = MAX_BYTES,
        name: str | None = None,
    ) -> None:
        super().__init__(
            Path(root),
            name,
            otherwise="voc_boxes",
            classes=classes,
            class_map=class_map,
            max_bad_fraction=max_bad_fraction,
            limits=Limits(max_pixels, max_bytes),
        )
        problems = []
        if unannotated not in ("unusable", "negative"):
            problems.append(f"unannotated must be unusable or negative, got {unannotated!r}")
        if isinstance(first_pixel, bool) or first_pixel not in (0, 1):
            problems.append(f"first_pixel must be 0 or 1, got {first_pixel!r}")
        if problems:
            raise ConfigError(problems)
        self._unannotated, self._first_pixel = unannotated, first_pixel
        self._annotation_folder, self._image_folder = annotations, images
        if missing := [
            str(folder) for folder in (self._below(annotations), self._below(images)) if not folder.is_dir()
        ]:
            raise DataError(
                f"folder not found: looked for {', '.join(missing)}; put the files there, or name the folders by "
                "annotations and images"
            )
        self._lists = role_lists(
            self._files.root, query=query, database=database, train=train, validation=validation, test=test
        )

    def _below(self, path: str) -> Path:
        return self._files.root / path

    def _annotations(self) -> Annotations:
        walk = ImageWalk()
        photos: dict[str, list[str]] = {}
        for entry in sorted(walk.entries(str(self._below(self._image_folder))), key=_name):
            if not walk.is_folder(entry) and walk.is_image(entry):
                photos.setdefault(_stem(entry.name), []).append(entry.name)
        files = {
            _stem(entry.name): entry.name
            for entry in sorted(walk.entries(str(self._below(self._annotation_folder))), key=_name)
            if entry.name.lower().endswith(".xml") and not is_of_file_manager(entry.name)
        }
        walk.tell()
        collected = Collected(self._lists)
        lines = (
            list(self._listed(files, photos)) if self._lists else [_Line(name) for name in sorted({*files, *photos})]
        )
        if not lines:
            raise DataError(f"no XML files in {self._below(self._annotation_folder)}, and no images beside them")
        known: dict[str, Annotation | None] = {}
        for line in lines:
            if line.fault:
                collected.unusable[line.where] = line.fault
                continue
            if line.name not in known:
                try:
                    known[line.name] = self._annotation(line.name, files, photos.get(line.name, []))
                except AnnotationError as error:
                    known[line.name] = None
                    where = f"{self._annotation_folder}/{files[line.name]}" if line.name in files else line.where
                    collected.unusable[where or f"{self._image_folder}/{photos[line.name][0]}"] = str(error)
            if (photo := known[line.name]) is not None:
                collected.add(photo, line.role)
        return collected.as_read(None)

    def _annotation(self, name: str, files: dict[str, str], photos: Sequence[str]) -> Annotation:
        """The annotation of a name, and of photos of this name; `AnnotationError` where there is none to be used."""
        if not photos:
            raise AnnotationError(f"no photo {self._image_folder}/{name[:80]}.jpg, nor one of another suffix")
        several = f"{counted(len(photos), 'photo')} of this name, {', '.join(photos[:4])}"
        if name not in files:
            if self._unannotated == "unusable":
                raise AnnotationError(
                    f"no annotation {self._annotation_folder}/{name}.xml; where that means that nothing is in the "
                    "photo, write unannotated=negative"
                )
            if len(photos) > 1:
                raise AnnotationError(f"{several}, and no annotation that tells its own")
            path = f"{self._image_folder}/{photos[0]}"
            return Annotation(path, path, ())
        where = f"{self._annotation_folder}/{files[name]}"
        try:
            content = read_regular(self._below(where), most=MAX_XML, links=True)
        except OSError as error:
            raise AnnotationError(f"cannot be read: {error.strerror or error}") from error
        read = read_voc_xml(content, where=where, first_pixel=self._first_pixel)
        if len(photos) > 1 and read.file_name not in photos:
            raise AnnotationError(f"{several}, and the annotation calls its own {read.file_name[:80]!r}")
        photo = read.file_name if len(photos) > 1 else photos[0]
        return Annotation(f"{self._image_folder}/{photo}", where, read.marks, read.size)

    def _listed(self, files: dict[str, str], photos: dict[str, list[str]]) -> Iterator["_Line"]:
        """The names in the lists, each with its role and place."""
        for role, file in self._lists.items():
            for line in list_texts(self._below(file)):
                name = line.text
                if name not in files and name not in photos:
                    start, _, last = name.rpartition(" ") if "\t" not in name else name.rpartition("\t")
                    name = start.rstrip() if last in _MARKS else name
                yield _Line(name, role, f"{file}:{line.number}", line.fault)


class _Line(NamedTuple):
    """A name, its role, and the place in a list that has it, "" where there are no lists; why the line is of no use."""

    name: str
    role: str | None = None
    where: str = ""
    fault: str = ""


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]  # noqa: PTH122 (a Path a name is 10× slower)
